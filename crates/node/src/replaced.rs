//! Nodes that are being replaced (`chappe drain`, `chappe roll`). What is for one of them waits here, in order, until its
//! next life is ready: so the life that leaves gets nothing any more, and the next one misses nothing.
//!
//! The master tells everyone and waits until each has had everything taken in that it had sent before; only then the node is
//! told to leave. What waits is bounded as a peer's queue is. When the time is up, it fails as it would have at once.

use crate::control::Replace;
use crate::held::{Frame, Held};
use crate::node::{Inner, Node};
use crate::receipt::Later;
use crate::rpc::Waiter;
use crate::waiting::{HeldRequest, Outgoing};
use chappe_route::{Member, State};
use chappe_wire::{NodeId, Reason, Role, Row};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

/// The nodes that are being replaced.
#[derive(Default)]
pub(crate) struct Replaced {
    is_any: Cell<bool>,
    /// When the first of what waits here has waited for too long.
    due: Cell<Option<Duration>>,
    nodes: RefCell<BTreeMap<NodeId, Leaver>>,
}

/// A life that leaves, and what waits for the next one.
struct Leaver {
    life: u64,
    role: Role,
    modules: Vec<String>,
    has_next: bool,
    until: Duration,
    kept: VecDeque<Held>,
    bytes: usize,
}

impl Leaver {
    fn next_due(&self) -> Duration {
        self.kept.iter().filter_map(Held::deadline).fold(self.until, Duration::min)
    }
}

impl Replaced {
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.due.get()
    }

    /// How many messages wait here.
    pub(crate) fn len(&self) -> usize {
        self.nodes.borrow().values().map(|leaver| leaver.kept.len()).sum()
    }

    fn update(&self) {
        let nodes = self.nodes.borrow();
        self.is_any.set(!nodes.is_empty());
        self.due.set(nodes.values().map(Leaver::next_due).min());
    }

    fn take(&self, id: NodeId) -> Option<Leaver> {
        let leaver = self.nodes.borrow_mut().remove(&id);
        self.update();
        leaver
    }
}

impl Node {
    /// A life of a node is about to leave: from now on what is for that node waits for its next life, for as long as the
    /// master says, or is refused as `Draining` where there is to be none. Calls `taken_in` when that life has taken in
    /// everything that was sent to it before, or is gone.
    pub fn replace(&self, replace: Replace, taken_in: impl FnOnce() + 'static) {
        let inner = &self.0;
        let (id, life) = (replace.id, replace.life);
        let is_past = inner.view.borrow().member(id).is_some_and(|member| member.incarnation > life);
        if id == self.id() || is_past {
            return taken_in();
        }
        if replace.within_ms == 0 {
            inner.let_go(id);
            return taken_in();
        }
        let until = inner.clock.now() + Duration::from_millis(replace.within_ms);
        {
            let mut nodes = inner.replaced.nodes.borrow_mut();
            // Of one that is replaced again before it was ready, what waits goes on to wait.
            let before = nodes.remove(&id);
            let (kept, bytes) = before.map_or_else(Default::default, |before| (before.kept, before.bytes));
            let Replace { role, modules, has_next, .. } = replace;
            nodes.insert(id, Leaver { life, role, modules, has_next, until, kept, bytes });
        }
        inner.replaced.update();
        inner.wake_by(until);
        let peer = inner.peers.borrow().get(&id).filter(|peer| peer.incarnation == life).cloned();
        match peer {
            Some(peer) => peer.wait(peer.last_sent(), Box::new(|_| taken_in())),
            None => taken_in(),
        }
    }
}

impl Node {
    /// Whether a node is being replaced, so that a next life of it is to come.
    pub fn awaits_next(&self, id: NodeId) -> bool {
        let replaced = &self.0.replaced;
        replaced.is_any.get() && replaced.nodes.borrow().get(&id).is_some_and(|leaver| leaver.has_next)
    }
}

impl Inner {
    /// Whether what is for that node waits, or is refused, because it is being replaced.
    pub(crate) fn is_replaced(&self, id: NodeId) -> bool {
        self.replaced.is_any.get() && self.replaced.nodes.borrow().contains_key(&id)
    }

    /// Whether the next life of a node that is being replaced will serve a module.
    pub(crate) fn will_be_served(&self, module: &str) -> bool {
        self.replaced.is_any.get() && {
            let nodes = self.replaced.nodes.borrow();
            let serves = |leaver: &Leaver| matches!(leaver.role, Role::Service | Role::Master);
            let mut leavers = nodes.values().filter(|leaver| leaver.has_next && serves(leaver));
            leavers.any(|leaver| leaver.modules.iter().any(|name| name == module))
        }
    }

