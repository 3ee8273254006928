//! `server` in Python: modules, and the calls of snipe.md section 1.

use crate::deliver::{Deliver, to_py};
use crate::notify_player::{OWN, Player, notify_error};
use crate::notify_run::{Runs, With, call_back};
use crate::notify_value::{fill, to_python, to_value};
use chappe::notify::{Attributes, HandlerError, Module, Params, Server};
use chappe::{NodeId, Value};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

/// The longest that the master may be given for an answer, in seconds.
const LONGEST: f64 = 3600.0;

/// The node's end of player records and notifications.
#[pyclass(unsendable, frozen, module = "chappe._core")]
pub(crate) struct Notifications(Rc<Runs>);

impl Notifications {
    pub(crate) fn new(server: &Server, deliver: Rc<Deliver>, types: [Py<PyAny>; 3]) -> Notifications {
        Notifications(Runs::new(server, deliver, types))
    }

    /// Calls `callback` with what `args` makes of the answer: in a handler on a player in a run of its own on that player.
    fn when_answered<T: 'static>(
        &self,
        what: &'static str,
        answer: impl Future<Output = Result<T, HandlerError>> + 'static,
        callback: Option<Py<PyAny>>,
        args: impl Fn(Python<'_>, &Result<T, HandlerError>) -> PyResult<Py<PyTuple>> + 'static,
    ) {
        let (runs, asker) = (self.0.clone(), self.0.asker());
        self.0.deliver.node.spawn(async move {
            let answer = answer.await;
            if answer.as_ref().is_err_and(HandlerError::is_undone) {
                // The handler that asked runs again, or has failed.
                return;
            }
            match (callback, asker) {
                (Some(callback), Some(asker)) => {
                    let args = Rc::new(move |py: Python<'_>| args(py, &answer));
                    call_back(runs, Rc::from(what), asker, Rc::new(callback), args).await;
                }
                (Some(callback), None) => {
                    let about = format!("callback of {what}");
                    runs.deliver.run(&about, |py| callback.call1(py, args(py, &answer)?).map(drop));
                }
                (None, _) => {
                    if let Err(error) = answer {
                        tracing::warn!(call = what, "it came to nothing: {error}");
                    }
                }
            }
        });
    }
}

#[pymethods]
impl Notifications {
    /// Registers a module: methods (name, "request", "player", "node" or "cache", function), the attributes that it declares
    /// with their defaults, their version, and upgrade(version, record) for older records.
    #[pyo3(signature = (name, methods, attributes = None, version = 1, upgrade = None))]
    fn register(
        &self,
        name: &str,
        methods: Vec<(String, String, Py<PyAny>)>,
        attributes: Option<Bound<'_, PyDict>>,
        version: u32,
        upgrade: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let mut module = Module::new(name);
        if let Some(attributes) = attributes {
            let upgrade = upgrade.map(|upgrade| (self.0.clone(), format!("upgrade of {name}"), upgrade));
            module = module.attributes(declared(&attributes, version, upgrade)?);
        }
        for (method, of, function) in methods {
            let kind: Rc<str> = Rc::from(format!("{name}.{method}"));
            let (runs, function) = (self.0.clone(), Rc::new(function));
            let run = move |with: With, params: Params| {
                runs.clone().method(kind.clone(), function.clone(), with, params)
            };
            module = match of.as_str() {
                "request" => module.request(&method, move |player, params| run(With::Player(player), params)),
                "player" => module.handler(&method, move |player, params| run(With::Player(player), params)),
                "node" => module.node_handler(&method, move |params| run(With::Nobody, params)),
                "cache" => module.cache_handler(&method, move |node, params| run(With::Node(node), params)),
                _ => return Err(PyValueError::new_err(format!("{of:?} is no kind of a method"))),
            };
        }
        self.0.server.register(module).map_err(notify_error)
    }

    /// Mechanisms 4 to 6: to the game server that the player is on.
    fn notify(&self, uid: u64, message: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.server.notify(uid, message_of(message)?).map_err(notify_error)
    }

    /// Mechanism 1: to the master, behind the next request to it.
    fn cache_notify(&self, message: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.server.cache_notify(message_of(message)?).map_err(notify_error)
    }

    /// Mechanism 9: callback(answer, None), or callback(None, why).
    fn cache_request(
        &self,
        message: &Bound<'_, PyAny>,
        callback: Option<Py<PyAny>>,
        timeout: f64,
    ) -> PyResult<()> {
        let timeout = Duration::try_from_secs_f64(timeout.clamp(0.0, LONGEST))
            .map_err(|_| PyValueError::new_err("timeout: NaN is no number of seconds"))?;
        let answer = self.0.server.cache_request_within(message_of(message)?, timeout);
        self.when_answered("cacheRequest", answer, callback, |py, answer| match answer {
            Ok(answer) => tuple(py, (to_python(py, answer)?, py.None())),
            Err(error) => tuple(py, (py.None(), why(error))),
        });
        Ok(())
    }

    /// Mechanism 3, on the master: how many nodes of the type there are.
    fn notify_all(&self, node_type: &str, message: &Bound<'_, PyAny>) -> PyResult<usize> {
        self.0.server.notify_all(node_type, message_of(message)?).map_err(notify_error)
    }

    /// On the master: a ready node of the type, or None.
    fn random_client(&self, py: Python<'_>, node_type: &str) -> PyResult<Option<Py<PyAny>>> {
        self.0.server.random_client(node_type).map(|id| self.0.slave_client(py, id)).transpose()
    }

