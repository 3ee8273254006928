//! What the command line asks of the master: methods of [`crate::control::MASTER`] for peers of the role
//! [`chappe_wire::Role::Tool`]. Kicks and announcements are in [`crate::control`], because nodes ask for them
//! too.

use crate::Report;
use chappe_route::State;
use chappe_wire::{NodeId, Reason, Role, Value};
use serde::{Deserialize, Serialize};

/// One node in the answer to `$master nodes`, which takes nil and answers a list of these, by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Its id.
    pub id: NodeId,
    /// Its role.
    pub role: Role,
    /// Its type.
    #[serde(rename = "type")]
    pub node_type: String,
    /// What it can do.
    pub state: State,
    /// Which life of it this is.
    pub incarnation: u64,
    /// The modules that it serves.
    pub modules: Vec<String>,
    /// Players: on a lobby or game those that stand on it, at a proxy those whose sessions it holds.
    pub players: usize,
    /// The version of its program; empty where it does not say.
    #[serde(default)]
    pub version: String,
}

/// `$master players`: some players, by uid. Answered with a [`PlayersPage`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlayersQuery {
    /// Only those of these that are online; else all.
    pub uids: Option<Vec<u64>>,
    /// Only uids above this one: the last of the page before.
    pub after: Option<u64>,
    /// At most so many; 100 when not given, never more than 1,000.
    pub limit: Option<usize>,
}

/// Some of the players that are online.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlayersPage {
    /// How many are online in all.
    pub online: usize,
    /// The players, by uid.
    pub players: Vec<PlayerLine>,
    /// Whether more match behind the last of them.
    pub more: bool,
}

/// A player that is online.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlayerLine {
    /// The player.
    pub uid: u64,
    /// The session epoch.
    pub epoch: u64,
    /// The proxy that holds the client's connection.
    pub proxy: NodeId,
    /// The lobby or game that the player is on; `None` while entering the first.
    pub server: Option<NodeId>,
    /// The lobby or game that the player is being moved to.
    pub going: Option<NodeId>,
}

/// `$master call`: a request made by the master (row 16). Answered with the answer's data, or failed with the
/// request's own reason.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CallRequest {
    /// The module.
    pub module: String,
    /// The method.
    pub method: String,
    /// The arguments.
    pub args: Value,
    /// How long it may take, in milliseconds; at most 60,000.
    pub timeout_ms: u64,
}

/// `$master send`: an event sent by the master. Answered with a [`SendOutcome`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendRequest {
    /// Whom it is for.
    pub to: SendTo,
    /// The sending system's namespace.
    pub namespace: String,
    /// The sending system's name.
    pub system: String,
    /// The event's name.
    pub event: String,
    /// The data.
    pub data: Value,
}

/// Whom a [`SendRequest`] is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendTo {
    /// One lobby or game (row 4).
    Server(NodeId),
    /// One service (row 6).
    Service(NodeId),
    /// All lobbies and games of a type (row 8).
    Type(String),
    /// All services (row 5).
    Services,
}

/// Where an event arrived, as [`crate::Receipt`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendOutcome {
    /// The nodes that have it.
    pub reached: Vec<NodeId>,
    /// The nodes that were meant and do not have it, each with the reason.
    pub missing: Vec<(NodeId, Reason)>,
}

/// `$master reports`: nodes' counters; nil asks for those of all. Answered with [`Reports`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportsQuery {
    /// Only those of these nodes.
    pub nodes: Vec<NodeId>,
}

/// The answer to `$master reports`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Reports {
    /// The counters of every node that answered, the master's among them, by node id.
    pub reports: Vec<Report>,
    /// The members that did not answer within a second, each with the reason.
    pub missing: Vec<(NodeId, Reason)>,
    /// The nodes whose counters did not fit into one answer: to be asked for next, by [`ReportsQuery::nodes`].
    #[serde(default)]
    pub left: Vec<NodeId>,
}

/// `$master stop_node`: asks a node to leave. Answered with nil when the node has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopNode {
    /// The node.
    pub id: NodeId,
}

/// `$master drain_node`: takes a node out of service, its players to other nodes, and lets it leave. Answered with
/// [`Drained`] when its players are gone, or it was not to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainNode {
    /// The node.
    pub id: NodeId,
    /// How long moving its players may take, in milliseconds; at most 600,000.
    pub timeout_ms: u64,
    /// It is to start again (`chappe roll`); else it is not started again.
    pub restart: bool,
    /// It leaves also when players remain; else it stays, and takes players again.
    pub force: bool,
}

/// The answer to `$master drain_node`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// Players that were taken to other nodes.
    pub moved: usize,
    /// Players that could not be, and are still there.
    pub left: usize,
    /// The node was told to leave.
    pub leaves: bool,
}

/// The answer to `$master announce`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announced {
    /// The proxies that were told.
    pub proxies: usize,
}
