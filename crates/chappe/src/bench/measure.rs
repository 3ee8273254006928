//! The measured window, and the figure that a measurement ends with.

use super::{BenchResult, WorkArgs};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::{Duration, Instant};

/// What one run measured; the object that `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    pub(super) kind: &'static str,
    pub(super) link: &'static str,
    /// Calls answered, events received, deliveries over all receivers, or round trips.
    pub(super) per_second: f64,
    pub(super) p50_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
    /// CPU time of all processes of the run for each operation.
    pub(super) cpu_us_per_op: Option<f64>,
    /// The part of it that the answering or receiving process has, where there is one such process.
    pub(super) peer_cpu_us_per_op: Option<f64>,
    /// Sent and never arrived, over the whole run.
    pub(super) lost: u64,
    /// With `--python`: where the time of a handler call in the peer goes, step by step, in microseconds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) steps_us: Vec<Step>,
}

/// A step of a handler call, and the microseconds that it takes by itself.
pub(super) type Step = (String, f64);

/// The part of a run that counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) begin: Instant,
    pub(super) end: Instant,
}

impl Window {
    pub(super) fn after(warmup: Duration, length: Duration) -> Window {
        let begin = Instant::now() + warmup;
        Window { begin, end: begin + length }
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.end
    }

    pub(super) fn seconds(&self) -> f64 {
        (self.end - self.begin).as_secs_f64()
    }
}

/// Answers within the window and what they took.
pub(super) struct Tally {
    window: Window,
    latency: Histogram<u64>,
    pub(super) lost: u64,
}

impl Tally {
    pub(super) fn new(window: Window) -> BenchResult<Tally> {
        Ok(Tally { window, latency: Histogram::new_with_bounds(1, 60_000_000_000, 3)?, lost: 0 })
    }

    pub(super) fn answered(&mut self, sent_at: Instant, now: Instant) {
        if now >= self.window.begin && now < self.window.end {
            self.latency.saturating_record((now - sent_at).as_nanos() as u64);
        }
    }

    /// Operations a second, and the times that half and all but one in a hundred of them took at most, in microseconds.
    pub(super) fn rate(&self) -> (f64, Option<f64>, Option<f64>) {
        let done = self.latency.len();
        let quantile = |q| (done > 0).then(|| self.latency.value_at_quantile(q) as f64 / 1e3);
        (done as f64 / self.window.seconds(), quantile(0.5), quantile(0.99))
    }

    pub(super) fn figure(&self, kind: &'static str, args: &WorkArgs, cpu: &Used) -> Figure {
        let (done, (per_second, p50_us, p99_us)) = (self.latency.len(), self.rate());
        Figure {
            kind,
            link: args.link.as_str(),
            per_second,
            p50_us,
            p99_us,
            cpu_us_per_op: cpu.each(done),
            peer_cpu_us_per_op: cpu.each_at_peer(done),
            lost: self.lost,
            steps_us: Vec::new(),
        }
    }
}

/// CPU time that processes have used: the peers', and last the measuring one's.
pub(super) struct Used(Vec<Duration>);

impl Used {
    /// Microseconds of all processes for each of `count` operations.
    pub(super) fn each(&self, count: u64) -> Option<f64> {
        each(self.0.iter().sum(), count)
    }

    /// Those of the peer, if it is a single one.
    fn of_peer(&self) -> Option<Duration> {
        match self.0.as_slice() {
            [peer, _] => Some(*peer),
            _ => None,
        }
    }

    /// As [`Used::each`], of the peer alone.
    pub(super) fn each_at_peer(&self, count: u64) -> Option<f64> {
        each(self.of_peer()?, count)
    }
}

fn each(time: Duration, count: u64) -> Option<f64> {
    (count > 0).then(|| time.as_secs_f64() * 1e6 / count as f64)
}

/// Measures the CPU time that processes use within the window, on a thread that sleeps but for its two ends.
pub(super) fn meter(window: Window, pids: Vec<u32>) -> std::thread::JoinHandle<Used> {
    let used = move || pids.iter().map(|pid| cpu_time(*pid).unwrap_or_default()).collect::<Vec<_>>();
    std::thread::spawn(move || {
        std::thread::sleep(window.begin.saturating_duration_since(Instant::now()));
        let before = used();
        std::thread::sleep(window.end.saturating_duration_since(Instant::now()));
        Used(used().iter().zip(before).map(|(after, before)| after.saturating_sub(before)).collect())
    })
}

/// User and system time of a process; `None` when it is gone.
pub(super) fn cpu_time(pid: u32) -> Option<Duration> {
    time_in(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// As [`cpu_time`], of the thread of that name alone.
pub(super) fn thread_time(pid: u32, name: &str) -> Option<Duration> {
    let of_name = |stat: &String| stat.contains(&format!("({name})"));
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    time_in(&stats.into_iter().find(of_name)?)
}

fn time_in(stat: &str) -> Option<Duration> {
    // The name in brackets may hold anything: fields are counted from its end.
    let fields = stat.rsplit_once(')')?.1;
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    // USER_HZ is 100 on every Linux with a stable interface for it.
    Some(Duration::from_millis(ticks * 10))
}

/// Resident memory of a process in bytes; `None` when it is gone.
pub(super) fn resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
