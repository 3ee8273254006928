//! One connection's account: what was sent and not yet taken in, what came and whether any is missing.

use chappe_wire::Row;
use std::collections::VecDeque;

/// The account of one connection, both directions.
///
/// Sent frames are kept as one byte each (their [`Row`]) until the other side acknowledges them, so that when
/// the connection ends it is known, row by row, what was under way. `R` is what waits for a receipt.
#[derive(Debug)]
pub struct Ledger<R> {
    sent: u32,
    acked: u32,
    under_way: VecDeque<u8>,
    /// In the order of frames, so that an acknowledgement looks at those that it settles and at no others.
    receipts: VecDeque<(u32, R)>,
    received: u32,
    told: u32,
}

/// What a frame's sequence number says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The next one, or one outside the sequence.
    InOrder,
    /// So many before it never came; it is the next one now.
    Gap(u32),
    /// It came before: not to be delivered again.
    Duplicate,
}

impl<R> Default for Ledger<R> {
    fn default() -> Self {
        Ledger {
            sent: 0,
            acked: 0,
            under_way: VecDeque::new(),
            receipts: VecDeque::new(),
            received: 0,
            told: 0,
        }
    }
}

impl<R> Ledger<R> {
    /// Numbers the next frame to be sent.
    pub fn send(&mut self, row: Row) -> u32 {
        self.sent = next(self.sent, 1);
        self.under_way.push_back(row.code());
        self.sent
    }

    /// Lets `waiter` wait until the other side has taken in frame `seq`; given back when it already has.
    pub fn wait(&mut self, seq: u32, waiter: R) -> Option<R> {
        if is_covered(seq, self.acked) {
            return Some(waiter);
        }
        self.receipts.insert(self.place_of(seq), (seq, waiter));
        None
    }

    /// The number of the last frame sent; 0 before the first.
    pub fn last_sent(&self) -> u32 {
        self.sent
    }

    /// How many frames are sent and not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.under_way.len()
    }

    /// Takes in an acknowledgement; calls `reached` for each receipt that it settles. An acknowledgement of
    /// what was never sent is ignored: the peer is wrong, and nothing may be counted for it.
    pub fn acknowledged(&mut self, ack: u32, mut reached: impl FnMut(R)) {
        let count = distance(self.acked, ack);
        if count > self.under_way.len() {
            return;
        }
        self.under_way.drain(..count);
        self.acked = ack;
        while self.receipts.front().is_some_and(|(seq, _)| is_covered(*seq, ack)) {
            self.receipts.pop_front().into_iter().for_each(|(_, waiter)| reached(waiter));
        }
    }

    /// Takes out the receipt of one frame that the other side did not deliver.
    pub fn refused(&mut self, seq: u32) -> Option<R> {
        let at = self.place_of(seq);
        self.receipts.get(at).filter(|(of, _)| *of == seq)?;
        self.receipts.remove(at).map(|(_, waiter)| waiter)
    }

    /// Where the receipt of frame `seq` stands or would stand. All of them are beyond what is acknowledged.
    fn place_of(&self, seq: u32) -> usize {
        let ahead = |seq| distance(self.acked, seq);
        self.receipts.partition_point(|(of, _)| ahead(*of) < ahead(seq))
    }

    /// Takes note of a frame that came.
    pub fn receive(&mut self, seq: u32) -> Seen {
        if seq == 0 {
            return Seen::InOrder;
        }
        let ahead = distance(self.received, seq);
        if ahead == 0 || ahead > u32::MAX as usize / 2 {
            return Seen::Duplicate;
        }
        // Numbers skip 0, so one that passed it is one nearer than it looks.
        self.received = seq;
        if ahead == 1 { Seen::InOrder } else { Seen::Gap(ahead as u32 - 1) }
    }

    /// The acknowledgement to put into the next frame.
    pub fn ack(&mut self) -> u32 {
        self.told = self.received;
        self.received
    }

    /// How many frames came since the other side was last told.
    pub fn untold(&self) -> usize {
        distance(self.told, self.received)
    }

    /// Ends the account: the rows of what was under way, and the receipts that will never be settled.
    pub fn close(&mut self) -> (Vec<Row>, Vec<R>) {
        let rows = self.under_way.drain(..).filter_map(Row::from_code).collect();
        let receipts = self.receipts.drain(..).map(|(_, waiter)| waiter).collect();
        (rows, receipts)
    }
}

/// Whether an acknowledgement of `ack` covers frame `seq`.
fn is_covered(seq: u32, ack: u32) -> bool {
    distance(seq, ack) <= u32::MAX as usize / 2
}

