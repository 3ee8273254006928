//! What was sent and is not known to have arrived, so that a dropped socket loses and doubles nothing. Pure.

use bytes::Bytes;
use chappe_wire::Row;
use std::collections::VecDeque;

/// The most that may wait, in messages and in bytes.
const MOST: (usize, usize) = (16_384, 8 << 20);

/// The counted messages of one session, from the first that the proxy may ask for again.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    frames: VecDeque<(Row, Bytes)>,
    bytes: usize,
    /// How many came before `frames`.
    before: u64,
    /// How many of `frames` were written to the present socket.
    written: usize,
}

impl Outbox {
    /// Takes a message; false when too much waits.
    pub(crate) fn push(&mut self, row: Row, frame: Bytes) -> bool {
        if self.frames.len() >= MOST.0 || self.bytes + frame.len() > MOST.1 {
            return false;
        }
        self.bytes += frame.len();
        self.frames.push_back((row, frame));
        true
    }

    /// What the present socket has not carried yet, now taken to be written.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        let (_, frame) = self.frames.get(self.written)?;
        self.written += 1;
        Some(frame.clone())
    }

    /// Whether the present socket has carried everything.
    pub(crate) fn is_written(&self) -> bool {
        self.written == self.frames.len()
    }

    /// Whether that very frame is still to be written to the present socket.
    pub(crate) fn will_write(&self, frame: &Bytes) -> bool {
        self.frames.range(self.written..).any(|(_, held)| held.as_ptr() == frame.as_ptr())
    }

    /// So many have arrived.
    pub(crate) fn acknowledge(&mut self, received: u64) {
        while self.before < received
            && let Some((_, frame)) = self.frames.pop_front()
        {
            self.bytes -= frame.len();
            self.before += 1;
            self.written = self.written.saturating_sub(1);
        }
    }

    /// There is a new socket for the same session: what has not arrived goes again.
    pub(crate) fn resume(&mut self, received: u64) {
        self.acknowledge(received);
        self.written = 0;
    }

    /// There is a new session: whether what was written has arrived will never be known, and at most once is the
    /// promise. Returns its rows.
    pub(crate) fn restart(&mut self) -> Vec<Row> {
        let lost: Vec<_> = self.frames.drain(..self.written).collect();
        self.bytes -= lost.iter().map(|(_, frame)| frame.len()).sum::<usize>();
        (self.before, self.written) = (0, 0);
        lost.into_iter().map(|(row, _)| row).collect()
    }

    /// It is over: the rows of what has certainly not arrived. What was written is certain only where the proxy
    /// has told, with its last frames, how much of it came (`is_told`).
    pub(crate) fn left(&mut self, is_told: bool) -> Vec<Row> {
        let from = if is_told { 0 } else { self.written };
        let left = self.frames.drain(from..).map(|(row, _)| row).collect();
        self.frames.clear();
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(count: u8) -> Outbox {
        let mut outbox = Outbox::default();
        for byte in 0..count {
            assert!(outbox.push(Row::ClientToServer, Bytes::from(vec![byte])));
        }
        outbox
    }

    fn drain(outbox: &mut Outbox) -> Vec<u8> {
        std::iter::from_fn(|| outbox.next()).map(|frame| frame[0]).collect()
    }

    #[test]
    fn a_new_socket_carries_what_has_not_arrived_and_only_that() {
        let mut outbox = outbox(5);
        assert_eq!(drain(&mut outbox), [0, 1, 2, 3, 4]);
        outbox.acknowledge(2);
        assert!(drain(&mut outbox).is_empty());
        outbox.resume(3);
        assert_eq!(drain(&mut outbox), [3, 4]);
    }

    #[test]
    fn what_a_closing_proxy_did_not_acknowledge_is_lost_and_what_a_broken_socket_carried_is_not_known() {
        for (is_told, lost) in [(true, 2), (false, 1)] {
            let mut outbox = outbox(3);
            let _ = (outbox.next(), outbox.next());
            outbox.acknowledge(1);
            assert_eq!(outbox.left(is_told).len(), lost);
        }
    }

    #[test]
    fn a_new_session_carries_nothing_twice() {
        let mut outbox = outbox(3);
        assert_eq!(outbox.next().unwrap()[0], 0);
        assert_eq!(outbox.restart(), [Row::ClientToServer]);
        assert_eq!(drain(&mut outbox), [1, 2]);
        outbox.acknowledge(1);
        outbox.resume(1);
        assert_eq!(drain(&mut outbox), [2], "the new session counts from its own beginning");
    }
}
