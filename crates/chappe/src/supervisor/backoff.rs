//! How long a node that died stays away.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);
/// A node that ran for so long was well: its next death counts as the first.
const HEALTHY: Duration = Duration::from_secs(30);

/// The delay before a node is started again: it doubles from death to death.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The next delay, for a node that had run for `ran`.
    pub(super) fn next(&mut self, ran: Duration) -> Duration {
        let last = self.last.filter(|_| ran < HEALTHY);
        let next = last.map_or(FIRST, |last| (last * 2).min(LONGEST));
        self.last = Some(next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_dies_at_once_is_not_started_ever_faster() {
        let mut backoff = Backoff::default();
        let delays: Vec<u128> = (0..8).map(|_| backoff.next(Duration::ZERO).as_millis()).collect();
        assert_eq!(delays, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert_eq!(backoff.next(HEALTHY), FIRST);
    }
}
