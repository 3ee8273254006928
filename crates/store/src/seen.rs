//! Which ids cannot be in a table: those above all that were ever looked for.
//!
//! A node's ids rise (`CommitId::new`), so nearly every new one is the highest of its kind so far, and need not be looked
//! up to know that it is new. Only for as long as nobody else can write: whoever opens the database anew forgets.

use crate::changes::Read;
use std::collections::{BTreeMap, BTreeSet};

/// Ids that differ only in these bits are counted by one counter.
const COUNTED: u32 = 47;
/// How many counters are remembered; beyond it they are looked up again.
const COUNTERS: usize = 10_000;

/// The highest id of each counter that was looked for.
#[derive(Debug, Default)]
pub(crate) struct Seen(BTreeMap<u128, u128>);

impl Seen {
    /// Takes those out of `ids` that cannot be in the table. `highest` finds the highest that is there between two ids, for
    /// a counter that is met for the first time.
    pub(crate) fn leave_known<Id: Copy + Ord>(
        &mut self,
        ids: &mut BTreeSet<Id>,
        number: impl Fn(Id) -> u128,
        mut highest: impl FnMut(u128, u128) -> Read<Option<u128>>,
    ) -> Read<()> {
        if self.0.len() > COUNTERS {
            self.0.clear();
        }
        let mut known = BTreeSet::new();
        for id in std::mem::take(ids) {
            let (at, counter) = (number(id), number(id) >> COUNTED);
            let highest = match self.0.get(&counter) {
                Some(highest) => Some(*highest),
                None => {
                    let first = counter << COUNTED;
                    highest(first, first | ((1 << COUNTED) - 1))?
                }
            };
            if highest.is_some_and(|highest| at <= highest) {
                known.insert(id);
            }
            self.0.insert(counter, highest.map_or(at, |highest| highest.max(at)));
        }
        *ids = known;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(seen: &mut Seen, ids: &[u128], stored: &[u128]) -> Vec<u128> {
        let mut ids = ids.iter().copied().collect();
        let highest = |from, to| Ok(stored.iter().copied().filter(|id| (from..=to).contains(id)).max());
        seen.leave_known(&mut ids, |id| id, highest).unwrap();
        ids.into_iter().collect()
    }

    #[test]
    fn an_id_that_is_stored_is_always_looked_up() {
        let mut seen = Seen::default();
        assert_eq!(left(&mut seen, &[3, 9], &[5]), [3]);
        // 9 may have been stored, or not; 4 and 7 may have been stored in an earlier life.
        assert_eq!(left(&mut seen, &[4, 7, 9, 10], &[5, 9]), [4, 7, 9]);
    }

    #[test]
    fn counters_do_not_hide_each_others_ids() {
        let (mut seen, other) = (Seen::default(), 1 << COUNTED);
        assert_eq!(left(&mut seen, &[7, other | 2], &[]), []);
        assert_eq!(left(&mut seen, &[8, other | 1], &[other | 1]), [other | 1]);
    }
}
