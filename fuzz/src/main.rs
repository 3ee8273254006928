//! Fuzzes every decoder for a while.
fn main() {}
