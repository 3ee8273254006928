//! Plain notifications that could not be handled, in bounded memory (snipe.md section 3). Pure.

use crate::protocol::Dead;
use std::collections::VecDeque;

/// The most that are kept; the oldest make room.
const KEPT: usize = 1000;

/// A plain notification that could not be handled.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) number: u64,
    pub(super) at_ms: u64,
    pub(super) dead: Dead,
}

/// The last of them, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct DeadLetters {
    letters: VecDeque<Letter>,
    last: u64,
}

impl DeadLetters {
    /// Keeps one more; true when the oldest made room.
    pub(super) fn add(&mut self, at_ms: u64, dead: Dead) -> bool {
        let is_full = self.letters.len() >= KEPT;
        if is_full {
            self.letters.pop_front();
        }
        self.last += 1;
        self.letters.push_back(Letter { number: self.last, at_ms, dead });
        is_full
    }

    pub(super) fn after(&self, after: u64) -> impl Iterator<Item = &Letter> {
        self.letters.iter().filter(move |letter| letter.number > after)
    }

    pub(super) fn get(&self, number: u64) -> Option<&Letter> {
        self.letters.iter().find(|letter| letter.number == number)
    }

    pub(super) fn take(&mut self, number: u64) -> Option<Letter> {
        let at = self.letters.iter().position(|letter| letter.number == number)?;
        self.letters.remove(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_letters_fill_the_memory() {
        let mut dead = DeadLetters::default();
        let letter =
            || Dead { reason: "noHandler".into(), uid: Some(1), id: None, record: Vec::new(), depth: 0 };
        let made_room = (0..KEPT + 7).filter(|_| dead.add(0, letter())).count();
        assert_eq!(made_room, 7);
        let numbers: Vec<u64> = dead.after(0).map(|letter| letter.number).collect();
        assert_eq!((numbers.len(), numbers[0]), (KEPT, 8));
        assert!(dead.take(8).is_some() && dead.get(8).is_none());
    }
}
