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
/// How long the master may take to tell that the node leaves.
const SEEN: Duration = Duration::from_millis(500);
/// What others send before they have heard that it leaves still comes in for so long.
const GRACE: Duration = Duration::from_millis(50);
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
        if was_ready {
            self.set_state(State::Draining);
        }
        let deadline = Instant::now() + LEAVE;
        let hooks = inner.on_leave.borrow().clone();
        for hook in hooks {
            let _ = timeout_at(deadline, hook()).await;
        }
        if was_ready {
            let _ = timeout(SEEN, inner.seen_leaving()).await;
        }
        let _ = timeout_at(deadline, inner.quiet()).await;
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

    /// Until everything that was accepted is done, answered and written.
    async fn quiet(&self) {
        loop {
            let is_writing = {
                let peers = self.peers.borrow();
                peers.values().any(|peer| peer.is_connected() && peer.queued() > 0)
            };
            let is_busy = is_writing
                || self.has_local()
                || !self.gate.is_empty()
                || self.running.get() > 0
                || self.answers_owed.get() > 0
                || !self.pending.borrow().is_empty();
            if !is_busy {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}
