//! Findings brought to people, at least once.
