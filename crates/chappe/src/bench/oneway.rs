//! Events one way: to one receiver, or broadcast to several. The sender goes on as long as queues have room and
//! then waits for the loop's turn, as a game would on `Overloaded`; nothing is lost, and the rate is the receivers'.

use super::cluster::{MODULE, peer_id, with_peers};
use super::measure::{Figure, meter};
use super::python::steps;
use super::{BenchResult, Programs, WorkArgs};
use chappe_node::system::ServerSystem;
use chappe_node::{Node, To};
use chappe_wire::Row;
use serde_bytes::Bytes;
use std::time::{Duration, Instant};
use tokio::task::yield_now;
use tokio::time::{sleep, sleep_until};

/// Receivers of a broadcast.
pub(super) const FANOUT: usize = 8;
/// What one turn sends before the loop writes it out: about what a socket takes at once.
const BATCH_BYTES: usize = 64 * 1024;
/// How long what was sent may take to arrive when the sending is over.
const SETTLE: Duration = Duration::from_secs(20);

pub(super) fn run(with: &Programs, args: &WorkArgs, peers: usize, python: bool) -> BenchResult<Figure> {
    let args = args.clone();
    with_peers(with, args.link, peers, python, async move |node: Node, pids| {
        let window = args.window();
        let cpu = meter(window, pids);
        let system = ServerSystem::new(&node, MODULE, MODULE);
        let sampler = tokio::task::spawn_local(sample(node.clone(), peers, window));
        let payload = vec![b'x'; args.size];
        let batch = (BATCH_BYTES / (args.size + 64)).max(1);
        let mut sent = 0u64;
        while !window.is_over(Instant::now()) {
            for _ in 0..batch {
                let data = Bytes::new(&payload);
                let targets = if peers == 1 {
                    system.notify_to_service_node(peer_id(0), "event", data).map(|sent| sent.targets())
                } else {
                    system.broadcast_to_service("event", data).map(|sent| sent.targets())
                };
                sent += targets.unwrap_or(0) as u64;
            }
            yield_now().await;
            node.room(BATCH_BYTES).await;
        }
        let (arrived, seconds) = sampler.await??;
        let lost = settle(&node, peers, sent).await?;
        let used = cpu.join().map_err(|_| "the meter failed")?;
        Ok(Figure {
            kind: if peers == 1 { "event" } else { "fanout" },
            link: args.link.as_str(),
            per_second: arrived as f64 / seconds,
            p50_us: None,
            p99_us: None,
            cpu_us_per_op: used.each(arrived),
            peer_cpu_us_per_op: used.each_at_peer(arrived),
            lost,
            steps_us: if python { steps(&node, "event", args.size).await? } else { Vec::new() },
        })
    })
}

/// What arrived within the window, by the receivers' own counts, and the time between the two looks at them.
async fn sample(
    node: Node,
    peers: usize,
    window: super::measure::Window,
) -> Result<(u64, f64), chappe_node::Failure> {
    sleep_until(window.begin.into()).await;
    let (before, begun) = (received(&node, peers).await?, Instant::now());
    sleep_until(window.end.into()).await;
    let after = received(&node, peers).await?;
    Ok((after - before, begun.elapsed().as_secs_f64()))
}

async fn received(node: &Node, peers: usize) -> Result<u64, chappe_node::Failure> {
    let mut sum = 0;
    for index in 0..peers {
        let to = To::Node(peer_id(index));
        sum += node.ask::<_, u64>(Row::RequestToServiceMod, to, (MODULE, "received"), &(), SETTLE).await?;
    }
    Ok(sum)
}

async fn settle(node: &Node, peers: usize, sent: u64) -> BenchResult<u64> {
    let end = Instant::now() + SETTLE;
    loop {
        let arrived = received(node, peers).await?;
        if arrived >= sent || Instant::now() >= end {
            return Ok(sent.saturating_sub(arrived));
        }
        sleep(Duration::from_millis(10)).await;
    }
}