    /// Keeps an event or a push, encoded, for the next life of a node.
    pub(crate) fn keep_frame(
        &self,
        id: NodeId,
        takes: fn(Role) -> bool,
        row: Row,
        body: Vec<u8>,
    ) -> Result<Later, Reason> {
        let (frame, later) = Frame::new(row, &[id], takes, body);
        self.keep(id, takes, Held::Frame(frame)).map(|()| later).map_err(|(reason, _)| reason)
    }

    /// Keeps a request for the next life of a node.
    pub(crate) fn keep_request(self: &Rc<Self>, id: NodeId, request: &Outgoing<'_>, waiter: Option<Waiter>) {
        let held = Held::Request { pinned: Some(id), request: HeldRequest::new(request, waiter) };
        if let Err((reason, held)) = self.keep(id, |_| true, held) {
            held.fail(self, reason, &format!("node {id} is being replaced"));
        }
    }

    fn keep(&self, id: NodeId, takes: fn(Role) -> bool, held: Held) -> Result<(), (Reason, Box<Held>)> {
        let (size, deadline) = (held.bytes(), held.deadline());
        let mut nodes = self.replaced.nodes.borrow_mut();
        let leaver = match nodes.get_mut(&id) {
            Some(leaver) if !takes(leaver.role) => return Err((Reason::WrongRole, Box::new(held))),
            Some(leaver) if !leaver.has_next => return Err((Reason::Draining, Box::new(held))),
            Some(leaver) if leaver.bytes >= self.config.limits.queue_bytes => {
                return Err((Reason::Overloaded, Box::new(held)));
            }
            Some(leaver) => leaver,
            None => return Err((Reason::Disconnected, Box::new(held))),
        };
        leaver.bytes += size;
        leaver.kept.push_back(held);
        drop(nodes);
        if let Some(deadline) = deadline {
            self.replaced.due.set(self.replaced.due.get().map(|due| due.min(deadline)));
            self.wake_by(deadline);
        }
        Ok(())
    }

    /// The next life of a node is ready, or will not come: what has waited leaves, before anything else is sent to it.
    pub(crate) fn see_replaced(self: &Rc<Self>, member: &Member) {
        let is_next = self.replaced.is_any.get() && member.state == State::Ready && {
            let nodes = self.replaced.nodes.borrow();
            nodes.get(&member.id).is_some_and(|leaver| leaver.life != member.incarnation)
        };
        if is_next {
            self.let_go(member.id);
        }
    }

    /// A life has gone. Where none follows, it is as any node that is not there.
    pub(crate) fn see_gone(&self, id: NodeId, life: u64) {
        let is_last = |leaver: &Leaver| leaver.life == life && !leaver.has_next;
        if self.replaced.is_any.get() && self.replaced.nodes.borrow().get(&id).is_some_and(is_last) {
            drop(self.replaced.take(id));
        }
    }

    fn let_go(self: &Rc<Self>, id: NodeId) {
        let Some(leaver) = self.replaced.take(id) else { return };
        leaver.kept.into_iter().for_each(|held| held.leave(self));
    }

    /// Ends what has waited for too long.
    pub(crate) fn expire_replaced(self: &Rc<Self>, now: Duration) {
        if self.replaced.due.get().is_none_or(|due| due > now) {
            return;
        }
        let mut late = Vec::new();
        let mut over = Vec::new();
        {
            let mut nodes = self.replaced.nodes.borrow_mut();
            for (id, leaver) in nodes.iter_mut().filter(|(_, leaver)| leaver.until > now) {
                let all = std::mem::take(&mut leaver.kept);
                for held in all {
                    if held.deadline().is_some_and(|deadline| deadline <= now) {
                        leaver.bytes -= held.bytes();
                        late.push((*id, held));
                    } else {
                        leaver.kept.push_back(held);
                    }
                }
            }
            let ids: Vec<NodeId> =
                nodes.iter().filter(|(_, leaver)| leaver.until <= now).map(|(id, _)| *id).collect();
            over.extend(ids.into_iter().filter_map(|id| nodes.remove(&id).map(|leaver| (id, leaver))));
        }
        self.replaced.update();
        for (id, held) in late {
            held.fail(self, Reason::DeadlineExceeded, &format!("node {id} was not ready again in time"));
        }
        for (id, leaver) in over {
            let reason = self.view.borrow().reachable(id, |_| true).err().unwrap_or(Reason::Draining);
            let text = format!("node {id} was to be replaced, and did not come back in time");
            leaver.kept.into_iter().for_each(|held| held.fail(self, reason, &text));
            Node(self.clone()).lose_awaited(id);
        }
        self.retry_waiting();
    }

    /// Ends everything that waits, for a node that stops.
    pub(crate) fn end_replaced(self: &Rc<Self>) {
        let nodes = self.replaced.nodes.take();
        self.replaced.update();
        let kept = nodes.into_values().flat_map(|leaver| leaver.kept);
        kept.for_each(|held| held.fail(self, Reason::ShuttingDown, "the node leaves"));
    }
}
