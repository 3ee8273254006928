//! Frames, envelopes and values: what crosses between nodes and clients, as bytes.
//!
//! Pure: no I/O, no clock. In the order in which data flows: [`frame`] finds frames in a stream, [`envelope`]
//! reads what they carry, [`mod@value`] reads a payload when a handler asks for it. [`hello`] is the handshake in
//! front of a stream, [`greet`] its steps where there is a [`secret`], [`client`] what a proxy and a player's game say to each other. [`Reason`] and [`Row`] are
//! the stable codes that all of them share.

pub mod client;
pub mod envelope;
mod error;
pub mod frame;
pub mod greet;
pub mod hello;
mod node_id;
mod player_id;
mod reason;
mod role;
mod row;
pub mod secret;
pub mod value;

pub use envelope::{Body, Envelope, Meta, Origin, PushTo};
pub use error::WireError;
pub use node_id::NodeId;
pub use player_id::{BadPlayerId, PlayerId};
pub use reason::Reason;
pub use role::{Role, UnknownRole};
pub use row::Row;
pub use value::Value;
