//! The master: membership, logins, the player directory and the HTTP control port.
//!
//! [`Master::attach`] makes a node of role master the master of its cluster. What it decides is in pure parts
//! (`membership`, `directory`), which are passed the time and hand back what is to be told. Around them, `joining`
//! answers nodes that come and go, `sessions` proxies and lobbies, `tools` the command line, and `http` everyone
//! with a browser; `standby` is what a master tells that does not lead, where there are two. [`MasterSystem`] is what mods see.

mod away;
mod declare;
mod directory;
mod drain;
mod error;
mod http;
mod joining;
mod login;
mod master;
mod membership;
mod sessions;
mod standby;
mod system;
mod tools;

pub use error::MasterError;
pub use http::{Access, ClientId, HttpError, HttpPort};
pub use login::LoginChoice;
pub use master::Master;
pub use standby::Standing;
pub use system::MasterSystem;
