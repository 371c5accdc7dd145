//! The certificate authority: what it issues, and the steps in which it does (draft sections 5, 7.2
//! and 8.2, protocol sections 3 and 6).
//!
//! - [`serial`], [`profile`]: what stands in an agent's certificate
//! - [`lint`]: a second look at every certificate before it is signed
//! - [`issuance`]: from a profile to a precertificate, to timestamps, to the final certificate

pub mod issuance;
pub mod lint;
pub mod profile;
pub mod serial;
#[cfg(test)]
mod tests;
