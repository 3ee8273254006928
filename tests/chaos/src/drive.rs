//! The order of a run.

use crate::audit::audit;
use crate::bank::START;
use crate::books::Books;
use crate::cluster::Cluster;
use crate::database::Database;
use crate::faults::{self, Done};
use crate::ledger;
use crate::player::Player;
use crate::report::{Report, say};
use clap::{Parser, ValueEnum};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Instant, interval, sleep, timeout};

/// The first player's uid: beyond 32 bits, as real ones are.
const FIRST: u64 = 5_000_000_000;
/// How long the nodes may take to be ready: a restart waits up to 10 s after many deaths.
const READY: Duration = Duration::from_secs(60);
/// How long players may take to hear how what they began has ended, and to log out.
const FINISH: Duration = Duration::from_secs(60);
/// How long what is under way may take after that.
const SETTLE: Duration = Duration::from_secs(60);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(250);
/// Between two lines about how far it is.
const SHOW: Duration = Duration::from_secs(5);
/// Transfers between servers that a run needs to count: a full one, a short one.
const LEAST: (i64, i64) = (1000, 100);
/// What no node may ever say in its log.
const ALARMS: [&str; 2] = ["panicked at", "a commit that had fallen with another one is durable"];
/// Lines of a failure that are shown.
const SHOWN: usize = 20;

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
    failed.iter().take(SHOWN).for_each(|why| say(&format!("FAILED: {why}")));
    if failed.len() > SHOWN {
        say(&format!("FAILED: and {} more, in failures.txt there", failed.len() - SHOWN));
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
    let uids: Rc<Vec<u64>> = Rc::new((0..args.players).map(|n| FIRST + n).collect());
    let books: Rc<RefCell<Books>> = Rc::default();
    let (over, playing) = watch::channel(false);
    let end: Rc<Cell<Option<Instant>>> = Rc::default();
    let urls = Rc::new(cluster.proxy_urls());
    let players: Vec<JoinHandle<()>> = uids
        .iter()
        .map(|uid| Player::new((*uid, seed), &uids, &urls, &books, playing.clone(), &end))
        .map(|player| tokio::task::spawn_local(player.play()))
        .collect();
    let shown = tokio::task::spawn_local(show(books.clone()));
    let struck = faults::strike(cluster, database, seed, Instant::now() + length).await;
    let mut failed = Vec::new();
    let done = struck.unwrap_or_else(|why| {
        failed.push(why);
        Done::new()
    });
    say("        no more faults");
    failed.extend(cluster.whole(READY).await.err());
    end.set(Some(Instant::now() + FINISH));
    let _ = over.send(true);
    // Those who wait for nothing that comes give up by themselves.
    for player in players {
        match timeout(FINISH * 2, player).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failed.push(format!("a player: {error}")),
            Err(_) => failed.push("a player does not end".to_owned()),
        }
    }
    shown.abort();
    failed.extend(settled(cluster).await.err());
    let read = ledger::read(cluster).await;
    let ledger = read.unwrap_or_else(|why| {
        failed.push(why);
        ledger::Ledger::new()
    });
    let dead_letters = dead_letters(cluster).await.unwrap_or_else(|why| vec![why]);
    failed.extend(dead_letters.iter().map(|letter| format!("a dead letter: {letter}")));
    let books = books.borrow();
    let (ends, wrong) = audit(&books, &ledger, &uids);
    failed.extend(wrong);
    let log = cluster.log();
    let is_alarm = |line: &&str| ALARMS.iter().any(|alarm| line.contains(alarm));
    failed.extend(log.lines().filter(is_alarm).map(str::to_owned));
    let start = START * i64::try_from(args.players).unwrap_or_default();
    let report = Report {
        books: &books,
        ledger: &ledger,
        ends: &ends,
        done: &done,
        sums: (start, ledger.values().map(|account| account.money).sum()),
        dead_letters,
        restarts: log.lines().filter(|line| line.contains("it is started again in")).count(),
        has_database,
    };
    report.show();
    failed.extend(report.shortcomings(least).into_iter().map(|why| format!("the run does not count: {why}")));
    if failed.is_empty() {
        say("Every gift has ended exactly once, and every balance is what its player was told.");
    }
    failed
}

/// Tells how far it is.
async fn show(books: Rc<RefCell<Books>>) {
    let (mut tick, since) = (interval(SHOW), Instant::now());
    loop {
        tick.tick().await;
        let (seconds, books) = (since.elapsed().as_secs(), books.borrow());
        let (asked, ok) = (books.gifts.len(), books.latencies.len());
        say(&format!("{seconds:4} s  {asked} gifts asked for, {ok} told as given"));
    }
}

/// Waits until nothing is under way.
async fn settled(cluster: &Cluster) -> Result<(), String> {
    let deadline = Instant::now() + SETTLE;
    loop {
        let page = cluster.tell(&["notifications"], &["--limit", "5"]).await;
        let is_settled = |page: &Value| page["sent"] == 0 && page["decided"] == 0;
        if page.as_ref().is_ok_and(is_settled) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(match page {
                Ok(page) => format!("notifications are still under way after {SETTLE:?}: {page}"),
                Err(why) => why,
            });
        }
        sleep(LOOK).await;
    }
}

async fn dead_letters(cluster: &Cluster) -> Result<Vec<String>, String> {
    let page = cluster.tell(&["deadletters", "list"], &["--limit", "1000"]).await?;
    let letters = page["letters"].as_array().ok_or("`deadletters list` shows no list")?;
    Ok(letters.iter().map(Value::to_string).collect())
}
