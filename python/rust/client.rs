//! A player's connection, for bots and tests: it has a thread of its own, and calls wait with the interpreter given up.

use crate::deliver::to_py;
use crate::value::{In, Out};
use chappe::client::{ClientError, ClientEvent, Login, Response, Tls};
use chappe::{NodeId, Row, Value, value};
use pyo3::exceptions::{PyConnectionError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

/// What came of a request, by its number.
type Answer = (u64, Result<Response, ClientError>);

enum Next {
    Event(ClientEvent),
    Answer(Answer),
}

/// A client that is logged in.
#[pyclass(frozen, module = "chappe._core")]
pub(crate) struct Client {
    client: chappe::client::Client,
    runtime: Handle,
    /// As many as requests are open, which the mod bounds.
    answers: UnboundedSender<Answer>,
    answered: tokio::sync::Mutex<UnboundedReceiver<Answer>>,
    last_ask: AtomicU64,
    /// Dropped with the client: the thread ends.
    _alive: oneshot::Sender<()>,
}

#[pymethods]
impl Client {
    /// Logs in at the proxy at `url` (ws://host:port, wss://host:port) and waits until the player is on a server.
    /// ConnectionError says why not. `ca`, `cert` and `key` are PEM files: whose certificates are trusted in place of the
    /// system's, and the player's own.
    #[new]
    #[pyo3(signature = (url, uid, nickname = None, token = None, *, ca = None, cert = None, key = None))]
    #[expect(clippy::too_many_arguments, reason = "they are named where it is called")]
    fn new(
        py: Python<'_>,
        url: String,
        uid: u64,
        nickname: Option<String>,
        token: Option<String>,
        ca: Option<PathBuf>,
        cert: Option<PathBuf>,
        key: Option<PathBuf>,
    ) -> PyResult<Client> {
        let mut login = Login::new(uid);
        login.token = token;
        login.tls = ca.map(|path| Tls::new().authority(path));
        login.tls = match (cert, key) {
            (Some(cert), Some(key)) => Some(login.tls.unwrap_or_default().certificate(cert, key)),
            (None, None) => login.tls,
            _ => return Err(PyValueError::new_err("cert and key belong together")),
        };
        login.nickname = nickname.unwrap_or(login.nickname);
        py.detach(|| {
            let (runtime, alive) = start()?;
            let client = runtime.block_on(runtime.spawn(chappe::client::Client::connect(url, login)));
            let client = client.map_err(io::Error::other)?.map_err(client_error)?;
            let (answers, answered) = unbounded_channel();
            let (answered, last_ask) = (tokio::sync::Mutex::new(answered), AtomicU64::new(0));
            Ok(Client { client, runtime, answers, answered, last_ask, _alive: alive })
        })
    }

    /// Row 2: an event to the lobby or game that the player is on.
    fn notify_to_server(
        &self,
        namespace: &str,
        system: &str,
        event: &str,
        data: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.client.notify_to_server(namespace, system, event, &Out::new(data)).map_err(client_error)
    }

    /// Row 12: an event to a service.
    fn notify_to_service_node(
        &self,
        server: i64,
        namespace: &str,
        system: &str,
        event: &str,
        data: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let server = NodeId(server);
        self.client
            .notify_to_service_node(server, namespace, system, event, &Out::new(data))
            .map_err(client_error)
    }

    /// Sends a request of the type `kind` with `params`, a dict; with an `id`, it runs once however often it is sent. Its
    /// response is an event.
    #[pyo3(signature = (kind, params, id = None))]
    fn request(&self, kind: &str, params: &Bound<'_, PyAny>, id: Option<&str>) -> PyResult<()> {
        self.client.request(kind, &Out::new(params), id).map_err(client_error)
    }

    /// Sends a request under an id of its own, again when a socket or a server is lost meanwhile; its outcome is the event
    /// "answer" with the `number` that this returns. The timeout is in seconds.
    fn ask(&self, kind: &str, params: &Bound<'_, PyAny>, timeout: f64) -> PyResult<u64> {
        let timeout = Duration::try_from_secs_f64(timeout.clamp(0.0, 86_400.0)).unwrap_or_default();
        // Checked here, so that the mistake shows where it was made.
        let params: Value =
            value::encode(&Out::new(params)).and_then(|bytes| value::decode(&bytes)).map_err(to_py)?;
        let number = self.last_ask.fetch_add(1, Ordering::Relaxed) + 1;
        let (answers, answer) = (self.answers.clone(), self.client.ask(kind, &params, timeout));
        self.runtime.spawn(async move {
            // Whoever wants none any more has dropped the client.
            let _ = answers.send((number, answer.await));
        });
        Ok(number)
    }

    /// What happens next, as a dict with a `kind`: "event" {namespace, system, event, data}, "response" {data},
    /// "answer" {number, data, reason, text}: data is None for a request that came to nothing, "moved" {server,
    /// isTransfer}, "announce" {text}, "dropped" {reason, text}, "reconnected" {resumed}, "closed" {reason, text}. None
    /// when nothing has after `timeout` seconds, or when it is over.
    fn next_event<'py>(&self, py: Python<'py>, timeout: f64) -> PyResult<Option<Bound<'py, PyDict>>> {
        let timeout = Duration::try_from_secs_f64(timeout.clamp(0.0, 86_400.0)).unwrap_or_default();
        let next = self.wait(py, async |client| {
            let mut answered = self.answered.lock().await;
            tokio::select! {
                biased;
                Some(answer) = answered.recv() => Some(Next::Answer(answer)),
                event = client.next_event() => event.map(Next::Event),
                () = tokio::time::sleep(timeout) => None,
            }
        });
        match next {
            Some(Next::Event(event)) => event_dict(py, &event).map(Some),
            Some(Next::Answer((number, answer))) => answer_dict(py, number, answer).map(Some),
            None => Ok(None),
        }
    }

    /// Ends the session; what was sent before goes first.
    fn logout(&self, py: Python<'_>) -> PyResult<()> {
        self.wait(py, async |client| client.logout().await).map_err(client_error)
    }

    /// Drops the socket as a bad network would; the client connects again by itself.
    fn drop_socket(&self) {
        self.client.drop_socket();
    }

    /// What this session has counted until now: {"sent", "lost", "received"}, each {row of the message table: count}.
    /// What was received stands under its row where the cluster measures, else under 0.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.client.counts();
        let dict = PyDict::new(py);
        for (name, of) in [("sent", counts.sent), ("lost", counts.lost), ("received", counts.received)] {
            let rows = PyDict::new(py);
            for row in Row::ALL.iter().filter(|row| of[row.index()] > 0) {
                rows.set_item(row.code(), of[row.index()])?;
            }
            dict.set_item(name, rows)?;
        }
        Ok(dict)
    }

    /// The player.
    #[getter]
    fn uid(&self) -> u64 {
        self.client.uid()
    }

    /// The playerId of this session.
    #[getter]
    fn player_id(&self) -> String {
        self.client.player_id().to_string()
    }

    /// The lobby or game that the player is on.
    #[getter]
    fn server_id(&self) -> i64 {
        self.client.server_id().0
    }

    /// The proxy.
    #[getter]
    fn proxy_id(&self) -> i64 {
        self.client.proxy_id().0
    }
}

