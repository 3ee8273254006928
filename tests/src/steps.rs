//! The steps of a cluster on virtual time, told to whoever watches: where faults are put in, and what a trace is made of.
//!
//! A whole cluster runs on one thread, so the watcher is the thread's. It is called where the step is taken, with no lock
//! held: it may kill the very process that takes it.

use chappe_wire::NodeId;
use std::cell::RefCell;
use std::rc::Rc;

/// What a node, or the master's store, has just done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A write was handed to the network.
    Sent(NodeId, NodeId),
    /// Bytes of `.0` have arrived at `.1`, which has not looked at them yet.
    Received(NodeId, NodeId),
    /// A flush is handed to the store; nothing of it is written.
    CommitBegun,
    /// The flush is durable; nobody knows.
    CommitDurable,
    /// Whoever waits for the flush has been told; nobody has acted on it.
    CommitAnswered,
}

type Watcher = Rc<dyn Fn(Step)>;

thread_local! {
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
}

/// Ends the watch when it is dropped.
#[must_use]
pub struct Watch(());

/// Calls `watcher` at each step of this thread's cluster, instead of whoever watched before.
pub fn watch(watcher: impl Fn(Step) + 'static) -> Watch {
    WATCHER.set(Some(Rc::new(watcher)));
    Watch(())
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHER.set(None);
    }
}

pub(crate) fn tell(step: Step) {
    let watcher = WATCHER.with_borrow(Clone::clone);
    if let Some(watcher) = watcher {
        watcher(step);
    }
}
