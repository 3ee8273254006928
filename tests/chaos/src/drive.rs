//! The order of a run.

use crate::cluster::Cluster;
use crate::database::Database;
use crate::faults::{self, Done};
use crate::judge::{Wanted, judge};
use crate::play::Play;
use crate::report::{failures, say};
use clap::{Parser, ValueEnum};
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::Instant;

/// How long the nodes may take to be ready: a restart waits up to 10 s after many deaths.
const READY: Duration = Duration::from_secs(60);
/// Transfers between servers that a run needs to count: a full one, a short one.
const LEAST: (i64, i64) = (1000, 100);

/// Players give each other money on a cluster whose processes are killed; then every coin is counted
///
/// The seed decides who does what and what is harmed when. Time is real, so a seed does not replay exactly.
#[derive(Debug, Parser)]
#[command(
    name = "chappe-chaos drive",
    after_help = "\
Example:
  chappe-chaos drive --seed 7 --minutes 10 --store postgres

Exit codes: 0 nothing was lost or doubled, 1 something was, or the run proves too little."
)]
struct Args {
    /// Decides who does what
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For so long faults happen
    #[arg(long, default_value_t = 10.0, value_parser = minutes)]
    minutes: f64,
    /// Where records are; PostgreSQL is a server of our own, and is killed too
    #[arg(long, value_enum, default_value_t = StoreKind::Sqlite)]
    store: StoreKind,
    /// How many players
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(2..=10_000))]
    players: u64,
    /// A short run: 100 transfers between servers are enough, not 1,000
    #[arg(long)]
    short: bool,
    /// Leave the files of the cluster where they are
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StoreKind {
    Sqlite,
    Postgres,
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(minutes) if (0.1..=1440.0).contains(&minutes) => Ok(minutes),
        _ => Err("a number of minutes from 0.1 to 1440".to_owned()),
    }
}

/// Runs it.
pub(crate) fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = Args::parse_from(args);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let failed = match runtime {
        Ok(runtime) => runtime.block_on(LocalSet::new().run_until(until_interrupted(&args))),
        Err(error) => vec![error.to_string()],
    };
    failures(&failed)
}

/// Whoever interrupts the run takes its cluster and its database along.
async fn until_interrupted(args: &Args) -> Vec<String> {
    let signals = signal(SignalKind::interrupt()).and_then(|int| Ok((int, signal(SignalKind::terminate())?)));
    let (mut interrupt, mut terminate) = match signals {
        Ok(signals) => signals,
        Err(error) => return vec![format!("signals: {error}")],
    };
    let (stop, stopped) = watch::channel(false);
    tokio::task::spawn_local(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        let _ = stop.send(true);
        // It lives on, so that a second one does not end the run in the middle of its end.
        std::future::pending::<()>().await;
    });
    let mut database = match args.store {
        StoreKind::Sqlite => None,
        StoreKind::Postgres => match Database::start().await {
            Ok(database) => Some(database),
            Err(why) => return vec![why],
        },
    };
    let mut cluster = match Cluster::start(database.as_ref().map(Database::url), READY).await {
        Ok(cluster) => cluster,
        Err(why) => return vec![why],
    };
    let mut stopped_early = stopped.clone();
    let mut failed = tokio::select! {
        failed = run(args, &mut cluster, database.as_mut()) => failed,
        _ = stopped_early.wait_for(|stopped| *stopped) => vec!["interrupted".to_owned()],
    };
    failed.extend(cluster.stop().await.err());
    if args.keep || !failed.is_empty() {
        let files = cluster.keep_files();
        files.iter().for_each(|dir| say(&format!("the log and the store of the cluster: {}", dir.display())));
        if let Some(dir) = &files {
            let _ = std::fs::write(dir.join("failures.txt"), failed.join("\n") + "\n");
        }
        let log = database.as_ref().and_then(|database| std::fs::read(database.log_file()).ok());
        if let (Some(log), Some(dir)) = (log, files) {
            let _ = std::fs::write(dir.join("postgres.log"), log);
        }
    }
    if let Some(database) = database {
        database.stop().await;
    }
    failed
}

async fn run(args: &Args, cluster: &mut Cluster, database: Option<&mut Database>) -> Vec<String> {
    let (seed, has_database) = (args.seed, database.is_some());
    let (least, length) =
        (if args.short { LEAST.1 } else { LEAST.0 }, Duration::from_secs_f64(args.minutes * 60.0));
    say(&format!(
        "seed {seed}: {} players, {length:.0?} of faults; log: {}",
        args.players,
        cluster.path().map(|dir| dir.join("cluster.log").display().to_string()).unwrap_or_default()
    ));
    let mut play = Play::start(seed, args.players, cluster.proxy_urls());
    let struck = faults::strike(cluster, database, seed, Instant::now() + length).await;
    let mut failed = Vec::new();
    let done = struck.unwrap_or_else(|why| {
        failed.push(why);
        Done::new()
    });
    say("        no more faults");
    failed.extend(cluster.whole(READY).await.err());
    failed.extend(play.finish().await);
    let wanted = Wanted::All { least, has_database };
    failed.extend(judge(&play, cluster.commands(), &cluster.log(), &done, wanted).await);
    failed
}
