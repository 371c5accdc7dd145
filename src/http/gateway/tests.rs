//! The gateway's API as a proxy sees it, with certificates made for real and everything outside played.

mod asking;
mod charging;
mod deciding;
mod rig;
