//! The command, as its users meet it: real processes, exit codes, and what is printed.

mod apply;
mod check;
mod processes;
mod store;
mod support;
mod units;
