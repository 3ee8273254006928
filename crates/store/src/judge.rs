//! What may be committed: decided once, for all stores.
//!
//! Each piece of a flush is judged against the rows that it names, as the pieces before it have left them; what is
//! refused leaves no trace. A notification that is sent and settled within one flush is never written.

mod commit;

use crate::changes::{AnswerRow, Changes, Document, NoteRow, NoteWrite, PlayerRow, PlayerWrite, Prune, Rows};
use crate::overlay::Overlay;
use crate::{
    Claimed, CommitId, DeadLetter, Done, HistoryEntry, Limits, NewNotification, Notification, NotificationId,
    Push, Record, Refused, Step, Verdict, Work,
};
use chappe_wire::NodeId;
use std::collections::{BTreeMap, BTreeSet};

/// How many rows of a table one prune forgets.
const PRUNED_AT_ONCE: u32 = 5_000;

/// Judges a flush. The answers are in the order of `work`.
pub(crate) fn judge(work: &[Work], rows: Rows, limits: &Limits) -> (Vec<Done>, Changes) {
    let mut judge = Judge::new(rows, limits);
    let done = work.iter().map(|piece| judge.piece(piece).unwrap_or_else(Done::Refused)).collect();
    (done, judge.into_changes())
}

struct Judge<'a> {
    limits: &'a Limits,
    now_ms: u64,
    sequence_read: u64,
    sequence: u64,
    players: Overlay<u64, PlayerRow>,
    history: BTreeMap<(u64, u32), HistoryEntry>,
    notifications: Overlay<NotificationId, NoteRow>,
    answers: Overlay<(u64, String), AnswerRow>,
    commits: BTreeMap<CommitId, bool>,
    new_commits: BTreeMap<CommitId, bool>,
    pushes: BTreeMap<u64, Vec<u64>>,
    new_pushes: BTreeMap<u64, (u64, Vec<u8>)>,
    pushes_gone: BTreeMap<u64, u64>,
    letters: Overlay<u64, DeadLetter>,
    deleted: BTreeSet<u64>,
    prune: Option<Prune>,
}

