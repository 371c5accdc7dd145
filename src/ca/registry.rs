//! The registry of builds known to be good.

/// Builds known to be good.
#[derive(Clone, Debug, Default)]
pub struct Registry {}
