//! Bytes on their way in or out.

/// A queue of bytes: appended to at the end, taken from the front. Taking costs nothing until the end is
/// reached, and then the space is used again.
#[derive(Debug, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// What is in it.
    pub fn filled(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// How many bytes are in it.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes `count` bytes off the front.
    pub fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.bytes.len());
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// The vector to append to, with room for `room` more bytes. What was consumed is dropped first when that
    /// saves growing.
    pub fn tail(&mut self, room: usize) -> &mut Vec<u8> {
        if self.start > 0 && self.bytes.capacity() - self.bytes.len() < room {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.reserve(room);
        &mut self.bytes
    }

    /// Moves everything in `other` to the end of this one; without copying where this one is empty.
    pub fn append(&mut self, other: &mut Buffer) {
        if self.is_empty() {
            std::mem::swap(self, other);
        } else {
            self.bytes.extend_from_slice(other.filled());
        }
        other.consume(other.len());
    }

    /// Gives memory back that a burst has left behind.
    pub fn shrink(&mut self, keep: usize) {
        if self.is_empty() && self.bytes.capacity() > keep {
            self.bytes = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_or_repeated_between_tail_and_consume() {
        let mut buffer = Buffer::default();
        let (mut next_in, mut next_out) = (0u8, 0u8);
        for round in 0..500usize {
            for _ in 0..round % 7 {
                buffer.tail(1).push(next_in);
                next_in = next_in.wrapping_add(1);
            }
            let take = buffer.len().min(round % 5);
            for byte in &buffer.filled()[..take] {
                assert_eq!(*byte, next_out);
                next_out = next_out.wrapping_add(1);
            }
            buffer.consume(take);
        }
    }

    #[test]
    fn append_keeps_the_order_whether_it_swaps_or_copies() {
        let (mut a, mut b) = (Buffer::default(), Buffer::default());
        b.tail(4).extend_from_slice(b"-one");
        b.consume(1);
        a.append(&mut b);
        assert!(b.is_empty());
        b.tail(3).extend_from_slice(b"two");
        a.append(&mut b);
        assert_eq!((a.filled(), b.len()), (&b"onetwo"[..], 0));
    }
}
