//! `atl ca ...`: a CA, put together.

pub mod tls;
