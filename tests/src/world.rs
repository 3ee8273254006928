//! A small cluster in one thread over a real link, with a real proxy, and nodes that can be frozen.

use crate::nats::Server;
use chappe_client::{Client, Login};
use chappe_link::local::LocalLink;
use chappe_link::memory::MemoryLink;
use chappe_link::nats::{NatsLink, NatsOptions};
use chappe_link::{Dialing, Link, ListenError, Listener, Spread};
use chappe_master::Master;
use chappe_node::{Beats, Config, Declared, Event, Node, State};
use chappe_proxy::{Proxy, ProxyOptions};
use chappe_wire::{NodeId, Role, Value};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::LocalSet;

/// The links that every promise is tested over.
pub const LINKS: [&str; 3] = ["memory", "local", "nats"];

/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// What was heard: from whom, and the data.
pub type Heard = Rc<RefCell<Vec<(NodeId, Value)>>>;

/// Any link.
type Any = Arc<dyn Link + Send + Sync>;

/// A cluster: its nodes, by id.
pub struct World {
    /// The link of each node.
    links: Box<dyn Fn(i64) -> Any>,
    declared: Declared,
    /// What waits for one peer at most, in bytes.
    queue_bytes: usize,
    nodes: BTreeMap<i64, Node>,
    freezers: BTreeMap<i64, Freezer>,
    master: Option<Master>,
    url: String,
}

#[derive(Clone, Default)]
struct Freezer {
    is_frozen: Rc<Cell<bool>>,
    waker: Rc<RefCell<Option<Waker>>>,
}

/// A link by its name; `dir` is where the local one has its sockets.
///
/// # Panics
/// When there is none of that name, or the server that it needs cannot be had.
pub fn link(name: &str, dir: &Path) -> Arc<dyn Link + Send + Sync> {
    link_if_possible(name, dir).unwrap_or_else(|| panic!("the link {name:?} needs a server that is not here"))
}

/// As [`link`], but `None`, and a word on why, when it needs a server that is neither here nor required.
pub fn link_if_possible(name: &str, dir: &Path) -> Option<Arc<dyn Link + Send + Sync>> {
    Some(match name {
        "memory" => Arc::new(MemoryLink::new()),
        "local" => Arc::new(LocalLink::new(dir)),
        "nats" => {
            let server = Server::start("")?;
            let link = NatsLink::new(NatsOptions::new([server.url()], "conformance"));
            Arc::new(Served { link, _server: server })
        }
        other => panic!("there is no link {other:?}"),
    })
}

/// A link with the server that it needs.
struct Served {
    link: NatsLink,
    _server: Server,
}

impl Link for Served {
    fn name(&self) -> &'static str {
        self.link.name()
    }

    fn listen(&self, me: NodeId) -> Result<Box<dyn Listener>, ListenError> {
        self.link.listen(me)
    }

    fn spread(&self) -> Option<&dyn Spread> {
        self.link.spread()
    }

    fn dial(&self, to: NodeId) -> Dialing {
        self.link.dial(to)
    }
}

/// Waits for what other tasks bring about.
///
/// # Errors
/// When it takes too long.
pub async fn until(what: &str, is_so: impl Fn() -> bool) -> Result<(), String> {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.map_err(|_| format!("never came to be: {what}"))
}

impl World {
    /// A cluster of `declared`, of which those in `up` are started and ready.
    ///
    /// # Errors
    /// When one does not come up.
    pub async fn new(
        link: Arc<dyn Link + Send + Sync>,
        declared: &[(i64, Role, &str)],
        up: impl Fn(i64) -> bool,
    ) -> Result<World, String> {
        World::with_links(move |_| link.clone(), declared, up).await
    }

