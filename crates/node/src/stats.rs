//! What a node counts: every message sent, taken in, delivered and dropped, by row of the message table.

use chappe_wire::{NodeId, Reason, Row};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};

/// One count for each row.
#[derive(Debug)]
pub struct RowCounts([Cell<u64>; Row::COUNT]);

impl Default for RowCounts {
    fn default() -> Self {
        RowCounts(std::array::from_fn(|_| Cell::new(0)))
    }
}

impl RowCounts {
    /// Counts one of `row`.
    pub fn count(&self, row: Row) {
        self.add(row, 1);
    }

    /// Counts several of `row`.
    pub fn add(&self, row: Row, count: u64) {
        let cell = &self.0[row.index()];
        cell.set(cell.get() + count);
    }

    /// The counts that are not zero, by the row's code.
    pub fn snapshot(&self) -> BTreeMap<u8, u64> {
        let counted = Row::ALL.iter().map(|row| (row.code(), self.0[row.index()].get()));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    fn absorb(&self, other: &RowCounts) {
        for row in Row::ALL {
            self.add(*row, other.0[row.index()].get());
        }
    }
}

/// What passed between this node and one life of a peer. Three numbers for each row: frames sent, frames that
/// came, and frames that were under way, unacknowledged, when a connection ended.
#[derive(Debug, Default)]
pub(crate) struct Pair {
    pub(crate) sent: RowCounts,
    pub(crate) arrived: RowCounts,
    pub(crate) under_way: RowCounts,
}

impl Pair {
    fn absorb(&self, other: &Pair) {
        self.sent.absorb(&other.sent);
        self.arrived.absorb(&other.arrived);
        self.under_way.absorb(&other.under_way);
    }
}

/// How many ended lives of peers are kept apart. Later ones are added up under the peer's id and incarnation 0,
/// and when there are twice as many (each call of the command is a peer of its own), under id 0.
const KEPT_PAIRS: usize = 256;

/// A node's counters. Cheap to count in; [`crate::Node::report`] makes a copy to look at.
#[derive(Debug, Default)]
pub struct Stats {
    sent: RowCounts,
    delivered: RowCounts,
    dropped: RefCell<HashMap<(Row, Reason), u64>>,
    latency: RefCell<HashMap<Row, Histogram<u64>>>,
    ended: RefCell<BTreeMap<(NodeId, u64), Pair>>,
    named: RefCell<BTreeMap<&'static str, u64>>,
}

/// A copy of a node's counters. Rows are keyed by their code.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// The node.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: u64,
    /// Messages that its calls made, one for each receiver.
    pub sent: BTreeMap<u8, u64>,
    /// Messages that reached its handlers' dispatch.
    pub delivered: BTreeMap<u8, u64>,
    /// Messages dropped here, each with the reason.
    pub dropped: Vec<(u8, Reason, u64)>,
    /// What passed between it and each life of each peer.
    pub pairs: Vec<PairReport>,
    /// Nanoseconds from send to dispatch, as (nanoseconds, count) pairs of a histogram.
    pub latency: BTreeMap<u8, Vec<(u64, u64)>>,
    /// Other counters, by name: duplicates, gaps, late answers, handler failures and so on.
    pub named: BTreeMap<String, u64>,
}

/// What passed between a node and one life of a peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PairReport {
    /// The peer.
    pub peer: NodeId,
    /// Which life of it.
    pub incarnation: u64,
    /// Frames sent to it.
    pub sent: BTreeMap<u8, u64>,
    /// Frames that came from it.
    pub arrived: BTreeMap<u8, u64>,
    /// Frames sent and not acknowledged when a connection to it ended: what was under way.
    pub under_way: BTreeMap<u8, u64>,
}

impl Stats {
    /// Counts `count` messages sent by a call of `row`.
    pub fn sent(&self, row: Row, count: u64) {
        self.sent.add(row, count);
    }

    /// Counts a message that reached its handlers' dispatch; `stamp` is when it was sent, or 0.
    pub fn delivered(&self, row: Row, stamp: u64) {
        self.delivered.count(row);
        if stamp != 0 {
            self.took(row, crate::clock::unix_nanos().saturating_sub(stamp));
        }
    }

    /// Counts a message dropped.
    pub fn dropped(&self, row: Row, reason: Reason) {
        self.dropped_many(row, reason, 1);
    }

