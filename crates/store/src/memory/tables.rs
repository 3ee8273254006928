//! The tables of the memory store, with what undoes the writes that are not synced.

use crate::changes::{
    AnswerRow, Changes, Document, NoteRow, NoteWrite, PlayerRow, PlayerWrite, Prune, Read, Rows, Wanted,
};
use crate::{CommitId, DeadLetter, HistoryEntry, Notification, NotificationId, Push, Record, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

type Table<K, V> = BTreeMap<K, V>;
type Undo = Box<dyn FnOnce(&mut Rest) + Send>;

#[derive(Default)]
pub(super) struct Tables {
    now: Rest,
    /// What takes the writes since the last sync back, the latest last.
    undo: Vec<Undo>,
}

/// The tables themselves.
#[derive(Default)]
struct Rest {
    sequence: Table<(), u64>,
    players: Table<u64, Record>,
    damaged: BTreeSet<u64>,
    history: Table<(u64, u32), HistoryEntry>,
    notifications: Table<NotificationId, Notification>,
    answers: Table<(u64, String), AnswerRow>,
    commits: Table<CommitId, (bool, u64)>,
    pushes: Table<(u64, u64), Vec<u8>>,
    letters: Table<u64, DeadLetter>,
}

impl Tables {
    pub(super) fn sync(&mut self) {
        self.undo.clear();
    }

    pub(super) fn undo(&mut self) {
        while let Some(undo) = self.undo.pop() {
            undo(&mut self.now);
        }
    }

    pub(super) fn damage(&mut self, uid: u64) {
        self.now.damaged.insert(uid);
    }

    pub(super) fn rows(&self, wanted: &Wanted, now_ms: u64) -> Rows {
        let mut rows =
            Rows { now_ms, sequence: self.now.sequence.get(&()).copied().unwrap_or(0), ..Rows::default() };
        for (uid, with_document) in &wanted.players {
            let read = self.player(*uid).transpose();
            rows.players
                .extend(read.map(|read| (*uid, read.map(|record| player_row(record, *with_document)))));
        }
        for id in &wanted.notifications {
            rows.notifications.extend(self.now.notifications.get(id).map(|row| (*id, note_row(row))));
        }
        for key in &wanted.answers {
            rows.answers.extend(self.now.answers.get(key).map(|row| (key.clone(), Ok(row.clone()))));
        }
        for id in &wanted.commits {
            rows.commits.extend(self.commit(*id).map(|committed| (*id, committed)));
        }
        for uid in &wanted.pushes {
            rows.pushes.insert(*uid, self.pushes(*uid).into_iter().map(|push| push.sequence).collect());
        }
        for sequence in &wanted.letters {
            rows.letters.extend(self.now.letters.get(sequence).map(|row| (*sequence, Ok(row.clone()))));
        }
        rows
    }

    /// Writes; how many rows were pruned.
    pub(super) fn apply(&mut self, changes: Changes, now_ms: u64) -> u64 {
        if let Some(sequence) = changes.sequence {
            self.set(|tables| &mut tables.sequence, (), Some(sequence));
        }
        changes.deleted.iter().for_each(|uid| self.delete(*uid));
        for write in changes.players {
            self.write_player(write);
        }
        for (uid, slot, entry) in changes.history {
            self.set(|tables| &mut tables.history, (uid, slot), Some(entry));
        }
        for write in changes.notifications {
            self.write_note(write);
        }
        for (uid, request, row) in changes.answers {
            self.set(|tables| &mut tables.answers, (uid, request), Some(row));
        }
        for (id, committed) in changes.commits {
            self.set(|tables| &mut tables.commits, id, Some((committed, now_ms)));
        }
        for (uid, up_to) in changes.pushes_gone {
            let gone: Vec<_> = self.now.pushes.range((uid, 0)..=(uid, up_to)).map(|(key, _)| *key).collect();
            gone.into_iter().for_each(|key| self.set(|tables| &mut tables.pushes, key, None));
        }
        for (uid, push) in changes.pushes {
            self.set(|tables| &mut tables.pushes, (uid, push.sequence), Some(push.payload));
        }
        for sequence in changes.letters_gone {
            self.set(|tables| &mut tables.letters, sequence, None);
        }
        for letter in changes.letters {
            self.set(|tables| &mut tables.letters, letter.sequence, Some(letter));
        }
        changes.prune.map_or(0, |prune| self.prune(prune))
    }

    fn write_player(&mut self, write: PlayerWrite) {
        match write {
            PlayerWrite::Whole { uid, epoch, version, owner, document } => {
                let record = Record { uid, epoch, version, owner, document };
                self.now.damaged.remove(&uid);
                self.set(|tables| &mut tables.players, uid, Some(record));
            }
            PlayerWrite::Head { uid, epoch, version, owner } => {
                let Some(record) = self.now.players.get(&uid).cloned() else { return };
                let record = Record { epoch, version, owner, ..record };
                self.set(|tables| &mut tables.players, uid, Some(record));
            }
            PlayerWrite::Gone(uid) => {
                self.now.damaged.remove(&uid);
                self.set(|tables| &mut tables.players, uid, None);
            }
        }
    }

    fn write_note(&mut self, write: NoteWrite) {
        match write {
            NoteWrite::Insert(row) => self.set(|tables| &mut tables.notifications, row.id, Some(row)),
            NoteWrite::Move { id, step, outcome, .. } => {
                let Some(row) = self.now.notifications.get(&id).cloned() else { return };
                let row = Notification { step, outcome, ..row };
                self.set(|tables| &mut tables.notifications, id, Some(row));
            }
            NoteWrite::Gone(id) => self.set(|tables| &mut tables.notifications, id, None),
        }
    }

    fn delete(&mut self, uid: u64) {
        let history: Vec<_> =
            self.now.history.range((uid, 0)..=(uid, u32::MAX)).map(|(key, _)| *key).collect();
        history.into_iter().for_each(|key| self.set(|tables| &mut tables.history, key, None));
        let pushes: Vec<_> = self.now.pushes.range((uid, 0)..=(uid, u64::MAX)).map(|(key, _)| *key).collect();
        pushes.into_iter().for_each(|key| self.set(|tables| &mut tables.pushes, key, None));
        let answers: Vec<_> = self.now.answers.keys().filter(|(of, _)| *of == uid).cloned().collect();
        answers.into_iter().for_each(|key| self.set(|tables| &mut tables.answers, key, None));
    }

    fn prune(&mut self, prune: Prune) -> u64 {
        let at_once = usize::try_from(prune.at_once).unwrap_or(usize::MAX);
        let commits = self.now.commits.iter().filter(|(_, (_, at_ms))| *at_ms < prune.before_ms);
        let commits: Vec<_> = commits.map(|(id, _)| *id).take(at_once).collect();
        let answers = self.now.answers.iter().filter(|(_, row)| row.at_ms < prune.before_ms);
        let answers: Vec<_> = answers.map(|(key, _)| key.clone()).take(at_once).collect();
        let keep = usize::try_from(prune.keep_letters).unwrap_or(usize::MAX);
        let beyond = self.now.letters.len().saturating_sub(keep).min(at_once);
        let letters: Vec<_> = self.now.letters.keys().copied().take(beyond).collect();
        let count = commits.len() + answers.len() + letters.len();
        commits.into_iter().for_each(|key| self.set(|tables| &mut tables.commits, key, None));
        answers.into_iter().for_each(|key| self.set(|tables| &mut tables.answers, key, None));
        letters.into_iter().for_each(|key| self.set(|tables| &mut tables.letters, key, None));
        count as u64
    }

    fn set<K, V>(&mut self, table: fn(&mut Rest) -> &mut Table<K, V>, key: K, row: Option<V>)
    where
        K: Ord + Clone + Send + 'static,
        V: Send + 'static,
    {
        let before = put(table(&mut self.now), key.clone(), row);
        self.undo.push(Box::new(move |tables| drop(put(table(tables), key, before))));
    }
}

/// Reading.
impl Tables {
    pub(super) fn player(&self, uid: u64) -> Read<Option<Record>> {
        if self.now.damaged.contains(&uid) {
            return Err(StoreError::Corrupt(format!("the record of player {uid}")));
        }
        Ok(self.now.players.get(&uid).cloned())
    }

    pub(super) fn commit(&self, id: CommitId) -> Option<bool> {
        self.now.commits.get(&id).map(|(committed, _)| *committed)
    }

    pub(super) fn answer(&self, uid: u64, request: &str) -> Option<Vec<u8>> {
        self.now.answers.get(&(uid, request.to_owned())).map(|row| row.response.clone())
    }

    pub(super) fn unsettled(&self, after: u64, limit: u32) -> Vec<Notification> {
        let rows = self.now.notifications.values().filter(|row| row.order > after);
        let by_order: BTreeMap<u64, &Notification> = rows.map(|row| (row.order, row)).collect();
        by_order.into_values().take(limit as usize).cloned().collect()
    }

    pub(super) fn notification(&self, id: NotificationId) -> Option<Notification> {
        self.now.notifications.get(&id).cloned()
    }

    pub(super) fn pushes(&self, uid: u64) -> Vec<Push> {
        let rows = self.now.pushes.range((uid, 0)..=(uid, u64::MAX));
        rows.map(|((_, sequence), payload)| Push { sequence: *sequence, payload: payload.clone() }).collect()
    }

    pub(super) fn letters(&self, after: u64, limit: u32) -> Vec<DeadLetter> {
        let rows = self.now.letters.range((Bound::Excluded(after), Bound::Unbounded));
        rows.map(|(_, row)| row.clone()).take(limit as usize).collect()
    }

    pub(super) fn history(&self, uid: u64) -> Vec<HistoryEntry> {
        let rows = self.now.history.range((uid, 0)..=(uid, u32::MAX));
        let by_version: BTreeMap<u64, &HistoryEntry> = rows.map(|(_, row)| (row.version, row)).collect();
        by_version.into_values().rev().cloned().collect()
    }

    pub(super) fn players(&self, after: Option<u64>, limit: u32) -> Vec<u64> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.now.players.range((from, Bound::Unbounded)).map(|(uid, _)| *uid).take(limit as usize).collect()
    }
}

fn put<K: Ord, V>(table: &mut Table<K, V>, key: K, row: Option<V>) -> Option<V> {
    match row {
        Some(row) => table.insert(key, row),
        None => table.remove(&key),
    }
}

fn player_row(record: Record, with_document: bool) -> PlayerRow {
    let Record { epoch, version, owner, document, .. } = record;
    let document = if with_document { Document::Stored(document) } else { Document::NotRead };
    PlayerRow { epoch, version, owner, document }
}

fn note_row(row: &Notification) -> Read<NoteRow> {
    let (order, step, deadline_ms) = (row.order, row.step, row.deadline_ms);
    Ok(NoteRow { order, step, deadline_ms, outcome: row.outcome.clone(), fresh: None })
}
