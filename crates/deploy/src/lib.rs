//! deploy.json: read leniently, checked wholly, every error with its place (spec/apollo.md section 5).
//!
//! ```text
//! text -> json -> field -> entry, limits -> read -> check -> Deploy
//!                                                              |-> modules   who declares which module
//!                                                              |-> probe     is this machine ready for it?
//!                                                              |-> secrets   the cluster's own, from files and variables
//!                                                              |-> access    who comes in at the proxies, and how
//!                                                              |-> store     where what must survive is kept
//!                                                              |-> hosts     which node runs on which machine
//!                                                              `-> run_dir   where its sockets stand
//! ```
//!
//! [`Deploy::load`] is the one way in. It answers either a [`Deploy`] whose every promise holds (ids are unique, ports
//! do not clash, mods exist, there is a master) or all that is wrong with the file at once, as [`DeployErrors`].
//! What depends on the machine and not on the file (free ports, built programs) is asked for apart:
//! [`Deploy::probe_ports`], [`Deploy::check_programs`].

mod access;
mod change;
mod check;
mod deploy;
mod engine;
mod entry;
mod error;
mod field;
mod hosts;
mod json;
mod limits;
mod mod_json;
mod modules;
mod notifications;
mod place;
mod probe;
mod read;
mod report;
mod run_dir;
mod secrets;
mod store;
mod suggest;
#[cfg(test)]
mod tests;

pub use access::{Access, LoginKeys, LoginRule, PlayerTls};
pub use change::Change;
pub use deploy::Deploy;
pub use engine::{Engine, EngineCredentials, EngineTls};
pub use entry::NodeEntry;
pub use error::{DeployError, DeployErrors, Notice, Problem, Warning};
pub use limits::{Limits, Timing};
pub use notifications::Notifications;
pub use place::Place;
pub use run_dir::SOCKET_NAME_MAX;
pub use secrets::{FoundSecrets, SecretOf};
pub use store::{STORE_FILE_VARIABLE, STORE_VARIABLE, StoreChoice, StorePlace};
