//! A small cluster in one thread, with real client sockets.

#![allow(dead_code, reason = "each test binary uses its own part of it")]

use chappe_client::{Client, ClientEvent, Login, Received};
use chappe_link::Link;
use chappe_link::memory::MemoryLink;
use chappe_master::Master;
use chappe_node::system::{ServerSystem, ServiceSystem};
use chappe_node::{Beats, Config, Declared, Node, State};
use chappe_proxy::{Proxy, ProxyOptions};
use chappe_wire::{NodeId, PlayerId, Reason, Role, Row, Value};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, LocalSet};

pub(crate) const MASTER: NodeId = NodeId(1);
pub(crate) const PROXY: NodeId = NodeId(10);
pub(crate) const PROXY_B: NodeId = NodeId(11);
pub(crate) const LOBBY: NodeId = NodeId(20);
pub(crate) const LOBBY_B: NodeId = NodeId(21);
pub(crate) const GAME: NodeId = NodeId(30);
pub(crate) const MAIL: NodeId = NodeId(40);

/// Runs a test on one thread, as a node's process would.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = LocalSet::new();
    local.block_on(&runtime, async { tokio::time::timeout(Duration::from_secs(60), test()).await.unwrap() });
}

/// Waits for a condition that other tasks bring about.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// What a server has heard: the player, and the data.
pub(crate) type Heard = Rc<RefCell<Vec<(PlayerId, Value)>>>;

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) system: ServerSystem,
    pub(crate) heard: Heard,
    /// Players that came and went: `+id`, `-id`, with `r` and `t` for reconnects and transfers.
    pub(crate) visits: Rc<RefCell<Vec<String>>>,
}

#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) link: Arc<dyn Link + Send + Sync>,
    pub(crate) measure: bool,
    pub(crate) players: u32,
    pub(crate) master: Option<Master>,
}

impl Cluster {
    /// A master; the rest is added by need.
    pub(crate) async fn new() -> Cluster {
        let link: Arc<dyn Link + Send + Sync> = Arc::new(MemoryLink::new());
        let mut cluster = Cluster { link, measure: true, players: 0, master: None };
        let node = Node::new(cluster.config(MASTER, Role::Master, "master"));
        cluster.master = Some(Master::attach(&node));
        cluster.start(&node, |_| {}).await;
        cluster
    }

    fn config(&self, id: NodeId, role: Role, node_type: &str) -> Config {
        let mut config = Config::new("test", id, role, node_type);
        config.master = MASTER;
        config.measure = self.measure;
        config.limits.players = self.players;
        config.incarnation = Config::new_incarnation();
        config.declared = Declared {
            nodes: vec![
                (MASTER, Role::Master, "master".into()),
                (PROXY, Role::Proxy, "proxy".into()),
                (LOBBY, Role::Lobby, "lobby".into()),
                (LOBBY_B, Role::Lobby, "lobby".into()),
                (GAME, Role::Game, "duel".into()),
                (MAIL, Role::Service, "service_mail".into()),
            ],
            modules: vec![],
        };
        config
    }

    async fn start(&self, node: &Node, setup: impl FnOnce(&Node) + 'static) {
        let (running, link) = (node.clone(), self.link.clone());
        tokio::task::spawn_local(async move {
            let setup = async |node: &Node| {
                setup(node);
                Ok(())
            };
            running.run(link, Beats::Task, setup).await.unwrap();
        });
        let ready = node.clone();
        until("the node is ready", move || ready.state() == State::Ready).await;
    }

    pub(crate) async fn proxy(&self, id: NodeId, options: ProxyOptions) -> (Node, Proxy, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let node = Node::new(self.config(id, Role::Proxy, "proxy"));
        let slot: Rc<RefCell<Option<Proxy>>> = Rc::default();
        let given = slot.clone();
        self.start(&node, move |node| {
            let proxy = Proxy::attach(node, options);
            node.spawn(proxy.clone().serve(listener));
            *given.borrow_mut() = Some(proxy);
        })
        .await;
        let proxy = slot.take().unwrap();
        (node, proxy, url)
    }

    /// A life of a proxy that takes up what the one before has left, at an address; what ends its port.
    pub(crate) async fn proxy_life(&self, options: ProxyOptions, at: &str) -> (Node, AbortHandle, String) {
        let listener = TcpListener::bind(at).await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let node = Node::new(self.config(PROXY, Role::Proxy, "proxy"));
        let proxy = Proxy::attach(&node, options);
        let (running, link) = (node.clone(), self.link.clone());
        let port: Rc<RefCell<Option<AbortHandle>>> = Rc::default();
        let opened = port.clone();
        tokio::task::spawn_local(async move {
            let setup = async |node: &Node| {
                proxy.settle().await;
                *opened.borrow_mut() = Some(node.spawn(proxy.clone().serve(listener)));
                Ok(())
            };
            running.run(link, Beats::Task, setup).await.unwrap();
        });
        let ready = node.clone();
        until("the proxy is ready", move || ready.state() == State::Ready).await;
        let port = port.take().unwrap();
        (node, port, at)
    }

