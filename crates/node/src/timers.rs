//! Timers and the 30 Hz update (apollo.md sections 2 and 4).

use crate::node::Node;
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Frames per second of [`Node::on_update`].
pub const UPDATE_RATE: u32 = 30;

/// A timer that has been set; dropping it leaves it set.
#[derive(Debug, Clone)]
pub struct Timer(AbortHandle);

impl Timer {
    /// Stops it. Does nothing when it has fired or was stopped before.
    pub fn cancel(&self) {
        self.0.abort();
    }
}

impl Node {
    /// Calls `run` once, after `delay` (`AddTimer`).
    pub fn add_timer(&self, delay: Duration, run: impl FnOnce() + 'static) -> Timer {
        let node = self.clone();
        Timer(self.spawn(async move {
            sleep(delay).await;
            node.0.guarded(&"timer", run);
        }))
    }

    /// Calls `run` every `period`, the first time after one (`AddRepeatedTimer`). A period below a millisecond
    /// counts as one. Calls that a busy node misses are left out, not made up for.
    pub fn add_repeated_timer(&self, period: Duration, mut run: impl FnMut() + 'static) -> Timer {
        let node = self.clone();
        Timer(self.spawn(async move {
            let mut ticks = interval(period.max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.tick().await;
            loop {
                ticks.tick().await;
                node.0.guarded(&"repeated timer", &mut run);
            }
        }))
    }

    /// Calls `run` [`UPDATE_RATE`] times a second (`Update`), until the timer is cancelled.
    pub fn on_update(&self, run: impl FnMut() + 'static) -> Timer {
        self.add_repeated_timer(Duration::from_secs(1) / UPDATE_RATE, run)
    }
}