impl Client {
    fn wait<R: Send, F: Future<Output = R>>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(chappe::client::Client) -> F + Send,
    ) -> R {
        let client = self.client.clone();
        py.detach(|| self.runtime.block_on(call(client)))
    }
}

/// A thread that moves bytes until its client is dropped.
fn start() -> io::Result<(Handle, oneshot::Sender<()>)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (alive, over) = oneshot::channel::<()>();
    let run = move || {
        let _ = runtime.block_on(over);
    };
    std::thread::Builder::new().name("chappe-client".into()).stack_size(512 * 1024).spawn(run)?;
    Ok((handle, alive))
}

fn event_dict<'py>(py: Python<'py>, event: &ClientEvent) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    match event {
        ClientEvent::Event(event) if event.response().is_some() => {
            dict.set_item("kind", "response")?;
            dict.set_item("data", event.data::<In>().map_err(to_py)?.0)?;
        }
        ClientEvent::Event(event) => {
            dict.set_item("kind", "event")?;
            dict.set_item("namespace", event.namespace())?;
            dict.set_item("system", event.system())?;
            dict.set_item("event", event.name())?;
            dict.set_item("data", event.data::<In>().map_err(to_py)?.0)?;
        }
        ClientEvent::Moved { server, is_transfer } => {
            dict.set_item("kind", "moved")?;
            dict.set_item("server", server.0)?;
            dict.set_item("isTransfer", is_transfer)?;
        }
        ClientEvent::Announce(text) => {
            dict.set_item("kind", "announce")?;
            dict.set_item("text", text)?;
        }
        ClientEvent::Dropped { reason, message } => {
            dict.set_item("kind", "dropped")?;
            dict.set_item("reason", reason.as_str())?;
            dict.set_item("text", message)?;
        }
        ClientEvent::Reconnected { resumed } => {
            dict.set_item("kind", "reconnected")?;
            dict.set_item("resumed", resumed)?;
        }
        ClientEvent::Closed { reason, message } => {
            dict.set_item("kind", "closed")?;
            dict.set_item("reason", reason.as_str())?;
            dict.set_item("text", message)?;
        }
    }
    Ok(dict)
}

fn answer_dict(
    py: Python<'_>,
    number: u64,
    answer: Result<Response, ClientError>,
) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("kind", "answer")?;
    dict.set_item("number", number)?;
    match answer {
        Ok(response) => dict.set_item("data", response.data::<In>().map_err(to_py)?.0)?,
        Err(error) => {
            dict.set_item("data", py.None())?;
            dict.set_item("reason", error.reason().as_str())?;
            dict.set_item("text", error.to_string())?;
        }
    }
    Ok(dict)
}

fn client_error(error: ClientError) -> PyErr {
    match error {
        ClientError::Data(error) => to_py(error),
        error => PyConnectionError::new_err(error.to_string()),
    }
}
