//! What an idle node and an idle client cost in memory.

use super::client::connect;
use super::cluster::with_proxy;
use super::measure::resident_bytes;
use super::{BenchResult, IdleArgs, Programs};
use serde::Serialize;
use std::time::Duration;
use tokio::time::sleep;

/// How long everything rests before memory is looked at.
const REST: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize)]
struct Idle {
    /// A game server that is a member and does nothing.
    node_rss_bytes: u64,
    /// What each of the clients adds to the proxy.
    client_bytes: u64,
    clients: usize,
}

#[expect(clippy::print_stdout, reason = "the figure is what the command is for")]
pub(super) fn run(with: &Programs, args: &IdleArgs, json: bool) -> BenchResult<()> {
    let idle = with_proxy(with, args.tls, async |door, [proxy, game]| {
        let memory = |pid| resident_bytes(pid).ok_or("a process of the measurement has ended");
        // The first client brings what the proxy allocates once.
        let first = connect(&door, 1).await?;
        sleep(REST).await;
        let (node_rss_bytes, before) = (memory(game)?, memory(proxy)?);
        drop(first);
        let clients = connect(&door, args.clients).await?;
        sleep(REST).await;
        let grown = memory(proxy)?.saturating_sub(before);
        Ok(Idle { node_rss_bytes, client_bytes: grown / clients.len() as u64, clients: clients.len() })
    })?;
    if json {
        println!("{}", serde_json::to_string(&idle)?);
    } else {
        println!("an idle node     {:>8.1} MB resident", idle.node_rss_bytes as f64 / 1e6);
        println!(
            "an idle client   {:>8.1} KiB at the proxy, of {}",
            idle.client_bytes as f64 / 1024.0,
            idle.clients
        );
    }
    Ok(())
}
