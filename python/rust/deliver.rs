//! The way into Python: each handler, callback and timer is called through here.

use crate::value::In;
use chappe::value::ValueError;
use chappe::{Event, Node, Row, value};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the ends of calls into Python: odd while one runs. Read by the watchdog, from its own thread, which keeps the
/// time: a clock would cost each call more than all else here. There is one node in a process, and one thread that
/// writes.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// The number that names the call into Python that runs now; None when none does.
#[pyfunction]
pub(crate) fn busy() -> Option<u64> {
    let calls = CALLS.load(Ordering::Relaxed);
    (calls % 2 == 1).then_some(calls)
}

/// Marks that a handler runs; calls inside calls count as the outermost.
struct Busy(bool);

impl Busy {
    fn enter() -> Busy {
        let calls = CALLS.load(Ordering::Relaxed);
        let is_outermost = calls.is_multiple_of(2);
        if is_outermost {
            CALLS.store(calls.wrapping_add(1), Ordering::Relaxed);
        }
        Busy(is_outermost)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0 {
            CALLS.store(CALLS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }
}

/// What all calls into Python of one node share.
pub(crate) struct Deliver {
    pub(crate) node: Node,
    /// Told of what a handler raised: `on_error(about, exception)`.
    on_error: Py<PyAny>,
    /// Events whose data was no dict, so that a player's identity could not be added.
    bare: RefCell<HashSet<String>>,
}

impl Deliver {
    pub(crate) fn new(node: Node, on_error: Py<PyAny>) -> Rc<Deliver> {
        Rc::new(Deliver { node, on_error, bare: RefCell::default() })
    }

    /// Runs `call` with the interpreter; what it raises is counted and reported, and the node goes on.
    pub(crate) fn run(
        &self,
        about: &dyn fmt::Display,
        call: impl FnOnce(Python<'_>) -> PyResult<()>,
    ) -> bool {
        self.call(|py| {
            let Err(error) = call(py) else { return true };
            self.report(py, about, error);
            false
        })
    }

    /// Runs `call` with the interpreter, for a caller that looks after what it raises.
    pub(crate) fn call<R>(&self, call: impl FnOnce(Python<'_>) -> R) -> R {
        let _busy = Busy::enter();
        Python::attach(call)
    }

    /// What a handler has raised is counted and reported.
    pub(crate) fn report(&self, py: Python<'_>, about: &dyn fmt::Display, error: PyErr) {
        self.node.stats().count("handler_errors");
        if let Err(worse) = self.on_error.call1(py, (about.to_string(), error.into_value(py))) {
            tracing::error!(%about, %worse, "a handler's error could not be reported");
        }
    }

    /// Calls a listener.
    pub(crate) fn event(&self, event: Event<'_>, handler: &Py<PyAny>) {
        self.run(&About(event), |py| {
            let data = self.event_data(py, event).map_err(to_py)?;
            handler.call1(py, (data,)).map(drop)
        });
    }

    /// An event's data; who sent it stands in what a client has sent, whatever the client says of itself.
    fn event_data<'py>(&self, py: Python<'py>, event: Event<'_>) -> Result<Bound<'py, PyAny>, ValueError> {
        let data = value::decode::<In>(event.raw())?.0.into_bound(py);
        let Some(origin) = event.origin() else { return Ok(data) };
        let Ok(dict) = data.cast::<PyDict>() else {
            if self.bare.borrow_mut().insert(event.name().to_owned()) {
                tracing::warn!(
                    event = event.name(),
                    "a client's data is no dict: no identity can be added to it"
                );
            }
            return Ok(data);
        };
        let forged: Vec<_> = dict.keys().into_iter().filter(is_reserved).collect();
        let put = || -> PyResult<()> {
            for name in forged {
                dict.del_item(name)?;
            }
            if event.row() == Row::ClientToService {
                dict.set_item("__uid__", origin.uid)?;
                dict.set_item("__neteaseProxyId__", origin.proxy.0)
            } else {
                dict.set_item("__id__", chappe::PlayerId(origin.epoch).to_string())
            }
        };
        put().map_err(<ValueError as serde::de::Error>::custom)?;
        Ok(data)
    }
}

fn is_reserved(key: &Bound<'_, PyAny>) -> bool {
    if let Ok(name) = key.cast::<PyString>() {
        return name.to_str().is_ok_and(|name| name.starts_with("__"));
    }
    key.cast::<PyBytes>().is_ok_and(|name| name.as_bytes().starts_with(b"__"))
}

/// Data that cannot be sent or read, as Python's exception.
pub(crate) fn to_py(error: ValueError) -> PyErr {
    crate::DataError::new_err(error.to_string())
}

/// An event, for a log line.
struct About<'a>(Event<'a>);

impl fmt::Display for About<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}", self.0)?;
        self.0.origin().map_or(Ok(()), |origin| write!(f, ", player {}", origin.uid))
    }
}
