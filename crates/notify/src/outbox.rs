//! What players are told, held until it is true: to each receiver in the order in which the runs ended that said it, so that
//! later output queues behind what waits for a commit (snipe.md section 4). Pure.

use crate::run::Said;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};

/// The most runs whose output waits for one receiver.
const WAITING: usize = 1024;

/// The output of runs that are not decided, and what is behind it.
#[derive(Default)]
pub(crate) struct Outbox {
    waiting: BTreeMap<u64, Waiting>,
    /// For each receiver, the runs whose output waits.
    queues: FxHashMap<u64, BTreeSet<u64>>,
    /// What may leave, in order.
    free: Vec<Said>,
}

struct Waiting {
    said: Vec<Said>,
    /// The run is decided; what others have said to the same receivers is not.
    is_true: bool,
}

impl Outbox {
    /// The output of a run that is not decided (`is_true`: that waits for nothing itself). Returns what was dropped because
    /// too much waits for a receiver.
    pub(crate) fn add(&mut self, number: u64, mut said: Vec<Said>, is_true: bool) -> usize {
        let before = said.len();
        said.retain(|said| self.queues.get(&said.receiver()).is_none_or(|queue| queue.len() < WAITING));
        let dropped = before - said.len();
        if said.is_empty() {
            return dropped;
        }
        for said in &said {
            self.queues.entry(said.receiver()).or_default().insert(number);
        }
        self.waiting.insert(number, Waiting { said, is_true });
        if is_true {
            self.let_go(number);
        }
        dropped
    }

    /// A run is decided: its output leaves as soon as nothing is before it.
    pub(crate) fn settle(&mut self, number: u64) {
        if let Some(waiting) = self.waiting.get_mut(&number) {
            waiting.is_true = true;
            self.let_go(number);
        }
    }

    /// A run has fallen: it has said nothing.
    pub(crate) fn forget(&mut self, number: u64) {
        if let Some(waiting) = self.waiting.remove(&number) {
            self.leave_queues(number, &waiting.said);
        }
    }

    /// Takes out what may leave now.
    pub(crate) fn take_free(&mut self) -> Vec<Said> {
        std::mem::take(&mut self.free)
    }

    /// Lets output go, unless something to one of its receivers is before it; and then what was behind it.
    fn let_go(&mut self, number: u64) {
        let is_first = |said: &Said| {
            let queue = self.queues.get(&said.receiver());
            queue.is_none_or(|queue| queue.first() == Some(&number))
        };
        if !self
            .waiting
            .get(&number)
            .is_some_and(|waiting| waiting.is_true && waiting.said.iter().all(is_first))
        {
            return;
        }
        if let Some(waiting) = self.waiting.remove(&number) {
            self.free.extend(waiting.said.iter().cloned());
            self.leave_queues(number, &waiting.said);
        }
    }

    fn leave_queues(&mut self, number: u64, said: &[Said]) {
        let mut next = BTreeSet::new();
        for receiver in said.iter().map(Said::receiver) {
            let Some(queue) = self.queues.get_mut(&receiver) else { continue };
            queue.remove(&number);
            match queue.first() {
                Some(first) => drop(next.insert(*first)),
                None => drop(self.queues.remove(&receiver)),
            }
        }
        // Each number goes once, so this ends.
        next.into_iter().for_each(|number| self.let_go(number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chappe_wire::Value;

    fn to(uids: &[u64], what: i64) -> Vec<Said> {
        uids.iter().map(|uid| Said::Push { uid: *uid, fields: Value::Int(what) }).collect()
    }

    fn free(outbox: &mut Outbox) -> Vec<(u64, i64)> {
        let what = |said: Said| match said {
            Said::Push { uid, fields } => (uid, fields.as_int().unwrap_or_default()),
            _ => (0, 0),
        };
        outbox.take_free().into_iter().map(what).collect()
    }

    #[test]
    fn later_output_would_overtake_what_waits_for_a_commit() {
        let mut outbox = Outbox::default();
        outbox.add(1, to(&[7], 1), false);
        outbox.add(2, to(&[7], 2), true);
        outbox.add(3, to(&[8], 3), true);
        assert_eq!(free(&mut outbox), [(8, 3)], "nothing is before it");
        outbox.settle(1);
        assert_eq!(free(&mut outbox), [(7, 1), (7, 2)]);
        assert!(outbox.waiting.is_empty() && outbox.queues.is_empty());
    }

    #[test]
    fn what_is_durable_first_would_be_heard_first() {
        let mut outbox = Outbox::default();
        outbox.add(1, to(&[7], 1), false);
        outbox.add(2, to(&[7, 8], 2), false);
        outbox.add(3, to(&[8], 3), true);
        outbox.settle(2);
        assert_eq!(free(&mut outbox), []);
        outbox.forget(1);
        assert_eq!(free(&mut outbox), [(7, 2), (8, 2), (8, 3)]);
    }
}
