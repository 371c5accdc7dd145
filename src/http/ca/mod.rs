//! The CA's HTTP API (protocol section 6).
