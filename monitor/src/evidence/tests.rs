//! What is kept proves what it says, and nothing else does.

mod archive;
mod certificates;
mod heads;
mod tampering;