    /// A lobby or game that notes what it hears as `Say`, answers `Echo`, and moves who sends `Go`.
    pub(crate) async fn server(&self, id: NodeId, role: Role, node_type: &str) -> Server {
        let node = Node::new(self.config(id, role, node_type));
        let system = ServerSystem::new(&node, "Test", "Server");
        let server = Server { system: system.clone(), heard: Rc::default(), visits: Rc::default() };
        let (heard, visits) = (server.heard.clone(), server.visits.clone());
        self.start(&node, move |_| {
            system.listen("Test", "Client", "Say", {
                let heard = heard.clone();
                move |event| {
                    heard.borrow_mut().push((event.player_id().unwrap(), event.value().unwrap()));
                }
            });
            let echo = system.clone();
            system.listen("Test", "Client", "Echo", move |event| {
                let data: Value = event.data().unwrap();
                let _ = echo.notify_to_client(event.player_id().unwrap(), "Echo", &data);
            });
            let mover = system.clone();
            system.listen_async("Test", "Client", "Go", move |event| {
                let mover = mover.clone();
                async move {
                    let event = event.as_event();
                    let to = NodeId(event.data::<i64>().unwrap());
                    mover
                        .transfer_to_other_server_by_id(event.player_id().unwrap(), to, "param")
                        .await
                        .unwrap();
                }
            });
            for (event, sign) in [("AddServerPlayerEvent", "+"), ("DelServerPlayerEvent", "-")] {
                let visits = visits.clone();
                system.listen_engine(event, move |event| {
                    let data = event.value().unwrap();
                    let flag = |name, mark| match data.field(name).and_then(Value::as_bool) {
                        Some(true) => mark,
                        _ => "",
                    };
                    let uid = data.field("uid").unwrap().as_uint().unwrap();
                    let marks = (flag("isTransfer", "t"), flag("isReconnect", "r"));
                    visits.borrow_mut().push(format!("{sign}{uid}{}{}", marks.0, marks.1));
                });
            }
        })
        .await;
        server
    }

    pub(crate) async fn service(&self, id: NodeId) -> (ServiceSystem, Heard) {
        let node = Node::new(self.config(id, Role::Service, "service_mail"));
        let system = ServiceSystem::new(&node, "Test", "Mail");
        let heard = Heard::default();
        let (this, into) = (system.clone(), heard.clone());
        self.start(&node, move |_| {
            this.clone().listen("Test", "Client", "Mail", move |event| {
                let data = event.value().unwrap();
                let origin = event.origin().unwrap();
                let _ = this.remote_notify_to_client(origin.uid, origin.proxy, "Badge", &data);
                into.borrow_mut().push((PlayerId(origin.epoch), data));
            });
        })
        .await;
        (system, heard)
    }

    /// A master, a proxy with `options` and a lobby that know each other.
    pub(crate) async fn small(options: ProxyOptions) -> (Cluster, Node, Proxy, String, Server) {
        let cluster = Cluster::new().await;
        let (node, proxy, url) = cluster.proxy(PROXY, options).await;
        let lobby = cluster.server(LOBBY, Role::Lobby, "lobby").await;
        knows(&node, LOBBY).await;
        (cluster, node, proxy, url, lobby)
    }
}

/// Waits until a node may send to another.
pub(crate) async fn knows(node: &Node, other: NodeId) {
    until("the nodes know each other", || node.with_view(|view| view.reachable(other, |_| true).is_ok()))
        .await;
}

pub(crate) async fn login(url: &str, uid: u64) -> Client {
    Client::connect(url, Login::new(uid)).await.unwrap()
}

/// The next event that a server or service sent; anything else in between is no event.
pub(crate) async fn received(client: &Client) -> Received {
    loop {
        match client.next_event().await.expect("the session stands") {
            ClientEvent::Event(event) => return event,
            ClientEvent::Closed { reason, message } => panic!("closed: {reason} {message}"),
            _ => {}
        }
    }
}

/// How a session ends.
pub(crate) async fn closed(client: &Client) -> Reason {
    loop {
        if let ClientEvent::Closed { reason, .. } =
            client.next_event().await.expect("it has not been told yet")
        {
            return reason;
        }
    }
}

/// The numbers that a server heard from a player, in order.
pub(crate) fn numbers(heard: &Heard, player: PlayerId) -> Vec<i64> {
    let heard = heard.borrow();
    let of = |data: &Value| data.as_int().or_else(|| data.field("n").and_then(Value::as_int)).unwrap();
    heard.iter().filter(|(who, _)| *who == player).map(|(_, data)| of(data)).collect()
}

/// How often a node has dropped a message of that row for that reason.
pub(crate) fn dropped(node: &Node, row: Row, reason: Reason) -> u64 {
    let report = node.report();
    report.dropped.iter().filter(|(code, why, _)| *code == row.code() && *why == reason).map(|at| at.2).sum()
}
