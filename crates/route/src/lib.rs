//! Who is in the cluster, where a message goes, and what is still under way.
//!
//! Pure: no I/O, no clock, no randomness; callers pass the time in. [`View`] is the membership as the master
//! tells it and resolves an [`Address`] to nodes, [`Pending`] holds requests until their one outcome,
//! [`Ledger`] numbers one connection's frames and knows what the other side has taken in.

mod ledger;
mod pending;
mod view;

pub use ledger::{Ledger, Seen};
pub use pending::{Pending, PendingId};
pub use view::{Address, Changed, Declared, Member, NoRoute, Provider, State, View, ViewChange};
