//! What one handler run leaves behind.

use crate::{CommitId, NewNotification, NotificationId, Step};
use serde::{Deserialize, Serialize};

/// What one handler run changed, consumed, sent and answered: durable together or not at all (snipe.md section 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its name; the same id is never applied twice.
    pub id: CommitId,
    /// What ran, for the record's history: `user.giveMoney2`.
    pub handler: String,
    /// The commit without which it never was: that of the handler whose notification or outcome it handles before that is
    /// durable. Refused unless that one is committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rests_on: Option<CommitId>,
    /// The records that it read or wrote, each at most once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordChange>,
    /// The notifications that it consumed or moved on, each at most once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transitions: Vec<Transition>,
    /// The durable notifications that it sent, in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<NewNotification>,
    /// Its answers to requests that carried an id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<NewAnswer>,
    /// Durable pushes to players who are offline, in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pushes: Vec<NewPush>,
    /// Kept pushes that have been delivered, and need not be kept any longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delivered: Vec<Delivered>,
    /// What could not be handled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dead_letters: Vec<NewDeadLetter>,
}

impl Commit {
    /// A commit without anything in it.
    pub fn new(id: CommitId, handler: impl Into<String>) -> Commit {
        Commit {
            id,
            handler: handler.into(),
            rests_on: None,
            records: Vec::new(),
            transitions: Vec::new(),
            sent: Vec::new(),
            answers: Vec::new(),
            pushes: Vec::new(),
            delivered: Vec::new(),
            dead_letters: Vec::new(),
        }
    }
}

/// A record that a handler touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordChange {
    /// Whose.
    pub uid: u64,
    /// The record epoch under which this server owns it.
    pub epoch: u64,
    /// The version that the handler read. A commit on another version than the stored one is refused, so a commit
    /// that fails takes every later one with it that read what it wrote.
    pub version: u64,
    /// The new attribute document, which makes the version one higher; `None`: it was only read.
    #[serde(with = "serde_bytes")]
    pub document: Option<Vec<u8>>,
}

/// A notification's step to the next state: a compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Which.
    pub id: NotificationId,
    /// The state that it must be in.
    pub from: Step,
    /// On which side of its deadline this may happen.
    pub when: When,
    /// The outcome that its sender is to be told of, which makes it [`Step::Decided`]; `None`: it is settled, and
    /// forgotten.
    #[serde(with = "serde_bytes")]
    pub outcome: Option<Vec<u8>>,
    /// From [`Step::Decided`]: the outcome that the handler was given. Another one in the store, by a deadline or by
    /// another server that came first, is refused as moved: the handler was told what never was. `None`: any.
    #[serde(default, with = "serde_bytes")]
    pub handled: Option<Vec<u8>>,
}

/// On which side of a notification's deadline a transition may happen, by the store's clock at the flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// Before it: the act.
    Before,
    /// After it: the end by deadline. Never for a notification without one.
    Passed,
    /// On either: the outcome's handler, which has no deadline.
    Any,
}

/// An answer to a request that carried an id; a repeat of the request gets the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAnswer {
    /// The player who asked.
    pub uid: u64,
    /// The request's id, the player's own.
    pub request: String,
    /// The response.
    #[serde(with = "serde_bytes")]
    pub response: Vec<u8>,
}

/// A push that waits for a player's next login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPush {
    /// To whom.
    pub uid: u64,
    /// The push.
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
}

/// Pushes that a player has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Who.
    pub uid: u64,
    /// The last one's [`Push::sequence`](crate::Push::sequence); all up to it are forgotten.
    pub up_to: u64,
}

/// What could not be handled, for `chappe deadletters`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDeadLetter {
    /// Why: `noHandler`, `handlerFailed`.
    pub reason: String,
    /// The notification, as it is to be sent again on `retry`.
    pub notification: NewNotification,
}
