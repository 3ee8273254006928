//! Handler runs whose commits are not decided, in the order they ended, and which of them fall when one does. Pure.

use crate::HandlerError;
use crate::attributes::Document;
use crate::run::Run;
use chappe_store::{CommitId, NotificationId, Step};
use chappe_wire::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A run that has ended and is not decided.
pub(crate) struct Entry {
    pub(crate) run: Rc<Run>,
    /// Its commit; none for a run that only read what others have written.
    pub(crate) commit: Option<CommitId>,
    /// For that, the runs that must be decided first.
    pub(crate) waits: BTreeSet<u64>,
    /// The records that it read or wrote, each with the record epoch.
    pub(crate) touched: Vec<(u64, u64)>,
    /// Of those it wrote, what they were before.
    pub(crate) wrote: BTreeMap<u64, Before>,
    /// Steps that it has queued on this node.
    pub(crate) kept: Vec<(Option<u64>, NotificationId, Step)>,
    /// What the handler returned, for whoever waits for it.
    pub(crate) result: Option<Result<Option<Value>, HandlerError>>,
}

/// A record before a run wrote it.
#[derive(Clone)]
pub(crate) struct Before {
    pub(crate) epoch: u64,
    pub(crate) version: u64,
    pub(crate) document: Rc<Document>,
    /// It had been upgraded, and not been stored so.
    pub(crate) upgraded: bool,
}

/// The runs that are not decided.
#[derive(Default)]
pub(crate) struct Undecided {
    entries: BTreeMap<u64, Entry>,
    last: u64,
}

/// What falls with a run that failed.
#[derive(Default)]
pub(crate) struct Fallen {
    /// The entries, the failed one first, in the order they ended.
    pub(crate) entries: Vec<(u64, Entry)>,
}

impl Undecided {
    pub(crate) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(crate) fn add(&mut self, number: u64, entry: Entry) {
        self.entries.insert(number, entry);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.entries.contains_key(&number)
    }

    /// Takes out a run that is durable, and the numbers of those that only waited for it.
    pub(crate) fn settle(&mut self, number: u64) -> Option<(Entry, Vec<u64>)> {
        let entry = self.entries.remove(&number)?;
        let mut free = Vec::new();
        for (other, waiting) in self.entries.range_mut(number..) {
            if waiting.commit.is_none() && waiting.waits.remove(&number) && waiting.waits.is_empty() {
                free.push(*other);
            }
        }
        Some((entry, free))
    }

    /// Takes out a run that failed, and every later one that read what it wrote or handles what it sent.
    pub(crate) fn fall(&mut self, number: u64) -> Fallen {
        let (mut lost, mut written) = (BTreeSet::new(), BTreeSet::new());
        for (other, entry) in self.entries.range(number..) {
            let is_lost = *other == number
                || entry.run.job.cause.get().is_some_and(|cause| lost.contains(&cause))
                || entry.touched.iter().any(|of| written.contains(of))
                || entry.waits.iter().any(|waits| lost.contains(waits));
            if is_lost {
                lost.insert(*other);
                written.extend(entry.wrote.iter().map(|(uid, before)| (*uid, before.epoch)));
            }
        }
        let take = |number: &u64| self.entries.remove(number).map(|entry| (*number, entry));
        Fallen { entries: lost.iter().filter_map(take).collect() }
    }

    /// The commit of a run that is not decided.
    pub(crate) fn commit_of(&self, number: u64) -> Option<CommitId> {
        self.entries.get(&number)?.commit
    }

    /// The last run that wrote a record.
    pub(crate) fn last_writer(&self, uid: u64, epoch: u64) -> Option<u64> {
        let wrote = |entry: &Entry| entry.wrote.get(&uid).is_some_and(|before| before.epoch == epoch);
        self.entries.iter().rev().find(|(_, entry)| wrote(entry)).map(|(number, _)| *number)
    }
}

impl Fallen {
    /// The numbers of the fallen.
    pub(crate) fn numbers(&self) -> BTreeSet<u64> {
        self.entries.iter().map(|(number, _)| *number).collect()
    }

    /// What the records were before the first of the fallen wrote them.
    pub(crate) fn before(&self) -> BTreeMap<u64, Before> {
        let mut before = BTreeMap::new();
        for (_, entry) in &self.entries {
            for (uid, was) in &entry.wrote {
                before.entry(*uid).or_insert_with(|| was.clone());
            }
        }
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Job, Task};

    const EPOCH: u64 = 9;

    /// Runs that are not decided: each with its cause, what it wrote and what it read.
    fn undecided(runs: &[(Option<u64>, &[u64], &[u64])]) -> Undecided {
        let mut all = Undecided::default();
        for (cause, wrote, read) in runs {
            let job = Job::new(Task::Call {
                name: String::new(),
                method: std::rc::Rc::new(|_| Box::pin(async { Ok(None) })),
                origin: crate::Origin::default(),
            });
            job.cause.set(*cause);
            let before = |uid: &u64| {
                (*uid, Before { epoch: EPOCH, version: *uid, document: Rc::default(), upgraded: false })
            };
            let number = all.next();
            let entry = Entry {
                run: Run::new(job, None, None),
                commit: Some(CommitId(u128::from(number))),
                waits: BTreeSet::new(),
                touched: wrote.iter().chain(*read).map(|uid| (*uid, EPOCH)).collect(),
                wrote: wrote.iter().map(before).collect(),
                kept: Vec::new(),
                result: None,
            };
            all.add(number, entry);
        }
        all
    }

    fn fallen(runs: &[(Option<u64>, &[u64], &[u64])], first: u64) -> Vec<u64> {
        undecided(runs).fall(first).numbers().into_iter().collect()
    }

    #[test]
    fn what_read_a_balance_that_has_vanished_falls_with_it() {
        assert_eq!(fallen(&[(None, &[1], &[]), (None, &[2], &[1]), (None, &[], &[2])], 1), [1, 2, 3]);
    }

    #[test]
    fn neighbours_and_those_before_stand() {
        assert_eq!(fallen(&[(None, &[1], &[]), (None, &[1], &[]), (None, &[2], &[])], 2), [2]);
        assert_eq!(fallen(&[(None, &[], &[1]), (None, &[1], &[])], 1), [1], "nothing was written");
    }

    #[test]
    fn what_handles_a_notification_that_was_never_sent_falls() {
        assert_eq!(fallen(&[(None, &[1], &[]), (Some(1), &[2], &[]), (Some(2), &[3], &[])], 1), [1, 2, 3]);
    }

    #[test]
    fn a_record_goes_back_to_before_the_first_of_the_fallen() {
        let mut all = undecided(&[(None, &[1], &[]), (None, &[1, 2], &[]), (None, &[2], &[])]);
        let before = all.fall(1).before();
        assert_eq!(before.keys().copied().collect::<Vec<_>>(), [1, 2]);
        assert_eq!((all.len(), all.last_writer(1, EPOCH)), (0, None));
    }
}
