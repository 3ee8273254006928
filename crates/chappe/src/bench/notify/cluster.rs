//! One measurement: a cluster of processes, its players, the load, and what it has cost. This process is the players'
//! proxy, without a client: it enters them, and hears what they are told.

use super::game::{Came, Work};
use super::peers::{GAMES, StoreWork, home};
use super::{Case, Cost, Figure};
use crate::bench::cluster::{Children, MODULE, config, spawn};
use crate::bench::measure::{Window, thread_time};
use crate::bench::{BenchResult, Programs};
use chappe_link::local::LocalLink;
use chappe_node::control::{self, Enter, Entered, Login, LoginGrant, Session};
use chappe_node::{Beats, Failure, Node, State, To, run_blocking};
use chappe_wire::{NodeId, Role, Row};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

const MASTER: NodeId = NodeId(1);
const PROXY: i64 = 10;
const PATIENCE: Duration = Duration::from_secs(30);
/// Logins that are under way at once.
const LOGINS: usize = 64;
/// Beyond the window, until all has ended.
const REST: Duration = Duration::from_secs(120);

/// Measures one case on a cluster of its own, with the store at `place`.
pub(super) fn measure(with: &Programs, case: &Case, place: &str) -> BenchResult<Figure> {
    let dir = tempfile::tempdir()?;
    let mut children = Children(Vec::new());
    let servers = case.servers.to_string();
    let master = ["--store", place, "--servers", &servers];
    children.0.push(spawn(&with.own, "notify-peer", dir.path(), &master)?.0);
    for id in GAMES.iter().take(case.servers) {
        children.0.push(spawn(&with.own, "notify-peer", dir.path(), &["--game", &id.to_string()])?.0);
    }
    let pids: Vec<u32> = children.0.iter().map(std::process::Child::id).collect();
    let (node, link) = (Node::new(config(PROXY, Role::Proxy, "proxy")), Arc::new(LocalLink::new(dir.path())));
    let proxy = Proxy::listen(&node);
    let mut result = None;
    let outcome = &mut result;
    run_blocking(|| async move {
        let run = node.run(link, Beats::Thread, async |_| Ok(()));
        let work = async {
            *outcome = Some(proxy.drive(case, &pids).await);
            node.stop();
        };
        tokio::pin!(run);
        tokio::select! {
            biased;
            // It ends by itself only with what went wrong.
            ended = &mut run => ended,
            () = work => run.await,
        }
    })?;
    result.unwrap_or_else(|| Err("nothing was measured".into()))
}

#[derive(Clone)]
struct Proxy {
    node: Node,
    sessions: Rc<RefCell<Vec<Session>>>,
    /// Messages to players.
    told: Rc<Cell<u64>>,
}

impl Proxy {
    fn listen(node: &Node) -> Proxy {
        let proxy = Proxy { node: node.clone(), sessions: Rc::default(), told: Rc::default() };
        let told = proxy.told.clone();
        node.on_push(move |_, _, _, _, _| told.set(told.get() + 1));
        let sessions = proxy.sessions.clone();
        node.on_join(move || sessions.borrow().clone());
        proxy
    }

    async fn drive(&self, case: &Case, pids: &[u32]) -> BenchResult<Figure> {
        let up = timeout(PATIENCE, self.ready(case.servers)).await;
        up.map_err(|_| "the throw-away cluster did not come up")?;
        let pairs: Vec<(u64, u64)> = (0..case.in_flight as u64).map(|n| (2 * n + 1, 2 * n + 2)).collect();
        self.log_in(pairs.iter().flat_map(|(giver, receiver)| [*giver, *receiver]), case.servers).await?;
        let plain_to = case.is_plain.then(|| home(2, case.servers).0);
        let work = Work { pairs, warmup: case.warmup, seconds: case.seconds, plain_to };
        let window =
            Window::after(Duration::from_secs_f64(case.warmup), Duration::from_secs_f64(case.seconds));
        let cpu = meter(window, pids.to_vec());
        let before: StoreWork = self.ask(MASTER, "store", &()).await?;
        let came: Came = self.ask(GAMES[0], "load", &work).await?;
        let after: StoreWork = self.ask(MASTER, "store", &()).await?;
        let cpu = cpu.join().map_err(|_| "the meter failed")?;
        let each = |count: u64| count as f64 / came.done.max(1) as f64;
        let in_window = came.per_second * case.seconds;
        let cost = |time: Duration| time.as_secs_f64() * 1e6 / in_window.max(1.0);
        let [master, store, games, own] = cpu.map(cost);
        let (flushes, work) = (after.flushes - before.flushes, after.work - before.work);
        // The last ones may still be on their way here.
        let told = self.heard(if case.is_plain { 0 } else { 2 * came.done }).await;
        Ok(Figure {
            store: case.store,
            servers: case.servers,
            in_flight: case.in_flight,
            is_plain: case.is_plain,
            per_second: came.per_second,
            p50_us: came.p50_us,
            p99_us: came.p99_us,
            commits_per_round: (!case.is_plain).then(|| each(work)),
            flushes_per_round: (!case.is_plain).then(|| each(flushes)),
            rounds_per_flush: (!case.is_plain).then(|| came.done as f64 / flushes.max(1) as f64),
            cpu_us: Cost { master, store, games, bench: own },
            lost: came.lost + told,
        })
    }