impl<'a> Judge<'a> {
    fn new(rows: Rows, limits: &'a Limits) -> Judge<'a> {
        Judge {
            limits,
            now_ms: rows.now_ms,
            sequence_read: rows.sequence,
            sequence: rows.sequence,
            players: Overlay::new(rows.players),
            history: BTreeMap::new(),
            notifications: Overlay::new(rows.notifications),
            answers: Overlay::new(rows.answers),
            commits: rows.commits,
            new_commits: BTreeMap::new(),
            pushes: rows.pushes,
            new_pushes: BTreeMap::new(),
            pushes_gone: BTreeMap::new(),
            letters: Overlay::new(rows.letters),
            deleted: BTreeSet::new(),
            prune: None,
        }
    }

    fn piece(&mut self, piece: &Work) -> Result<Done, Refused> {
        match piece {
            Work::Commit(commit) => self.commit(commit).map(Done::Committed),
            Work::Claim { uid, server, create } => {
                self.claim(*uid, *server, create.as_deref()).map(Done::Claimed)
            }
            Work::Release { uid, epoch } => self.release(*uid, *epoch),
            Work::Delete { uid } => self.delete(*uid),
            Work::Resolve(id) => Ok(Done::Resolved(self.resolve(*id))),
            Work::RetryLetter { sequence, id } => self.retry(*sequence, *id).map(Done::Retried),
            Work::DropLetter { sequence } => self.drop_letter(*sequence),
            Work::Prune { older_than_ms } => {
                let before_ms = self.now_ms.saturating_sub(*older_than_ms);
                let keep_letters = self.limits.dead_letters;
                self.prune = Some(Prune { before_ms, keep_letters, at_once: PRUNED_AT_ONCE });
                Ok(Done::Pruned(0))
            }
        }
    }

    fn claim(&mut self, uid: u64, server: NodeId, create: Option<&[u8]>) -> Result<Claimed, Refused> {
        let found = self.players.row(&uid)?.cloned();
        let (version, previous, document) = match (&found, create) {
            (Some(row), _) => match &row.document {
                Document::New(document) | Document::Stored(document) => {
                    (row.version, row.owner, document.clone())
                }
                Document::NotRead => return Err(Refused::Malformed("a claim without the document")),
            },
            (None, Some(document)) => {
                within("an attribute document", document.len(), self.limits.document)?;
                (1, None, document.to_vec())
            }
            (None, None) => return Err(Refused::NoSuchPlayer(uid)),
        };
        let epoch = self.next();
        let created = found.is_none();
        if created {
            self.remember(uid, version, epoch, None, "created", &document);
        }
        let kept = match found {
            Some(row) => row.document,
            None => Document::New(document.clone()),
        };
        self.players.put(uid, PlayerRow { epoch, version, owner: Some(server), document: kept });
        let record = Record { uid, epoch, version, owner: Some(server), document };
        Ok(Claimed { record, previous, created })
    }

    fn release(&mut self, uid: u64, epoch: u64) -> Result<Done, Refused> {
        let row = self.owned(uid, epoch)?.clone();
        self.players.put(uid, PlayerRow { owner: None, ..row });
        Ok(Done::Done)
    }

    fn delete(&mut self, uid: u64) -> Result<Done, Refused> {
        // A record that cannot be read can still be forgotten: that is how a corrupt one is got rid of.
        if let Ok(None) = self.players.row(&uid) {
            return Err(Refused::NoSuchPlayer(uid));
        }
        self.players.remove(uid);
        self.history.retain(|(of, _), _| *of != uid);
        self.answers.forget(|(of, _)| *of == uid);
        for sequence in self.pushes.remove(&uid).unwrap_or_default() {
            self.new_pushes.remove(&sequence);
        }
        self.deleted.insert(uid);
        Ok(Done::Done)
    }

    fn resolve(&mut self, id: CommitId) -> Verdict {
        match self.commits.get(&id) {
            Some(true) => Verdict::Committed,
            Some(false) => Verdict::GivenUp,
            None => {
                self.commits.insert(id, false);
                self.new_commits.insert(id, false);
                Verdict::GivenUp
            }
        }
    }

    fn retry(&mut self, sequence: u64, id: NotificationId) -> Result<NewNotification, Refused> {
        let letter = self.letters.row(&sequence)?.ok_or(Refused::NoSuchLetter(sequence))?;
        let again = NewNotification { id, ..letter.notification.clone() };
        if self.notifications.row(&id)?.is_some() {
            return Err(Refused::DuplicateNotification(id));
        }
        self.letters.remove(sequence);
        self.send(&again);
        Ok(again)
    }

    fn drop_letter(&mut self, sequence: u64) -> Result<Done, Refused> {
        // As with a record: one that cannot be read can still be dropped.
        if let Ok(None) = self.letters.row(&sequence) {
            return Err(Refused::NoSuchLetter(sequence));
        }
        self.letters.remove(sequence);
        Ok(Done::Done)
    }

    fn owned(&self, uid: u64, epoch: u64) -> Result<&PlayerRow, Refused> {
        let row = self.players.row(&uid)?.ok_or(Refused::NoSuchPlayer(uid))?;
        let is_stale = row.epoch != epoch || row.owner.is_none();
        #[cfg(feature = "sabotage")]
        let is_stale = is_stale && !crate::sabotage::is(crate::sabotage::Sabotage::SkipFence);
        if is_stale {
            return Err(Refused::StaleEpoch { uid, epoch, current: row.epoch, owner: row.owner });
        }
        Ok(row)
    }

    fn send(&mut self, sent: &NewNotification) -> u64 {
        let order = self.next();
        let deadline_ms = sent.deadline_in_ms.map(|ms| self.now_ms.saturating_add(ms));
        let fresh = Notification {
            id: sent.id,
            order,
            step: Step::Sent,
            sender: sent.sender,
            receiver: sent.receiver,
            kind: sent.kind.clone(),
            payload: sent.payload.clone(),
            created_ms: self.now_ms,
            deadline_ms,
            depth: sent.depth,
            outcome: None,
        };
        let row =
            NoteRow { order, step: Step::Sent, deadline_ms, outcome: None, fresh: Some(Box::new(fresh)) };
        self.notifications.put(sent.id, row);
        order
    }

    fn remember(
        &mut self,
        uid: u64,
        version: u64,
        epoch: u64,
        commit: Option<CommitId>,
        handler: &str,
        document: &[u8],
    ) {
        // A ring: it needs no pruning, and stays where it is in the file.
        let Some(slot) = version.checked_rem(u64::from(self.limits.history)) else { return };
        let entry = HistoryEntry {
            version,
            epoch,
            commit,
            handler: handler.to_owned(),
            at_ms: self.now_ms,
            document: document.to_vec(),
        };
        self.history.insert((uid, u32::try_from(slot).unwrap_or(0)), entry);
    }

    fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    fn into_changes(self) -> Changes {
        Changes {
            sequence: (self.sequence != self.sequence_read).then_some(self.sequence),
            deleted: self.deleted.into_iter().collect(),
            players: self.players.changes().map(|(uid, row)| player_write(uid, row)).collect(),
            history: self.history.into_iter().map(|((uid, slot), entry)| (uid, slot, entry)).collect(),
            notifications: note_writes(self.notifications),
            answers: self
                .answers
                .changes()
                .filter_map(|((uid, request), row)| row.map(|row| (uid, request, row)))
                .collect(),
            commits: self.new_commits.into_iter().collect(),
            pushes_gone: self.pushes_gone.into_iter().collect(),
            pushes: self
                .new_pushes
                .into_iter()
                .map(|(sequence, (uid, payload))| (uid, Push { sequence, payload }))
                .collect(),
            letters_gone: Vec::new(),
            letters: Vec::new(),
            prune: self.prune,
        }
        .with_letters(self.letters)
    }
}

impl Changes {
    fn with_letters(mut self, letters: Overlay<u64, DeadLetter>) -> Changes {
        for (sequence, letter) in letters.changes() {
            match letter {
                Some(letter) => self.letters.push(letter),
                None => self.letters_gone.push(sequence),
            }
        }
        self
    }
}

fn player_write(uid: u64, row: Option<PlayerRow>) -> PlayerWrite {
    match row {
        None => PlayerWrite::Gone(uid),
        Some(PlayerRow { epoch, version, owner, document: Document::New(document) }) => {
            PlayerWrite::Whole { uid, epoch, version, owner, document }
        }
        Some(PlayerRow { epoch, version, owner, .. }) => PlayerWrite::Head { uid, epoch, version, owner },
    }
}

fn note_writes(notifications: Overlay<NotificationId, NoteRow>) -> Vec<NoteWrite> {
    let fresh = |row: &NoteRow| row.fresh.is_some();
    // An id that was settled and used again within the flush: its old row goes first.
    let again = notifications.written().filter(|(id, row)| fresh(row) && notifications.was_there(id));
    let mut writes: Vec<_> = again.map(|(id, _)| NoteWrite::Gone(*id)).collect();
    writes.extend(notifications.changes().map(|(id, row)| note_write(id, row)));
    writes
}

fn note_write(id: NotificationId, row: Option<NoteRow>) -> NoteWrite {
    match row {
        None => NoteWrite::Gone(id),
        Some(NoteRow { order, step, deadline_ms, outcome, fresh: None }) => {
            NoteWrite::Move { id, order, step, deadline_ms, outcome }
        }
        Some(NoteRow { step, outcome, fresh: Some(fresh), .. }) => {
            NoteWrite::Insert(Notification { step, outcome, ..*fresh })
        }
    }
}

fn within(what: &'static str, size: usize, limit: usize) -> Result<(), Refused> {
    if size > limit { Err(Refused::TooLarge { what, size, limit }) } else { Ok(()) }
}
