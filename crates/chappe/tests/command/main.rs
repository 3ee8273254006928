//! The command, as its users meet it: real processes, exit codes, and what is printed.

mod access;
mod apply;
mod bench;
mod check;
mod engines;
mod masters;
#[path = "../../../link/tests/server/mod.rs"]
#[allow(missing_docs, reason = "it is the part of a library elsewhere")]
mod nats;
#[path = "../../../store/tests/stores/server.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "other tests use the rest")]
mod postgres;
mod processes;
mod roll;
mod secrets;
mod store;
mod support;
mod units;
