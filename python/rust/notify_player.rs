//! A player as a handler in Python gets them: Snipe's `client` (snipe.md sections 1 and 4).

use crate::deliver::to_py;
use crate::notify_value::{to_python, to_value};
use chappe::Value;
use chappe::notify::NotifyError;
use chappe::value::ValueError;
use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Names of a player that attributes cannot have: they are reached with `get` and `set` alone.
pub(crate) const OWN: [&str; 8] =
    ["uid", "online", "networkID", "get", "set", "notify", "response", "responce"];

/// A player and their record, while a handler runs that was given it. Attributes are read and written as such; what is
/// changed inside of a list or dict is seen when the handler ends.
///
/// Mods may keep it, and drop it on any thread: so what belongs to the node's thread is not in it.
#[pyclass(frozen, module = "chappe._core")]
pub(crate) struct Player {
    uid: u64,
    /// Under which the run is found.
    number: u64,
    /// Lists and dicts that the handler has seen, and may have changed.
    seen: Mutex<BTreeMap<String, Py<PyAny>>>,
}

thread_local! {
    /// The runs of the players whose handlers run now.
    static RUNS: RefCell<BTreeMap<u64, chappe::notify::Player>> = const { RefCell::new(BTreeMap::new()) };
}

impl Player {
    pub(crate) fn new(uid: u64) -> Player {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Player { uid, number: LAST.fetch_add(1, Ordering::Relaxed), seen: Mutex::default() }
    }

    /// From now on a handler runs that was given it.
    pub(crate) fn bind(&self, player: chappe::notify::Player) {
        RUNS.with_borrow_mut(|runs| drop(runs.insert(self.number, player)));
    }

    /// The handler ends: what it has changed inside of lists and dicts is written. It is of no use from here on.
    pub(crate) fn unbind(&self, py: Python<'_>, is_kept: bool) -> PyResult<()> {
        let seen = std::mem::take(&mut *self.seen());
        let run = RUNS.with_borrow_mut(|runs| runs.remove(&self.number));
        let Some(player) = run.filter(|_| is_kept) else { return Ok(()) };
        for (name, object) in seen {
            let now = self.to_value(&name, object.bind(py))?;
            if player.get(&name).map_err(notify_error)? != now {
                player.set(&name, now).map_err(notify_error)?;
            }
        }
        Ok(())
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Py<PyAny>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn player(&self) -> PyResult<chappe::notify::Player> {
        let player = RUNS.with_borrow(|runs| runs.get(&self.number).cloned());
        player.ok_or_else(|| {
            let uid = self.uid;
            PyRuntimeError::new_err(format!(
                "player {uid}: the handler that was given it has ended, or this is another thread; for later, there is \
                 server.run({uid}, function)"
            ))
        })
    }

    /// An attribute; None when there is none of that name.
    fn read<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let player = self.player()?;
        if let Some(object) = self.seen().get(name) {
            return Ok(Some(object.bind(py).clone()));
        }
        let value = player.get(name).map_err(notify_error)?;
        if value.is_nil() && !player.has(name).map_err(notify_error)? {
            return Ok(None);
        }
        let object = to_python(py, &value)?;
        self.see(name, &object);
        Ok(Some(object))
    }

    fn write(&self, name: &str, object: &Bound<'_, PyAny>) -> PyResult<()> {
        let player = self.player()?;
        player.set(name, self.to_value(name, object)?).map_err(notify_error)?;
        // What is dropped may run code of a mod: not under the lock.
        let _before = self.seen().remove(name);
        self.see(name, object);
        Ok(())
    }

    fn see(&self, name: &str, object: &Bound<'_, PyAny>) {
        if object.is_instance_of::<PyList>() || object.is_instance_of::<PyDict>() {
            let _before = self.seen().insert(name.to_owned(), object.clone().unbind());
        }
    }

    fn to_value(&self, name: &str, object: &Bound<'_, PyAny>) -> PyResult<Value> {
        to_value(object, name).map_err(|error| data_error(&format!("player {}", self.uid), &error))
    }

