//! A master with a store and nodes around it, in one thread, on virtual time. The servers' half is played by hand.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod claims;
mod commits;
mod deadlines;
mod dispatch;
mod inflight;
mod routes;
mod soak;
mod tools;
mod world;
