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
    /// The share of the machine's CPU time, from 0 to 1, that processes outside of this run have used meanwhile.
    #[serde(default)]
    pub(crate) others: Option<f64>,
}

impl Figure {
    /// The median of several runs, value by value; what they have lost is added up. None of no runs.
    pub(crate) fn median(figures: &[Self]) -> Option<Self> {
        let value = |of: fn(&Self) -> Option<f64>| {
            let mut values: Vec<f64> = figures.iter().filter_map(of).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        let first = figures.first()?;
        Some(Self {
            kind: first.kind.clone(),
            link: first.link.clone(),
            per_second: value(|figure| Some(figure.per_second))?,
            p50_us: value(|figure| figure.p50_us),
            p99_us: value(|figure| figure.p99_us),
            cpu_us_per_op: value(|figure| figure.cpu_us_per_op),
            lost: figures.iter().map(|figure| figure.lost).sum(),
            others: value(|figure| figure.others),
        })
    }
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
            others: None,
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

/// The CPU time of the whole machine so far: what was used, and all there was.
#[derive(Clone, Copy)]
pub(crate) struct MachineTime {
    used: f64,
    all: f64,
}

impl MachineTime {
    /// Reads it.
    pub(crate) fn now() -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat").context("no /proc/stat")?;
        let first = stat.lines().next().unwrap_or_default();
        // user nice system idle iowait irq softirq steal, in hundredths of a second; what follows is in these.
        let ticks: Vec<f64> =
            first.split_whitespace().skip(1).take(8).filter_map(|t| t.parse().ok()).collect();
        let all: f64 = ticks.iter().sum();
        let idle: f64 = ticks.iter().skip(3).take(2).sum();
        Ok(Self { used: (all - idle) / 100.0, all: all / 100.0 })
    }

    /// The share that others have used since `earlier`, when `own` was ours.
    pub(crate) fn others_since(&self, earlier: Self, own: Duration) -> Option<f64> {
        let all = self.all - earlier.all;
        (all > 0.0).then(|| ((self.used - earlier.used - own.as_secs_f64()) / all).clamp(0.0, 1.0))
    }
}
