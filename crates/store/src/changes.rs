//! Between the judge and a store: the rows that a flush needs, and what it leaves behind.

use crate::{
    Commit, CommitId, DeadLetter, HistoryEntry, Notification, NotificationId, Push, Step, StoreError, Work,
};
use chappe_wire::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// The rows that a flush needs.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Players; `true`: with their document.
    pub(crate) players: BTreeMap<u64, bool>,
    pub(crate) notifications: BTreeSet<NotificationId>,
    pub(crate) answers: BTreeSet<(u64, String)>,
    pub(crate) commits: BTreeSet<CommitId>,
    pub(crate) pushes: BTreeSet<u64>,
    pub(crate) letters: BTreeSet<u64>,
}

impl Wanted {
    pub(crate) fn by(work: &[Work]) -> Wanted {
        let mut wanted = Wanted::default();
        for piece in work {
            match piece {
                Work::Commit(commit) => wanted.commit(commit),
                Work::Claim { uid, .. } => drop(wanted.players.insert(*uid, true)),
                Work::Release { uid, .. } | Work::Delete { uid } => wanted.head(*uid),
                Work::Resolve(id) => drop(wanted.commits.insert(*id)),
                Work::RetryLetter { sequence, id } => {
                    wanted.letters.insert(*sequence);
                    wanted.notifications.insert(*id);
                }
                Work::DropLetter { sequence } => drop(wanted.letters.insert(*sequence)),
                Work::Prune { .. } => {}
            }
        }
        wanted
    }

    fn commit(&mut self, commit: &Commit) {
        self.commits.insert(commit.id);
        self.commits.extend(commit.rests_on);
        commit.records.iter().for_each(|change| self.head(change.uid));
        self.notifications.extend(commit.transitions.iter().map(|transition| transition.id));
        self.notifications.extend(commit.sent.iter().map(|sent| sent.id));
        self.answers.extend(commit.answers.iter().map(|answer| (answer.uid, answer.request.clone())));
        self.pushes.extend(commit.pushes.iter().map(|push| push.uid));
    }

    fn head(&mut self, uid: u64) {
        self.players.entry(uid).or_insert(false);
    }
}

/// A row, or what is wrong with it.
pub(crate) type Read<T> = Result<T, StoreError>;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) now_ms: u64,
    /// The last number given to a notification, an epoch, a push or a letter.
    pub(crate) sequence: u64,
    pub(crate) players: BTreeMap<u64, Read<PlayerRow>>,
    pub(crate) notifications: BTreeMap<NotificationId, Read<NoteRow>>,
    pub(crate) answers: BTreeMap<(u64, String), Read<AnswerRow>>,
    /// `true`: committed; `false`: given up.
    pub(crate) commits: BTreeMap<CommitId, bool>,
    /// The sequences of the pushes that wait, rising.
    pub(crate) pushes: BTreeMap<u64, Vec<u64>>,
    pub(crate) letters: BTreeMap<u64, Read<DeadLetter>>,
}

#[derive(Debug, Clone)]
pub(crate) struct PlayerRow {
    pub(crate) epoch: u64,
    pub(crate) version: u64,
    pub(crate) owner: Option<NodeId>,
    pub(crate) document: Document,
}

#[derive(Debug, Clone)]
pub(crate) enum Document {
    /// As it is in the store.
    NotRead,
    /// As it is in the store.
    Stored(Vec<u8>),
    /// To be written.
    New(Vec<u8>),
}

/// What a transition needs of a notification.
#[derive(Debug, Clone)]
pub(crate) struct NoteRow {
    pub(crate) order: u64,
    pub(crate) step: Step,
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) outcome: Option<Vec<u8>>,
    /// All of it, when this flush sent it.
    pub(crate) fresh: Option<Box<Notification>>,
}

#[derive(Debug, Clone)]
pub(crate) struct AnswerRow {
    pub(crate) at_ms: u64,
    pub(crate) response: Vec<u8>,
}

/// What a flush leaves behind, in the order in which it is to be written.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The last number given, when it is another than was read.
    pub(crate) sequence: Option<u64>,
    /// Players whose history, answers and pushes go, before anything is written.
    pub(crate) deleted: Vec<u64>,
    pub(crate) players: Vec<PlayerWrite>,
    pub(crate) history: Vec<(u64, u32, HistoryEntry)>,
    pub(crate) notifications: Vec<NoteWrite>,
    pub(crate) answers: Vec<(u64, String, AnswerRow)>,
    pub(crate) commits: Vec<(CommitId, bool)>,
    /// Pushes that go: a player's up to a sequence.
    pub(crate) pushes_gone: Vec<(u64, u64)>,
    pub(crate) pushes: Vec<(u64, Push)>,
    pub(crate) letters_gone: Vec<u64>,
    pub(crate) letters: Vec<DeadLetter>,
    pub(crate) prune: Option<Prune>,
}

impl Changes {
    /// Nothing to write, so no sync either.
    pub(crate) fn is_empty(&self) -> bool {
        self.sequence.is_none()
            && self.deleted.is_empty()
            && self.players.is_empty()
            && self.notifications.is_empty()
            && self.answers.is_empty()
            && self.commits.is_empty()
            && self.pushes_gone.is_empty()
            && self.letters_gone.is_empty()
            && self.prune.is_none()
    }
}

#[derive(Debug)]
pub(crate) enum PlayerWrite {
    Whole { uid: u64, epoch: u64, version: u64, owner: Option<NodeId>, document: Vec<u8> },
    Head { uid: u64, epoch: u64, version: u64, owner: Option<NodeId> },
    Gone(u64),
}

#[derive(Debug)]
pub(crate) enum NoteWrite {
    Insert(Notification),
    Move { id: NotificationId, order: u64, step: Step, deadline_ms: Option<u64>, outcome: Option<Vec<u8>> },
    Gone(NotificationId),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Prune {
    /// Commits and answers from before this go.
    pub(crate) before_ms: u64,
    /// Dead letters beyond this many go.
    pub(crate) keep_letters: u64,
    /// Rows of a table at once, so that a flush stays short.
    pub(crate) at_once: u32,
}
