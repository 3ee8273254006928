//! Player records, and notifications between players that end exactly once (snipe.md).

mod desk;
mod protocol;

pub use desk::Desk;
