//! The node, as Python sees it.

use crate::deliver::{Deliver, to_py};
use crate::notify::Notifications;
use crate::responders::Responders;
use crate::system::{System, player_id};
use crate::value::{In, Out};
use chappe::control::{Destination, Kick, Transfer, Where};
use chappe::master::{ClientId, LoginChoice, Master};
use chappe::notify::Server;
use chappe::{Failure, NodeId, Player, value};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};
use serde::Serialize;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

/// How long the master may take for a look-up or a transfer.
const MASTER: Duration = Duration::from_secs(5);
/// The most calls of other threads that may wait for the node's.
const POSTED: usize = 100_000;
/// The longest delay of a timer.
const LONGEST: f64 = 1e9;

/// A timer that was set.
#[pyclass(frozen, module = "chappe._core")]
pub(crate) struct Timer(chappe::Timer);

#[pymethods]
impl Timer {
    /// Stops it; nothing when it has fired or was stopped before.
    fn cancel(&self) {
        self.0.cancel();
    }
}

/// Brings calls from other threads to the node's.
#[pyclass(frozen, module = "chappe._core")]
pub(crate) struct Post(tokio::sync::mpsc::Sender<Py<PyAny>>);

#[pymethods]
impl Post {
    /// Runs function() on the node's thread, soon. RuntimeError when too many wait, or the node has left.
    fn __call__(&self, function: Py<PyAny>) -> PyResult<()> {
        let full = |error: tokio::sync::mpsc::error::TrySendError<_>| match error {
            tokio::sync::mpsc::error::TrySendError::Full(_) => "too many calls wait for the node's thread",
            tokio::sync::mpsc::error::TrySendError::Closed(_) => "the node has left",
        };
        self.0.try_send(function).map_err(|error| PyRuntimeError::new_err(full(error)))
    }
}

/// What a login strategy decides with: called with a server's id, once.
#[pyclass(unsendable, module = "chappe._core")]
struct Choice(Option<LoginChoice>);

#[pymethods]
impl Choice {
    fn __call__(&mut self, server: i64) {
        match self.0.take() {
            Some(choice) => choice.choose(NodeId(server)),
            None => tracing::warn!(server, "a login was decided twice; the second decision is dropped"),
        }
    }
}

/// The node of this process. Everything of it runs on Python's main thread.
#[pyclass(unsendable, frozen, module = "chappe._core")]
pub(crate) struct Node {
    deliver: Rc<Deliver>,
    responders: Rc<Responders>,
    server: Server,
    master: Option<Master>,
}

impl Node {
    pub(crate) fn new(server: &Server, master: Option<&Master>, on_error: Py<PyAny>) -> Node {
        Node {
            deliver: Deliver::new(server.node().clone(), on_error),
            responders: Rc::default(),
            server: server.clone(),
            master: master.cloned(),
        }
    }

    fn node(&self) -> &chappe::Node {
        &self.deliver.node
    }

    fn on_master(&self) -> PyResult<&Master> {
        self.master.as_ref().ok_or_else(|| PyRuntimeError::new_err("this node is not the master"))
    }

    /// Calls callback(result, None) or callback(None, (reason, text)) when `result` is there.
    fn tell<T: Serialize + 'static>(
        &self,
        about: &'static str,
        callback: Option<Py<PyAny>>,
        result: impl Future<Output = Result<T, Failure>> + 'static,
    ) {
        let deliver = self.deliver.clone();
        self.node().spawn(async move {
            let result = result.await;
            let Some(callback) = callback else {
                if let Err(failure) = result {
                    tracing::warn!(call = about, %failure, "a call came to nothing");
                }
                return;
            };
            let result = result.and_then(|data| {
                let bytes = value::encode(&data).map_err(Failure::from)?;
                value::decode::<In>(&bytes).map_err(Failure::from)
            });
            deliver.run(&about, |py| match result {
                Ok(data) => callback.call1(py, (data.0, py.None())).map(drop),
                Err(failure) => {
                    callback.call1(py, (py.None(), (failure.reason.as_str(), failure.message))).map(drop)
                }
            });
        });
    }
}

