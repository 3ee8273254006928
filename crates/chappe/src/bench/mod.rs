//! `chappe bench`: what a message costs, measured over real processes and links.
//!
//! ```text
//! cluster  a throw-away cluster: a master and the measured node here, peers as processes or threads
//! rpc      requests, a fixed number under way       oneway  events and broadcasts
//! client   players' round trips through a proxy     idle    what nodes and clients cost that do nothing
//! measure  the window that counts, and the figure    python  a peer whose handlers are in Python
//! tls      the certificate of the throw-away cluster
//! notify   rounds of notifications between players, beside what one would write by hand
//! ```

mod client;
mod cluster;
mod idle;
mod measure;
mod notify;
mod oneway;
mod python;
mod rpc;
mod tls;

use crate::app::App;
use crate::exit::{self, CommandError};
use crate::python::program;
use clap::{Subcommand, ValueEnum};
use measure::Figure;
use std::ffi::OsString;
use std::time::Duration;

/// Measure what a message costs on this machine
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe bench rpc --link local --in-flight 64 --seconds 3")]
pub(crate) struct Args {
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, Subcommand)]
enum Work {
    /// Requests with an answer each, a fixed number under way.
    #[command(after_help = "Example:\n  chappe bench rpc --in-flight 64 --seconds 3")]
    Rpc(HandlerArgs),
    /// Events one way, to one receiver.
    #[command(after_help = "Example:\n  chappe bench event --link memory")]
    Event(HandlerArgs),
    /// Broadcasts, to eight receivers in processes of their own.
    #[command(after_help = "Example:\n  chappe bench fanout --size 1024")]
    Fanout(WorkArgs),
    /// Round trips of players: client, proxy, game and back.
    #[command(after_help = "Example:\n  chappe bench client --in-flight 1000 --tls")]
    Client(ClientArgs),
    /// What an idle node and an idle client cost in memory.
    #[command(after_help = "Example:\n  chappe bench idle --clients 10000 --tls --json")]
    Idle(IdleArgs),
    /// Money given from player to player, exactly once, beside what one would write by hand in PostgreSQL.
    #[command(after_help = "Example:\n  chappe bench notify --store sqlite --servers 2 --in-flight 1024")]
    Notify(notify::Args),
    /// A process of `notify`; started by it.
    #[command(hide = true)]
    NotifyPeer(notify::PeerArgs),
    /// A peer of a measurement; started by the others.
    #[command(hide = true)]
    Peer(cluster::PeerArgs),
}

/// What all measurements take.
#[derive(Debug, Clone, clap::Args)]
struct WorkArgs {
    /// How the nodes are connected.
    #[arg(long, value_enum, default_value = "local")]
    link: LinkName,
    /// Bytes of data in each message.
    #[arg(long, default_value_t = 64)]
    size: usize,
    /// Requests under way at once; for `client` the number of players.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// The measured time in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// The time before it in seconds: the same work, not counted.
    #[arg(long, default_value_t = 0.5)]
    warmup: f64,
}

/// What measurements take whose handlers may be in Python.
#[derive(Debug, Clone, clap::Args)]
struct HandlerArgs {
    #[command(flatten)]
    work: WorkArgs,
    /// The handlers are a mod's, in a Python process of the package `chappe`; with the link `local` only.
    #[arg(long)]
    python: bool,
}

/// What measurements of players take.
#[derive(Debug, Clone, clap::Args)]
struct ClientArgs {
    #[command(flatten)]
    work: WorkArgs,
    /// Over TLS, with a certificate that the program `openssl` makes for it.
    #[arg(long)]
    tls: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LinkName {
    /// Nodes of one process, each on a thread of its own.
    Memory,
    /// Processes of one machine, over Unix sockets.
    Local,
}

#[derive(Debug, Clone, clap::Args)]
struct IdleArgs {
    /// How many idle clients.
    #[arg(long, default_value_t = 10_000)]
    clients: usize,
    /// The clients come over TLS, with a certificate that the program `openssl` makes for it.
    #[arg(long)]
    tls: bool,
}

/// Why a measurement did not come about.
type BenchResult<T> = Result<T, Box<dyn std::error::Error>>;

/// What peers are started with: programs and their leading arguments.
#[derive(Debug)]
struct Programs {
    own: Vec<OsString>,
    /// What runs mods; empty where nothing does.
    python: Vec<OsString>,
}

impl Programs {
    fn of(app: &App) -> std::io::Result<Programs> {
        if let Some(host) = app.mod_host() {
            return Ok(Programs { own: host.program(), python: host.program() });
        }
        let python = program().unwrap_or_default().iter().map(OsString::from).collect();
        Ok(Programs { own: vec![std::env::current_exe()?.into()], python })
    }
}

/// Runs `chappe bench`.
pub(crate) fn run(args: Args, app: &App, json: bool) -> Result<(), CommandError> {
    let with = &Programs::of(app).map_err(CommandError::io("this program's own file is not known"))?;
    let done = match args.work {
        Work::Rpc(args) => rpc::run(with, &args).map(|figure| show(&figure, &args.work, json)),
        Work::Event(args) => {
            oneway::run(with, &args.work, 1, args.python).map(|figure| show(&figure, &args.work, json))
        }
        Work::Fanout(args) => {
            oneway::run(with, &args, oneway::FANOUT, false).map(|figure| show(&figure, &args, json))
        }
        Work::Client(args) => client::run(with, &args).map(|figure| show(&figure, &args.work, json)),
        Work::Idle(args) => idle::run(with, &args, json),
        Work::Notify(args) => notify::run(with, &args, json),
        Work::NotifyPeer(args) => notify::peer(&args),
        Work::Peer(args) => cluster::peer(&args),
    };
    done.map_err(|error| CommandError::Ended { code: exit::FAILED, message: error.to_string() })
}

#[expect(clippy::print_stdout, reason = "the figure is what the command is for")]
fn show(figure: &Figure, args: &WorkArgs, json: bool) {
    if json {
        println!("{}", serde_json::to_string(figure).unwrap_or_default());
        return;
    }
    let micros = |us: Option<f64>| us.map_or_else(|| "-".to_owned(), |us| format!("{us:.1} us"));
    println!("{} over {}, {} bytes, {} in flight", figure.kind, figure.link, args.size, args.in_flight);
    println!("  per second     {:>12.0}", figure.per_second);
    println!("  p50            {:>12}", micros(figure.p50_us));
    println!("  p99            {:>12}", micros(figure.p99_us));
    println!("  CPU each       {:>12}", micros(figure.cpu_us_per_op));
    println!("  of it, peer    {:>12}", micros(figure.peer_cpu_us_per_op));
    println!("  lost           {:>12}", figure.lost);
    let (Some(whole), false) = (figure.peer_cpu_us_per_op, figure.steps_us.is_empty()) else { return };
    println!("one handler call, CPU of its process: {whole:.2} us, of it");
    let rest = whole - figure.steps_us.iter().map(|(_, us)| us).sum::<f64>();
    let rest = ("frames, queues, the way into Python, sockets".to_owned(), rest);
    for (step, us) in figure.steps_us.iter().chain([&rest]) {
        println!("  {step:46}{us:8.2} us");
    }
}

impl LinkName {
    fn as_str(self) -> &'static str {
        match self {
            LinkName::Memory => "memory",
            LinkName::Local => "local",
        }
    }
}

impl WorkArgs {
    fn window(&self) -> measure::Window {
        measure::Window::after(Duration::from_secs_f64(self.warmup), Duration::from_secs_f64(self.seconds))
    }
}
