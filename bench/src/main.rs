//! `chappe-bench`: the same work over raw sockets, NATS, Redis, tonic and Chappe, side by side in one run.
//!
//! Every run is a process of its own that prints one [`measure::Figure`] as JSON. For the baselines that is this
//! program again, in a hidden role, with peers that are this program too.

mod bare;
mod callers;
mod harness;
mod job;
mod measure;
mod pipe;
mod raw;

use std::thread;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

use harness::{Bench, Post};
use job::{Engine, Job};

/// Measures Chappe beside raw sockets, NATS, Redis and tonic.
#[derive(Parser)]
struct Cli {
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
}

fn main() -> Result<()> {
    match Cli::parse().role {
        Some(Role::Drive { job }) => drive(serde_json::from_str(&job)?),
        Some(Role::Peer { job, index }) => peer(serde_json::from_str(&job)?, index),
        None => bail!("not yet"),
    }
}

fn drive(job: Job) -> Result<()> {
    let runtime = job.build_runtime()?;
    let mut bench = Bench::start(job)?;
    let tally = runtime.block_on(async {
        match bench.job.engine {
            Engine::Bare => bare::rpc(&mut bench).await,
            Engine::Raw => raw::drive(&mut bench).await,
            _ => bail!("not yet"),
        }
    })?;
    println!("{}", serde_json::to_string(&bench.finish(tally)?)?);
    Ok(())
}

fn peer(job: Job, index: usize) -> Result<()> {
    let runtime = job.build_runtime()?;
    let post = Post::take_up(job, index);
    runtime.block_on(async {
        match post.job.engine {
            Engine::Raw | Engine::Bare => raw::peer(post).await,
            _ => bail!("not yet"),
        }
    })?;
    // The driver asks for the counts after the work has ended: stay until it closes our standard input.
    loop {
        thread::park();
    }
}
