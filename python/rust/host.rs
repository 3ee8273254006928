//! The command `chappe` inside an interpreter: nodes with mods run in this process.

use crate::node::Node;
use chappe::deploy::SecretOf;
use chappe::{ModError, ModHost, ModNode};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::ffi::OsString;
use std::path::Path;

/// Loads mods through a Python object with `on_error`, `declared_modules`, `load` and `command`.
pub(crate) struct Host {
    pub(crate) python: Py<PyAny>,
    pub(crate) program: Vec<OsString>,
}

impl ModHost for Host {
    fn program(&self) -> Vec<OsString> {
        self.program.clone()
    }

    fn declared_modules(&self, dir: &Path) -> Result<Vec<String>, ModError> {
        Python::attach(|py| {
            let names = self.python.call_method1(py, "declared_modules", (dir.as_os_str(),));
            names.and_then(|names| names.extract(py)).map_err(|error| mod_error(py, &error))
        })
    }

    fn command(&self, words: &[OsString]) -> Result<u8, String> {
        Python::attach(|py| {
            let code = self.python.call_method1(py, "command", (words.to_vec(),));
            code.and_then(|code| code.extract(py)).map_err(|error| text(py, &error))
        })
    }

    fn load(&self, on: ModNode<'_>) -> Result<(), ModError> {
        Python::attach(|py| {
            let load = || -> PyResult<()> {
                let node = Node::new(on.server, on.master, self.python.getattr(py, "on_error")?);
                let entry = PyDict::new(py);
                let mods: Vec<_> = on.entry.mods.iter().map(|dir| dir.as_os_str()).collect();
                entry.set_item("mods", mods)?;
                entry.set_item("place", on.entry.place.to_string())?;
                entry.set_item("deploy", on.deploy.path.as_os_str())?;
                entry.set_item("app_version", on.entry.app_version.as_deref())?;
                entry.set_item("ip", on.entry.ip.as_str())?;
                entry.set_item("port", on.entry.port)?;
                entry.set_item("http_port", on.entry.http_port)?;
                // Where it cannot be read the master says no, and that is in the log.
                let token = on.deploy.secrets(SecretOf::Control, |name| std::env::var(name).ok());
                entry.set_item(
                    "control_token",
                    token.ok().as_ref().and_then(|found| found.secrets.to_show()),
                )?;
                self.python.call_method1(py, "load", (node, entry)).map(drop)
            };
            load().map_err(|error| mod_error(py, &error))
        })
    }
}

/// Why a mod cannot be loaded; its own exception knows whether it may be otherwise the next time.
fn mod_error(py: Python<'_>, error: &PyErr) -> ModError {
    let may_pass = error.value(py).getattr("may_pass").and_then(|answer| answer.extract::<bool>());
    match may_pass {
        Ok(true) => ModError::NotNow(text(py, error)),
        Ok(false) | Err(_) => ModError::Wrong(text(py, error)),
    }
}

/// What an exception says, for the line that tells why a node does not start.
fn text(py: Python<'_>, error: &PyErr) -> String {
    error.value(py).str().map_or_else(|_| error.to_string(), |text| text.to_string())
}