/// `seq` and `by` further on, without 0: it marks frames outside the sequence.
fn next(seq: u32, by: u32) -> u32 {
    let (sum, wrapped) = seq.overflowing_add(by);
    if wrapped || sum == 0 { sum + 1 } else { sum }
}

/// How many numbers lie from `from` on to `to`, going forward and leaving out 0.
fn distance(from: u32, to: u32) -> usize {
    if to >= from { (to - from) as usize } else { (to.wrapping_sub(from)).wrapping_sub(1) as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_under_way_is_known_by_row_when_the_peer_dies() {
        let mut ledger: Ledger<()> = Ledger::default();
        for row in [Row::ServerToMaster, Row::NodeToService, Row::NodeToServices] {
            ledger.send(row);
        }
        ledger.acknowledged(1, |()| {});
        assert_eq!(ledger.close().0, [Row::NodeToService, Row::NodeToServices]);
    }

    #[test]
    fn a_receipt_is_settled_by_the_ack_that_covers_it_and_not_before() {
        let mut ledger = Ledger::default();
        for _ in 1..=3 {
            ledger.send(Row::Internal);
        }
        assert_eq!(ledger.wait(3, "third"), None);
        assert_eq!(ledger.wait(2, "second"), None);
        let mut reached = Vec::new();
        ledger.acknowledged(1, |receipt| reached.push(receipt));
        assert!(reached.is_empty());
        assert_eq!(ledger.refused(3), Some("third"));
        ledger.acknowledged(3, |receipt| reached.push(receipt));
        assert_eq!(reached, ["second"]);
        assert_eq!(ledger.wait(1, "first"), Some("first"), "it was acknowledged before");
    }

    #[test]
    fn receipts_that_are_asked_for_out_of_order_are_settled_in_order_through_the_last_number() {
        let mut ledger: Ledger<u32> = Ledger { sent: u32::MAX - 2, acked: u32::MAX - 2, ..Ledger::default() };
        let seqs: Vec<u32> = (0..5).map(|_| ledger.send(Row::Internal)).collect();
        for at in [3, 0, 4, 1, 2] {
            assert_eq!(ledger.wait(seqs[at], at as u32), None);
        }
        assert_eq!((ledger.refused(seqs[2]), ledger.refused(seqs[2])), (Some(2), None));
        let mut reached = Vec::new();
        ledger.acknowledged(seqs[1], |at| reached.push(at));
        assert_eq!(reached, [0, 1]);
        ledger.acknowledged(seqs[4], |at| reached.push(at));
        assert_eq!(reached, [0, 1, 3, 4]);
    }

    #[test]
    fn an_ack_of_the_future_settles_nothing() {
        let mut ledger = Ledger::default();
        let seq = ledger.send(Row::Internal);
        assert_eq!(ledger.wait(seq, ()), None);
        ledger.acknowledged(9, |()| panic!("settled by a forged acknowledgement"));
        ledger.acknowledged(0, |()| panic!("settled by an old acknowledgement"));
        assert_eq!(ledger.unacknowledged(), 1);
    }

    #[test]
    fn lost_and_repeated_frames_are_seen() {
        let mut ledger: Ledger<()> = Ledger::default();
        assert_eq!(ledger.receive(1), Seen::InOrder);
        assert_eq!(ledger.receive(4), Seen::Gap(2));
        assert_eq!(ledger.receive(4), Seen::Duplicate);
        assert_eq!(ledger.receive(2), Seen::Duplicate);
        assert_eq!(ledger.receive(0), Seen::InOrder, "outside the sequence");
        assert_eq!(ledger.receive(5), Seen::InOrder);
    }

    #[test]
    fn numbers_go_on_after_the_last_one() {
        let mut ledger: Ledger<u32> = Ledger { sent: u32::MAX - 1, acked: u32::MAX - 1, ..Ledger::default() };
        ledger.received = u32::MAX - 1;
        let seqs: Vec<u32> = (0..4).map(|_| ledger.send(Row::Internal)).collect();
        assert_eq!(seqs, [u32::MAX, 1, 2, 3]);
        for (n, seq) in (0..).zip(seqs) {
            assert_eq!(ledger.receive(seq), Seen::InOrder, "{seq}");
            assert_eq!(ledger.wait(seq, n), None);
        }
        let mut reached = Vec::new();
        ledger.acknowledged(2, |n| reached.push(n));
        assert_eq!(reached, [0, 1, 2]);
        assert_eq!(ledger.unacknowledged(), 1);
    }
}
