//! A cluster in one thread, on virtual time, for tests of mods (`chappe.testing`).
//!
//! Each node is a [`LocalSet`] of its own. Time stands still but while something is waited for: then it jumps to the
//! next timer as soon as nothing can run. Before a node's set is polled, Python's side is told which it is, so that
//! each node sees modules of its own.

use crate::deliver::to_py;
use crate::door::{Door, player_id_of};
use crate::node::Node;
use crate::records::Records;
use crate::turns::Turns;
use crate::value::Out;
use chappe::master::Master;
use chappe::notify::{Options, Server};
use chappe::{Beats, Config, Declared, NodeError, NodeId, Reason, Role, Row, State, value};
use chappe_link::memory::MemoryLink;
use chappe_wire::client::Names;
use pyo3::exceptions::{PyConnectionError, PyKeyError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

/// How long, in virtual time, a node may take to come up, and anything else that a test waits for here.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(1);

/// A cluster whose nodes are all in this process.
#[pyclass(unsendable, frozen, module = "chappe._core")]
pub(crate) struct Cluster {
    // Before the runtime, so that the nodes' tasks are dropped while it is there.
    turns: Turns,
    nodes: RefCell<BTreeMap<NodeId, Up>>,
    lives: RefCell<BTreeMap<NodeId, u64>>,
    door: RefCell<Option<Door>>,
    declared: Declared,
    link: Arc<MemoryLink>,
    records: Records,
    host: Py<PyAny>,
    is_driving: Cell<bool>,
    start: Instant,
    runtime: Runtime,
}

struct Up {
    node: chappe::Node,
    ended: Rc<RefCell<Option<Result<(), NodeError>>>>,
}

#[pymethods]
impl Cluster {
    /// A cluster of the nodes (serverid, role, type) and the RPC modules that deploy.json would declare, none of which
    /// is up. `host` has `load(node)`, `switch(serverid or None)`, `on_error(about, exception)`, and `wait_for_threads()`,
    /// which answers whether it had to: time does not pass before.
    #[new]
    fn new(nodes: Vec<(i64, String, String)>, modules: Vec<String>, host: Py<PyAny>) -> PyResult<Cluster> {
        let mut declared = Declared { nodes: Vec::new(), modules };
        for (id, role, kind) in nodes {
            let role: Role =
                role.parse().map_err(|_| PyValueError::new_err(format!("{role:?} is no role")))?;
            declared.nodes.push((NodeId(id), role, kind));
        }
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let start = runtime.block_on(async { Instant::now() });
        Ok(Cluster {
            turns: Turns::default(),
            nodes: RefCell::default(),
            lives: RefCell::default(),
            door: RefCell::default(),
            declared,
            link: Arc::new(MemoryLink::new()),
            records: Records::new(start),
            host,
            is_driving: Cell::new(false),
            start,
            runtime,
        })
    }

    /// Starts a node that was declared, and waits until it is ready; it serves `modules` beside its type. What its
    /// mods raise is raised.
    fn start(&self, py: Python<'_>, id: i64, modules: Vec<String>, players: u32) -> PyResult<()> {
        let id = NodeId(id);
        let config = self.config(id, modules, players)?;
        let role = config.role;
        let node = {
            // Its clock is the cluster's.
            let _inside = self.runtime.enter();
            chappe::Node::new(config)
        };
        let ended = Rc::new(RefCell::new(None));
        let failed: Rc<RefCell<Option<PyErr>>> = Rc::default();
        let (running, link) = (node.clone(), self.link.clone());
        let (host, on_error) = (self.host.clone_ref(py), self.host.getattr(py, "on_error")?);
        let (end, failure, door) = (ended.clone(), failed.clone(), Rc::new(RefCell::new(None)));
        let slot = door.clone();
        let records = self.records.clone();
        let set = LocalSet::new();
        set.spawn_local(async move {
            let master = (role == Role::Master).then(|| Master::attach(&running));
            if let Some(master) = &master {
                records.attach(master);
            }
            let server = Server::attach(&running, Options::default());
            let setup = async |node: &chappe::Node| {
                if role == Role::Proxy {
                    *slot.borrow_mut() = Some(Door::attach(node));
                    return Ok(());
                }
                Python::attach(|py| {
                    let node = Node::new(&server, master.as_ref(), on_error);
                    host.call_method1(py, "load", (node,)).map(drop)
                })
                .map_err(|error| {
                    let text = error.to_string();
                    *failure.borrow_mut() = Some(error);
                    text
                })
            };
            let result = running.run(link, Beats::Task, setup).await;
            *end.borrow_mut() = Some(result);
        });
        self.turns.insert(id, set);
        self.nodes.borrow_mut().insert(id, Up { node: node.clone(), ended: ended.clone() });
        let waited = self.until(py, || ended.borrow().is_some() || self.is_known_to_all(&node));
        if let Some(door) = door.borrow_mut().take() {
            *self.door.borrow_mut() = Some(door);
        }
        let result = match (waited, failed.borrow_mut().take(), ended.borrow_mut().take()) {
            (Ok(()), None, None) => return Ok(()),
            (Err(error), ..) | (_, Some(error), _) => Err(error),
            (.., Some(Err(error))) => Err(PyRuntimeError::new_err(error.to_string())),
            (.., Some(Ok(()))) => {
                Err(PyRuntimeError::new_err(format!("node {id} has left while it started")))
            }
        };
        self.nodes.borrow_mut().remove(&id);
        self.end(id);
        result
    }

    /// Lets a node leave in order, and waits until it has.
    fn stop(&self, py: Python<'_>, id: i64) -> PyResult<()> {
        let id = NodeId(id);
        let up = self.nodes.borrow_mut().remove(&id).ok_or_else(|| not_up(id))?;
        up.node.stop();
        let left = self.until(py, || up.ended.borrow().is_some());
        self.end(id);
        left
    }

    /// Ends a node at once, as kill -9 does.
    fn kill(&self, id: i64) -> PyResult<()> {
        let id = NodeId(id);
        if self.is_driving.get() {
            return Err(PyRuntimeError::new_err("a node cannot be killed from within a handler"));
        }
        let up = self.nodes.borrow_mut().remove(&id).ok_or_else(|| not_up(id))?;
        if up.node.config().role == Role::Master {
            self.records.crash();
        }
        self.end(id);
        // Python may hold the node for long.
        up.node.abandon();
        Ok(())
    }

    /// Nothing of a node runs until it is thawed, as after kill -STOP; what is sent to it waits. It may be found lost
    /// meanwhile, and then ends when it is thawed.
    fn freeze(&self, id: i64, is_frozen: bool) -> PyResult<()> {
        let is_there = self.turns.freeze(NodeId(id), is_frozen);
        is_there.then_some(()).ok_or_else(|| not_up(NodeId(id)))
    }

    /// Whether a node runs: it was started, and has not ended since.
    fn is_up(&self, id: i64) -> bool {
        self.nodes.borrow().get(&NodeId(id)).is_some_and(|up| up.ended.borrow().is_none())
    }

    /// Lets so many seconds pass.
    fn advance(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        let time = Duration::try_from_secs_f64(seconds)
            .map_err(|_| PyValueError::new_err(format!("{seconds} is no number of seconds to wait for")))?;
        self.drive(py, sleep_for(time))
    }

    /// Seconds since the cluster was made, in its own time.
    fn now(&self) -> f64 {
        let _inside = self.runtime.enter();
        self.start.elapsed().as_secs_f64()
    }

    /// Runs function() on a node, as one of its handlers would be, and returns what it returns.
    fn call(&self, py: Python<'_>, id: i64, function: Py<PyAny>) -> PyResult<Py<PyAny>> {
        self.within(py, NodeId(id), async move { Python::attach(|py| function.call0(py)) })?
    }

    /// Logs a player in: (playerId, session). `hears` is called with a tuple for each thing that the client hears:
    /// ("event", namespace, system, event, data), ("moved", serverid, is_transfer), ("announce", text), ("closed",
    /// reason, text).
    fn log_in(
        &self,
        py: Python<'_>,
        uid: u64,
        nickname: String,
        hears: Py<PyAny>,
    ) -> PyResult<(String, u64)> {
        let door = self.door()?;
        let entering = door.clone();
        let entered = async move { entering.log_in(uid, nickname, hears).await };
        let epoch = self.within(py, door.id(), entered)?;
        let epoch = epoch.map_err(|failure| PyConnectionError::new_err(failure.to_string()))?;
        Ok((player_id_of(epoch), epoch))
    }

    /// Ends a session as its client would, and waits until the player has left.
    fn log_out(&self, py: Python<'_>, session: u64) -> PyResult<()> {
        let door = self.door()?;
        let leaving = door.clone();
        self.within(py, door.id(), async move { leaving.end(session, Reason::Logout, "logged out").await })
    }

    /// The server that a player is on; None while between two, or logged out.
    fn server_of(&self, session: u64) -> PyResult<Option<i64>> {
        Ok(self.door()?.server_of(session).map(|id| id.0))
    }

    /// An event from a client: row 2, or row 12 with a service.
    #[expect(clippy::too_many_arguments, reason = "one argument each of the documented call")]
    fn send(
        &self,
        py: Python<'_>,
        session: u64,
        service: Option<i64>,
        namespace: &str,
        system: &str,
        event: &str,
        data: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let door = self.door()?;
        let data = value::encode(&Out::new(data)).map_err(to_py)?;
        let mut topic = Vec::new();
        Names { namespace, system, event }.topic_into(&mut topic);
        let row = if service.is_some() { Row::ClientToService } else { Row::ClientToServer };
        let (sender, sending) = (door.clone(), (row, service.map(NodeId), topic, data));
        let sent = self.within(py, door.id(), async move { sender.send(session, sending) })?;
        sent.map_err(|reason| crate::RouteError::new_err(format!("{}: {event}", reason.as_str())))
    }

    /// A player's request: a dict with `_type`.
    fn request(&self, py: Python<'_>, session: u64, fields: &Bound<'_, PyAny>) -> PyResult<()> {
        let door = self.door()?;
        let data = value::encode(&Out::new(fields)).map_err(to_py)?;
        let mut topic = Vec::new();
        Names::REQUEST.topic_into(&mut topic);
        let (sender, sending) = (door.clone(), (Row::PlayerRequest, None, topic, data));
        let sent = self.within(py, door.id(), async move { sender.send(session, sending) })?;
        sent.map_err(|reason| crate::RouteError::new_err(format!("{}: request", reason.as_str())))
    }

    /// A player's record as it is stored, as a dict; None when there is none.
    fn record(&self, py: Python<'_>, uid: u64) -> PyResult<Option<Py<PyAny>>> {
        let records = self.records.clone();
        let master =
            self.declared.nodes.iter().find(|node| node.1 == Role::Master).map_or(NodeId(0), |node| node.0);
        self.within(py, master, async move { records.load(uid).await })?
    }

    /// Lets every node leave in order, the master last.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let role_of = |id: &NodeId| self.declared.nodes.iter().find(|node| node.0 == *id).map(|node| node.1);
        self.turns.thaw();
        let mut ids: Vec<NodeId> = self.nodes.borrow().keys().copied().collect();
        ids.sort_by_key(|id| role_of(id) == Some(Role::Master));
        ids.into_iter().try_for_each(|id| self.stop(py, id.0))
    }
}