    /// As [`World::new`], with a link for each node by its id: nodes of one machine share one, say.
    ///
    /// # Errors
    /// As there.
    pub async fn with_links(
        links: impl Fn(i64) -> Arc<dyn Link + Send + Sync> + 'static,
        declared: &[(i64, Role, &str)],
        up: impl Fn(i64) -> bool,
    ) -> Result<World, String> {
        let nodes = declared.iter().map(|(id, role, name)| (NodeId(*id), *role, (*name).to_owned()));
        let declared = Declared { nodes: nodes.collect(), modules: vec!["control".into()] };
        let mut world = World {
            links: Box::new(links),
            declared: declared.clone(),
            queue_bytes: 256 << 10,
            nodes: BTreeMap::new(),
            freezers: BTreeMap::new(),
            master: None,
            url: String::new(),
        };
        for (id, role, name) in &declared.nodes {
            if up(id.0) {
                world.start(*id, *role, name).await?;
            }
        }
        let started: Vec<Node> = world.nodes.values().cloned().collect();
        until("every node knows every other as ready", || {
            let ready = |node: &Node, id: NodeId| {
                node.with_view(|view| view.member(id).is_some_and(|member| member.state == State::Ready))
            };
            started.iter().all(|node| started.iter().all(|other| ready(node, other.id())))
        })
        .await?;
        Ok(world)
    }

    /// Starts a node, or another life of one that was killed.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(&mut self, id: NodeId, role: Role, name: &str) -> Result<(), String> {
        let mut config = Config::new("conformance", id, role, name);
        config.master = NodeId(1);
        config.incarnation = Config::new_incarnation();
        config.declared = self.declared.clone();
        config.limits.queue_bytes = self.queue_bytes;
        let node = Node::new(config);
        let (freezer, set) = (Freezer::default(), LocalSet::new());
        let listener = match role {
            Role::Proxy => Some(TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?),
            _ => None,
        };
        if let Some(listener) = &listener {
            let at = listener.local_addr().map_err(|error| error.to_string())?;
            self.url = format!("ws://{at}");
        }
        let (running, link) = (node.clone(), (self.links)(id.0));
        let master = Rc::new(RefCell::new(None));
        let slot = master.clone();
        set.spawn_local(async move {
            if role == Role::Master {
                *slot.borrow_mut() = Some(Master::attach(&running));
            }
            let setup = async |node: &Node| {
                if let Some(listener) = listener {
                    let options = ProxyOptions { client_burst: 100_000, ..ProxyOptions::default() };
                    node.spawn(Proxy::attach(node, options).serve(listener));
                }
                Ok(())
            };
            if let Err(error) = running.run(link, Beats::Task, setup).await {
                tokio::task::yield_now().await;
                panic!("a node of the test has ended: {error}");
            }
        });
        tokio::task::spawn_local(freezer.clone().drive(set));
        let ready = node.clone();
        until("a node is ready", move || ready.state() == State::Ready).await?;
        if role == Role::Master {
            self.master = master.borrow_mut().take();
        }
        self.nodes.insert(id.0, node);
        self.freezers.insert(id.0, freezer);
        Ok(())
    }

    /// A node that is up.
    pub fn node(&self, id: i64) -> &Node {
        &self.nodes[&id]
    }

    /// The master.
    pub fn master(&self) -> &Master {
        self.master.as_ref().unwrap_or_else(|| panic!("every world has a master"))
    }

    /// Stops a node in its tracks, as SIGSTOP does, or lets it go on.
    pub fn freeze(&self, id: i64, is_frozen: bool) {
        let freezer = &self.freezers[&id];
        freezer.is_frozen.set(is_frozen);
        freezer.waker.borrow_mut().take().into_iter().for_each(Waker::wake);
    }

    /// Logs a player in through the proxy.
    ///
    /// # Errors
    /// When the player is not let in.
    pub async fn log_in(&self, uid: u64) -> Result<Client, String> {
        Client::connect(self.url.as_str(), Login::new(uid)).await.map_err(|error| error.to_string())
    }

    /// What a node hears of one event of the system `("C", system)` from now on.
    pub fn hears(&self, id: i64, system: &str, event: &str) -> Heard {
        let heard = Heard::default();
        let into = heard.clone();
        self.node(id).listen("C", system, event, 0, move |event: Event<'_>| {
            into.borrow_mut().push((event.from(), event.value().unwrap_or_default()));
        });
        heard
    }
}

impl Freezer {
    async fn drive(self, mut set: LocalSet) {
        poll_fn(|cx| {
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            if self.is_frozen.get() { Poll::Pending } else { pin!(&mut set).poll(cx) }
        })
        .await;
    }
}
