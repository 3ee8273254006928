//! What the runtime's own parts say to each other: requests to modules whose names begin with `$`, under
//! [`chappe_wire::Row::Internal`]. No client and no mod can send to them.

use chappe_route::{Declared, Member, State, ViewChange};
use chappe_wire::{NodeId, Reason, Role};
use serde::{Deserialize, Serialize};

/// The master's module: membership, sessions and the player directory.
pub const MASTER: &str = "$master";
/// Every node's module: the view, reports, leaving.
pub const NODE: &str = "$node";
/// A lobby's or game's module: players that enter and leave.
pub const SERVER: &str = "$server";
/// A proxy's module: its sessions.
pub const PROXY: &str = "$proxy";

/// `$master join`: a node that is connected says who it is; answered with a full [`ViewChange`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Join {
    /// Itself.
    pub member: Member,
    /// Everyone that it knows, so that a restarted master can wait for them instead of calling them lost.
    pub known: Vec<Member>,
    /// The latest lives of nodes that it was told have ended, so that a restarted master takes none of them back.
    #[serde(default)]
    pub ended: Vec<(NodeId, u64)>,
    /// For a proxy: the sessions that it holds, at most 5,000. `$master sessions` (one-way) tells the others, and those
    /// that have moved while it joined: a list of [`Session`], as often as needed.
    pub sessions: Vec<Session>,
}

/// `$master state` (one-way): a node's own state or modules have changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StateChange {
    /// What it can do now.
    pub state: State,
    /// The modules that it serves, its type among them.
    pub modules: Vec<String>,
}

/// `$master pulse` (one-way, over a connection of its own): the node's process is alive.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Pulse {
    /// Turns that the node's loop has made; the same number again and again says that it is stuck.
    pub progress: u64,
}

/// `$node view` (one-way): the master tells what has changed.
pub type View = ViewChange;

/// `$node hear`: broadcasts that are sent `unordered` are about to be published to a group that the receiver is of. Answered with
/// whether it hears them from now on; the stream's first number is 1.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Hear {
    /// Their stream.
    pub stream: u64,
}

/// `$node published` (one-way): so much was published, some seconds after the last of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct PublishedUpTo {
    /// The stream.
    pub stream: u64,
    /// The last number.
    pub seq: u64,
}

/// `$master declare`, from a tool, and `$node declare` (one-way), from the master: deploy.json has changed
/// (`chappe apply`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declare {
    /// The cluster as it is declared now.
    pub declared: Declared,
    /// On which machine each node runs; empty where all run on one.
    pub hosts: Vec<(NodeId, String)>,
}

/// A player's session, as the proxy that holds it and the master know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The player.
    pub uid: u64,
    /// Which of the player's sessions, ever: grows with each login.
    pub epoch: u64,
    /// The proxy that holds the client's connection.
    pub proxy: NodeId,
    /// The lobby or game that the player is on; `None` while entering.
    pub server: Option<NodeId>,
}

/// `$master login`, from a proxy; answered with a [`LoginGrant`] or refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Login {
    /// The player.
    pub uid: u64,
}

/// The master's answer to a login.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct LoginGrant {
    /// The new session's epoch.
    pub epoch: u64,
    /// The lobby to enter.
    pub server: NodeId,
}

/// `$master entered` (one-way), from a proxy: a server has accepted the player.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Entered {
    /// The player.
    pub uid: u64,
    /// The session.
    pub epoch: u64,
    /// The server that the player is on now.
    pub server: NodeId,
    /// The player came from another server.
    pub is_transfer: bool,
    /// The player's client came back after its socket had dropped.
    pub is_reconnect: bool,
}

/// `$master left` (one-way), from a proxy: a session is over.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Left {
    /// The player.
    pub uid: u64,
    /// The session.
    pub epoch: u64,
    /// Why.
    pub reason: Reason,
}

/// Where a transfer leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Destination {
    /// The emptiest lobby or game of a type.
    Type(String),
    /// That one.
    Server(NodeId),
}

/// `$master transfer`, from the server that the player is on; answered with the target's id when the proxy has
/// been told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Transfer {
    /// The session.
    pub epoch: u64,
    /// Where to.
    pub to: Destination,
    /// What the new server's `AddServerPlayerEvent` carries as `transferParam`.
    pub param: String,
}

/// `$master relocate`, from a proxy: the player's server went away or did not take them; answered with the id of
/// the emptiest lobby other than `not`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Relocate {
    /// The session.
    pub epoch: u64,
    /// The server that is no choice.
    pub not: NodeId,
}

/// `$proxy move` (one-way), from the master: take the player to another server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Move {
    /// The session.
    pub epoch: u64,
    /// Where to.
    pub server: NodeId,
    /// `transferParam`.
    pub param: String,
}

/// `$proxy close` (one-way), from the master: end a session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Close {
    /// The session.
    pub epoch: u64,
    /// Why; the client is told.
    pub reason: Reason,
    /// The same for the player.
    pub message: String,
}

/// `$node drain`, from the master: take nothing new (`true`), or take it again. Answered with nil.
pub type Drain = bool;

/// `$node stop`, from the master: leave; with `true`, to be started again. Answered with nil.
pub type Stop = bool;

/// `$node replace`, from the master: a life of a node is about to leave (`chappe drain`, `chappe roll`). Messages for that
/// node wait for its next life from now on. Answered with nil when the one that leaves has taken in what was sent before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Replace {
    /// The node.
    pub id: NodeId,
    /// Its life that leaves.
    pub life: u64,
    /// Its role.
    pub role: Role,
    /// The modules that it serves.
    pub modules: Vec<String>,
    /// Whether another life is to follow; else messages for it are refused as `Draining`.
    pub has_next: bool,
    /// For how long, in milliseconds; 0: it stays after all.
    pub within_ms: u64,
}

/// `$proxy announce` (one-way): a text for every client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Announce {
    /// The text.
    pub message: String,
}

/// `$server enter`, from a proxy: the player comes; answered with nil, or refused (`ServerFull`, `Draining`,
/// `StaleSession`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Enter {
    /// The player.
    pub uid: u64,
    /// The session.
    pub epoch: u64,
    /// The player's name, as the client gave it at login.
    pub nickname: String,
    /// The player comes from another server.
    pub is_transfer: bool,
    /// The client came back after its socket had dropped; the player never left this server.
    pub is_reconnect: bool,
    /// The parameter of the transfer.
    pub transfer_param: String,
}

/// `$server leave`, from a proxy: the player goes; answered with nil when it is done.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Leave {
    /// The session.
    pub epoch: u64,
    /// To another server.
    pub is_transfer: bool,
}

/// `$server hold`, from a proxy that has just come back as a new life ([`Replace`]): the epochs of those of its sessions whose
/// players are on that server. All other players of that proxy have left. Answered with nil.
pub type Hold = Vec<u64>;

/// `$master where`: where players are. At most 100 uids.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Where {
    /// The players.
    pub uids: Vec<u64>,
}

/// Where a player is (apollo.md section 5, `GetOnlineServerInfoOfPlayer`); the last three are nil when offline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlayerInfo {
    /// The player.
    pub uid: u64,
    /// Whether the player's game is the pocket edition: always false here.
    pub is_pe_user: bool,
    /// The lobby or game that the player is on.
    pub server_id: Option<NodeId>,
    /// The proxy that holds the client's connection.
    pub proxy_id: Option<NodeId>,
    /// The version of the client protocol.
    pub protocol_version: Option<u32>,
}

/// `$master kick`: end a player's session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kick {
    /// The player.
    pub uid: u64,
    /// What the player is told.
    pub message: String,
}