impl Cluster {
    fn config(&self, id: NodeId, modules: Vec<String>, players: u32) -> PyResult<Config> {
        let has_ended = self.nodes.borrow().get(&id).is_some_and(|up| up.ended.borrow().is_some());
        if has_ended && !self.is_driving.get() {
            self.nodes.borrow_mut().remove(&id);
            self.end(id);
        }
        if self.is_driving.get() || self.nodes.borrow().contains_key(&id) {
            return Err(PyRuntimeError::new_err(format!("node {id} is up already, or a handler starts it")));
        }
        let declared = self.declared.nodes.iter().find(|node| node.0 == id);
        let Some((_, role, kind)) = declared else { return Err(not_up(id)) };
        let mut config = Config::new("test", id, *role, kind.clone());
        let master = self.declared.nodes.iter().find(|node| node.1 == Role::Master);
        config.master = master.map_or(id, |node| node.0);
        let mut lives = self.lives.borrow_mut();
        let life = lives.entry(id).or_default();
        *life += 1;
        config.incarnation = *life;
        config.modules = modules;
        config.limits.players = players;
        config.declared = self.declared.clone();
        Ok(config)
    }

    fn door(&self) -> PyResult<Door> {
        self.door.borrow().clone().ok_or_else(|| PyRuntimeError::new_err("the cluster has no proxy"))
    }

