//! How a node leaves: it takes nothing new, finishes what it has accepted, and then ends its connections.

use crate::node::{Inner, Node};
use chappe_route::State;
use chappe_wire::{Body, Envelope, Meta, Reason, Role, Row};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long a leaving node may take, from its hooks to its last answer.
const LEAVE: Duration = Duration::from_secs(3);
/// The same for one that was drained first: others hold back what is for it, and wait.
const LEAVE_DRAINED: Duration = Duration::from_secs(15);
/// How long others may take to say that they have taken in what it has said last.
const HEARD: Duration = Duration::from_millis(500);
/// How long the master may take to tell that the node leaves.
const SEEN: Duration = Duration::from_millis(500);
/// What others send before they have heard that it leaves still comes in for so long.
const GRACE: Duration = Duration::from_millis(50);
/// Between two looks at what is still to be done.
const LOOK: Duration = Duration::from_millis(5);
/// The same, at what others have not taken in yet: often, for new things may be said all the time.
const LOOK_HEARD: Duration = Duration::from_millis(1);
/// The most handlers that may await something at once on one node.
const RUNNING: usize = 100_000;

/// A handler that awaits something: the node does not leave before it has ended.
pub(crate) struct Running(Rc<Inner>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
    }
}

impl Node {
    /// A place for one more handler that awaits; none when too many do.
    pub(crate) fn running(&self) -> Option<Running> {
        let count = self.0.running.get();
        if count >= RUNNING {
            return None;
        }
        self.0.running.set(count + 1);
        Some(Running(self.0.clone()))
    }

    /// Runs a handler that awaits, in its place.
    pub(crate) fn spawn_running(&self, place: Running, handler: impl Future<Output = ()> + 'static) {
        self.spawn(async move {
            let _place = place;
            handler.await;
        });
    }

    pub(crate) async fn leave(&self) {
        let inner = &self.0;
        // One that was never ready gets nothing to finish, and must not look as if it took anything.
        let was_ready = self.state() != State::Starting;
        let was_drained = self.state() == State::Draining;
        if was_ready {
            self.set_state(State::Draining);
        }
        let began = Instant::now();
        let deadline = began + if was_drained { LEAVE_DRAINED } else { LEAVE };
        let hooks = inner.on_leave.borrow().clone();
        for hook in hooks {
            let _ = timeout_at(began + LEAVE, hook()).await;
        }
        if was_ready {
            let _ = timeout(SEEN, inner.seen_leaving()).await;
        }
        let _ = timeout_at(deadline, inner.quiet(was_drained)).await;
        let _ = timeout(HEARD, inner.heard()).await;
        inner.end_requests();
        inner.deliver_local();
        inner.tell_all_acks();
        inner.has_left.set(true);
        let peers: Vec<_> = inner.peers.borrow().values().cloned().collect();
        let meta = Meta::of(Row::Internal);
        for peer in peers {
            let body = Body::Close { reason: Reason::ShuttingDown };
            peer.push_bare(|out| Envelope { meta, body, payload: b"the node leaves" }.encode_into(out));
            let _ = peer.flush();
            peer.close();
        }
    }
}

impl Inner {
    /// Until all others were told that this node leaves, and what they had sent before has come. Without a master
    /// nobody will be told.
    async fn seen_leaving(&self) {
        if self.config.role == Role::Master {
            return;
        }
        loop {
            let changed = self.link_changed.notified();
            let member = self.view.borrow().member(self.config.id).map(|member| member.state);
            match member {
                Some(State::Draining) => break,
                _ if !self.has_joined() => return,
                _ => changed.await,
            }
        }
        sleep(GRACE).await;
    }

    /// Until everything that was accepted is done, answered and written; of one that has the time, also until what waits
    /// for others has left.
    async fn quiet(&self, has_time: bool) {
        let began = Instant::now();
        loop {
            let is_writing = {
                let peers = self.peers.borrow();
                peers.values().any(|peer| peer.is_connected() && peer.queued() > 0)
            };
            // Nobody waits any more for what is answered later.
            let is_awaited = began.elapsed() <= self.longest_request.get();
            let is_busy = is_writing
                || self.has_local()
                || !self.gate.is_empty()
                || self.running.get() > 0
                || self.answers_owed.get() > 0 && is_awaited
                || !self.pending.borrow().is_empty()
                || has_time && (self.replaced.len() > 0 || self.has_waiting());
            if !is_busy {
                return;
            }
            sleep(LOOK).await;
        }
    }

    /// Until others have taken in all that was said to them: what they have not read when they hear that this life has
    /// ended, they may never read.
    async fn heard(&self) {
        loop {
            let is_unheard = {
                let peers = self.peers.borrow();
                peers.values().any(|peer| peer.is_connected() && peer.unacknowledged() > 0)
            };
            if !is_unheard {
                return;
            }
            sleep(LOOK_HEARD).await;
        }
    }
}
