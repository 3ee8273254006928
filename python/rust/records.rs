//! The master's store in a cluster of a test: in memory, on the cluster's time.

use crate::deliver::to_py;
use crate::value::In;
use chappe::master::Master;
use chappe::notify::Desk;
use chappe::value;
use chappe_store::{Clock, MemoryDisk, Options, Pace, StoreClient, on_task};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// A disk that outlives the master's processes, and the store of the one that runs.
#[derive(Clone)]
pub(crate) struct Records {
    disk: MemoryDisk,
    start: Instant,
    store: Rc<RefCell<Option<StoreClient>>>,
}

impl Records {
    pub(crate) fn new(start: Instant) -> Records {
        Records { disk: MemoryDisk::new(), start, store: Rc::default() }
    }

    /// Gives a master its store. To be called in its `LocalSet`.
    pub(crate) fn attach(&self, master: &Master) {
        let start = self.start;
        let mut options = Options::new("test");
        options.clock = Clock::new(move || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
        let store = match self.disk.open(options) {
            Ok(store) => store,
            Err(error) => return tracing::error!(%error, "the store of the test is not open"),
        };
        let at_once = || Box::new(|| Duration::ZERO);
        let pace = Pace { before: at_once(), after: at_once(), answered: Box::new(|| {}) };
        let (store, _) = on_task(Box::new(store), pace);
        Desk::attach(master, store.clone());
        *self.store.borrow_mut() = Some(store);
    }

    /// The master's process ends: what was not synced is lost.
    pub(crate) fn crash(&self) {
        *self.store.borrow_mut() = None;
        self.disk.crash();
    }

    /// A player's record as it is stored; None when there is none, or no master runs.
    pub(crate) async fn load(&self, uid: u64) -> PyResult<Option<Py<PyAny>>> {
        let store = self.store.borrow().clone();
        let Some(store) = store else { return Ok(None) };
        let record = store.load(uid).await.map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        let read = |bytes: &[u8]| value::decode::<In>(bytes).map(|record| record.0).map_err(to_py);
        record.map(|record| read(&record.document)).transpose()
    }
}
