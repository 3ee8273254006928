//! Requests that wait for their one outcome.

use chappe_wire::NodeId;
use slab::Slab;
use std::time::Duration;

/// The number of a request on the wire: a slot, and which use of the slot it is, so that a late answer to an
/// earlier request never meets a later one.
pub type PendingId = u64;

/// Requests under way, each with its deadline and the node that has it. `T` is what waits for the outcome.
///
/// Time is a [`Duration`] since any fixed point that the caller keeps to. Taking one out costs the same however
/// many there are; deadlines are found by a sweep over the table, which runs only when the earliest deadline
/// known at the last sweep has passed, so requests that are answered in time cost nothing for theirs.
#[derive(Debug)]
pub struct Pending<T> {
    slots: Slab<Entry<T>>,
    uses: u32,
    earliest: Option<Duration>,
}

#[derive(Debug)]
struct Entry<T> {
    uses: u32,
    deadline: Duration,
    to: NodeId,
    incarnation: u64,
    waiter: T,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Pending { slots: Slab::new(), uses: 0, earliest: None }
    }
}

impl<T> Pending<T> {
    /// Requests under way.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Takes note of a request sent to one life of a node, to be answered before `deadline`.
    pub fn insert(&mut self, to: NodeId, incarnation: u64, deadline: Duration, waiter: T) -> PendingId {
        self.uses = self.uses.wrapping_add(1);
        let uses = self.uses;
        let slot = self.slots.insert(Entry { uses, deadline, to, incarnation, waiter });
        if self.earliest.is_none_or(|earliest| deadline < earliest) {
            self.earliest = Some(deadline);
        }
        (u64::from(uses) << 32) | slot as u64
    }

    /// Takes out the request that `from` answers. `None` when it has had its outcome already, or was never
    /// sent to that node: the answer is late, a second one, or forged.
    pub fn answer(&mut self, id: PendingId, from: NodeId) -> Option<T> {
        let slot = (id & 0xffff_ffff) as usize;
        let entry = self.slots.get(slot)?;
        if entry.uses != (id >> 32) as u32 || entry.to != from {
            return None;
        }
        Some(self.slots.remove(slot).waiter)
    }

    /// When [`Pending::expire`] is to be called next; may be early, never late.
    pub fn next_deadline(&self) -> Option<Duration> {
        if self.slots.is_empty() { None } else { self.earliest }
    }

    /// Takes out what has reached its deadline, in the order of deadlines.
    pub fn expire(&mut self, now: Duration) -> Vec<T> {
        if self.earliest.is_none_or(|earliest| earliest > now) {
            return Vec::new();
        }
        let due = self.take_where(|entry| entry.deadline <= now);
        self.earliest = self.slots.iter().map(|(_, entry)| entry.deadline).min();
        due
    }

    /// Takes out what a life of a node had, now that it has gone.
    pub fn lose(&mut self, node: NodeId, incarnation: u64) -> Vec<T> {
        self.take_where(|entry| entry.to == node && entry.incarnation == incarnation)
    }

    /// Takes out everything, for a node that stops.
    pub fn drain(&mut self) -> Vec<T> {
        self.take_where(|_| true)
    }

    fn take_where(&mut self, take: impl Fn(&Entry<T>) -> bool) -> Vec<T> {
        let mut slots: Vec<_> = self
            .slots
            .iter()
            .filter(|(_, entry)| take(entry))
            .map(|(slot, entry)| (entry.deadline, entry.uses, slot))
            .collect();
        slots.sort_unstable();
        slots.into_iter().map(|(_, _, slot)| self.slots.remove(slot).waiter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_late_answer_never_reaches_a_later_request_in_the_same_slot() {
        let mut pending = Pending::default();
        let first = pending.insert(A, 1, ms(10), "first");
        assert_eq!(pending.expire(ms(10)), ["first"]);
        let second = pending.insert(A, 1, ms(20), "second");
        assert_eq!(first & 0xffff_ffff, second & 0xffff_ffff, "the slot is used again");
        assert_eq!(pending.answer(first, A), None);
        assert_eq!(pending.answer(second, A), Some("second"));
    }

    #[test]
    fn a_second_answer_is_no_answer() {
        let mut pending = Pending::default();
        let id = pending.insert(A, 1, ms(10), ());
        assert!(pending.answer(id, B).is_none(), "from a node that was not asked");
        assert!(pending.answer(id, A).is_some());
        assert!(pending.answer(id, A).is_none());
    }

    #[test]
    fn a_lost_node_loses_only_what_that_life_of_it_had() {
        let mut pending = Pending::default();
        pending.insert(A, 1, ms(10), "a1");
        pending.insert(A, 2, ms(10), "a2");
        pending.insert(B, 1, ms(10), "b1");
        assert_eq!(pending.lose(A, 1), ["a1"]);
        assert_eq!(pending.len(), 2);
    }

    #[test]
    fn no_deadline_is_missed_when_earlier_ones_were_answered() {
        let mut pending = Pending::default();
        let soon = pending.insert(A, 1, ms(5), 5);
        pending.insert(A, 1, ms(9), 9);
        pending.insert(A, 1, ms(7), 7);
        pending.answer(soon, A);
        assert_eq!(pending.next_deadline(), Some(ms(5)), "early is allowed");
        assert!(pending.expire(ms(6)).is_empty());
        assert_eq!(pending.next_deadline(), Some(ms(7)));
        assert_eq!(pending.expire(ms(9)), [7, 9]);
        assert_eq!(pending.next_deadline(), None);
    }
}
