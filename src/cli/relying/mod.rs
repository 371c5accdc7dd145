//! What commands that decide about agents have in common: the files that a relying party's configuration names,
//! and what is asked for over the network.

pub mod material;
pub mod online;
