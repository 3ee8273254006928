//! The one source of chance: SplitMix64, so that a seed means the same on every machine and for ever.

use std::cell::Cell;

/// A stream of numbers that its seed decides.
#[derive(Debug, Clone)]
pub struct Rng(Cell<u64>);

impl Rng {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Rng {
        Rng(Cell::new(seed))
    }

    /// A stream of its own for a part, so that what one part draws moves no other.
    pub fn part(seed: u64, of: &[i64]) -> Rng {
        let rng = Rng::new(seed);
        for number in of {
            rng.0.set(rng.next() ^ (*number as u64));
        }
        rng
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is above 0.
    pub fn below(&self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A number in `from..to`.
    pub fn range(&self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from))
    }

    /// True so many times in a hundred.
    pub fn percent(&self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of a list that is not empty.
    pub fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}
