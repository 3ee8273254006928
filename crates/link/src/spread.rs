//! One publication for many nodes, beside the connections: what `unordered` broadcasts go by where a link can do that.
//! Nothing is promised of one but that it comes once at most, so publications have numbers, and who hears them counts.

use bytes::Bytes;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What [`Spread::open`] returns.
pub type Opening = Pin<Box<dyn Future<Output = io::Result<u64>>>>;
/// What [`Spread::hear`] returns.
pub type Subscribing = Pin<Box<dyn Future<Output = io::Result<Box<dyn Hearing>>>>>;

/// Publishes to many nodes at once.
pub trait Spread {
    /// Sees to it that this process may publish to `group`: a number for a stream of publications, which nobody can guess.
    ///
    /// # Errors
    /// Where there is no connection, or the servers forbid it.
    fn open(&self, group: &Group) -> Opening;

    /// Publishes a message, as number `seq` of the stream `stream`, to all who hear `group`. Returns false when that cannot be
    /// done now: no connection, no room, too large for one message.
    fn publish(&self, group: &Group, stream: u64, seq: u64, message: &[u8]) -> bool;

    /// Hears what is published to `group` from now on, this process's own publications among it.
    ///
    /// # Errors
    /// Where there is no connection, or the servers forbid it.
    fn hear(&self, group: &Group) -> Subscribing;
}

/// Takes publications.
pub trait Hearing {
    /// The next publication; `None` when none will come any more.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Publication>>;
}

/// Whom a publication is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Group {
    /// The lobbies and games of that type.
    Servers(String),
    /// All services.
    Services,
}

/// A message that was published. It comes from anyone who may publish to the group: its stream tells whether it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The stream that it is of.
    pub stream: u64,
    /// Its number there, from 1 on.
    pub seq: u64,
    /// What was published.
    pub message: Bytes,
}
