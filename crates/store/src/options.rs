//! How a store is opened.

use crate::Clock;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cluster that owns the store. Written at the first open; another name is refused afterwards.
    pub cluster: String,
    /// What tells that cluster from another one of its name, where it says so. Written and refused as the name is.
    pub cluster_id: Option<String>,
    /// The name of the cluster that the store may be taken over from. Default: none.
    pub adopts: Option<String>,
    /// Bounds.
    pub limits: Limits,
    /// What judges deadlines. PostgreSQL uses the server's clock instead.
    pub clock: Clock,
    /// Several masters may have it open, and only the one that has the lease does work ([`Store::lead`](crate::Store::lead)).
    /// Without effect on SQLite, whose file only one process can have open. Default false: nobody else may have it open.
    pub is_shared: bool,
    /// SQLite: the most bytes that the file may take; `None`: what the disk has.
    pub max_bytes: Option<u64>,
}

impl Options {
    /// The defaults, for the cluster of that name.
    pub fn new(cluster: impl Into<String>) -> Options {
        Options {
            cluster: cluster.into(),
            cluster_id: None,
            adopts: None,
            limits: Limits::default(),
            clock: Clock::system(),
            is_shared: false,
            max_bytes: None,
        }
    }
}

/// Bounds of what one commit may leave. Beyond one of them the commit is refused as
/// [`Refused::TooLarge`](crate::Refused::TooLarge).
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a player's attribute document. Default 1 MiB.
    pub document: usize,
    /// Bytes of a notification's payload, an outcome, an answer, a push, a dead letter. Default 256 KiB.
    pub payload: usize,
    /// Pushes kept for one offline player; the oldest make room, counted in
    /// [`Committed::pushes_dropped`](crate::Committed::pushes_dropped). Default 64.
    pub pushes_per_player: usize,
    /// Versions of a record kept for `chappe record history`; 0: none. Default 8.
    pub history: u32,
    /// Dead letters kept; the oldest make room when [`Work::Prune`](crate::Work::Prune) runs. Default 10,000.
    pub dead_letters: u64,
    /// Names: a notification's type, a request id, a reason. Default 256 bytes.
    pub name: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            document: 1 << 20,
            payload: 256 << 10,
            pushes_per_player: 64,
            history: 8,
            dead_letters: 10_000,
            name: 256,
        }
    }
}
