//! A system: what listens, sends, asks and answers under a namespace and a name.

use crate::deliver::{Deliver, to_py};
use crate::responders::Responders;
use crate::value::{In, Out};
use chappe::system::ServerSystem;
use chappe::{Address, ListenerId, NodeId, PlayerId, PushTo, Row, SendError, Sent, To, value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// One registration of a listener.
#[pyclass(frozen, module = "chappe._core")]
pub(crate) struct Listener(ListenerId);

/// A system on this node: its namespace and its name stand in every event that it sends.
#[pyclass(unsendable, frozen, module = "chappe._core")]
pub(crate) struct System {
    deliver: Rc<Deliver>,
    responders: Rc<Responders>,
    // The one with the most calls; which of them a role has is decided above.
    system: ServerSystem,
}

impl System {
    pub(crate) fn new(
        deliver: Rc<Deliver>,
        responders: Rc<Responders>,
        namespace: &str,
        name: &str,
    ) -> System {
        let system = ServerSystem::new(&deliver.node, namespace, name);
        System { deliver, responders, system }
    }

    fn send(&self, row: u8, to: Address<'_>, event: &str, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        sent(self.system.send(row_of(row)?, to, &self.system.topic(event), &Out::new(data)))
    }
}

#[pymethods]
impl System {
    /// Calls handler(data) for each such event of the system (namespace, system); larger priorities first.
    #[pyo3(signature = (namespace, system, event, handler, priority = 0))]
    fn listen(
        &self,
        namespace: &str,
        system: &str,
        event: &str,
        handler: Py<PyAny>,
        priority: i32,
    ) -> Listener {
        let deliver = self.deliver.clone();
        let handler = move |event: chappe::Event<'_>| deliver.event(event, &handler);
        Listener(self.system.listen_with_priority(namespace, system, event, priority, handler))
    }

    /// Undoes a registration; False when that was done before.
    fn unlisten(&self, listener: &Listener) -> bool {
        self.system.unlisten(listener.0)
    }

    /// Undoes every registration of this system.
    fn unlisten_all(&self) {
        self.system.unlisten_all();
    }

    /// An event for the systems of this node, after what the current handler does.
    fn broadcast_event(&self, event: &str, data: &Bound<'_, PyAny>) -> PyResult<()> {
        self.system.broadcast_event(event, &Out::new(data)).map_err(send_error)
    }

    /// An event for one lobby or game.
    fn to_server(&self, row: u8, server: i64, event: &str, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.send(row, Address::Server(NodeId(server)), event, data)
    }

    /// An event for one service.
    fn to_service(&self, row: u8, service: i64, event: &str, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.send(row, Address::Service(NodeId(service)), event, data)
    }

    /// An event for the master.
    fn to_master(&self, row: u8, event: &str, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.send(row, Address::Master, event, data)
    }

    /// An event for all lobbies and games of a type; how many it was sent to.
    fn to_type(&self, row: u8, server_type: &str, event: &str, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.send(row, Address::ServersOfType(server_type), event, data)
    }

    /// An event for all services; how many it was sent to.
    fn to_services(&self, row: u8, event: &str, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.send(row, Address::Services, event, data)
    }

    /// An event for a player on this server.
    fn to_player(&self, player: &str, event: &str, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        sent(self.system.notify_to_client(player_id(player)?, event, &Out::new(data)))
    }

    /// An event for several players on this server; how many of them are here.
    fn to_players(&self, players: Vec<String>, event: &str, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let players = players.iter().map(|id| player_id(id)).collect::<PyResult<Vec<_>>>()?;
        self.system.notify_to_multi_clients(&players, event, &Out::new(data)).map_err(send_error)
    }

    /// An event for every player on this server; how many there are.
    fn to_all_players(&self, event: &str, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.system.broadcast_to_all_client(event, &Out::new(data)).map_err(send_error)
    }

    /// An event for a player who has a session at that proxy.
    fn to_uid(&self, row: u8, uid: u64, proxy: i64, event: &str, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let (row, topic) = (row_of(row)?, self.system.topic(event));
        sent(self.system.push(row, NodeId(proxy), PushTo::Uid(uid), &topic, &Out::new(data)))
    }

    /// Asks one provider of a module. callback(True, answer) or callback(False, None) is called once, never before
    /// this call has returned; with `reasons`, the latter gets (reason, text) instead of None. Without a callback no
    /// answer is wanted. With a key, the same key asks the same provider. The timeout is in seconds.
    #[pyo3(signature = (row, module, method, args, timeout, callback = None, key = None, reasons = false))]
    #[expect(clippy::too_many_arguments, reason = "one argument each of the documented call")]
    fn request(
        &self,
        row: u8,
        module: &str,
        method: &str,
        args: &Bound<'_, PyAny>,
        timeout: f64,
        callback: Option<Py<PyAny>>,
        key: Option<Vec<u8>>,
        reasons: bool,
    ) -> PyResult<()> {
        let row = row_of(row)?;
        let timeout = Duration::try_from_secs_f64(timeout.clamp(0.0, 86_400.0))
            .map_err(|_| PyValueError::new_err("timeout: NaN is no number of seconds"))?;
        let to = key.as_deref().map_or(To::Module, To::Key);
        let Some(callback) = callback else {
            let limit = self.system.config().limits.message_bytes;
            let args = value::encode_limited("args", &Out::new(args), limit).map_err(to_py)?;
            self.system.request_raw(row, to, (module, method), &args, timeout, None);
            return Ok(());
        };
        let (deliver, about) = (self.deliver.clone(), ["callback of ", module, ".", method].concat());
        let finish = move |reply: chappe::Reply<'_>| {
            deliver.run(&about, |py| {
                match reply.and_then(|data| data.parse::<In>().map_err(chappe::Failure::from)) {
                    Ok(data) => callback.call1(py, (true, data.0)).map(drop),
                    Err(failure) if reasons => {
                        callback.call1(py, (false, (failure.reason.as_str(), failure.message))).map(drop)
                    }
                    Err(failure) => {
                        tracing::info!(request = about, %failure, "a request came to nothing");
                        callback.call1(py, (false, py.None())).map(drop)
                    }
                }
            });
        };
        self.system.request(row, to, (module, method), &Out::new(args), timeout, finish).map_err(to_py)
    }

    /// Answers requests for a method of a module with handler(serverId, callbackId, args); what stood there is
    /// replaced. One that raises ends the request as HandlerFailed.
    fn register(&self, row: u8, module: &str, method: &str, handler: Py<PyAny>) -> PyResult<()> {
        let (row, deliver, responders) = (row_of(row)?, self.deliver.clone(), self.responders.clone());
        let name = format!("{module}.{method}");
        self.system.register(row, module, method, move |call| {
            let from = call.from().0;
            // Made into text only for a handler that raises.
            let about = About { name: &name, from };
            // The interpreter is taken once, for the data and the handler.
            Python::attach(|_| {
                let args = match call.args::<In>() {
                    Ok(args) => args.0,
                    Err(error) => return call.fail(chappe::Reason::BadData, &error.to_string()),
                };
                let id = responders.keep(call.into_responder());
                if !deliver.run(&about, |py| handler.call1(py, (from, id, args)).map(drop)) {
                    responders.fail(id, &about);
                }
            });
        });
        Ok(())
    }
}

/// A request, for a log line.
struct About<'a> {
    name: &'a str,
    from: i64,
}

impl fmt::Display for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {} from node {}", self.name, self.from)
    }
}

fn row_of(code: u8) -> PyResult<Row> {
    Row::from_code(code).ok_or_else(|| PyValueError::new_err(format!("there is no row {code}")))
}

pub(crate) fn player_id(text: &str) -> PyResult<PlayerId> {
    text.parse().map_err(|error: chappe::BadPlayerId| crate::RouteError::new_err(error.to_string()))
}

fn sent(result: Result<Sent, SendError>) -> PyResult<usize> {
    result.map(|sent| sent.targets()).map_err(send_error)
}

fn send_error(error: SendError) -> PyErr {
    match error {
        SendError::Data { .. } => crate::DataError::new_err(error.to_string()),
        SendError::Route { .. } => crate::RouteError::new_err(error.to_string()),
    }
}
