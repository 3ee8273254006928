//! Chance that the seed decides: SplitMix64.

use std::cell::Cell;

/// A stream of numbers.
pub struct Rng(Cell<u64>);

impl Rng {
    /// The stream of a seed for one part of the run, so that what one part draws moves no other.
    pub fn part(seed: u64, part: u64) -> Rng {
        let mixed = Rng(Cell::new(seed));
        mixed.0.set(mixed.next() ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed
    }

    fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `from..to`.
    pub fn range(&self, from: u64, to: u64) -> u64 {
        from + self.next() % to.saturating_sub(from).max(1)
    }

    /// True so many times in a hundred.
    pub fn percent(&self, chance: u64) -> bool {
        self.range(0, 100) < chance
    }

    /// One of a list; `None` when it is empty.
    pub fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        from.get(usize::try_from(self.range(0, from.len() as u64)).ok()?)
    }

    /// Another order.
    pub fn shuffle<T>(&self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, usize::try_from(self.range(0, last as u64 + 1)).unwrap_or(last));
        }
    }
}