    fn missing(&self, name: &str) -> PyErr {
        let known = self.player().and_then(|player| player.attributes().map_err(notify_error));
        let meant = known.ok().and_then(|known| {
            let near = known.keys().map(|key| (strsim::damerau_levenshtein(key, name), key));
            near.filter(|(steps, _)| *steps <= 2).min().map(|(_, key)| format!("; did you mean {key:?}?"))
        });
        let meant = meant.unwrap_or_default();
        PyAttributeError::new_err(format!("player {} has no attribute {name:?}{meant}", self.uid))
    }
}

#[pymethods]
impl Player {
    /// The player's uid.
    #[getter]
    fn uid(&self) -> u64 {
        self.uid
    }

    /// Whether the player is on this server. False for an offline player, whose record was loaded for a notification.
    #[getter]
    fn online(&self) -> PyResult<bool> {
        Ok(self.player()?.is_online())
    }

    /// The player's network id, which is their playerId; "" for an offline player.
    #[getter(networkID)]
    fn network_id(&self) -> PyResult<String> {
        Ok(self.player()?.network_id())
    }

    /// An attribute, of any name; `default` when there is none.
    #[pyo3(signature = (name, default = None))]
    fn get<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let found = self.read(py, name)?.or(default);
        Ok(found.unwrap_or_else(|| py.None().into_bound(py)))
    }

    /// Changes an attribute, of any name that does not begin with `_`. TypeError when modules declared it with another type.
    fn set(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.write(name, value)
    }

    /// A push: it rides in `serverNotify` of the player's next response, or goes by itself after 3 s. For an offline player
    /// it is dropped and counted; a durable one waits for the next login.
    #[pyo3(signature = (params, durable = false))]
    fn notify(&self, params: &Bound<'_, PyAny>, durable: bool) -> PyResult<()> {
        let (player, params) = (self.player()?, to_value(params, "params").map_err(to_py)?);
        let pushed = if durable { player.notify_durable(params) } else { player.notify(params) };
        pushed.map_err(notify_error)
    }

    /// A response of the type `kind` to the player, at any time.
    #[pyo3(signature = (kind, params = None))]
    fn response(&self, kind: &str, params: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let params = match params {
            Some(params) => to_value(params, "params").map_err(to_py)?,
            None => Value::Map(Vec::new()),
        };
        self.player()?.response(kind, params).map_err(notify_error)
    }

    /// The older spelling of `response`.
    #[pyo3(signature = (kind, params = None))]
    fn responce(&self, kind: &str, params: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.response(kind, params)
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        if name.starts_with('_') {
            return Err(PyAttributeError::new_err(format!("a player has no {name:?}")));
        }
        self.read(py, name)?.ok_or_else(|| self.missing(name))
    }

    fn __setattr__(&self, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        if OWN.contains(&name) {
            let text = format!(
                "{name:?} is the player's own; an attribute of that name is set with set({name:?}, ...)"
            );
            return Err(PyAttributeError::new_err(text));
        }
        self.write(name, value)
    }

    fn __delattr__(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        if OWN.contains(&name) || self.read(py, name)?.is_none() {
            return Err(self.missing(name));
        }
        let _before = self.seen().remove(name);
        self.player()?.remove(name).map_err(notify_error)
    }

    fn __repr__(&self) -> String {
        format!("<player {}>", self.uid)
    }
}

/// What a call was refused for, as Python's exception.
pub(crate) fn notify_error(error: NotifyError) -> PyErr {
    let text = error.to_string();
    match error {
        NotifyError::WrongType { .. } => PyTypeError::new_err(text),
        NotifyError::BadMessage { .. } | NotifyError::Registration(_) => PyValueError::new_err(text),
        _ => PyRuntimeError::new_err(text),
    }
}

fn data_error(of: &str, error: &ValueError) -> PyErr {
    crate::DataError::new_err(format!("{of}: {error}"))
}
