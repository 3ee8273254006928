//! Player records, and notifications between players that end exactly once (snipe.md).
//!
//! Two halves. On every node but proxies a [`Server`]: it owns the records of the players who are there, runs handlers on
//! them one after another, and commits what each run did. On the master a [`Desk`]: it alone has the store, says who owns
//! a record, and carries each notification from the commit that sent it to where its next step runs.
//!
//! In the order of a run's life: `requests`, `mechanisms` and `records` queue a [`job`](self) for a record (`held`), `runs`
//! runs its handlers (`steps`), `commits` makes what they did the record's state and sends it to the master; what is
//! decided leaves (`settle`), and what is not true after all falls with all that rests on it (`undo`, `undecided`).

mod arrivals;
mod attributes;
mod away;
mod claims;
mod commits;
mod desk;
mod durable;
mod error;
mod held;
mod job;
mod mechanisms;
mod message;
mod modules;
mod outbox;
mod params;
mod plain;
mod player;
mod protocol;
mod records;
mod requests;
mod run;
mod runs;
mod server;
mod steps;
pub mod tools;
mod undecided;
mod undo;

pub use attributes::Attributes;
pub use desk::Desk;
pub use error::{HandlerError, NotifyError};
pub use job::Origin;
pub use modules::{Handled, Handling, IntoHandled, Module};
pub use params::Params;
pub use player::Player;
pub use server::{Options, Server};
