//! Following logs: download, verification, and what contradicts what.
