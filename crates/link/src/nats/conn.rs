//! A connection between two nodes over NATS: what its handle, what arrives and the clock do to its [`Pipe`].

use super::hub::{ANSWER, Hub, lock};
use super::message::{Head, Kind, Subjects};
use super::options::NatsOptions;
use super::pipe::{Over, Pipe};
use super::stats::count;
use crate::{Buffer, Conn};
use async_nats::Subject;
use chappe_wire::NodeId;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How long what was written before the end may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// One side of a connection, whoever holds it.
pub(super) struct Side {
    hub: Arc<Hub>,
    id: u64,
    own: Subject,
    state: Mutex<State>,
}

struct State {
    pipe: Pipe,
    /// Where the other side is written to.
    peer: Option<Subject>,
    /// The other side's node, where that is known.
    node: Option<NodeId>,
    /// Where it is dialled, and until when.
    dialling: Option<(Subject, Instant)>,
    /// Since when nobody holds it any more; it lives on until what was written has been read.
    dropped_at: Option<Instant>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Side {
    pub(super) fn new(hub: Arc<Hub>, id: u64) -> Side {
        let NatsOptions { window, patience, absence, .. } = hub.options;
        let pipe = Pipe::new(window, patience, Instant::now()).with_absence(absence);
        let state = State {
            pipe,
            peer: None,
            node: None,
            dialling: None,
            dropped_at: None,
            reader: None,
            writer: None,
        };
        Side { own: hub.subjects.conn(id), hub, id, state: Mutex::new(state) }
    }

    /// The other side has dialled: it is `peer` of that `node`, and takes `room` bytes.
    pub(super) fn accept(self: Arc<Self>, peer: Subject, node: Option<NodeId>, room: u64) -> NatsConn {
        let mut state = lock(&self.state);
        state.node = node;
        state.pipe.connected(room, Instant::now());
        let accept = Head::new(Kind::Accept, 0, state.pipe.window() as u64);
        self.hub.publish(&peer, &self.own, accept.with(&[]));
        state.peer = Some(peer);
        drop(state);
        NatsConn(self)
    }

    /// A message has come for this side.
    pub(super) fn came(&self, head: Head, data: &[u8], from: Option<Subject>) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        if head.kind == Kind::Accept {
            if state.dialling.take().is_some() {
                state.peer = from;
                state.pipe.connected(head.seq, Instant::now());
                wake(&mut state.reader);
            }
            return;
        }
        if state.peer != from && (state.peer.is_some() || head.kind != Kind::Reset) {
            return self.hub.reset(from.as_ref(), &self.own, "this connection is another's");
        }
        let came = state.pipe.came(head, data, Instant::now());
        let counters = &self.hub.counters;
        if came.gap {
            count(&counters.gaps);
        }
        if came.duplicate {
            count(&counters.duplicates);
        }
        if came.again > 0 {
            counters.resent.fetch_add(came.again as u64, Ordering::Relaxed);
        }
        if let (Some(answer), Some(peer)) = (came.answer, &state.peer) {
            self.hub.publish(peer, &self.own, answer.with(&[]));
        }
        if came.readable {
            wake(&mut state.reader);
        }
        if came.writable {
            wake(&mut state.writer);
        }
        self.pump_locked(state);
        if state.dropped_at.is_some() {
            if matches!(head.kind, Kind::Data | Kind::End) {
                state.pipe.discard();
            }
            if head.kind == Kind::Data {
                self.hub.reset(state.peer.as_ref(), &self.own, "the other side has closed it");
            }
            self.forget_if_settled(state);
        }
    }