#[pymethods]
impl Node {
    /// Its serverid.
    #[getter]
    fn id(&self) -> i64 {
        self.node().id().0
    }

    /// Its role: "master", "lobby", "game" or "service".
    #[getter]
    fn role(&self) -> &'static str {
        self.node().config().role.as_str()
    }

    /// Its type.
    #[getter]
    fn node_type(&self) -> String {
        self.node().config().node_type.clone()
    }

    /// The cluster's name.
    #[getter]
    fn cluster(&self) -> String {
        self.node().config().cluster.clone()
    }

    /// The master's serverid.
    #[getter]
    fn master_id(&self) -> i64 {
        let node = self.node();
        node.with_view(|view| view.master()).unwrap_or(node.config().master).0
    }

    /// The modules it declares beside its type.
    #[getter]
    fn modules(&self) -> Vec<String> {
        self.node().config().modules.clone()
    }

    /// The modules that anyone declares.
    #[getter]
    fn declared_modules(&self) -> Vec<String> {
        self.node().config().declared.modules.clone()
    }

    /// The nodes that deploy.json declares: (serverid, role, type).
    #[getter]
    fn declared_nodes(&self) -> Vec<(i64, &'static str, String)> {
        let nodes = &self.node().config().declared.nodes;
        nodes.iter().map(|(id, role, kind)| (id.0, role.as_str(), kind.clone())).collect()
    }

    /// The nodes that are known: (serverid, role, type, state, modules), by serverid.
    fn members(&self) -> Vec<(i64, &'static str, String, &'static str, Vec<String>)> {
        self.node().with_view(|view| {
            let members = view.members();
            let tell = |member: &chappe::Member| {
                let (id, role, state) = (member.id.0, member.role.as_str(), member.state.as_str());
                (id, role, member.node_type.clone(), state, member.modules.clone())
            };
            members.map(tell).collect()
        })
    }

    /// Asks the node to leave: it finishes what it has.
    fn stop(&self) {
        self.node().stop();
    }

    /// Calls function() when the node leaves, while it can still send.
    fn on_leave(&self, function: Py<PyAny>) {
        let (deliver, function) = (self.deliver.clone(), Rc::new(function));
        self.node().on_leave(move || {
            let (deliver, function) = (deliver.clone(), function.clone());
            Box::pin(async move {
                deliver.run(&"leaving", |py| function.call0(py).map(drop));
            })
        });
    }

    /// A function that any thread may call with a function(): it is run on the node's thread, in order.
    fn poster(&self) -> Post {
        let (sender, mut posted) = tokio::sync::mpsc::channel::<Py<PyAny>>(POSTED);
        let deliver = self.deliver.clone();
        self.node().spawn(async move {
            while let Some(function) = posted.recv().await {
                deliver.run(&"posted call", |py| function.call0(py).map(drop));
            }
        });
        Post(sender)
    }

    /// Player records and notifications; `params` makes the dicts that handlers are given, `refuse` is the exception with
    /// which they say no, `slave_client` makes a node for the master of its serverid. To be asked for once.
    fn notifications(&self, params: Py<PyAny>, refuse: Py<PyAny>, slave_client: Py<PyAny>) -> Notifications {
        Notifications::new(&self.server, self.deliver.clone(), [params, refuse, slave_client])
    }

    /// A system under a namespace and a name.
    fn system(&self, namespace: &str, name: &str) -> System {
        System::new(self.deliver.clone(), self.responders.clone(), namespace, name)
    }

    /// Raises an engine event on this node, after what the current handler does.
    fn raise_event(&self, event: &str, data: &Bound<'_, PyAny>) -> PyResult<()> {
        // Checked here, so that the mistake shows where it was made.
        let data: chappe::Value =
            value::encode(&Out::new(data)).and_then(|bytes| value::decode(&bytes)).map_err(to_py)?;
        self.node().raise(event, &data);
        Ok(())
    }

    /// Answers a request: "ok"; "unknown" when there is none of that number open for that node; "unwanted" when the
    /// caller wants no answer.
    fn respond<'py>(
        &self,
        py: Python<'py>,
        server: i64,
        callback_id: u64,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<&'py Bound<'py, PyString>> {
        if callback_id == 0 {
            return Ok(intern!(py, "unwanted"));
        }
        let Some(responder) = self.responders.take(callback_id, NodeId(server)) else {
            self.node().stats().count("unknown_answers");
            return Ok(intern!(py, "unknown"));
        };
        responder.respond(&Out::new(data)).map(|()| intern!(py, "ok")).map_err(to_py)
    }

    /// Calls function(*args, **kwargs) after so many seconds.
    #[pyo3(signature = (delay, function, args, kwargs = None))]
    fn add_timer(
        &self,
        delay: f64,
        function: Py<PyAny>,
        args: Py<PyTuple>,
        kwargs: Option<Py<PyDict>>,
    ) -> PyResult<Timer> {
        let deliver = self.deliver.clone();
        let call = move || {
            deliver.run(&"timer", |py| call_with(py, &function, &args, kwargs.as_ref()));
        };
        Ok(Timer(self.node().add_timer(seconds(delay)?, call)))
    }

    /// Calls function(*args, **kwargs) every so many seconds, the first time after one period.
    #[pyo3(signature = (period, function, args, kwargs = None))]
    fn add_repeated_timer(
        &self,
        period: f64,
        function: Py<PyAny>,
        args: Py<PyTuple>,
        kwargs: Option<Py<PyDict>>,
    ) -> PyResult<Timer> {
        let deliver = self.deliver.clone();
        let call = move || {
            deliver.run(&"repeated timer", |py| call_with(py, &function, &args, kwargs.as_ref()));
        };
        Ok(Timer(self.node().add_repeated_timer(seconds(period)?, call)))
    }

    /// Calls function() 30 times a second; `about` is what errors call it.
    fn on_update(&self, function: Py<PyAny>, about: String) -> Timer {
        let deliver = self.deliver.clone();
        Timer(self.node().on_update(move || {
            deliver.run(&about, |py| function.call0(py).map(drop));
        }))
    }

    /// The players on this server: (playerId, uid, proxyId, nickname), in the order of their logins.
    fn players(&self) -> Vec<(String, u64, i64, String)> {
        self.node().players().into_iter().map(player_tuple).collect()
    }

    /// The player of that playerId, while on this server.
    fn player(&self, id: &str) -> Option<(String, u64, i64, String)> {
        player_id(id).ok().and_then(|id| self.node().player(id)).map(player_tuple)
    }

    /// The player with that uid, while on this server.
    fn player_by_uid(&self, uid: u64) -> Option<(String, u64, i64, String)> {
        self.node().player_by_uid(uid).map(player_tuple)
    }

    /// Where players are: callback(list, None) or callback(None, (reason, text)).
    fn whereabouts(&self, uids: Vec<u64>, callback: Py<PyAny>) {
        let answer =
            self.node().ask_master::<_, Vec<chappe::control::PlayerInfo>>("where", &Where { uids }, MASTER);
        self.tell("GetOnlineServerInfoOfPlayer", Some(callback), answer);
    }

    /// Moves a player of this server to a server, or to the emptiest of a type.
    #[pyo3(signature = (player, param, server = None, server_type = None, callback = None))]
    fn transfer(
        &self,
        player: &str,
        param: String,
        server: Option<i64>,
        server_type: Option<String>,
        callback: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let to = match (server, server_type) {
            (Some(id), None) => Destination::Server(NodeId(id)),
            (None, Some(kind)) => Destination::Type(kind),
            _ => return Err(PyValueError::new_err("a transfer leads to a server or to a type")),
        };
        let epoch = player_id(player)?.0;
        let answer = self.node().ask_master::<_, NodeId>("transfer", &Transfer { epoch, to, param }, MASTER);
        self.tell("TransferToOtherServer", callback, answer);
        Ok(())
    }

    /// Ends a player's session; the client is told the message.
    #[pyo3(signature = (uid, message, callback = None))]
    fn kick(&self, uid: u64, message: String, callback: Option<Py<PyAny>>) {
        let answer = self.node().ask_master::<_, ()>("kick", &Kick { uid, message }, MASTER);
        self.tell("TryToKickoutPlayer", callback, answer);
    }

    /// The node's counters, as `chappe nodes` and the master see them.
    fn report(&self) -> PyResult<Py<PyAny>> {
        let bytes = value::encode(&self.node().report()).map_err(to_py)?;
        value::decode::<In>(&bytes).map(|object| object.0).map_err(to_py)
    }

    /// On the master: calls handler(clientId, body) for each POST to the url.
    fn register_http(&self, url: &str, handler: Py<PyAny>) -> PyResult<()> {
        let (deliver, about) = (self.deliver.clone(), format!("HTTP {url}"));
        self.on_master()?.register_http(url, move |client, body| {
            deliver.run(&about, |py| {
                // Text where it is text, as mods expect it.
                match std::str::from_utf8(body) {
                    Ok(text) => handler.call1(py, (client.0, text)).map(drop),
                    Err(_) => handler.call1(py, (client.0, PyBytes::new(py, body))).map(drop),
                }
            });
        });
        Ok(())
    }

    /// On the master: answers a request to a registered url; False for a second or late answer.
    fn send_http_response(&self, client: u64, body: Vec<u8>) -> PyResult<bool> {
        Ok(self.on_master()?.send_http_response(ClientId(client), body).is_ok())
    }

    /// On the master: strategy(uid, choose) decides where a login leads by calling choose(serverId).
    fn set_login_strategy(&self, strategy: Py<PyAny>) -> PyResult<()> {
        let deliver = self.deliver.clone();
        self.on_master()?.set_login_strategy(move |uid, choice| {
            deliver.run(&format_args!("login strategy for player {uid}"), |py| {
                strategy.call1(py, (uid, Py::new(py, Choice(Some(choice)))?)).map(drop)
            });
        });
        Ok(())
    }

    /// On the master: the lobbies and games that are up.
    fn connected_servers(&self) -> PyResult<Vec<i64>> {
        Ok(self.on_master()?.connected_servers().into_iter().map(|id| id.0).collect())
    }

    /// On the master: how many players stand on the lobbies and games of each type.
    fn online_by_type(&self) -> PyResult<BTreeMap<String, usize>> {
        Ok(self.on_master()?.online_by_type())
    }

    /// On the master: how many players are on each node, proxies too, by serverid.
    fn online_by_node(&self) -> PyResult<BTreeMap<i64, usize>> {
        Ok(self.on_master()?.nodes().into_iter().map(|node| (node.id.0, node.players)).collect())
    }

    /// On the master: asks a node to drain and end.
    #[pyo3(signature = (server, callback = None))]
    fn stop_node(&self, server: i64, callback: Option<Py<PyAny>>) -> PyResult<()> {
        let answer = self.on_master()?.stop_node(NodeId(server));
        self.tell("StopServerById", callback, answer);
        Ok(())
    }
}

fn player_tuple(player: Player) -> (String, u64, i64, String) {
    (player.id.to_string(), player.uid, player.proxy.0, player.nickname)
}

fn seconds(number: f64) -> PyResult<Duration> {
    let wrong = |_| PyValueError::new_err("NaN is no number of seconds");
    Duration::try_from_secs_f64(number.clamp(0.0, LONGEST)).map_err(wrong)
}

fn call_with(
    py: Python<'_>,
    function: &Py<PyAny>,
    args: &Py<PyTuple>,
    kwargs: Option<&Py<PyDict>>,
) -> PyResult<()> {
    function.call(py, args.clone_ref(py), kwargs.map(|kwargs| kwargs.bind(py))).map(drop)
}
