//! Durable notifications (snipe.md section 3).

use crate::NotificationId;
use chappe_wire::NodeId;
use serde::{Deserialize, Serialize};

/// Who sent a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Sender {
    /// A player, by uid.
    Player(u64),
    /// A node, on nobody's behalf (`id` null).
    Node(NodeId),
}

/// A notification to be kept until it is settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewNotification {
    /// Its name, never used before.
    pub id: NotificationId,
    /// Who sent it.
    pub sender: Sender,
    /// The player it goes to.
    pub receiver: u64,
    /// Its `_type`, for lists.
    pub kind: String,
    /// The record with its `_validate`; opaque here.
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
    /// Milliseconds from the commit by the store's clock, after which nothing can act on it; `None`: never.
    pub deadline_in_ms: Option<u64>,
    /// How many notifications lie behind it in a chain of handlers that notify.
    pub depth: u32,
}

/// How far a notification has come. The last step, settled, leaves no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Step {
    /// Committed by its sender; nothing has acted on it.
    Sent,
    /// It has its one outcome; its sender's handler has not run yet.
    Decided,
}

impl Step {
    pub(crate) fn code(self) -> i64 {
        match self {
            Step::Sent => 0,
            Step::Decided => 1,
        }
    }

    pub(crate) fn from_code(code: i64) -> Option<Step> {
        match code {
            0 => Some(Step::Sent),
            1 => Some(Step::Decided),
            _ => None,
        }
    }
}

/// A notification that is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Its name.
    pub id: NotificationId,
    /// Its place in the order of all that was ever sent: strictly rising, hence rising for each pair of sender and
    /// receiver, in the order sent.
    pub order: u64,
    /// How far it has come.
    pub step: Step,
    /// Who sent it.
    pub sender: Sender,
    /// The player it goes to.
    pub receiver: u64,
    /// Its `_type`.
    pub kind: String,
    /// The record.
    pub payload: Vec<u8>,
    /// Milliseconds since 1970 by the store's clock, when it was committed.
    pub created_ms: u64,
    /// Milliseconds since 1970 by the store's clock, from which on nothing can act on it.
    pub deadline_ms: Option<u64>,
    /// As in [`NewNotification::depth`].
    pub depth: u32,
    /// The outcome, once it is [`Step::Decided`].
    pub outcome: Option<Vec<u8>>,
}

impl Sender {
    /// As two columns: is it a player, and the number.
    pub(crate) fn columns(self) -> (bool, i64) {
        match self {
            Sender::Player(uid) => (true, uid.cast_signed()),
            Sender::Node(node) => (false, node.0),
        }
    }

    pub(crate) fn from_columns(is_player: bool, number: i64) -> Sender {
        if is_player { Sender::Player(number.cast_unsigned()) } else { Sender::Node(NodeId(number)) }
    }
}
