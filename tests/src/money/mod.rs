//! Players who give each other money, on virtual time: the acceptance case of snipe.md, with everything that can die.

pub mod bank;
pub mod cluster;
pub mod till;
