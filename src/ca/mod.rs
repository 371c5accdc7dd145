//! The certification authority: who asks for a certificate, and what is issued.

pub mod csr;
