//! The demo: a cluster of real processes, bots that play on it, a game that is killed, and an account of every
//! message.

pub(crate) mod account;
mod cluster;
mod hosts;
mod kill;
mod players;
mod progress;
mod rest;
mod signals;
mod table;
mod watch;

pub(crate) use watch::Watch;

use crate::bot::{Bot, Habit};
use clap::Parser;
use cluster::Cluster;
use kill::Kill;
use players::Players;
use progress::Progress;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

/// The first bot's uid: beyond 32 bits, as real ones are.
const FIRST_UID: u64 = 5_000_000_000;
/// Threads that the bots are spread over.
const THREADS: usize = 2;
/// Between two looks at the cluster.
const LOOK: Duration = Duration::from_millis(50);

/// Start a cluster, let bots play on it, kill a game, and account for every message
#[derive(Debug, Parser)]
#[command(
    name = "arena demo",
    after_help = "\
Example:
  arena demo --bots 200 --seconds 20

Exit codes: 0 all messages are accounted for, 1 not."
)]
struct Args {
    /// How many bots play
    #[arg(long, default_value_t = 200)]
    bots: u64,
    /// For how many seconds they play
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Each row must happen at least so often between different processes
    #[arg(long, default_value_t = 100)]
    least: u64,
    /// Leave out the nodes and players that run mods in Python
    #[arg(long)]
    rust_only: bool,
    /// On three hosts, with a NATS and a PostgreSQL between them; each thing that can go wrong goes wrong
    #[arg(long)]
    hosts: bool,
    /// With --hosts: decides what goes wrong in which order
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// With --hosts: each thing goes wrong once; after that, again for so long in all
    #[arg(long, default_value_t = 0.0)]
    minutes: f64,
    /// With --hosts: a part of the faults
    #[arg(long)]
    short: bool,
    /// With --hosts: these faults, by words of their names in the table
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
    /// With --hosts: leave the files where they are
    #[arg(long)]
    keep: bool,
}

/// Runs the demo.
pub(crate) fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = Args::parse_from(args);
    match if args.hosts { hosts::run(&args) } else { run(&args) } {
        Ok(faults) if faults.is_empty() => {
            say("Every row happened, and every message is accounted for.");
            ExitCode::SUCCESS
        }
        Ok(faults) => {
            faults.iter().for_each(|fault| say(&format!("FAILED: {fault}")));
            ExitCode::FAILURE
        }
        Err(why) => {
            say(&format!("FAILED: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<Vec<String>, String> {
    let since = Instant::now();
    let cluster = Cluster::start(args.rust_only)?;
    on(args, cluster, since, |watch, cluster| {
        let kill = play(args, cluster, watch)?;
        Ok(Box::new(move || kill.faults()))
    })
}

/// What is still wrong when the bots have logged out.
type Faults = Box<dyn FnOnce() -> Vec<String>>;

/// Lets bots play on a cluster for as long as `harm` takes, and accounts for every message.
fn on(
    args: &Args,
    cluster: Cluster,
    since: Instant,
    harm: impl FnOnce(&Watch, &Cluster) -> Result<Faults, String>,
) -> Result<Vec<String>, String> {
    let (count, log) = (cluster.deploy.nodes.len(), cluster.log_file());
    say(&format!(
        "{count} nodes, a process each, are ready after {:.1?} (log: {})",
        since.elapsed(),
        log.display()
    ));
    let (watch, end) = Watch::new();
    let players = Players::start(&cluster, &watch)?;
    if players.count() > 0 {
        let nodes: Vec<String> = cluster.python_nodes().map(|node| node.to_string()).collect();
        let (nodes, players) = (nodes.join(" and "), players.count());
        say(&format!("       nodes {nodes} run mods in Python, and so do {players} of the players' clients"));
    }
    let bots = start_bots(args.bots, &cluster.proxy_urls(), &watch)?;
    let harmed = harm(&watch, &cluster)?;

    // An error says that all bots have ended.
    let _ = end.send(true);
    for thread in bots {
        thread.join().map_err(|_| "a thread of bots panicked".to_owned())?;
    }
    let mut faults = players.end();
    say("       all bots have logged out");
    faults.extend(harmed());
    let (books, wrong) = rest::books(&cluster, &watch)?;
    faults.extend(wrong);
    let lines = books.lines();
    say("");
    say(&table::draw(&lines));
    faults.extend(table::faults(&lines, args.least, !args.rust_only));
    tell_of_bots(&watch);
    match cluster.stop() {
        Ok(took) => say(&format!("The cluster ended {took:.1?} after it was asked to.")),
        Err(why) => faults.push(why),
    }
    Ok(faults)
}

/// Lets them play; in the middle a game is killed.
fn play(args: &Args, cluster: &Cluster, watch: &Watch) -> Result<Kill, String> {
    let started = Instant::now();
    let (mut progress, mut shown) = (Progress::new(started), started);
    let (length, second) = (Duration::from_secs(args.seconds), Duration::from_secs(1));
    let mut kill: Option<Kill> = None;
    while started.elapsed() < length || kill.as_ref().is_some_and(Kill::is_open) {
        sleep(LOOK);
        if shown.elapsed() >= second {
            shown += second;
            progress.show(cluster, watch);
        }
        match &mut kill {
            Some(kill) => kill.look(cluster, watch),
            None if started.elapsed() >= length / 2 => kill = Some(Kill::strike(cluster, watch)?),
            None => {}
        }
    }
    kill.ok_or_else(|| "nothing was killed".to_owned())
}

fn start_bots(count: u64, urls: &[String], watch: &Watch) -> Result<Vec<JoinHandle<()>>, String> {
    let threads = (0..THREADS as u64).map(|part| {
        let (urls, watch) = (urls.to_vec(), watch.clone());
        std::thread::Builder::new().name(format!("bots-{part}")).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return watch.trouble(format!("bots cannot run: {error}")),
            };
            let local = LocalSet::new();
            for n in (0..count).filter(|n| n % THREADS as u64 == part) {
                // Half of each thread's bots on each proxy.
                let bot =
                    Bot::new(FIRST_UID + n / 2 + (n % 2) * 1_000_000, habit(n), urls.clone(), watch.clone());
                local.spawn_local(bot.play());
            }
            runtime.block_on(local);
        })
    });
    threads.collect::<Result<_, _>>().map_err(|error| format!("a thread for bots: {error}"))
}

fn habit(n: u64) -> Habit {
    match n % 20 {
        3 | 13 => Habit::Visitor,
        5 | 16 => Habit::BadLine,
        8 => Habit::TwoHomes,
        _ => Habit::Regular,
    }
}

fn tell_of_bots(watch: &Watch) {
    let counters: Vec<String> =
        watch.counters().iter().map(|(what, count)| format!("{what} {count}")).collect();
    say(&format!("Bots: {}.", counters.join(", ")));
    let troubles = watch.troubles();
    if !troubles.is_empty() {
        let first = &troubles[..troubles.len().min(3)];
        say(&format!("{} times a bot was told no; first: {}", troubles.len(), first.join("; ")));
    }
}

/// A line for whoever watches; a closed pipe does not end the demo.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
