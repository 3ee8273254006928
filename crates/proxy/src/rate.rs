//! How fast one client may send.

use std::time::Duration;

/// What is to be done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Within the rate.
    Pass,
    /// Over it: dropped.
    Drop,
    /// So far over it that the client is no game any more.
    Flood,
}

/// A token bucket, and a count of what it has refused within the current second. The caller passes the time in.
#[derive(Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Duration,
    second: u64,
    refused: u32,
}

impl Bucket {
    pub(crate) fn new(burst: u32, now: Duration) -> Bucket {
        Bucket { tokens: f64::from(burst), at: now, second: now.as_secs(), refused: 0 }
    }

    /// One message at `now`, of at most `rate` a second and `burst` at once.
    pub(crate) fn take(&mut self, rate: u32, burst: u32, now: Duration) -> Verdict {
        let earned = now.saturating_sub(self.at).as_secs_f64() * f64::from(rate);
        self.tokens = (self.tokens + earned).min(f64::from(burst));
        self.at = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Verdict::Pass;
        }
        if now.as_secs() != self.second {
            (self.second, self.refused) = (now.as_secs(), 0);
        }
        self.refused = self.refused.saturating_add(1);
        if self.refused >= burst.saturating_mul(10) { Verdict::Flood } else { Verdict::Drop }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let mut bucket = Bucket::new(3, Duration::ZERO);
        let mut at = |ms| bucket.take(2, 3, Duration::from_millis(ms));
        assert_eq!(
            [at(0), at(0), at(0), at(0)],
            [Verdict::Pass, Verdict::Pass, Verdict::Pass, Verdict::Drop]
        );
        assert_eq!([at(500), at(500), at(1000)], [Verdict::Pass, Verdict::Drop, Verdict::Pass]);
    }

    #[test]
    fn a_flood_is_told_from_a_client_that_is_a_little_fast() {
        let mut bucket = Bucket::new(1, Duration::ZERO);
        let verdicts: Vec<_> = (0..11).map(|_| bucket.take(1, 1, Duration::ZERO)).collect();
        assert_eq!(verdicts[1..10], [Verdict::Drop; 9]);
        assert_eq!(verdicts[10], Verdict::Flood);
    }
}
