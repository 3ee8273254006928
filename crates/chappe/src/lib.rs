//! Chappe: the messaging runtime of a game-server cluster.
//!
//! A game is a program that links this crate, says in an [`App`] what its nodes do, and hands over:
//!
//! ```no_run
//! use chappe::{App, Row};
//!
//! fn main() -> std::process::ExitCode {
//!     App::new()
//!         .service("service_mail", |node| {
//!             node.register(Row::RpcModMethod, "service_mail", "Count", |call| {
//!                 let _ = call.respond(&chappe::value!({"n": 3}));
//!             });
//!             Ok(())
//!         })
//!         .main()
//! }
//! ```
//!
//! ```text
//! bench   what a message costs, measured
//! app     what each type of node does          cmd         one file a command
//! config  a deploy entry as a node's settings  supervisor  `up`: keeps the nodes of one machine running
//! node_process  one node, from its entry to its end        tool  a request to a running cluster from outside
//! store   where the master keeps what must survive          secrets  what nodes, tools and HTTP clients show
//! ```

mod access;
mod app;
mod bench;
mod cmd;
mod config;
mod engines;
mod exit;
mod last_report;
mod leading;
mod links;
mod logging;
mod node_process;
mod open_files;
mod orphan;
mod python;
mod roles;
mod secrets;
mod signals;
mod store;
mod supervisor;
mod tool;

pub use app::{App, ModError, ModHost, ModNode};
pub use chappe_client as client;
pub use chappe_deploy as deploy;
pub use chappe_master as master;
pub use chappe_node::*;
pub use chappe_notify as notify;
pub use chappe_proxy as proxy;
pub use chappe_wire::{BadPlayerId, NodeId, PlayerId, PushTo, Reason, Role, Row, Value, value};
pub use tool::ask_master;
