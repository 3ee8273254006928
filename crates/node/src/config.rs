//! What a node needs to know of itself and its cluster.

use chappe_route::Declared;
use chappe_wire::secret::Secrets;
use chappe_wire::{NodeId, Role};
use std::sync::Arc;
use std::time::Duration;

/// One node's settings; `chappe-deploy` makes it from deploy.json.
#[derive(Debug, Clone)]
pub struct Config {
    /// The cluster's name: nodes of another one are turned away.
    pub cluster: String,
    /// The node's id (`serverid`).
    pub id: NodeId,
    /// Its role.
    pub role: Role,
    /// Its type.
    pub node_type: String,
    /// Modules that it serves beside its type (`module_names`).
    pub modules: Vec<String>,
    /// Which life of the node this is; must be larger than every earlier one. See [`Config::new_incarnation`].
    pub incarnation: u64,
    /// The master's id.
    pub master: NodeId,
    /// The other master's, where there are two: one leads, the other stands by.
    pub second_master: Option<NodeId>,
    /// All nodes and modules that are declared.
    pub declared: Declared,
    /// Bounds.
    pub limits: Limits,
    /// Periods and deadlines.
    pub timing: Timing,
    /// What this node and its peers prove to each other that they know, but for those in its own process.
    pub secrets: Arc<Secrets>,
    /// Whether messages carry the time at which they were sent, for the latency figures in [`crate::Stats`].
    pub measure: bool,
}

/// Bounds on what a node takes and keeps.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The largest data of one message, in bytes.
    pub message_bytes: usize,
    /// The most that may wait for one peer, in bytes; beyond it senders get `Overloaded`.
    pub queue_bytes: usize,
    /// The most requests that may wait for a declared provider to come up.
    pub waiting_requests: usize,
    /// The most players on a lobby or game; 0 is no bound.
    pub players: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { message_bytes: 1 << 20, queue_bytes: 16 << 20, waiting_requests: 10_000, players: 0 }
    }
}

/// Periods and deadlines.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// A node that was silent for so long is lost.
    pub loss: Duration,
    /// A node whose handlers made no progress for so long is stuck.
    pub stuck: Duration,
    /// A session whose client's socket stays away is kept for so long.
    pub resume: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            heartbeat: Duration::from_secs(3),
            loss: Duration::from_secs(10),
            stuck: Duration::from_secs(5),
            resume: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// Settings of a node with everything else at its default.
    pub fn new(cluster: impl Into<String>, id: NodeId, role: Role, node_type: impl Into<String>) -> Config {
        Config {
            cluster: cluster.into(),
            id,
            role,
            node_type: node_type.into(),
            modules: Vec::new(),
            incarnation: 1,
            master: id,
            second_master: None,
            declared: Declared::default(),
            limits: Limits::default(),
            timing: Timing::default(),
            secrets: Arc::default(),
            measure: false,
        }
    }

    /// The masters: one, or two.
    pub fn masters(&self) -> impl Iterator<Item = NodeId> {
        std::iter::once(self.master).chain(self.second_master)
    }

    /// Whether a node of that id is a master.
    pub fn is_master(&self, id: NodeId) -> bool {
        self.masters().any(|master| master == id)
    }

    /// A number for a new life: the wall clock in nanoseconds, so that it grows from start to start.
    pub fn new_incarnation() -> u64 {
        crate::clock::unix_nanos()
    }
}
