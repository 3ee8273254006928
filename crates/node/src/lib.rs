//! One node: its loop, inbox, systems, handlers, requests and timers, on one thread.
//!
//! Data flows one way: `connect` gets connections, `greet` lets them in, `inbox` turns bytes into frames, envelopes and calls of
//! handlers, handlers send through `send`, `rpc` and `waiting`, and the end of each turn (`outbox`) writes to each
//! peer, at once, all that the turn has produced; `gate` holds what handler runs send until they may speak,
//! `replaced` what is for a node that is about to come back as a new life; `unordered` publishes broadcasts to many at once. `members` is the node's place in the cluster, `leading` which of two masters rules in it, `players` who is
//! on it, `passage` how they come and go where that takes time, `control` what the runtime's parts say to each other. [`system`] holds the calls that games use.

/// The version of this program: what nodes tell the master.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

mod call;
mod clock;
mod config;
mod connect;
pub mod control;
pub mod control_tool;
mod declare;
mod error;
mod event;
mod gate;
mod greet;
mod held;
mod inbox;
mod leading;
mod leave;
mod listeners;
mod local;
mod members;
mod node;
mod outbox;
mod passage;
mod peer;
mod players;
mod pulse;
mod receipt;
mod replaced;
mod rpc;
mod run;
#[cfg(feature = "sabotage")]
pub mod sabotage;
mod send;
mod stats;
pub mod system;
mod timers;
mod unordered;
mod waiting;

pub use call::{Call, Responder};
pub use chappe_route::{Address, Changed, Declared, Member, NoRoute, State, View, ViewChange};
pub use clock::unix_nanos;
pub use config::{Config, Limits, Timing};
pub use error::{Failure, NodeError, SendError};
pub use event::{Event, OwnedEvent};
pub use gate::{LazyRun, RunId};
pub use greet::{GreetError, dial_greeting};
pub use listeners::{ListenerId, MAX_PRIORITY};
pub use node::Node;
pub use passage::{Entering, Leaving};
pub use players::Player;
pub use receipt::{Receipt, Sent};
pub use rpc::{Callback, DEFAULT_TIMEOUT, Data, Reply, Target, To};
pub use run::{Beats, run_blocking};
pub use stats::{PairReport, Report, RowCounts, Stats};
pub use timers::{Timer, UPDATE_RATE};

/// The namespace of events that a node raises itself (`GetEngineNamespace`).
pub const ENGINE_NAMESPACE: &str = "Minecraft";
/// The system name of events that a node raises itself (`GetEngineSystemName`).
pub const ENGINE_SYSTEM: &str = "Engine";
