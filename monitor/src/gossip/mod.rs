//! Heads exchanged with other monitors.
