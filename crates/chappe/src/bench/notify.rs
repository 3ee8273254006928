//! `chappe bench notify`: money given from player to player, by notifications that end exactly once (snipe.md section 2),
//! beside what a team would write by hand in PostgreSQL; and plain notifications, beside events.
//!
//! ```text
//! game      the acceptance case, and the load inside its servers
//! peers     the processes: a master with its store, game servers       cluster   one measurement of them
//! postgres  a server of our own      beside    pgbench on it      disk    what a sync costs
//! ```

mod beside;
mod cluster;
mod disk;
mod game;
mod peers;
mod postgres;

pub(super) use peers::{PeerArgs, peer};

use super::{BenchResult, LinkName, Programs, WorkArgs, oneway};
use beside::ByHand;
use clap::ValueEnum;
use postgres::Postgres;
use serde::Serialize;
use std::path::PathBuf;

/// Bytes of data in a plain notification, and in an event beside it.
const PLAIN_BYTES: usize = 64;
/// What is asked of a round at this many in flight, as a multiple of what pgbench does.
const GOAL: (usize, f64, f64) = (1024, 1.5, 1.0);
/// What is asked of plain notifications, as a part of the rate of events.
const PLAIN_GOAL: f64 = 0.5;

/// What is measured.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// The master's store; several are measured in turn.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "sqlite,postgres")]
    store: Vec<StoreName>,
    /// Game servers: 1, both players are on it; 2, each is on one.
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = clap::value_parser!(u8).range(1..=2))]
    servers: Vec<u8>,
    /// Pairs of players, with one round under way each; as many clients has pgbench.
    #[arg(long, value_delimiter = ',', default_value = "64,1024")]
    in_flight: Vec<usize>,
    /// Plain notifications and events instead; the store has no part in them.
    #[arg(long)]
    plain: bool,
    /// Only the rounds, or the plain notifications: nothing beside them.
    #[arg(long)]
    alone: bool,
    /// How often all is measured, in turn; what is printed is the run with the median rate.
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// The measured time in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// The time before it in seconds: the same work, not counted.
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// Where the stores are, in temporary directories: on the disk that is to be measured.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum StoreName {
    /// A file.
    Sqlite,
    /// A server of our own, on a Unix socket.
    Postgres,
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
struct Case {
    store: StoreName,
    servers: usize,
    in_flight: usize,
    is_plain: bool,
    seconds: f64,
    warmup: f64,
}

/// What came of one.
#[derive(Debug, Clone, Serialize)]
struct Figure {
    store: StoreName,
    servers: usize,
    in_flight: usize,
    is_plain: bool,
    per_second: f64,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
    /// Handler runs that were made durable.
    commits_per_round: Option<f64>,
    /// Transactions with a sync each, for each round.
    flushes_per_round: Option<f64>,
    /// And the other way round: how many rounds share one.
    rounds_per_flush: Option<f64>,
    /// Microseconds of CPU time for each.
    cpu_us: Cost,
    /// Rounds that did not end well, and messages to players that did not come.
    lost: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Cost {
    /// But for its store.
    master: f64,
    /// The store's thread; what a database server uses is not in it.
    store: f64,
    games: f64,
    /// The players' proxy, which is this process.
    bench: f64,
}

/// All of it; the object that `--json` prints.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// What a sync takes where the stores are: the median, in microseconds.
    fdatasync_us: f64,
    figures: Vec<Figure>,
    by_hand: Vec<ByHand>,
    events: Option<Events>,
}

/// Events of the same size, from node to node.
#[derive(Debug, Clone, Copy, Serialize)]
struct Events {
    per_second: f64,
    /// Microseconds of CPU time for each, of all processes.
    cpu_us: Option<f64>,
}

pub(super) fn run(with: &Programs, args: &Args, json: bool) -> BenchResult<()> {
    crate::open_files::raise_limit();
    let most = args.in_flight.iter().copied().max().unwrap_or(0);
    let wants_postgres = !args.plain && (!args.alone || args.store.contains(&StoreName::Postgres));
    let postgres = if wants_postgres { Postgres::start(&args.dir, most)? } else { None };
    if wants_postgres && postgres.is_none() {
        tracing::warn!("PostgreSQL is not installed (scripts/ensure-deb.sh postgresql): it is left out");
    }
    let cases = args.cases(postgres.is_some());
    let (mut syncs, mut figures) = (Vec::new(), vec![Vec::new(); cases.len()]);
    let (mut by_hand, mut events) = (vec![Vec::new(); args.in_flight.len()], Vec::new());
    for _ in 0..args.runs.max(1) {
        syncs.push(disk::fdatasync_us(&args.dir)?);
        for (case, figures) in cases.iter().zip(&mut figures) {
            figures.push(measure(with, case, args, postgres.as_ref())?);
        }
        if args.alone {
            continue;
        }
        if let Some(server) = &postgres {
            for (clients, by_hand) in args.in_flight.iter().zip(&mut by_hand) {
                by_hand.push(beside::measure(server, *clients, args.seconds)?);
            }
        }
        if args.plain {
            let figure = oneway::run(with, &args.events(), 1, false)?;
            events.push(Events { per_second: figure.per_second, cpu_us: figure.cpu_us_per_op });
        }
    }
    let report = Report {
        fdatasync_us: median(syncs, |us| *us).unwrap_or_default(),
        figures: figures.into_iter().filter_map(|of| median(of, |figure| figure.per_second)).collect(),
        by_hand: by_hand.into_iter().filter_map(|of| median(of, |figure| figure.per_second)).collect(),
        events: median(events, |events| events.per_second),
    };
    report.show(json);
    Ok(())
}

