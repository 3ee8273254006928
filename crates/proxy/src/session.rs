//! A player's session at this proxy: what it holds, apart from all I/O.

use crate::conn::{Conn, Format};
use crate::rate::Bucket;
use crate::replay::Replay;
use chappe_node::control::{self, Move};
use chappe_wire::{Meta, NodeId, Origin, Row};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::rc::Rc;
use tokio::time::Instant;

pub(crate) type SharedSession = Rc<RefCell<Session>>;

/// What a client sent while its player was between two servers.
pub(crate) struct Held {
    pub(crate) meta: Meta,
    pub(crate) topic: Box<[u8]>,
    pub(crate) data: Box<[u8]>,
}

/// What the client is still to be told when its player has a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Its login is not answered yet.
    Welcome,
    /// Its login asked for a session that was on its way to another server.
    Resumed {
        /// How many events the client has.
        received: u64,
    },
    /// Where it is now.
    Server,
}

pub(crate) struct Session {
    pub(crate) uid: u64,
    pub(crate) epoch: u64,
    pub(crate) nickname: String,
    pub(crate) secret: [u8; 16],
    pub(crate) format: Format,
    /// The client's socket, while there is one.
    pub(crate) conn: Option<Rc<Conn>>,
    pub(crate) away_since: Option<Instant>,
    /// The server that the player stands on; messages go there unless `is_moving`.
    pub(crate) server: Option<NodeId>,
    /// The server that was asked to take the player.
    pub(crate) target: Option<NodeId>,
    /// The player is being placed: what the client sends is held.
    pub(crate) is_moving: bool,
    pub(crate) due: Due,
    /// Where to, once the present move has ended.
    pub(crate) next_move: Option<Move>,
    pub(crate) wants_logout: bool,
    pub(crate) has_ended: bool,
    pub(crate) held: VecDeque<Held>,
    pub(crate) held_bytes: usize,
    pub(crate) replay: Replay,
    /// Messages that have come from the client, and how many of them it was told of.
    pub(crate) received: u64,
    pub(crate) told: u64,
    pub(crate) bucket: Bucket,
    /// When the client was last told that a message was dropped.
    pub(crate) told_drop: Option<Instant>,
}

impl Session {
    /// The origin that marks what this session's client sends.
    pub(crate) fn origin(&self, proxy: NodeId) -> Origin {
        Origin { uid: self.uid, epoch: self.epoch, proxy }
    }

    /// Meta of a message from the client.
    pub(crate) fn meta(&self, row: Row, stamp: u64, proxy: NodeId) -> Meta {
        Meta { row, stamp, origin: Some(self.origin(proxy)) }
    }

    /// As the master knows it.
    pub(crate) fn record(&self, proxy: NodeId) -> control::Session {
        control::Session { uid: self.uid, epoch: self.epoch, proxy, server: self.server }
    }

    /// What takes the session up again: its number and its secret.
    pub(crate) fn token(&self) -> String {
        let mut token = format!("{}.", self.epoch);
        for byte in self.secret {
            let _ = write!(token, "{byte:02x}");
        }
        token
    }

    /// Whether `token` is this session's. Takes the same time wherever they differ.
    pub(crate) fn is_token(&self, token: &str) -> bool {
        let mine = self.token();
        let differing = mine.bytes().zip(token.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
        mine.len() == token.len() && differing == 0
    }

    /// Whether events may go straight to the client.
    pub(crate) fn live(&self) -> Option<Rc<Conn>> {
        self.conn.as_ref().filter(|conn| conn.is_open() && !self.is_moving).cloned()
    }
}

/// The session that a resume token names; whether it is the right token is asked of the session.
pub(crate) fn epoch_of(token: &str) -> Option<u64> {
    token.split_once('.').and_then(|(epoch, _)| epoch.parse().ok())
}
