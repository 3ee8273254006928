//! The trait that all stores implement.

use crate::{
    Candidate, CommitId, Done, HistoryEntry, Lease, NewNotification, Notification, NotificationId, Record,
    StoreError, Work, lease,
};
use std::path::Path;

/// Durable state. Calls block; [`on_thread`](crate::on_thread) keeps that away from the caller.
///
/// Every method fails with [`StoreError::StoreUnavailable`] while the database is lost or full, and with
/// [`StoreError::Corrupt`] when a row is not what was written.
pub trait Store: Send {
    /// The store's one word: `memory`, `sqlite`, `postgres`.
    fn name(&self) -> &'static str;

    /// Judges each piece in order and makes what was accepted durable, in one transaction with one sync. The answers
    /// are in the order of `work`, one each.
    ///
    /// # Errors
    /// For all of it together: [`StoreError::StoreUnavailable`], [`StoreError::LeaseLost`]: nothing was done.
    /// [`StoreError::AnswerLost`]: nobody knows.
    fn flush(&mut self, work: &[Work]) -> Result<Vec<Done>, StoreError>;

    /// How the lease stands; `None`: this store needs none, since only one process can have it open.
    fn lease(&mut self) -> Result<Option<Lease>, StoreError> {
        Ok(None)
    }

    /// Asks to lead: takes the lease under the next term when nobody has it, when it has ended, or when an earlier life of
    /// the same master has it, and then does work under that term alone. Asked again it takes the time anew. Answered with
    /// how the lease stands then: the candidate leads when it is [of it](Lease::is_of).
    fn lead(&mut self, by: &Candidate) -> Result<Lease, StoreError> {
        Ok(Lease::needless(by, self.now_ms()?))
    }

    /// Takes the time of the lease anew, also when it has ended and nobody else has taken it.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`]; [`StoreError::StoreUnavailable`], also before [`Store::lead`].
    fn renew(&mut self) -> Result<Lease, StoreError> {
        Err(lease::not_led())
    }

    /// Gives the lease back, so that another master need not wait for its end.
    fn resign(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Milliseconds since 1970, by the clock that judges deadlines.
    fn now_ms(&mut self) -> Result<u64, StoreError>;

    /// A player's record, whoever owns it.
    fn load(&mut self, uid: u64) -> Result<Option<Record>, StoreError>;

    /// What became of a commit, as far as is known: unlike [`Work::Resolve`] this does not keep one that is still
    /// under way from coming.
    fn outcome_of(&mut self, id: CommitId) -> Result<Verdict, StoreError>;

    /// The response to a request that was answered.
    fn answer(&mut self, uid: u64, request: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Notifications that are not settled, in order, from after the place `after`, at most `limit`: what a master
    /// takes up again when it starts. One that is corrupt is left out, and told.
    fn unsettled(&mut self, after: u64, limit: u32) -> Result<Vec<Notification>, StoreError>;

    /// One notification that is not settled.
    fn notification(&mut self, id: NotificationId) -> Result<Option<Notification>, StoreError>;

    /// The pushes that wait for a player, in order.
    fn pushes(&mut self, uid: u64) -> Result<Vec<Push>, StoreError>;

    /// Dead letters, in order, from after `after`, at most `limit`.
    fn dead_letters(&mut self, after: u64, limit: u32) -> Result<Vec<DeadLetter>, StoreError>;

    /// The last versions of a record, the latest first.
    fn history(&mut self, uid: u64) -> Result<Vec<HistoryEntry>, StoreError>;

    /// Uids of players, rising, from after `after` (`None`: from the start), at most `limit`: for an export of all.
    fn players(&mut self, after: Option<u64>, limit: u32) -> Result<Vec<u64>, StoreError>;

    /// Writes a copy of the store, as it is at this moment, to a new file: a backup that can be opened as it is. Blocks
    /// the store meanwhile.
    ///
    /// # Errors
    /// [`StoreError::BadPlace`]: there is such a file, or this kind of store has backups of its own;
    /// [`StoreError::StoreUnavailable`]: there is no room.
    fn back_up(&mut self, to: &Path) -> Result<(), StoreError> {
        let why = format!("the database has backups of its own (for {})", to.display());
        Err(StoreError::BadPlace { place: self.name().to_owned(), why })
    }

    /// Leaves the file or database in order. Afterwards every call of a store that has something to close fails with
    /// [`StoreError::Closed`].
    fn close(&mut self) {}

    /// One dead letter.
    fn dead_letter(&mut self, sequence: u64) -> Result<Option<DeadLetter>, StoreError> {
        let found = self.dead_letters(sequence.saturating_sub(1), 1)?;
        Ok(found.into_iter().next().filter(|letter| letter.sequence == sequence))
    }
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is durable.
    Committed,
    /// It is not there and never will be.
    GivenUp,
    /// It is not there: refused, never handed in, still under way, or so old that it was pruned.
    Unknown,
}

/// A push that waits for a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Its place in the order.
    pub sequence: u64,
    /// The push.
    pub payload: Vec<u8>,
}

/// What could not be handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number.
    pub sequence: u64,
    /// Milliseconds since 1970, by the store's clock.
    pub at_ms: u64,
    /// Why.
    pub reason: String,
    /// The notification, as it is to be sent again.
    pub notification: NewNotification,
}

impl Verdict {
    /// Of a commit's row: `true` when it is durable, `false` when it was given up.
    pub(crate) fn of(row: Option<bool>) -> Verdict {
        match row {
            Some(true) => Verdict::Committed,
            Some(false) => Verdict::GivenUp,
            None => Verdict::Unknown,
        }
    }
}