    /// Counts several messages dropped.
    pub fn dropped_many(&self, row: Row, reason: Reason, count: u64) {
        let mut dropped = self.dropped.borrow_mut();
        let total = dropped.entry((row, reason)).or_default();
        *total = total.saturating_add(count);
    }

    /// Counts something that is no message of a row.
    pub fn count(&self, name: &'static str) {
        self.count_many(name, 1);
    }

    /// Counts several of what is no message of a row.
    pub fn count_many(&self, name: &'static str, count: u64) {
        *self.named.borrow_mut().entry(name).or_default() += count;
    }

    /// Sets what goes up and down, by name.
    pub fn gauge(&self, name: &'static str, value: u64) {
        self.named.borrow_mut().insert(name, value);
    }

    /// One of the counters kept by name.
    pub fn named(&self, name: &str) -> u64 {
        self.named.borrow().get(name).copied().unwrap_or(0)
    }

    /// Takes note of a message's latency in nanoseconds.
    pub fn took(&self, row: Row, nanos: u64) {
        let mut latency = self.latency.borrow_mut();
        let histogram = latency.entry(row).or_insert_with(new_histogram);
        histogram.saturating_record(nanos.max(1));
    }

    /// Adds up what passed with a life of a peer whose connection has ended.
    pub(crate) fn ended(&self, peer: NodeId, incarnation: u64, pair: &Pair) {
        let mut ended = self.ended.borrow_mut();
        let known = ended.contains_key(&(peer, incarnation));
        let key = match ended.len() {
            _ if known => (peer, incarnation),
            ..KEPT_PAIRS => (peer, incarnation),
            _ if ended.contains_key(&(peer, 0)) => (peer, 0),
            count if count < 2 * KEPT_PAIRS => (peer, 0),
            _ => (NodeId(0), 0),
        };
        ended.entry(key).or_default().absorb(pair);
    }

    /// A copy of everything; `live` are the connections that stand.
    pub(crate) fn report<'a>(
        &self,
        node: NodeId,
        incarnation: u64,
        live: impl Iterator<Item = (NodeId, u64, &'a Pair)>,
    ) -> Report {
        let mut pairs: BTreeMap<(NodeId, u64), Pair> = BTreeMap::new();
        for (peer, incarnation, pair) in live {
            pairs.entry((peer, incarnation)).or_default().absorb(pair);
        }
        for (key, pair) in &*self.ended.borrow() {
            pairs.entry(*key).or_default().absorb(pair);
        }
        let pairs = pairs.into_iter().map(|((peer, incarnation), pair)| PairReport {
            peer,
            incarnation,
            sent: pair.sent.snapshot(),
            arrived: pair.arrived.snapshot(),
            under_way: pair.under_way.snapshot(),
        });
        let mut dropped: Vec<_> = self
            .dropped
            .borrow()
            .iter()
            .map(|((row, reason), count)| (row.code(), *reason, *count))
            .collect();
        dropped.sort_unstable();
        let buckets = |histogram: &Histogram<u64>| {
            histogram.iter_recorded().map(|at| (at.value_iterated_to(), at.count_at_value())).collect()
        };
        Report {
            node,
            incarnation,
            sent: self.sent.snapshot(),
            delivered: self.delivered.snapshot(),
            dropped,
            pairs: pairs.collect(),
            latency: self.latency.borrow().iter().map(|(row, of)| (row.code(), buckets(of))).collect(),
            named: self.named.borrow().iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        }
    }
}

/// Two significant digits from a microsecond's fraction to a minute: a few kilobytes a row.
fn new_histogram() -> Histogram<u64> {
    let bounds = Histogram::new_with_bounds(100, 60_000_000_000, 2);
    bounds.unwrap_or_else(|_| unreachable!("the bounds are constants that fit together"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_for_each_call_of_the_command_does_not_fill_the_memory_and_nothing_is_forgotten() {
        let stats = Stats::default();
        for peer in 1..=10_000 {
            let pair = Pair::default();
            pair.arrived.count(Row::Internal);
            stats.ended(NodeId(peer), 7, &pair);
        }
        let pairs = stats.report(NodeId(1), 1, std::iter::empty()).pairs;
        assert!(pairs.len() <= 2 * KEPT_PAIRS + 1, "{} pairs", pairs.len());
        assert_eq!(pairs.iter().flat_map(|pair| pair.arrived.values()).sum::<u64>(), 10_000);
    }
}
