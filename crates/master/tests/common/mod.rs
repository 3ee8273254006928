//! Clusters in one thread: each node on a local set of its own, which can stop being polled.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test program uses a part of it")]

use chappe_link::memory::MemoryLink;
use chappe_link::{Dialing, Link, ListenError, Listener};
use chappe_master::Master;
use chappe_node::{Beats, Config, Node, NodeError, State};
use chappe_wire::{NodeId, Role};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

/// The master's id: neither the smallest nor the largest.
pub const MASTER: NodeId = NodeId(1);

/// A cluster over one memory link.
pub struct Cluster {
    link: MemoryLink,
    declared: Vec<(NodeId, Role, String)>,
    nodes: BTreeMap<NodeId, Running>,
    master: Option<Master>,
    lives: u64,
}

struct Running {
    node: Node,
    frozen: Rc<Freezer>,
    end: Rc<RefCell<Option<Result<(), NodeError>>>>,
}

impl Running {
    async fn ended(&self) -> Result<(), NodeError> {
        loop {
            if let Some(end) = self.end.borrow_mut().take() {
                return end;
            }
            sleep(Duration::from_millis(1)).await;
        }
    }
}

#[derive(Default)]
struct Freezer {
    is_frozen: Cell<bool>,
    has_ended: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

/// Runs a test on a thread of its own time.
pub fn run(test: impl AsyncFnOnce(&mut Cluster)) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let mut cluster = Cluster {
        link: MemoryLink::new(),
        declared: Vec::new(),
        nodes: BTreeMap::new(),
        master: None,
        lives: 0,
    };
    LocalSet::new().block_on(&runtime, async {
        timeout(Duration::from_secs(600), test(&mut cluster)).await.expect("the test hangs");
    });
}

impl Cluster {
    /// Writes a node into what every later node knows as declared.
    pub fn declare(&mut self, id: NodeId, role: Role, node_type: &str) {
        self.declared.push((id, role, node_type.to_owned()));
    }

    /// Starts a master.
    pub fn start_master(&mut self) {
        self.start(MASTER, Role::Master, "master");
    }

    /// Starts a new life of a node.
    pub fn start(&mut self, id: NodeId, role: Role, node_type: &str) {
        let link = Arc::new(self.link.clone());
        let (running, master) = self.launch(link, id, role, node_type);
        self.nodes.insert(id, running);
        self.master = master.or(self.master.take());
    }

    /// Starts another node under an id that is in use, where the link does not mind, and waits for its end.
    pub async fn start_twin(&mut self, id: NodeId, role: Role, node_type: &str) -> Result<(), NodeError> {
        let link = Arc::new(Elsewhere(self.link.clone(), MemoryLink::new()));
        self.launch(link, id, role, node_type).0.ended().await
    }

    /// How a node ends.
    pub async fn ended(&self, id: NodeId) -> Result<(), NodeError> {
        self.nodes[&id].ended().await
    }

    fn launch(
        &mut self,
        link: Arc<dyn Link + Send + Sync>,
        id: NodeId,
        role: Role,
        node_type: &str,
    ) -> (Running, Option<Master>) {
        self.lives += 1;
        let mut config = Config::new("test", id, role, node_type);
        config.master = MASTER;
        config.incarnation = self.lives;
        config.declared.nodes = self.declared.clone();
        let node = Node::new(config);
        let end = Rc::new(RefCell::new(None));
        let local = LocalSet::new();
        let master = (role == Role::Master).then(|| {
            let _entered = local.enter();
            Master::attach(&node)
        });
        let frozen = Rc::new(Freezer::default());
        let (runs, ended, exits) = (node.clone(), end.clone(), frozen.clone());
        local.spawn_local(async move {
            let result = runs.run(link, Beats::Task, async |_| Ok(())).await;
            *ended.borrow_mut() = Some(result);
            exits.has_ended.set(true);
        });
        tokio::task::spawn_local(process(local, frozen.clone()));
        (Running { node, frozen, end }, master)
    }

    /// Stops to run a node, as SIGSTOP does: its connections stand.
    pub fn freeze(&self, id: NodeId) {
        self.nodes[&id].frozen.is_frozen.set(true);
    }

    /// Runs a frozen node on.
    pub fn thaw(&self, id: NodeId) {
        let frozen = &self.nodes[&id].frozen;
        frozen.is_frozen.set(false);
        frozen.waker.take().into_iter().for_each(Waker::wake);
    }

    /// Asks a node to leave, and waits until nothing of it runs.
    pub async fn stop(&mut self, id: NodeId) {
        self.node(id).stop();
        self.ended(id).await.unwrap();
        self.settle().await;
    }

    /// The node of that id.
    pub fn node(&self, id: NodeId) -> Node {
        self.nodes[&id].node.clone()
    }

    /// The latest master.
    pub fn master(&self) -> Master {
        self.master.clone().unwrap()
    }

    /// Waits until one node sees another in a state, or not at all.
    pub async fn sees(&self, at: NodeId, of: NodeId, state: Option<State>) {
        let node = self.node(at);
        let life = self.nodes[&of].node.config().incarnation;
        let seen = || {
            node.with_view(|view| {
                view.member(of).filter(|member| member.incarnation == life).map(|member| member.state)
            })
        };
        let until = async {
            while seen() != state {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let waited = timeout(Duration::from_secs(60), until).await;
        assert!(waited.is_ok(), "node {at} sees node {of} as {:?}, not {state:?}", seen());
    }

    /// Lets everything that is under way arrive.
    pub async fn settle(&self) {
        sleep(Duration::from_millis(100)).await;
    }
}

/// Runs a node's tasks while it is not frozen; what is left of them ends with it, as a process's do.
async fn process(mut local: LocalSet, frozen: Rc<Freezer>) {
    poll_fn(|cx| {
        frozen.waker.set(Some(cx.waker().clone()));
        if frozen.is_frozen.get() {
            return Poll::Pending;
        }
        let polled = Pin::new(&mut local).poll(cx);
        if frozen.has_ended.get() { Poll::Ready(()) } else { polled }
    })
    .await;
}

/// A link that listens on another network than it dials on.
struct Elsewhere(MemoryLink, MemoryLink);

impl Link for Elsewhere {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn listen(&self, me: NodeId) -> Result<Box<dyn Listener>, ListenError> {
        self.1.listen(me)
    }

    fn dial(&self, to: NodeId) -> Dialing {
        self.0.dial(to)
    }
}
