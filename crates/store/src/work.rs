//! What callers hand in, and what becomes of it.

use crate::{Claimed, Commit, CommitId, NewNotification, NotificationId, Refused, Verdict};
use chappe_wire::NodeId;

/// One piece of a flush. Each is done wholly or refused, whatever becomes of its neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// What a handler run leaves behind.
    Commit(Commit),
    /// Makes a server the one owner of a record.
    Claim {
        /// Whose.
        uid: u64,
        /// The new owner.
        server: NodeId,
        /// The document to begin with when there is none; `None`: then it is refused.
        create: Option<Vec<u8>>,
    },
    /// Gives a record up; nobody owns it then.
    Release {
        /// Whose.
        uid: u64,
        /// The epoch it was owned under.
        epoch: u64,
    },
    /// Forgets a player: record, history, answers and pushes. Notifications stay until they end.
    Delete {
        /// Whose.
        uid: u64,
    },
    /// Asks what became of a commit, and makes sure that it stays so: one that is not there is never applied.
    Resolve(CommitId),
    /// Sends a dead letter's notification again, under a new id, and forgets the letter.
    RetryLetter {
        /// [`DeadLetter::sequence`](crate::DeadLetter::sequence).
        sequence: u64,
        /// The new notification's id.
        id: NotificationId,
    },
    /// Forgets a dead letter.
    DropLetter {
        /// [`DeadLetter::sequence`](crate::DeadLetter::sequence).
        sequence: u64,
    },
    /// Forgets commit ids and answers that are older than this, some thousand at a time, and the oldest dead
    /// letters beyond their bound.
    Prune {
        /// Milliseconds, by the store's clock.
        older_than_ms: u64,
    },
}

/// What became of a [`Work`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// A commit is durable.
    Committed(Committed),
    /// A record has a new owner.
    Claimed(Claimed),
    /// What became of the commit, for ever.
    Resolved(Verdict),
    /// The notification of a dead letter is under way again.
    Retried(NewNotification),
    /// How many rows were forgotten, at most; 0: nothing is left to prune.
    Pruned(u64),
    /// It is done, and there is nothing to tell.
    Done,
    /// Nothing of it was done.
    Refused(Refused),
}

/// A durable commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// It had been handed in before, and was done then; nothing was done now.
    pub repeated: bool,
    /// The place of its first notification in the order of all; the others follow one by one.
    pub first_order: u64,
    /// By the store's clock; deadlines of what it sent count from here.
    pub at_ms: u64,
    /// How many older pushes made room for new ones.
    pub pushes_dropped: u32,
}

/// Only the store knows how much a prune found.
pub(crate) fn tell_pruned(done: &mut [Done], pruned: u64) {
    for done in done.iter_mut().filter(|done| matches!(done, Done::Pruned(_))) {
        *done = Done::Pruned(pruned);
    }
}
