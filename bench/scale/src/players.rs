//! What so many players cost the master: their logins, their places in its directory, and what it does with all of them at once.

use crate::cluster::{Cluster, Cost, MASTER, roles};
use crate::nodes::restart;
use chappe_node::control::{Entered, Login, LoginGrant, Session};
use chappe_wire::{NodeId, Role};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

/// The cluster that they are on: 10 proxies, 10 lobbies.
const NODES: usize = 100;
/// Logins that each proxy has under way at once.
const IN_FLIGHT: usize = 64;
/// A login may wait for the others that came with it.
const PATIENCE: Duration = Duration::from_secs(60);
/// For how long the cluster is left alone: longer than what is on its way is remembered.
const REST: Duration = Duration::from_secs(70);

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlayersFigure {
    /// Players with a session.
    pub players: u64,
    /// CPU time of the master for one login (`login`, `entered`), in microseconds.
    pub login_us: f64,
    /// CPU time of the master in a second in which nobody comes or goes, in microseconds.
    pub rest_us: f64,
    /// CPU time of one answer to `nodes` (the command, HTTP, metrics), in microseconds.
    pub nodes_us: f64,
    /// The master restarts; see [`crate::nodes::NodesFigure::restart`].
    pub restart: Cost,
    /// A lobby with a tenth of the players dies: the master's longest turn, in microseconds of CPU time.
    pub lose_lobby_us: f64,
    /// A proxy with a tenth of the players dies: the same.
    pub lose_proxy_us: f64,
}

/// Measures `players` players.
///
/// # Panics
/// When something that must come about does not.
pub async fn measure(players: u64) -> PlayersFigure {
    let declared = roles(NODES);
    let of = |wanted: Role| -> Vec<NodeId> {
        declared.iter().filter(|(_, role, _)| *role == wanted).map(|(id, ..)| *id).collect()
    };
    let (proxies, lobbies) = (of(Role::Proxy), of(Role::Lobby));
    let cluster = Cluster::new(declared);
    (1..=NODES as i64).for_each(|id| cluster.start(NodeId(id)));
    cluster.agreed(NODES, &[]).await;
    sleep(Duration::from_secs(2)).await;

    let meter = cluster.running(MASTER).meter.clone();
    let mark = cluster.mark();
    log_in(&cluster, &proxies, 0..players).await;
    let login_us = cluster.since(&mark).master_us / players as f64;
    sleep(Duration::from_secs(2)).await;

    let mark = cluster.mark();
    sleep(REST).await;
    let rest_us = cluster.since(&mark).master_us / REST.as_secs_f64();

    let (master, before) = (cluster.master(), meter.cpu());
    let told: usize = meter.of(|| master.nodes()).iter().map(|node| node.players).sum();
    let nodes_us = (meter.cpu() - before).as_secs_f64() * 1e6;
    assert_eq!(told as u64, 2 * players, "each player is on a proxy and on a lobby");
    drop(master);

    let restart = restart(&cluster, NODES, players as usize).await;
    sleep(Duration::from_secs(2)).await;
    let lose_lobby_us = lose(&cluster, lobbies[0], NODES - 1).await;
    let lose_proxy_us = lose(&cluster, proxies[0], NODES - 2).await;
    PlayersFigure { players, login_us, rest_us, nodes_us, restart, lose_lobby_us, lose_proxy_us }
}

/// Logs players in through proxies in turn, and tells the master that they have entered.
pub async fn log_in(cluster: &Cluster, proxies: &[NodeId], uids: Range<u64>) {
    let (next, done) = (Rc::new(Cell::new(uids.start)), Rc::new(Cell::new(uids.start)));
    for _ in 0..IN_FLIGHT {
        for proxy in proxies {
            let (proxy, next, done, end) = (cluster.running(*proxy), next.clone(), done.clone(), uids.end);
            tokio::task::spawn_local(async move {
                while next.get() < end {
                    let uid = next.replace(next.get() + 1);
                    let asked = proxy.node.ask_master::<_, LoginGrant>("login", &Login { uid }, PATIENCE);
                    let LoginGrant { epoch, server } =
                        asked.await.unwrap_or_else(|error| panic!("a login is refused: {error}"));
                    let entered = Entered { uid, epoch, server, is_transfer: false, is_reconnect: false };
                    proxy.node.tell_master("entered", &entered);
                    let session = Session { uid, epoch, proxy: proxy.node.id(), server: Some(server) };
                    proxy.sessions.borrow_mut().push(session);
                    done.set(done.get() + 1);
                }
            });
        }
    }
    cluster.until("all are logged in", || done.get() == uids.end).await;
    sleep(Duration::from_millis(50)).await;
}

async fn lose(cluster: &Cluster, node: NodeId, left: usize) -> f64 {
    let meter = cluster.running(MASTER).meter.clone();
    meter.take_longest();
    cluster.kill(node).await;
    cluster.agreed(left, &[]).await;
    meter.take_longest().as_secs_f64() * 1e6
}
