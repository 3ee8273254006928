//! When players were let in: what a change of masters costs those who come meanwhile.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The logins of a game; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Logins(Arc<Mutex<Vec<Instant>>>);

impl Logins {
    /// A player is in.
    pub fn let_in(&self) {
        self.lock().push(Instant::now());
    }

    /// The longest time in which nobody was let in, from `since` until now.
    #[must_use]
    pub fn standstill(&self, since: Instant) -> Duration {
        longest(&self.lock(), since, Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn longest(logins: &[Instant], since: Instant, until: Instant) -> Duration {
    let mut ends = logins.iter().copied().filter(|at| *at > since).collect::<Vec<_>>();
    ends.push(until);
    let begins = std::iter::once(since).chain(ends.iter().copied());
    begins.zip(&ends).map(|(begin, end)| *end - begin).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_logins_at_the_end_counts_and_those_before_do_not() {
        let zero = Instant::now();
        let at = |second| zero + Duration::from_secs(second);
        let logins = [at(1), at(20), at(21), at(25)];
        assert_eq!(longest(&logins, at(18), at(27)), Duration::from_secs(4));
        assert_eq!(longest(&logins, at(18), at(40)), Duration::from_secs(15));
        assert_eq!(longest(&[], at(18), at(27)), Duration::from_secs(9));
    }
}
