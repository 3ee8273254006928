//! Whose turn it is: the nodes of one thread, each a [`LocalSet`], polled one after the other when they have something
//! to do.

use chappe::NodeId;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use tokio::task::{JoinHandle, LocalSet};

/// All nodes that run, in the order of their ids.
#[derive(Default)]
pub(crate) struct Turns {
    sets: RefCell<BTreeMap<NodeId, Rc<Running>>>,
    /// Those of which nothing runs for now.
    frozen: RefCell<BTreeSet<NodeId>>,
}

/// What is polled for one node.
struct Running {
    set: RefCell<LocalSet>,
    wakes: Arc<Wakes>,
}

impl Turns {
    /// From now on `set` is polled for the node.
    pub(crate) fn insert(&self, id: NodeId, set: LocalSet) {
        let wakes = Arc::new(Wakes { is_woken: AtomicBool::new(true), all: Mutex::default() });
        self.sets.borrow_mut().insert(id, Rc::new(Running { set: RefCell::new(set), wakes }));
    }

    /// Drops what runs for the node.
    pub(crate) fn remove(&self, id: NodeId) {
        self.frozen.borrow_mut().remove(&id);
        let gone = self.sets.borrow_mut().remove(&id);
        drop(gone);
    }

    /// Runs `future` among the tasks of a node; None when there is no such node.
    pub(crate) fn spawn<R: 'static>(
        &self,
        id: NodeId,
        future: impl Future<Output = R> + 'static,
    ) -> Option<JoinHandle<R>> {
        let running = self.sets.borrow().get(&id).cloned()?;
        let task = running.set.borrow().spawn_local(future);
        Some(task)
    }

    /// Lets nothing of a node run, or lets it run again; false when there is no such node.
    pub(crate) fn freeze(&self, id: NodeId, is_frozen: bool) -> bool {
        let Some(running) = self.sets.borrow().get(&id).cloned() else { return false };
        if is_frozen {
            self.frozen.borrow_mut().insert(id);
        } else if self.frozen.borrow_mut().remove(&id) {
            running.wakes.wake_by_ref();
        }
        true
    }

    /// Lets all run again.
    pub(crate) fn thaw(&self) {
        let frozen = self.frozen.borrow().clone();
        for id in frozen {
            self.freeze(id, false);
        }
    }

    /// Whether nothing of a node runs.
    pub(crate) fn is_frozen(&self, id: NodeId) -> bool {
        self.frozen.borrow().contains(&id)
    }

    /// Polls every node that has something to do; before each, `enter` is told.
    pub(crate) fn poll(&self, cx: &Context<'_>, mut enter: impl FnMut(NodeId)) {
        let sets: Vec<_> = self.sets.borrow().iter().map(|(id, running)| (*id, running.clone())).collect();
        for (id, running) in sets {
            if self.is_frozen(id) || !running.wakes.take(cx.waker()) {
                continue;
            }
            enter(id);
            let waker = Waker::from(running.wakes.clone());
            let mut set = running.set.borrow_mut();
            let _ = pin!(&mut *set).poll(&mut Context::from_waker(&waker));
        }
    }

    /// Whether no node has anything to do before time passes.
    pub(crate) fn is_at_rest(&self) -> bool {
        let sets = self.sets.borrow();
        sets.iter()
            .all(|(id, running)| self.is_frozen(*id) || !running.wakes.is_woken.load(Ordering::Acquire))
    }
}

/// Whether a node has something to do.
struct Wakes {
    is_woken: AtomicBool,
    all: Mutex<Option<Waker>>,
}

impl Wakes {
    /// Whether it was woken since the last call; from now on `all` is woken with it.
    fn take(&self, all: &Waker) -> bool {
        *self.all.lock().unwrap_or_else(PoisonError::into_inner) = Some(all.clone());
        self.is_woken.swap(false, Ordering::AcqRel)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.into_iter().for_each(Waker::wake);
    }
}
