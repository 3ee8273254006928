//! On the way out: from an envelope to a peer's queue, and at the end of each turn from the queues to the connections.

use crate::node::Inner;
use crate::peer::{Flushed, Peer, Ticket};
use chappe_link::Conn;
use chappe_route::State;
use chappe_wire::{Envelope, NodeId, Reason, Role, Row};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

/// How long a connection that can no longer be written to may take to be read to its end.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Inner {
    /// Queues an envelope for a node, whichever life of it is known.
    pub(crate) fn post(&self, to: NodeId, envelope: &Envelope<'_>) -> Result<Ticket, Reason> {
        if to == self.config.id {
            return self.post_local(envelope);
        }
        let peer = self.peer(to)?;
        self.post_peer(&peer, envelope.meta.row, |out| envelope.encode_into(out))
    }

    /// As [`Inner::post`], to a node that takes new messages and is of a role that `takes` accepts.
    pub(crate) fn post_to_role(
        &self,
        to: NodeId,
        takes: impl Fn(Role) -> bool,
        envelope: &Envelope<'_>,
    ) -> Result<Ticket, Reason> {
        if let Some(peer) = self.peers.borrow().get(&to)
            && peer.takes_as.get().is_some_and(&takes)
        {
            return self.post_peer(peer, envelope.meta.row, |out| envelope.encode_into(out));
        }
        let id = self.view.borrow().reachable(to, takes)?;
        self.post(id, envelope)
    }

    /// Brings up to date what senders see of a peer.
    pub(crate) fn mark_peer(&self, peer: &Peer) {
        let view = self.view.borrow();
        let member = view.member(peer.id).filter(|member| member.incarnation == peer.incarnation);
        let takes = member.filter(|member| matches!(member.state, State::Ready | State::Draining));
        peer.takes_as.set(takes.map(|member| member.role));
        peer.is_leaving.set(member.is_some_and(|member| member.state == State::Draining));
    }

    /// As [`Inner::post`], unless that life of the node is gone.
    pub(crate) fn post_to_life(
        &self,
        to: NodeId,
        life: u64,
        envelope: &Envelope<'_>,
    ) -> Result<Ticket, Reason> {
        if to == self.config.id {
            return self.post_local(envelope);
        }
        match self.peers.borrow().get(&to).filter(|peer| peer.incarnation == life) {
            Some(peer) => self.post_peer(peer, envelope.meta.row, |out| envelope.encode_into(out)),
            None => Err(Reason::NodeLost),
        }
    }

    pub(crate) fn post_peer(
        &self,
        peer: &Rc<Peer>,
        row: Row,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Ticket, Reason> {
        let ticket = peer.push(row, self.config.limits.queue_bytes, body)?;
        self.mark_dirty(peer);
        Ok(ticket)
    }

    /// The peer to queue for: the one that is connected, or a new one whose queue waits for the connection.
    pub(crate) fn peer(&self, id: NodeId) -> Result<Rc<Peer>, Reason> {
        let mut peers = self.peers.borrow_mut();
        if let Some(peer) = peers.get(&id) {
            return Ok(peer.clone());
        }
        let view = self.view.borrow();
        let member = view.member(id).ok_or(Reason::Disconnected)?;
        let peer = Rc::new(Peer::new(id, member.incarnation));
        peers.insert(id, peer.clone());
        Ok(peer)
    }

    pub(crate) fn mark_dirty(&self, peer: &Rc<Peer>) {
        if !peer.dirty.replace(true) {
            self.dirty.borrow_mut().push(peer.clone());
            self.want_flush();
        }
    }

    /// Sees to it that the flusher runs after what is ready to run now: the end of the turn.
    pub(crate) fn want_flush(&self) {
        if !self.flush_wanted.replace(true)
            && let Some(waker) = self.flusher.borrow_mut().take()
        {
            waker.wake();
        }
    }

    /// The end of each turn: delivers what was sent to the node itself, then writes to each peer, at once,
    /// everything that the turn has produced for it.
    pub(crate) async fn flusher(self: Rc<Self>) {
        loop {
            poll_fn(|cx| {
                if self.flush_wanted.replace(false) {
                    return Poll::Ready(());
                }
                *self.flusher.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            })
            .await;
            self.progress.fetch_add(1, Ordering::Relaxed);
            self.deliver_local();
            self.flush();
            if self.has_local() {
                // What answers itself for ever must not keep peers and timers from their turn.
                tokio::task::yield_now().await;
            }
        }
    }

    /// Writes to each peer what is queued for it.
    pub(crate) fn flush(self: &Rc<Self>) {
        let mut dirty = self.dirty.take();
        if dirty.is_empty() {
            return;
        }
        for peer in dirty.drain(..) {
            peer.dirty.set(false);
            self.flush_peer(&peer);
        }
        self.flushed.notify_waiters();
        // The list's memory is used again, unless a close has made a new list meanwhile.
        let mut slot = self.dirty.borrow_mut();
        if slot.is_empty() {
            *slot = dirty;
        }
    }

    fn flush_peer(self: &Rc<Self>, peer: &Rc<Peer>) {
        if peer.blocked.get() {
            return;
        }
        match peer.flush() {
            Flushed::All => {}
            Flushed::Blocked(conn) => {
                peer.blocked.set(true);
                tokio::task::spawn_local(Rc::clone(self).unblock(peer.clone(), conn));
            }
            Flushed::Broken(error) => {
                // What it said last may wait to be read: an answer, a close with its reason. The end comes behind it.
                tracing::debug!(node = %self.config.id, peer = %peer.id, %error, "a write has failed");
                peer.mute();
                let (this, peer) = (self.clone(), peer.clone());
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(LAST_WORDS).await;
                    this.peer_ended(&peer, "the connection broke");
                });
            }
        }
    }

    /// Waits until a peer that reads slowly takes more. Only its own queue waits meanwhile.
    async fn unblock(self: Rc<Self>, peer: Rc<Peer>, conn: Rc<dyn Conn>) {
        // An error shows again when it is written to.
        let _ = poll_fn(|cx| conn.poll_writable(cx)).await;
        peer.blocked.set(false);
        if !peer.is_closed() {
            self.flush_peer(&peer);
        }
        self.flushed.notify_waiters();
    }
}
