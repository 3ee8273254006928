//! Bends inputs.

use std::cell::Cell;

/// The longest input.
const LONGEST: usize = 4096;
/// Bytes at which decoders change their mind: zero, signs, MessagePack's markers, JSON's punctuation.
const TELLING: [u8; 34] = [
    0x00, 0x01, 0x7f, 0x80, 0x81, 0x90, 0x92, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4, 0xc6, 0xc7, 0xc9, 0xca,
    0xcb, 0xcf, 0xd3, 0xd9, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xff, b'"', b'\\', b'[', b'{', b',', b'-',
];

/// SplitMix64: a seed means the same on every machine.
pub struct Rng(Cell<u64>);

impl Rng {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Rng {
        Rng(Cell::new(seed))
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 for a bound of 0.
    pub fn below(&self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// One of the seeds, bent a few times.
pub fn bend(rng: &Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus.get(rng.below(corpus.len())).cloned().unwrap_or_default();
    for _ in 0..=rng.below(4) {
        once(rng, &mut bytes, corpus);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn once(rng: &Rng, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    let at = rng.below(bytes.len());
    if bytes.is_empty() {
        return bytes.push(rng.next() as u8);
    }
    match rng.below(9) {
        0 => bytes[at] ^= 1 << rng.below(8),
        1 => bytes[at] = TELLING[rng.below(TELLING.len())],
        2 => bytes[at] = rng.next() as u8,
        3 => bytes.insert(at, TELLING[rng.below(TELLING.len())]),
        4 => drop(bytes.remove(at)),
        5 => bytes.truncate(at),
        6 => {
            let piece = bytes[at..(at + rng.below(32)).min(bytes.len())].to_vec();
            let to = rng.below(bytes.len());
            bytes.splice(to..to, piece);
        }
        7 => {
            // A length that promises too much.
            let big = [u64::MAX, 1 << 31, 0xffff, 0x10000][rng.below(4)].to_be_bytes();
            for (slot, byte) in bytes[at..].iter_mut().zip(&big[8 - [1, 2, 4, 8][rng.below(4)]..]) {
                *slot = *byte;
            }
        }
        _ => {
            if let Some(other) = corpus.get(rng.below(corpus.len())) {
                let from = rng.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
    }
}
