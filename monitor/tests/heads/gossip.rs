//! Monitors that tell each other what they were shown.