    /// The servers say that nobody listens where this side writes to.
    pub(super) fn nobody_there(&self) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        if state.dialling.is_some() {
            return self.end_locked(state, Over::new(io::ErrorKind::NotFound, "no node of that id is there"));
        }
        state.pipe.nobody_there(Instant::now());
    }

    /// Ends a dial that was made to `subject`, or whichever was made.
    pub(super) fn give_up_dialling(&self, subject: Option<&str>, why: impl FnOnce() -> Over) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let is_meant = match (&state.dialling, &state.peer, subject) {
            (Some(_), _, None) => true,
            (Some((to, _)), _, Some(subject)) | (None, Some(to), Some(subject)) => to.as_str() == subject,
            _ => false,
        };
        if is_meant {
            self.end_locked(state, why());
        }
    }

    /// A new process of the node `node` is at `peer`: what stands with the one before is over.
    pub(super) fn outlived(&self, node: NodeId, peer: &Subject) {
        let mut state = lock(&self.state);
        let is_meant = |old: &Subject| !Subjects::are_one_process(old, peer);
        if state.node == Some(node) && state.peer.as_ref().is_some_and(is_meant) {
            let why = format!("a new process of node {node} has taken its place");
            self.end_locked(&mut state, Over::new(io::ErrorKind::ConnectionReset, why));
        }
    }

    pub(super) fn end_with(&self, over: Over) {
        self.end_locked(&mut lock(&self.state), over);
    }

    fn end_locked(&self, state: &mut State, over: Over) {
        state.dialling = None;
        state.pipe.end_with(over);
        wake(&mut state.reader);
        wake(&mut state.writer);
        self.forget_if_settled(state);
    }

    /// The connection to NATS is a new one: whatever was on its way over the old one may be lost.
    pub(super) fn start_over(&self) {
        let mut state = lock(&self.state);
        let again = state.pipe.publish_again();
        self.hub.counters.resent.fetch_add(again as u64, Ordering::Relaxed);
        self.pump_locked(&mut state);
        // The answer tells what we have missed.
        self.tell(&mut state, Kind::Ping);
    }

    pub(super) fn tick(&self, up: Option<Instant>) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let state = &mut *state;
        if let Some((to, until)) = &state.dialling {
            if *until <= now {
                let why = format!("no answer from {to} within {ANSWER:?}");
                self.end_locked(state, Over::new(io::ErrorKind::TimedOut, why));
            }
            return;
        }
        let was_over = state.pipe.over().is_some();
        if let (Some(head), Some(peer)) = (state.pipe.tick(now, up), &state.peer) {
            if head.kind == Kind::Ask {
                count(&self.hub.counters.gaps);
            }
            self.hub.publish(peer, &self.own, head.with(&[]));
        }
        match state.pipe.over() {
            Some(over) if !was_over => {
                count(&self.hub.counters.broken);
                tracing::warn!(connection = %self.own, why = over.why, "a connection over NATS is broken");
                self.hub.reset(state.peer.as_ref(), &self.own, &over.why);
                wake(&mut state.reader);
                wake(&mut state.writer);
            }
            _ => self.pump_locked(state),
        }
        self.forget_if_settled(state);
    }

    pub(super) fn pump(&self) {
        self.pump_locked(&mut lock(&self.state));
    }

    /// Publishes what there is, as far as there is room.
    fn pump_locked(&self, state: &mut State) {
        let Some(peer) = &state.peer else { return };
        while let Some(message) = state.pipe.to_publish() {
            if !self.hub.publish(peer, &self.own, message.clone()) {
                return;
            }
            state.pipe.was_published();
        }
    }

    fn tell(&self, state: &mut State, kind: Kind) {
        if let Some(peer) = &state.peer {
            let head = state.pipe.status(kind);
            self.hub.publish(peer, &self.own, head.with(&[]));
        }
    }

    fn forget_if_settled(&self, state: &mut State) {
        if state.dropped_at.is_some_and(|at| state.pipe.is_settled() || at.elapsed() >= LAST_WORDS) {
            self.hub.remove(self.id);
        }
    }
}

/// The handle of a side.
pub(super) struct NatsConn(Arc<Side>);

impl NatsConn {
    /// Connects to the node `to`.
    pub(super) async fn dial(hub: Arc<Hub>, to: NodeId) -> io::Result<NatsConn> {
        let Some(_) = hub.standing() else {
            let why = format!("NATS at {} is away", hub.options.places());
            return Err(io::Error::new(io::ErrorKind::NotConnected, why));
        };
        let subject = hub.subjects.dial(to);
        // From here on a dial that is given up is undone.
        let conn = NatsConn(hub.add());
        {
            let mut state = lock(&conn.0.state);
            state.node = Some(to);
            state.dialling = Some((subject.clone(), Instant::now() + ANSWER));
            let dial = Head::new(Kind::Dial, 0, state.pipe.window() as u64);
            let me = Subjects::caller(hub.only_node(), &hub.options.card());
            if !hub.publish(&subject, &conn.0.own, dial.with(&me)) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        poll_fn(|cx| {
            let mut state = lock(&conn.0.state);
            if state.peer.is_some() {
                return Poll::Ready(Ok(()));
            }
            if let Some(over) = state.pipe.over() {
                return Poll::Ready(Err(io::Error::from(over.clone())));
            }
            remember(&mut state.reader, cx);
            Poll::Pending
        })
        .await?;
        Ok(conn)
    }
}

impl Conn for NatsConn {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut Buffer) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.0.state);
        let read = state.pipe.read(into);
        if let (Some(news), Some(peer)) = (state.pipe.news(), &state.peer) {
            self.0.hub.publish(peer, &self.0.own, news.with(&[]));
        }
        match read {
            Ok(Some(count)) => Poll::Ready(Ok(count)),
            Ok(None) => {
                remember(&mut state.reader, cx);
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn try_write(&self, from: &mut Buffer) -> io::Result<()> {
        let mut state = lock(&self.0.state);
        state.pipe.write(from, self.0.hub.most())?;
        self.0.pump_locked(&mut state);
        Ok(())
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = lock(&self.0.state);
        if state.pipe.over().is_some() || state.pipe.has_room() {
            return Poll::Ready(Ok(()));
        }
        remember(&mut state.writer, cx);
        Poll::Pending
    }

    fn is_spread_to(&self) -> bool {
        true
    }

    fn close(&self) {
        let mut state = lock(&self.0.state);
        state.pipe.end();
        self.0.pump_locked(&mut state);
    }
}

impl Drop for NatsConn {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        let state = &mut *state;
        state.dropped_at = Some(Instant::now());
        if state.peer.is_none() {
            // A dial that was given up: a late answer meets nobody.
            state.pipe.end_with(Over::new(io::ErrorKind::NotConnected, "given up"));
        }
        state.pipe.end();
        state.pipe.discard();
        self.0.pump_locked(state);
        self.0.forget_if_settled(state);
    }
}

fn wake(slot: &mut Option<Waker>) {
    slot.take().into_iter().for_each(Waker::wake);
}

fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}