    fn end(&self, id: NodeId) {
        let _inside = self.runtime.enter();
        self.turns.remove(id);
    }

    /// Ready, and known as such to all that are up.
    fn is_known_to_all(&self, node: &chappe::Node) -> bool {
        let is_ready = |at: &chappe::Node, id: NodeId| {
            at.with_view(|view| view.member(id).is_some_and(|member| member.state == State::Ready))
        };
        let nodes = self.nodes.borrow();
        node.state() == State::Ready
            && nodes
                .iter()
                .filter(|(id, up)| !self.turns.is_frozen(**id) && up.ended.borrow().is_none())
                .all(|(_, up)| is_ready(&up.node, node.id()) && is_ready(node, up.node.id()))
    }

    fn until(&self, py: Python<'_>, is_so: impl Fn() -> bool) -> PyResult<()> {
        let wait = async {
            while !is_so() {
                sleep(LOOK).await;
            }
        };
        let waited = self.drive(py, async { timeout(PATIENCE, wait).await })?;
        waited.map_err(|_| PyRuntimeError::new_err("a node came neither up nor down in a minute of its time"))
    }

    /// Runs `future` on a node and waits for it.
    fn within<R: 'static>(
        &self,
        py: Python<'_>,
        id: NodeId,
        future: impl Future<Output = R> + 'static,
    ) -> PyResult<R> {
        if self.is_driving.get() {
            return Err(nested());
        }
        let task = self.turns.spawn(id, future).ok_or_else(|| not_up(id))?;
        let done = self.drive(py, async { timeout(PATIENCE, task).await })?;
        let done = done.map_err(|_| PyRuntimeError::new_err(format!("node {id} did not come to an end")))?;
        done.map_err(|error| PyRuntimeError::new_err(format!("node {id}: {error}")))
    }

    /// Polls `script` and every node that has something to do, until the script ends.
    fn drive<R>(&self, py: Python<'_>, script: impl Future<Output = R>) -> PyResult<R> {
        if self.is_driving.replace(true) {
            return Err(nested());
        }
        let mut switched = Ok(());
        let result = self.runtime.block_on(async {
            let mut script = pin!(script);
            poll_fn(|cx| {
                if let Poll::Ready(result) = script.as_mut().poll(cx) {
                    return Poll::Ready(result);
                }
                self.turns.poll(cx, |id| {
                    if let Err(error) = self.switch(py, Some(id)) {
                        switched = Err(error);
                    }
                });
                if switched.is_ok() && self.turns.is_at_rest() {
                    match self.wait_for_threads(py) {
                        Ok(true) => cx.waker().wake_by_ref(),
                        Ok(false) => {}
                        Err(error) => switched = Err(error),
                    }
                }
                Poll::Pending
            })
            .await
        });
        self.is_driving.set(false);
        self.switch(py, None)?;
        // A test that hangs is ended by Ctrl-C.
        py.check_signals()?;
        switched.map(|()| result)
    }

    /// What threads of mods do takes none of the cluster's time.
    fn wait_for_threads(&self, py: Python<'_>) -> PyResult<bool> {
        self.host.call_method0(py, "wait_for_threads")?.extract(py)
    }

    /// From here on it is this node's Python that runs.
    fn switch(&self, py: Python<'_>, id: Option<NodeId>) -> PyResult<()> {
        self.host.call_method1(py, "switch", (id.map(|id| id.0),)).map(drop)
    }
}

async fn sleep_for(time: Duration) {
    sleep(time).await;
    // What is due at this very moment runs, too.
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
    sleep(LOOK).await;
}

fn not_up(id: NodeId) -> PyErr {
    PyKeyError::new_err(format!("the cluster has no node {id} that is up"))
}

fn nested() -> PyErr {
    PyRuntimeError::new_err("the cluster runs already: this was called from within a handler or a timer")
}
