//! Players who give each other money, on virtual time: the acceptance case of snipe.md, with everything that can die.
//!
//! [`bank`] is the game, [`cluster`] runs it, [`till`] is the proxy's part, [`customers`] play. [`exhaustive`] puts a fault
//! at every step of one gift, [`random`] plays seeded schedules of many. Both write what clients were told into [`books`],
//! which is the oracle: it knows the game's rules and nothing of the implementation.

pub mod bank;
pub mod books;
pub mod cluster;
pub mod customers;
pub mod exhaustive;
pub mod random;
pub mod till;
mod watched;