/// Measures one case on a new store.
fn measure(with: &Programs, case: &Case, args: &Args, postgres: Option<&Postgres>) -> BenchResult<Figure> {
    const DATABASE: &str = "bench";
    match (case.store, postgres) {
        (StoreName::Postgres, Some(server)) => {
            let figure = cluster::measure(with, case, &server.database(DATABASE)?);
            server.drop_database(DATABASE)?;
            figure
        }
        _ => {
            let dir = tempfile::Builder::new().prefix("chappe-bench-").tempdir_in(&args.dir)?;
            cluster::measure(with, case, &dir.path().join("store.db").to_string_lossy())
        }
    }
}

impl Args {
    fn cases(&self, has_postgres: bool) -> Vec<Case> {
        let mut cases = Vec::new();
        let stores: Vec<StoreName> = match self.plain {
            true => vec![StoreName::Sqlite],
            false => self.store.clone(),
        };
        for store in stores.into_iter().filter(|store| has_postgres || *store == StoreName::Sqlite) {
            for servers in self.servers.iter().map(|servers| usize::from(*servers)) {
                for in_flight in self.in_flight.iter().copied() {
                    let (is_plain, seconds, warmup) = (self.plain, self.seconds, self.warmup);
                    cases.push(Case { store, servers, in_flight, is_plain, seconds, warmup });
                }
            }
        }
        cases
    }

    fn events(&self) -> WorkArgs {
        let (seconds, warmup) = (self.seconds, self.warmup);
        WorkArgs { link: LinkName::Local, size: PLAIN_BYTES, in_flight: 1, seconds, warmup }
    }
}

impl Report {
    #[expect(clippy::print_stdout, reason = "the figures are what the command is for")]
    fn show(&self, json: bool) {
        if json {
            return println!("{}", serde_json::to_string(self).unwrap_or_default());
        }
        println!("fdatasync here: {:.0} us", self.fdatasync_us);
        self.figures.iter().for_each(|figure| self.show_figure(figure));
        for by_hand in &self.by_hand {
            println!(
                "by hand, pgbench, {:>5} clients   {:>9.0}/s  p50 {}  p99 {}",
                by_hand.in_flight,
                by_hand.per_second,
                millis(by_hand.p50_us),
                millis(by_hand.p99_us)
            );
        }
        if let Some(Events { per_second, cpu_us }) = self.events {
            println!("events, {PLAIN_BYTES} bytes               {per_second:>9.0}/s");
            println!("         CPU us each: {:.1}", cpu_us.unwrap_or_default());
        }
        self.figures.iter().filter_map(|figure| self.verdict(figure)).for_each(|line| println!("{line}"));
    }

    #[expect(clippy::print_stdout, reason = "the figures are what the command is for")]
    fn show_figure(&self, figure: &Figure) {
        let what = if figure.is_plain { "plain".to_owned() } else { figure.store.as_str().to_owned() };
        println!(
            "{what:8} {} server{} {:>5} in flight {:>9.0}/s  p50 {}  p99 {}  lost {}",
            figure.servers,
            if figure.servers == 1 { ", " } else { "s," },
            figure.in_flight,
            figure.per_second,
            millis(figure.p50_us),
            millis(figure.p99_us),
            figure.lost
        );
        if let (Some(commits), Some(flushes), Some(shared)) =
            (figure.commits_per_round, figure.flushes_per_round, figure.rounds_per_flush)
        {
            println!(
                "         a round: {commits:.2} commits, {flushes:.3} flushes; {shared:.1} rounds share a flush"
            );
        }
        let Cost { master, store, games, bench } = figure.cpu_us;
        println!(
            "         CPU us each: master {master:.1}, its store {store:.1}, games {games:.1}, proxy {bench:.1}"
        );
    }

    /// How a figure stands beside what was measured with it, and whether that is what was asked.
    fn verdict(&self, figure: &Figure) -> Option<String> {
        let met = |is_met: bool| if is_met { "met" } else { "MISSED" };
        let name = format!("{} on {}, {}", figure.store.as_str(), figure.servers, figure.in_flight);
        if figure.is_plain {
            let ratio = figure.per_second / self.events?.per_second;
            return Some(format!(
                "plain on {}, {}: {ratio:.2} x events (asked: {PLAIN_GOAL}, {})",
                figure.servers,
                figure.in_flight,
                met(ratio >= PLAIN_GOAL)
            ));
        }
        let same = self.by_hand.iter().find(|by_hand| by_hand.in_flight == figure.in_flight)?;
        let best = self.by_hand.iter().map(|by_hand| by_hand.per_second).fold(0.0, f64::max);
        let (ratio, of_best) = (figure.per_second / same.per_second, figure.per_second / best);
        let asked = if figure.store == StoreName::Sqlite { GOAL.1 } else { GOAL.2 };
        let goal = match figure.in_flight == GOAL.0 {
            true => format!(" (asked: {asked}, {})", met(ratio >= asked)),
            false => String::new(),
        };
        Some(format!("{name}: {ratio:.2} x by hand{goal}, {of_best:.2} x the best by hand"))
    }
}

impl StoreName {
    fn as_str(self) -> &'static str {
        match self {
            StoreName::Sqlite => "sqlite",
            StoreName::Postgres => "postgres",
        }
    }
}

fn millis(us: Option<f64>) -> String {
    us.map_or_else(|| "-".to_owned(), |us| format!("{:.1} ms", us / 1e3))
}

fn median<T>(mut of: Vec<T>, by: impl Fn(&T) -> f64) -> Option<T> {
    of.sort_by(|one, other| by(one).total_cmp(&by(other)));
    let middle = of.len().checked_sub(1)? / 2;
    Some(of.swap_remove(middle))
}
