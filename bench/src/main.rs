//! `chappe-bench`: the same work over raw sockets, NATS, Redis, tonic and Chappe, side by side in one run.
//!
//! Every run is a process of its own that prints one [`measure::Figure`] as JSON. For the baselines that is this
//! program again, in a hidden role, with peers that are this program too.

mod bare;
mod brokers;
mod callers;
mod chart;
mod compare;
mod goals;
mod harness;
mod job;
mod machine;
mod measure;
mod nats;
mod pipe;
mod raw;
mod redis;
mod report;
mod rows;
mod runner;
mod tonic_;
mod ws_relay;

use std::{fs, process::ExitCode, thread};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use compare::Options;
use harness::{Bench, Post, say};
use job::{Engine, Job};

/// The exit code of a run that says nothing, because the machine was disturbed.
const VOID: u8 = 3;

/// Measures Chappe beside raw sockets, NATS, Redis and tonic.
///
/// Exit codes: 0 the figures are there, whatever they are; 1 a baseline or Chappe failed in a run; 2 called wrongly;
/// 3 void: the machine was disturbed.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What this program is when it has started itself.
#[derive(Subcommand)]
enum Role {
    /// Starts the peers, drives the work, prints the figure.
    #[command(hide = true)]
    Drive {
        /// The job, as JSON.
        job: String,
    },
    /// Serves the work.
    #[command(hide = true)]
    Peer {
        /// The job, as JSON.
        job: String,
        /// Which of the peers this is.
        index: usize,
    },
    /// Keeps a broker's server running.
    #[command(hide = true)]
    Keep {
        /// Which.
        server: brokers::Server,
    },
}

fn main() -> ExitCode {
    act(Cli::parse()).unwrap_or_else(|error| {
        // One line, with all its causes: the comparing process shows the last line that a run has said.
        eprintln!("chappe-bench: {error:#}");
        ExitCode::FAILURE
    })
}

fn act(cli: Cli) -> Result<ExitCode> {
    // A thousand WebSocket connections are more than the usual limit allows.
    rlimit::increase_nofile_limit(u64::MAX)?;
    match cli.role {
        Some(Role::Drive { job }) => drive(serde_json::from_str(&job)?)?,
        Some(Role::Peer { job, index }) => peer(serde_json::from_str(&job)?, index)?,
        Some(Role::Keep { server }) => brokers::keep(server)?,
        None => return run(&cli.options),
    }
    Ok(ExitCode::SUCCESS)
}

fn run(options: &Options) -> Result<ExitCode> {
    let comparison = compare::compare(options)?;
    let is_void = comparison.void().is_some();
    if options.json {
        let goals = goals::verdicts(&comparison);
        let all = serde_json::json!({ "void": is_void, "goals": goals, "comparison": comparison });
        say(&all.to_string())?;
    } else {
        say(&report::report(&comparison))?;
    }
    let chart = options.chart.clone().or_else(|| {
        let is_fit = options.is_full() && comparison.is_presentable();
        is_fit.then(|| runner::repository().join("docs/bench.svg"))
    });
    if let Some(path) = chart {
        fs::write(&path, chart::svg(&comparison))
            .with_context(|| format!("cannot write {}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    let has_failed = comparison.cells.iter().any(|cell| !cell.failures.is_empty());
    Ok(ExitCode::from(if is_void { VOID } else { u8::from(has_failed) }))
}

fn drive(job: Job) -> Result<()> {
    let runtime = job.build_runtime()?;
    let mut bench = Bench::start(job)?;
    let tally = runtime.block_on(async {
        match bench.job.engine {
            Engine::Bare => bare::rpc(&mut bench).await,
            Engine::NatsRequest | Engine::NatsInbox => nats::drive(&mut bench).await,
            Engine::Redis => redis::drive(&mut bench).await,
            Engine::Raw => raw::drive(&mut bench).await,
            Engine::Tonic => tonic_::drive(&mut bench).await,
            Engine::Relay => ws_relay::drive(&mut bench).await,
        }
    })?;
    say(&serde_json::to_string(&bench.finish(tally)?)?)?;
    Ok(())
}

fn peer(job: Job, index: usize) -> Result<()> {
    let runtime = job.build_runtime()?;
    let post = Post::take_up(job, index);
    runtime.block_on(async {
        match post.job.engine {
            Engine::Raw | Engine::Bare => raw::peer(post).await,
            Engine::NatsRequest | Engine::NatsInbox => nats::peer(post).await,
            Engine::Redis => redis::peer(post).await,
            Engine::Tonic => tonic_::peer(post).await,
            Engine::Relay => ws_relay::peer(post).await,
        }
    })?;
    // The driver asks for the counts after the work has ended: stay until it closes our standard input.
    loop {
        thread::park();
    }
}
