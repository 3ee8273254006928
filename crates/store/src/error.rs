//! Why a store cannot, and why it will not.

use crate::{CommitId, NotificationId, Step};
use chappe_wire::NodeId;

/// Why a store cannot do anything at the moment, or at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database is lost or its disk is full. Nothing acknowledged is lost and nothing of this was done; the store
    /// recovers by itself, so trying again later is right.
    #[error("the store is unavailable: {0}")]
    StoreUnavailable(String),
    /// The answer was lost: it may have been done. Ask by commit id ([`Work::Resolve`](crate::Work::Resolve)), never
    /// repeat.
    #[error("the store's answer was lost, ask what became of it: {0}")]
    AnswerLost(String),
    /// More waits than the queue holds. Nothing of this was done.
    #[error("the store is overloaded: {waiting} pieces of work wait")]
    Overloaded {
        /// How many.
        waiting: usize,
    },
    /// What is stored is not what was written, and is not served. Restore it from a backup.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
    /// A later version of the program has written here.
    #[error(
        "the store at {place} has schema {found}; this program knows schemas up to {known}: start a newer one"
    )]
    NewerSchema {
        /// The file or the url, without secrets.
        place: String,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Another cluster owns it.
    #[error(
        "the store at {place} belongs to the cluster {found:?}, not to {ours:?}; `chappe store adopt` takes it over on \
         purpose, as after a change of the cluster's name"
    )]
    OtherCluster {
        /// The file or the url, without secrets.
        place: String,
        /// Whose it is.
        found: String,
        /// Ours.
        ours: String,
    },
    /// Another process has it open.
    #[error("the store at {place} is in use by another master")]
    InUse {
        /// The file or the url, without secrets.
        place: String,
    },
    /// The place cannot be used.
    #[error("no store can be opened at {place}: {why}")]
    BadPlace {
        /// The file or the url, without secrets.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// Another master leads by now, or has led since. Nothing of this was done, and nothing ever will be under that term.
    #[error("the lease of term {term} is lost: {}", whose(*.now, .by))]
    LeaseLost {
        /// The term under which this master led.
        term: u64,
        /// The present one.
        now: u64,
        /// Who leads.
        by: Option<NodeId>,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

fn whose(now: u64, by: &Option<NodeId>) -> String {
    match by {
        Some(node) => format!("node {node} leads under term {now}"),
        None => format!("it was given back, and the term is {now}"),
    }
}

/// Why one piece of work was not done. Nothing of it was, its neighbours were not touched, and trying the same again is
/// no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another server owns the record by now (snipe.md section 3).
    #[error("player {uid} is owned under record epoch {current} by {owner:?}, not under {epoch}")]
    StaleEpoch {
        /// Whose record.
        uid: u64,
        /// The commit's epoch.
        epoch: u64,
        /// The record's.
        current: u64,
        /// Who owns it.
        owner: Option<NodeId>,
    },
    /// The handler read something that has not come to be: an earlier commit failed. It must run again.
    #[error("player {uid} is at version {current}, not {version}")]
    StaleVersion {
        /// Whose record.
        uid: u64,
        /// What was read.
        version: u64,
        /// What is there.
        current: u64,
    },
    /// What it handles has not come to be: the commit that it rests on is not there.
    #[error("commit {0}, on which it rests, is not there")]
    CauseMissing(CommitId),
    /// No such player.
    #[error("there is no player {0}")]
    NoSuchPlayer(u64),
    /// The notification is in another state; `None`: settled, or never sent.
    #[error("notification {id} is {found:?}")]
    NotificationMoved {
        /// Which.
        id: NotificationId,
        /// Its state.
        found: Option<Step>,
    },
    /// The deadline has passed: nothing can act on the notification any more.
    #[error("the deadline of notification {0} has passed")]
    DeadlinePassed(NotificationId),
    /// The deadline has not passed.
    #[error("the deadline of notification {id} is {in_ms:?} ms away")]
    DeadlineAhead {
        /// Which.
        id: NotificationId,
        /// Milliseconds; `None`: it has none.
        in_ms: Option<u64>,
    },
    /// The request was answered before: this is its response.
    #[error("request {request:?} of player {uid} has been answered")]
    RequestAnswered {
        /// Whose.
        uid: u64,
        /// Its id.
        request: String,
        /// The one response.
        response: Vec<u8>,
    },
    /// A notification of that id is under way.
    #[error("notification {0} is under way already")]
    DuplicateNotification(NotificationId),
    /// Something is over its limit.
    #[error("{what} has {size} bytes; the limit is {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Bytes.
        size: usize,
        /// Bytes.
        limit: usize,
    },
    /// It was asked about when it was not there, and answered: never ([`Work::Resolve`](crate::Work::Resolve)).
    #[error("commit {0} was given up before it came")]
    GivenUp(CommitId),
    /// No such dead letter.
    #[error("there is no dead letter {0}")]
    NoSuchLetter(u64),
    /// A row that it needs is not what was written.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
    /// It contradicts itself.
    #[error("malformed: {0}")]
    Malformed(&'static str),
}
