//! `chappe-bench`: the same work over raw sockets, NATS, Redis, tonic and Chappe, side by side in one run.
//!
//! Every run is a process of its own that prints one [`measure::Figure`] as JSON. For the baselines that is this
//! program again, in a hidden role, with peers that are this program too.

mod bare;
mod brokers;
mod callers;
mod harness;
mod job;
mod measure;
mod nats;
mod pipe;
mod raw;
mod redis;
mod tonic_;
mod ws_relay;

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
    /// Keeps a broker's server running.
    #[command(hide = true)]
    Keep {
        /// Which.
        server: brokers::Server,
    },
}

fn main() -> Result<()> {
    // A thousand WebSocket connections are more than the usual limit allows.
    rlimit::increase_nofile_limit(u64::MAX)?;
    match Cli::parse().role {
        Some(Role::Drive { job }) => drive(serde_json::from_str(&job)?),
        Some(Role::Peer { job, index }) => peer(serde_json::from_str(&job)?, index),
        Some(Role::Keep { server }) => brokers::keep(server),
        None => bail!("not yet"),
    }
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
    println!("{}", serde_json::to_string(&bench.finish(tally)?)?);
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
