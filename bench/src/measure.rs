//! The measured window, the tally of what happened in it, and the figure that a run ends with.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// What one run measured: the one JSON object that a driving process prints, and that
/// `chappe bench event|rpc|fanout|client --json` prints as well. Unknown fields are passed over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// `rpc`, `event`, `fanout` or `client`.
    pub(crate) kind: String,
    /// `memory` or `local`; what the baselines print says nothing more.
    #[serde(default)]
    pub(crate) link: String,
    /// Calls answered, events received, deliveries over all receivers, or round trips, a second.
    pub(crate) per_second: f64,
    /// The median time of a call, in microseconds; none for one-way work.
    #[serde(default)]
    pub(crate) p50_us: Option<f64>,
    /// The time that 99 of 100 calls stay under, in microseconds.
    #[serde(default)]
    pub(crate) p99_us: Option<f64>,
    /// CPU time of all the run's processes, the broker's included, for each operation, in microseconds.
    #[serde(default)]
    pub(crate) cpu_us_per_op: Option<f64>,
    /// Messages that were sent and never arrived, over the whole run.
    #[serde(default)]
    pub(crate) lost: u64,
}

/// The part of a run that counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// When the warm-up is over.
    pub(crate) begin: Instant,
    /// When the work stops.
    pub(crate) end: Instant,
}

impl Window {
    /// A window that begins after the warm-up.
    pub(crate) fn after(warmup: f64, seconds: f64) -> Self {
        let begin = Instant::now() + Duration::from_secs_f64(warmup);
        Self { begin, end: begin + Duration::from_secs_f64(seconds) }
    }

    /// Whether no new work should start.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.end
    }

    /// The window's length in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        (self.end - self.begin).as_secs_f64()
    }
}

/// What a driver saw.
pub(crate) struct Tally {
    window: Window,
    latency: Histogram<u64>,
    /// Calls that got no answer.
    pub(crate) lost: u64,
    /// One-way messages sent, over the whole run, warm-up included.
    pub(crate) sent: u64,
}

impl Tally {
    /// An empty tally.
    pub(crate) fn new(window: Window) -> Result<Self> {
        // From a nanosecond to a minute, to three digits.
        Ok(Self { window, latency: Histogram::new_with_bounds(1, 60_000_000_000, 3)?, lost: 0, sent: 0 })
    }

    /// Counts a call that was answered now, if that is within the window.
    pub(crate) fn answered(&mut self, sent_at: Instant, now: Instant) {
        if now >= self.window.begin && now < self.window.end {
            // Saturating: a call that took over a minute counts as one of a minute.
            self.latency.saturating_record((now - sent_at).as_nanos() as u64);
        }
    }

    /// The figure of work with answers.
    pub(crate) fn figure(&self, kind: &str, cpu: Duration) -> Figure {
        let done = self.latency.len();
        let quantile = |q| (done > 0).then(|| self.latency.value_at_quantile(q) as f64 / 1e3);
        Figure {
            kind: kind.to_owned(),
            link: String::new(),
            per_second: done as f64 / self.window.seconds(),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            cpu_us_per_op: (done > 0).then(|| cpu.as_secs_f64() * 1e6 / done as f64),
            lost: self.lost,
        }
    }
}

/// The CPU time that a process has used so far, in user and in kernel mode, all threads.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("no {path}"))?;
    // The second field is the program's name in brackets, which may hold anything: count from its end.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    // USER_HZ is 100 on every Linux that has a stable ABI for it.
    Ok(Duration::from_millis(ticks * 10))
}
