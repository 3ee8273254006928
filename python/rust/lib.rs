//! `chappe._core`: the node of a Python process.
//!
//! ```text
//! host     the command, and the way to the mods     node    the node: players, timers, look-ups, the master
//! deliver  each call into Python                    system  listens, sends, asks, answers
//! notify   records and notifications: modules, the calls   notify_run     their handlers
//! notify_player  a player, for a handler                   notify_value   their data
//! value    data between Python and MessagePack             client  a player's connection, for bots and tests
//! cluster  a cluster in this process, on virtual time      door    its proxy, without sockets
//! records  its master's store                              turns   its nodes, polled one after the other
//! ```
//!
//! The node's loop has the interpreter's main thread, and gives the interpreter up while it waits and moves bytes.

mod client;
#[cfg(feature = "testing")]
mod cluster;
mod deliver;
#[cfg(feature = "testing")]
mod door;
mod host;
mod node;
mod notify;
mod notify_player;
mod notify_run;
mod notify_value;
#[cfg(feature = "testing")]
mod records;
mod responders;
mod system;
#[cfg(feature = "testing")]
mod turns;
mod value;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::ffi::OsString;
use std::process::ExitCode;

pyo3::create_exception!(chappe._core, DataError, PyValueError, "Data that cannot be sent or read.");
pyo3::create_exception!(
    chappe._core,
    RouteError,
    PyRuntimeError,
    "A message that cannot reach whom it is for."
);

/// Runs the command `chappe` with `args`, the program's name first; nodes with mods are loaded through `host`, and
/// nodes that `up` starts are started with `program`. Returns the exit code.
#[pyfunction]
fn main(py: Python<'_>, args: Vec<OsString>, program: Vec<OsString>, host: Py<PyAny>) -> u8 {
    let app = chappe::App::new().mods(host::Host { python: host, program });
    py.detach(|| {
        // An exit code has no public number; what it is equal to tells it.
        let code = app.run(args);
        (0..=u8::MAX).find(|number| code == ExitCode::from(*number)).unwrap_or(1)
    })
}

/// Writes a line to the node's log. `level` is as in Python's logging; the logger `mod` is a mod's own, and goes
/// without saying.
#[pyfunction]
fn log(level: u32, logger: &str, message: &str) {
    let (logger, colon) = if logger == "mod" { ("", "") } else { (logger, ": ") };
    match level {
        40.. => tracing::error!(target: "mod", "{logger}{colon}{message}"),
        30..40 => tracing::warn!(target: "mod", "{logger}{colon}{message}"),
        20..30 => tracing::info!(target: "mod", "{logger}{colon}{message}"),
        _ => tracing::debug!(target: "mod", "{logger}{colon}{message}"),
    }
}

/// `data` as MessagePack.
#[pyfunction]
fn encode(data: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    chappe::value::encode(&value::Out::new(data)).map_err(deliver::to_py)
}

/// What MessagePack bytes hold.
#[pyfunction]
fn decode(data: &[u8]) -> PyResult<Py<PyAny>> {
    chappe::value::decode::<value::In>(data).map(|object| object.0).map_err(deliver::to_py)
}

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<node::Node>()?;
    module.add_class::<client::Client>()?;
    #[cfg(feature = "testing")]
    module.add_class::<cluster::Cluster>()?;
    module.add_class::<node::Post>()?;
    module.add_class::<node::Timer>()?;
    module.add_class::<notify::Notifications>()?;
    module.add_class::<notify_player::Player>()?;
    module.add_class::<system::System>()?;
    module.add_class::<system::Listener>()?;
    module.add("DataError", module.py().get_type::<DataError>())?;
    module.add("RouteError", module.py().get_type::<RouteError>())?;
    module.add_function(wrap_pyfunction!(main, module)?)?;
    module.add_function(wrap_pyfunction!(log, module)?)?;
    module.add_function(wrap_pyfunction!(encode, module)?)?;
    module.add_function(wrap_pyfunction!(decode, module)?)?;
    module.add_function(wrap_pyfunction!(deliver::busy, module)?)
}
