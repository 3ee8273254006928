//! The order of a run on three hosts.

use crate::books::Meter;
use crate::faults::Done;
use crate::judge::{Wanted, judge};
use crate::play::Play;
use crate::report::{failures, say};
use chappe_hosts::{Fault, Game, Ground, Hosts, Logins, Plan, draw, enter, shortcomings, strike};
use clap::Parser;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::task::{LocalSet, spawn_blocking};

/// How long the nodes may take to be ready.
const READY: Duration = Duration::from_secs(60);
/// Transfers that must succeed between two faults: in a full run, in a short one.
const LEAST: (u64, u64) = (100, 20);
/// Transfers between servers that a run needs to count.
const CROSSED: (i64, i64) = (1000, 100);
/// What a short run does; the arena's does the rest.
const SHORT: [Fault; 3] = [Fault::CutLeader, Fault::PostgresKilled, Fault::Drain];

/// Players give each other money on three hosts, with a NATS and a PostgreSQL between them; each thing that can go wrong
/// goes wrong, and then every coin is counted
///
/// The seed decides who does what and what goes wrong in which order. Time is real, so a seed does not replay exactly.
#[derive(Debug, Parser)]
#[command(
    name = "chappe-chaos drive-hosts",
    after_help = "\
Example:
  chappe-chaos drive-hosts --seed 7 --minutes 5

Exit codes: 0 nothing was lost or doubled, 1 something was, or the run proves too little."
)]
struct Args {
    /// Decides who does what
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Each thing goes wrong once; after that, again for so long in all
    #[arg(long, default_value_t = 0.0)]
    minutes: f64,
    /// How many players
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(2..=10_000))]
    players: u64,
    /// A part of the faults, and less between them
    #[arg(long)]
    short: bool,
    /// These faults, by their names in the table; else all of them
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
    /// Leave the files where they are
    #[arg(long)]
    keep: bool,
}

/// Runs it.
pub(crate) fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = Args::parse_from(args);
    failures(&run(&args))
}

fn run(args: &Args) -> Vec<String> {
    let ground = match enter().and_then(|net| Ground::new(net, 3)) {
        Ok(ground) => Arc::new(ground),
        Err(why) => return vec![why],
    };
    say(&format!(
        "seed {}: three hosts as {}; logs: {}",
        args.seed,
        ground.net().as_str(),
        ground.dir().display()
    ));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let failed = match runtime {
        Ok(runtime) => runtime.block_on(LocalSet::new().run_until(on(args, ground.clone()))),
        Err(error) => vec![error.to_string()],
    };
    if args.keep || !failed.is_empty() {
        ground.keep_files();
        say(&format!("the logs are in {}", ground.dir().display()));
        let _ = std::fs::write(ground.dir().join("failures.txt"), failed.join("\n") + "\n");
    }
    failed
}

async fn on(args: &Args, ground: Arc<Ground>) -> Vec<String> {
    let started = spawn_blocking(move || {
        let program = std::env::current_exe().map_err(|error| format!("this program's own file: {error}"))?;
        let deploy = deploy(&program.display().to_string());
        let plan = Plan { hosts: HOSTS.map(str::to_owned).into(), program, deploy };
        Hosts::start(ground, &plan, READY).map(Arc::new)
    });
    let hosts = match started.await.map_err(|error| error.to_string()).flatten() {
        Ok(hosts) => hosts,
        Err(why) => return vec![why],
    };
    let mut play = Play::start(args.seed, args.players, hosts.proxy_urls());
    let faults = args.faults();
    let (least, crossed) = if args.short { (LEAST.1, CROSSED.1) } else { (LEAST.0, CROSSED.0) };
    let until = Instant::now() + Duration::from_secs_f64(args.minutes.max(0.0) * 60.0);
    let (on, game, seed) = (hosts.clone(), Watched(play.books.borrow().meter.clone()), args.seed);
    let wanted = faults.clone();
    let struck = spawn_blocking(move || strike(&on, &faults, seed, until, least, &game)).await;
    let mut failed = Vec::new();
    let struck = struck.map_err(|error| error.to_string()).flatten().unwrap_or_else(|why| {
        failed.push(why);
        Vec::new()
    });
    say("        no more faults");
    failed.extend(play.finish().await);
    failed
        .extend(judge(&play, hosts.commands(), &hosts.log(), &Done::new(), Wanted::Transfers(crossed)).await);
    draw(&struck).iter().for_each(|line| say(line));
    for (why, count) in &play.books.borrow().lost {
        say(&format!("sessions that ended by themselves: {why}: {count}"));
    }
    failed.extend(shortcomings(&struck, &wanted));
    let stopped = spawn_blocking(move || Arc::into_inner(hosts).map_or(Ok(()), |mut hosts| hosts.stop()));
    failed.extend(stopped.await.map_err(|error| error.to_string()).flatten().err());
    failed
}

impl Args {
    fn faults(&self) -> Vec<Fault> {
        let all = if self.short { SHORT.to_vec() } else { Fault::ALL.to_vec() };
        if self.only.is_empty() {
            return all;
        }
        let is_wanted = |fault: &Fault| self.only.iter().any(|word| fault.as_str().contains(word.as_str()));
        Fault::ALL.into_iter().filter(is_wanted).collect()
    }
}

/// The players, as the thread sees them that does harm.
struct Watched(Meter);

impl Game for Watched {
    fn work(&self) -> u64 {
        self.0.given.load(Relaxed)
    }

    fn sessions_lost(&self) -> u64 {
        self.0.lost.load(Relaxed)
    }

    fn logins(&self) -> &Logins {
        &self.0.logins
    }

    fn say(&self, line: &str) {
        say(line);
    }
}

const HOSTS: [&str; 3] = ["north", "east", "west"];

fn deploy(program: &str) -> Value {
    let [north, east, west] = HOSTS;
    let node = |id: i64, host: &str| json!({"serverid": id, "host": host, "program": [program]});
    json!({
        "cluster": "chaos",
        "heartbeat_seconds": 0.5, "stuck_seconds": 2.0, "loss_seconds": 4.0, "resume_seconds": 20.0,
        "master": [node(1, north), node(2, east)],
        "proxy": [node(11, north), node(12, east)],
        // Who was on a server that is lost goes there.
        "lobby": [node(21, north), node(22, west)],
        "game": [node(31, north), node(32, east), node(33, west)],
        "notifications": {"deadline_seconds": 3, "keep_seconds": 1},
    })
}
