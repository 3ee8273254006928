//! How bytes get from one node to another.
//!
//! One trait, [`Link`], and its implementations: [`memory`] between nodes of one process, [`local`] between
//! processes of one machine and [`nats`] between machines. A link knows nothing of frames: it carries two streams of bytes, in order, and
//! says when the other side has gone. What the bytes mean, and every promise about messages, stands one layer
//! up, once for all links; `tests/conformance` runs one list over each.

mod buffer;
pub mod local;
pub mod memory;
pub mod nats;
pub mod nearest;
mod spread;

pub use buffer::Buffer;
pub use spread::{Group, Hearing, Opening, Publication, Spread, Subscribing};

use chappe_wire::NodeId;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What [`Link::dial`] returns.
pub type Dialing = Pin<Box<dyn Future<Output = io::Result<Box<dyn Conn>>>>>;

/// A way to reach other nodes and to be reached by them.
pub trait Link {
    /// The link's one word: `memory`, `local`, `nats`.
    fn name(&self) -> &'static str;

    /// Starts to take connections for the node `me`.
    ///
    /// # Errors
    /// [`ListenError::IdTaken`] when a live node listens under that id already; [`ListenError::NameTaken`];
    /// [`ListenError::Io`].
    fn listen(&self, me: NodeId) -> Result<Box<dyn Listener>, ListenError>;

    /// What the link counts, each by a name that begins with the link's; none by default.
    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// How it publishes to many nodes at once, where it can.
    fn spread(&self) -> Option<&dyn Spread> {
        None
    }

    /// Connects to the node `to`. Fails with [`io::ErrorKind::NotFound`] or
    /// [`io::ErrorKind::ConnectionRefused`] while nobody listens there.
    fn dial(&self, to: NodeId) -> Dialing;
}

/// Takes connections.
pub trait Listener {
    /// The next connection. An error is that one connection's; listening goes on.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Conn>>>;
}

/// One connection: two streams of bytes.
pub trait Conn {
    /// Appends what has arrived to `into`. `Ok(0)` says that the other side has closed.
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut Buffer) -> Poll<io::Result<usize>>;

    /// Hands over as much of `from` as the other side has room for, without waiting, and takes it out of
    /// `from`. What is left waits for [`Conn::poll_writable`].
    ///
    /// # Errors
    /// The connection's end.
    fn try_write(&self, from: &mut Buffer) -> io::Result<()>;

    /// Waits until [`Conn::try_write`] can go on.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Says that nothing more will be written. What was handed over before still arrives.
    fn close(&self);

    /// Whether what the link publishes to many ([`Link::spread`]) can reach the other side, and comes from there.
    fn is_spread_to(&self) -> bool {
        false
    }

    /// Whether both ends are of this process, so that neither has anything to prove to the other.
    fn is_within_process(&self) -> bool {
        false
    }
}

/// Why a node cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A live node has that id.
    #[error("id {0} is taken: a live node holds it")]
    IdTaken(NodeId),
    /// Another cluster uses the same name on the same servers.
    #[error(
        "the name {cluster:?} is another cluster's at {place}: {holder} has it ({other}), and this one is {ours}; \
         give one of the two another `cluster` in deploy.json, or a NATS account of its own. If they are one \
         cluster, their files must agree on `cluster_id`, or without one on `store`"
    )]
    NameTaken {
        /// The name that both have.
        cluster: String,
        /// The servers.
        place: String,
        /// Which process of the other one answered.
        holder: String,
        /// What the other one says it is.
        other: String,
        /// What this one is.
        ours: String,
    },
    /// The system says no.
    #[error("cannot listen at {place}: {source}")]
    Io {
        /// The socket's path, or the servers.
        place: String,
        /// What the system said.
        source: io::Error,
    },
}