    async fn ready(&self, servers: usize) {
        let is_ready = |id: &NodeId| {
            self.node.with_view(|view| view.member(*id).is_some_and(|member| member.state == State::Ready))
        };
        while !self.node.is_ready() || !GAMES.iter().take(servers).all(is_ready) {
            sleep(Duration::from_millis(2)).await;
        }
    }

    async fn log_in(&self, uids: impl Iterator<Item = u64>, servers: usize) -> BenchResult<()> {
        let left = Rc::new(RefCell::new(uids.collect::<Vec<_>>().into_iter()));
        let logins: Vec<_> = (0..LOGINS)
            .map(|_| {
                let (proxy, left) = (self.clone(), left.clone());
                spawn_local(async move {
                    loop {
                        let next = left.borrow_mut().next();
                        let Some(uid) = next else { return Ok(()) };
                        proxy.log_one_in(uid, servers).await?;
                    }
                })
            })
            .collect();
        for login in logins {
            login.await?.map_err(|failure: Failure| format!("a player did not get in: {failure}"))?;
        }
        Ok(())
    }

    async fn log_one_in(&self, uid: u64, servers: usize) -> Result<(), Failure> {
        let grant = self.node.ask_master::<_, LoginGrant>("login", &Login { uid }, PATIENCE).await?;
        let (epoch, server) = (grant.epoch, home(uid, servers));
        let enter = Enter {
            uid,
            epoch,
            nickname: String::new(),
            is_transfer: false,
            is_reconnect: false,
            transfer_param: String::new(),
        };
        let to = To::Node(server);
        self.node.ask::<_, ()>(Row::Internal, to, (control::SERVER, "enter"), &enter, PATIENCE).await?;
        let session = Session { uid, epoch, proxy: self.node.id(), server: Some(server) };
        self.sessions.borrow_mut().push(session);
        let entered = Entered { uid, epoch, server, is_transfer: false, is_reconnect: false };
        self.node.tell_master("entered", &entered);
        Ok(())
    }

    async fn ask<A: serde::Serialize, T: serde::de::DeserializeOwned + 'static>(
        &self,
        of: NodeId,
        what: &str,
        args: &A,
    ) -> BenchResult<T> {
        let asked = self.node.ask(Row::Internal, To::Node(of), (MODULE, what), args, REST);
        Ok(asked.await.map_err(|failure| format!("{what}: {failure}"))?)
    }

    /// Waits for messages to players; how many are missing.
    async fn heard(&self, expected: u64) -> u64 {
        let patience = Instant::now() + Duration::from_secs(5);
        while self.told.get() < expected && Instant::now() < patience {
            sleep(Duration::from_millis(10)).await;
        }
        expected.saturating_sub(self.told.get())
    }
}

/// The CPU time within the window: of the master but its store, of the store's thread, of the games, and of this process.
fn meter(window: Window, pids: Vec<u32>) -> std::thread::JoinHandle<[Duration; 4]> {
    use crate::bench::measure::cpu_time;
    let used = move || {
        let of = |pid: &u32| cpu_time(*pid).unwrap_or_default();
        let store = pids.first().and_then(|master| thread_time(*master, "store")).unwrap_or_default();
        let master = pids.first().map(of).unwrap_or_default();
        let games = pids.iter().skip(1).map(of).sum();
        [master.saturating_sub(store), store, games, of(&std::process::id())]
    };
    std::thread::spawn(move || {
        std::thread::sleep(window.begin.saturating_duration_since(Instant::now()));
        let before = used();
        std::thread::sleep(window.end.saturating_duration_since(Instant::now()));
        let after = used();
        std::array::from_fn(|at| after[at].saturating_sub(before[at]))
    })
}
