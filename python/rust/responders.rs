//! Requests that handlers have and have not answered yet, by the callbackId they were given.

use chappe::{NodeId, Reason, Responder};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// A request that its handler never answers is given up after so long.
const UNANSWERED: Duration = Duration::from_secs(60);
/// The most that may be open; beyond it the oldest is given up.
const OPEN: usize = 100_000;

/// A node's open requests. One that is given up ends as `HandlerFailed` for its caller.
#[derive(Default)]
pub(crate) struct Responders {
    open: RefCell<BTreeMap<u64, (Instant, Responder)>>,
    last: Cell<u64>,
}

impl Responders {
    /// Keeps a request for a later answer: its callbackId, which is 0 for one that wants none.
    pub(crate) fn keep(&self, responder: Responder) -> u64 {
        if !responder.is_wanted() {
            return 0;
        }
        let (id, now) = (self.last.get() + 1, Instant::now());
        self.last.set(id);
        self.open.borrow_mut().insert(id, (now, responder));
        while let Some(given_up) = self.too_old(now) {
            drop(given_up);
        }
        id
    }

    /// The request of that id and node, to be answered.
    pub(crate) fn take(&self, id: u64, from: NodeId) -> Option<Responder> {
        let mut open = self.open.borrow_mut();
        open.get(&id).filter(|(_, responder)| responder.to() == from)?;
        open.remove(&id).map(|(_, responder)| responder)
    }

    /// Ends a request whose handler has raised.
    pub(crate) fn fail(&self, id: u64, about: &dyn fmt::Display) {
        let kept = self.open.borrow_mut().remove(&id);
        if let Some((_, responder)) = kept {
            responder.fail(Reason::HandlerFailed, &format!("the handler raised: {about}"));
        }
    }

    fn too_old(&self, now: Instant) -> Option<Responder> {
        let mut open = self.open.borrow_mut();
        let is_full = open.len() > OPEN;
        let first = open.first_entry()?;
        let is_due = is_full || now.duration_since(first.get().0) > UNANSWERED;
        is_due.then(|| first.remove().1)
    }
}
