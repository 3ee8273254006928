//! The two sides of a run. The driver starts the peers, drives the work and measures; a peer serves it and counts.
//! They talk over the peer's standard input and output, never over the engine that is measured.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{
    job::Job,
    measure::{Figure, MachineTime, Tally, Window, cpu_time},
};

/// The driver's side of a run.
pub(crate) struct Bench {
    /// The work to drive.
    pub(crate) job: Job,
    peers: Vec<Peer>,
    meter: Option<JoinHandle<Result<Metered>>>,
}

/// What the meter saw in the window.
struct Metered {
    peers: Vec<Peer>,
    cpu: Duration,
    /// One-way messages that arrived a second, over all peers, by their own clocks.
    arrived: f64,
    seconds: f64,
    others: Option<f64>,
}

impl Bench {
    /// Starts the peers, in their order, and waits until each is ready.
    pub(crate) fn start(job: Job) -> Result<Self> {
        let peers = (0..job.peers()).map(|index| Peer::spawn(&job, index)).collect::<Result<_>>()?;
        Ok(Self { job, peers, meter: None })
    }

    /// What a peer said when it became ready.
    pub(crate) fn address(&self, index: usize) -> Result<&str> {
        self.peers.get(index).map(|peer| peer.address.as_str()).context("no such peer")
    }

    /// Begins the warm-up, to be called when all is connected. The meter has a thread of its own, which sleeps but
    /// for the two ends of the window: so it works the same beside every engine and runtime.
    pub(crate) fn begin(&mut self) -> Window {
        let window = Window::after(self.job.warmup, self.job.seconds);
        let peers = std::mem::take(&mut self.peers);
        let broker = self.job.broker.as_ref().map(|broker| broker.pid);
        self.meter = Some(thread::spawn(move || meter(window, peers, broker)));
        window
    }

    /// Ends the run: what the driver tallied and the meter saw, as one figure.
    pub(crate) fn finish(mut self, tally: Tally) -> Result<Figure> {
        let meter = self.meter.take().context("the run never began")?;
        let mut metered = meter.join().map_err(|_| anyhow!("the meter failed"))??;
        let kind = serde_json::to_value(self.job.kind)?;
        let mut figure = tally.figure(kind.as_str().unwrap_or_default(), metered.cpu);
        figure.others = metered.others;
        if tally.sent > 0 {
            let due = tally.sent * metered.peers.len() as u64;
            figure.lost = due.saturating_sub(settled(&mut metered.peers, due)?);
            figure.per_second = metered.arrived;
            let arrivals = metered.arrived * metered.seconds;
            figure.cpu_us_per_op = (arrivals > 0.0).then(|| metered.cpu.as_secs_f64() * 1e6 / arrivals);
        }
        Ok(figure)
    }
}

fn meter(window: Window, mut peers: Vec<Peer>, broker: Option<u32>) -> Result<Metered> {
    let pids: Vec<u32> =
        peers.iter().map(|peer| peer.child.id()).chain(broker).chain([std::process::id()]).collect();
    let cpu = |pids: &[u32]| pids.iter().map(|pid| cpu_time(*pid)).sum::<Result<Duration>>();
    thread::sleep(window.begin.saturating_duration_since(Instant::now()));
    let begun = Instant::now();
    let machine_before = MachineTime::now()?;
    let cpu_before = cpu(&pids)?;
    let before = counts(&mut peers)?;
    thread::sleep(window.end.saturating_duration_since(Instant::now()));
    let seconds = begun.elapsed().as_secs_f64();
    let used = cpu(&pids)?.saturating_sub(cpu_before);
    let others = MachineTime::now()?.others_since(machine_before, used);
    let after = counts(&mut peers)?;
    let rate = |(before, after): (&Count, &Count)| {
        (after.received - before.received) as f64 / (after.at - before.at).as_secs_f64()
    };
    let arrived = before.iter().zip(&after).map(rate).sum();
    Ok(Metered { peers, cpu: used, arrived, seconds, others })
}

fn counts(peers: &mut [Peer]) -> Result<Vec<Count>> {
    peers.iter_mut().map(Peer::count).collect()
}

/// Waits for what is still on its way: until all that is due has arrived, or until a second brought nothing more.
fn settled(peers: &mut [Peer], due: u64) -> Result<u64> {
    let mut last = (0, Instant::now());
    loop {
        let received: u64 = counts(peers)?.iter().map(|count| count.received).sum();
        if received > last.0 {
            last = (received, Instant::now());
        }
        if received >= due || last.1.elapsed() > Duration::from_secs(1) {
            return Ok(received);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// A peer process, as the driver sees it.
struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    address: String,
}

/// What a peer had received at a time of its own clock.
struct Count {
    received: u64,
    at: Duration,
}

impl Peer {
    fn spawn(job: &Job, index: usize) -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(["peer", &serde_json::to_string(job)?, &index.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("no pipe to the peer")?;
        let output = BufReader::new(child.stdout.take().context("no pipe from the peer")?);
        let mut peer = Self { child, input, output, address: String::new() };
        let line = peer.line()?;
        peer.address = line.strip_prefix("ready").context("the peer did not start")?.trim().to_owned();
        Ok(peer)
    }

    fn count(&mut self) -> Result<Count> {
        self.input.write_all(b"count\n")?;
        let line = self.line()?;
        let (received, nanos) = line.split_once(' ').context("not a count")?;
        Ok(Count { received: received.parse()?, at: Duration::from_nanos(nanos.parse()?) })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            bail!("the peer ended early");
        }
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A peer's own side of a run.
#[derive(Clone)]
pub(crate) struct Post {
    /// The work to serve.
    pub(crate) job: Job,
    /// Which of the peers this is, from 0.
    pub(crate) index: usize,
    received: Arc<AtomicU64>,
}

impl Post {
    /// Takes up the post: a thread answers the driver's questions, and ends the process when the driver is gone.
    pub(crate) fn take_up(job: Job, index: usize) -> Self {
        let post = Self { job, index, received: Arc::default() };
        let received = Arc::clone(&post.received);
        thread::spawn(move || {
            let started = Instant::now();
            for _ in std::io::stdin().lines().map_while(Result::ok) {
                let count = received.load(Ordering::Relaxed);
                if say(&format!("{count} {}", started.elapsed().as_nanos())).is_err() {
                    break;
                }
            }
            std::process::exit(0);
        });
        post
    }

    /// Says that the peer can be used, and at which address where the driver cannot know it.
    pub(crate) fn ready(&self, address: &str) -> io::Result<()> {
        say(&format!("ready {address}"))
    }

    /// Counts messages as received. Cheap, and cheaper still when called once for a batch.
    pub(crate) fn received(&self, messages: u64) {
        self.received.fetch_add(messages, Ordering::Relaxed);
    }
}

/// Prints a line for the process that has started this one, or for the user. That nobody listens is no reason to
/// panic, as `println` would.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}