    /// Mechanism 2, on the master: to that node.
    fn notify_node(&self, node: i64, message: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.server.notify_node(NodeId(node), message_of(message)?).map_err(notify_error)
    }

    /// Mechanism 8: callback(None) when it was passed on, else callback(why).
    fn send_to(&self, uid: u64, message: &Bound<'_, PyAny>, callback: Option<Py<PyAny>>) -> PyResult<()> {
        let sent = self.0.server.send_to(uid, message_of(message)?);
        self.when_answered("sendTo", sent, callback, |py, sent| tuple(py, (sent.as_ref().err().map(why),)));
        Ok(())
    }

    /// callback(whether anyone has ever logged in under that uid); a handler ends after it.
    fn user_exists(&self, uid: u64, callback: Py<PyAny>) {
        let asked = Box::pin(self.0.server.user_exists(uid));
        let Some((asked, callback)) = self.0.wait_for((asked, callback)) else { return };
        let runs = self.0.clone();
        self.0.deliver.node.spawn(async move {
            let exists = asked.await;
            if let Err(error) = &exists {
                tracing::warn!(player = uid, call = "userExists", "it is not known: {error}");
            }
            runs.deliver.run(&"callback of userExists", |py| callback.call1(py, (exists.ok(),)).map(drop));
        });
    }

    /// Runs function(client) on the player's record when its turn comes.
    fn run(&self, uid: u64, about: String, function: Py<PyAny>) -> PyResult<()> {
        if let Some(own) = self.0.current() {
            let text = if own == uid {
                format!("WouldDeadlock: player {uid} is owned by the handler that asks for them")
            } else {
                format!(
                    "server.run({uid}, ...) would not be undone with the handler that it is called in; server.notify is"
                )
            };
            return Err(PyRuntimeError::new_err(text));
        }
        let (runs, about, function) = (self.0.clone(), Rc::<str>::from(about), Rc::new(function));
        let name = about.clone();
        let run = self.0.server.run(uid, &about, move |player| {
            let function = function.clone();
            let call = move |py: Python<'_>, client: &Py<Player>| function.call1(py, (client.clone_ref(py),));
            runs.clone().function(name.clone(), player, None, call)
        });
        self.0.deliver.node.spawn(async move {
            if let Err(error) = run.await {
                tracing::warn!(player = uid, call = %about, "it was not run: {error}");
            }
        });
        Ok(())
    }
}

fn tuple<'py, T>(py: Python<'py>, of: T) -> PyResult<Py<PyTuple>>
where
    T: IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error = PyErr>,
{
    of.into_pyobject(py).map(Bound::unbind)
}

fn message_of(message: &Bound<'_, PyAny>) -> PyResult<Value> {
    to_value(message, "message").map_err(to_py)
}

/// What the caller is told of a failure: its code, or what went wrong.
fn why(error: &HandlerError) -> String {
    if error.is_refusal() { error.code().to_owned() } else { error.text().to_owned() }
}

/// What brings older records up to date: whose it is, what it is called in the log, and the function.
type Upgrade = (Rc<Runs>, String, Py<PyAny>);

/// The attributes that a module declares.
fn declared(names: &Bound<'_, PyDict>, version: u32, upgrade: Option<Upgrade>) -> PyResult<Attributes> {
    let mut attributes = Attributes::new(version);
    for (name, default) in names {
        let name: String = name.extract()?;
        if name.starts_with('_') || OWN.contains(&name.as_str()) {
            let text = format!("the attribute {name:?}: that name is the player's own, or the runtime's");
            return Err(PyValueError::new_err(text));
        }
        attributes = attributes.default(&name, to_value(&default, &name).map_err(to_py)?);
    }
    Ok(match upgrade {
        Some(upgrade) => attributes.try_upgrade(move |from, document| run_upgrade(&upgrade, from, document)),
        None => attributes,
    })
}

/// Calls upgrade(version, record): it changes the record in place, or returns another one.
fn run_upgrade(
    (runs, about, upgrade): &Upgrade,
    from: i64,
    document: &mut BTreeMap<String, Value>,
) -> Result<(), String> {
    let (own, attributes): (Vec<_>, Vec<_>) =
        std::mem::take(document).into_iter().partition(|(name, _)| name.starts_with('_'));
    let call = |py: Python<'_>| -> PyResult<Value> {
        let record = PyDict::new(py);
        fill(
            &record,
            &Value::Map(attributes.into_iter().map(|(name, value)| (name.into(), value)).collect()),
        )?;
        let record = record.into_bound_py_any(py)?;
        let other = upgrade.call1(py, (from, &record))?.into_bound(py);
        let after = if other.is_none() { record } else { other };
        to_value(&after, "record").map_err(to_py)
    };
    let upgraded = runs.deliver.call(|py| {
        call(py).map_err(|error| {
            let text = error.to_string();
            runs.deliver.report(py, about, error);
            text
        })
    });
    match upgraded? {
        Value::Map(pairs) => {
            document.extend(own);
            for (name, value) in pairs {
                match name.as_str() {
                    Some(name) if !name.starts_with('_') => drop(document.insert(name.to_owned(), value)),
                    _ => return Err(format!("{name} is no name of an attribute")),
                }
            }
            Ok(())
        }
        _ => Err("upgrade must leave or return a dict".to_owned()),
    }
}
