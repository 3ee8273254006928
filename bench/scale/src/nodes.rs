//! What a cluster of so many nodes costs: at its start, at rest, when its members change, when its master restarts.

use crate::cluster::{Cluster, Cost, MASTER, connections, roles};
use crate::meter::allocated;
use crate::players::log_in;
use chappe_node::Address;
use chappe_wire::{NodeId, Role, Row};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::sleep;

/// For how long the cluster is left alone.
const REST: Duration = Duration::from_secs(30);
/// Until what a change left to do (acknowledgements, connections) is done.
const SETTLE: Duration = Duration::from_secs(2);
/// How long a supervisor takes to start a master anew.
const AWAY: Duration = Duration::from_secs(1);
/// Players that log in.
const LOGINS: u64 = 2_000;
/// Broadcasts that are sent.
const BROADCASTS: u32 = 100;
/// Bytes of data in each.
const SIZE: usize = 64;

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodesFigure {
    /// Nodes, the master among them.
    pub nodes: usize,
    /// Connections, heartbeats' among them.
    pub connections: u64,
    /// All nodes start at once, until each knows every other as ready and all connections stand.
    pub start: Cost,
    /// Memory at rest, of all nodes, in bytes.
    pub rest_bytes: u64,
    /// 30 s in which nothing happens.
    pub rest: Cost,
    /// One more node comes, until all know it as ready.
    pub join: Cost,
    /// A node leaves by itself, until all know it as gone.
    pub leave: Cost,
    /// A node's process dies.
    pub crash: Cost,
    /// A node freezes, so that its silence must be noticed.
    pub freeze: Cost,
    /// CPU time of the master for one login, in microseconds.
    pub login_us: f64,
    /// To how many nodes an event of 64 bytes is sent.
    pub receivers: usize,
    /// CPU time of its sender, in microseconds.
    pub broadcast_us: f64,
    /// The master's process dies, is away for 1 s and starts anew, from there until all nodes and sessions are known.
    pub restart: Cost,
}

/// Measures a cluster of `count` nodes; at least 5.
///
/// # Panics
/// When something that must come about does not.
pub async fn measure(count: usize) -> NodesFigure {
    let mut declared = roles(count);
    let expected = connections(&declared);
    let guest = NodeId(count as i64 + 1);
    declared.push((guest, Role::Game, "duel".to_owned()));
    let proxies: Vec<NodeId> = ids(&declared, Role::Proxy);
    let sender = ids(&declared, Role::Service)[0];
    let receivers = ids(&declared, Role::Game).len() - 1;

    let empty = allocated();
    let cluster = Cluster::new(declared.clone());
    let mark = cluster.mark();
    declared[..count].iter().for_each(|(id, ..)| cluster.start(*id));
    cluster.agreed(count, &[]).await;
    cluster.until("all connections stand", || cluster.wires().connections() == expected).await;
    let start = cluster.since(&mark);

    sleep(SETTLE).await;
    let rest_bytes = (allocated() - empty) as u64;
    let mark = cluster.mark();
    sleep(REST).await;
    let rest = cluster.since(&mark);

    let join = joined(&cluster, guest, count).await;
    cluster.stop(guest);
    let leave = gone(&cluster, count, &[]).await;
    joined(&cluster, guest, count).await;
    cluster.kill(guest).await;
    let crash = gone(&cluster, count, &[]).await;
    joined(&cluster, guest, count).await;
    cluster.freeze(guest);
    let freeze = gone(&cluster, count, &[guest]).await;
    cluster.kill(guest).await;
    sleep(SETTLE).await;

    let mark = cluster.mark();
    log_in(&cluster, &proxies, 0..LOGINS).await;
    let login_us = cluster.since(&mark).master_us / LOGINS as f64;
    let broadcast_us = broadcast(&cluster, sender, receivers).await;

    let online = cluster.master().online();
    let restart = restart(&cluster, count, online).await;
    NodesFigure {
        nodes: count,
        connections: expected,
        start,
        rest_bytes,
        rest,
        join,
        leave,
        crash,
        freeze,
        login_us,
        receivers,
        broadcast_us,
        restart,
    }
}

/// The master's process dies and another one takes its place: what it costs until all of `count` nodes and `online` sessions
/// are known.
pub(crate) async fn restart(cluster: &Cluster, count: usize, online: usize) -> Cost {
    cluster.kill(MASTER).await;
    sleep(AWAY).await;
    let mark = cluster.mark();
    cluster.start(MASTER);
    cluster.until("there is a master", || cluster.has_master()).await;
    cluster.agreed(count, &[]).await;
    let master = cluster.master();
    cluster.until("all sessions are known", || !master.is_recovering() && master.online() == online).await;
    cluster.since(&mark)
}

async fn joined(cluster: &Cluster, guest: NodeId, count: usize) -> Cost {
    let mark = cluster.mark();
    cluster.start(guest);
    cluster.agreed(count + 1, &[]).await;
    let ms = cluster.since(&mark).ms;
    sleep(SETTLE).await;
    Cost { ms, ..cluster.since(&mark) }
}

async fn gone(cluster: &Cluster, count: usize, except: &[NodeId]) -> Cost {
    let mark = cluster.mark();
    cluster.agreed(count, except).await;
    let ms = cluster.since(&mark).ms;
    sleep(SETTLE).await;
    Cost { ms, ..cluster.since(&mark) }
}

/// CPU time of the sender of one broadcast, in microseconds: the call, the writes, the acknowledgements.
async fn broadcast(cluster: &Cluster, sender: NodeId, receivers: usize) -> f64 {
    let running = cluster.running(sender);
    let data = "x".repeat(SIZE);
    let before = running.meter.cpu();
    for _ in 0..BROADCASTS {
        let sent = running.meter.of(|| {
            let to = Address::ServersOfType("duel");
            running.node.send(Row::ServiceToType, to, b"scale\0sender\0Told", &data)
        });
        let reached = sent.map_or(0, |sent| sent.targets());
        assert_eq!(reached, receivers, "a broadcast misses somebody");
        sleep(Duration::from_millis(30)).await;
    }
    (running.meter.cpu() - before).as_secs_f64() * 1e6 / f64::from(BROADCASTS)
}

fn ids(nodes: &[(NodeId, Role, String)], wanted: Role) -> Vec<NodeId> {
    nodes.iter().filter(|(_, role, _)| *role == wanted).map(|(id, ..)| *id).collect()
}
