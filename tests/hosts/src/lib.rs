//! Hosts of a cluster, all on this machine, and what goes wrong between them.
//!
//! ```text
//! net        what is between a host and the rest: a network namespace of its own, or a relay
//! relay      TCP that can be held up
//! kept       processes that end when we do
//! nats, postgres   real servers of our own
//! ground     all of the above
//! hosts      a cluster on it: `up` once a host
//! commands   what looks into it
//! faults     what goes wrong, and what must hold after each; the seed decides
//! logins     how long nobody was let in
//! table      what was done
//! ```
//!
//! Two programs play on it: the arena's demo and the chaos of players who give each other money.

mod commands;
mod faults;
mod ground;
mod hosts;
mod kept;
mod logins;
mod nats;
mod net;
mod postgres;
mod relay;
mod rng;
mod table;

pub use commands::Commands;
pub use faults::{Fault, Game, Struck, strike};
pub use ground::Ground;
pub use hosts::{Hosts, Plan};
pub use logins::Logins;
pub use net::{Net, enter};
pub use rng::Rng;
pub use table::{draw, shortcomings};

use std::fmt::Display;

/// An error with what it befell.
fn told<E: Display>(what: impl Display) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {error}")
}
