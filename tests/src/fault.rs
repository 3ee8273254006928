//! A link that fails on command: an in-memory network with delays, cuts and deaths.
//!
//! Every byte written is held until its time has come, in order; so a direction may be slow and never reorders.
//! A cut is loud (connections end, dials fail) or silent (bytes wait until it heals, as a network does that
//! sends again). A process that dies takes its connections with it.

use chappe_link::{Buffer, Conn, Dialing, Link, ListenError, Listener};
use chappe_wire::NodeId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::rng::Rng;
use crate::steps::{self, Step};

mod tamper;
use tamper::Tamper;
pub use tamper::Trick;

/// What may be under way in one direction before the writer has to wait.
const ROOM: usize = 64 * 1024;

/// The whole network. Clones are one network.
#[derive(Clone)]
pub struct Net(Arc<Mutex<State>>);

struct State {
    rng: Rng,
    listeners: BTreeMap<NodeId, (u64, mpsc::UnboundedSender<FaultConn>)>,
    wires: Vec<Arc<Wire>>,
    delays: BTreeMap<(NodeId, NodeId), Duration>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    holds: BTreeSet<(NodeId, NodeId)>,
    tamper: Tamper,
    room: usize,
}

impl State {
    /// Forgets connections that have ended, unless they are held: their readers learn of it when that is over.
    fn forget_ended(&mut self) {
        self.wires.retain(|wire| {
            let state = lock(&wire.state);
            state.ends.is_none() || state.held
        });
    }
}

/// Two ends of one direction of a connection.
struct Wire {
    from: (NodeId, u64),
    to: (NodeId, u64),
    state: Mutex<WireState>,
}

#[derive(Default)]
struct WireState {
    chunks: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    /// The end of the stream, and when the reader learns of it.
    ends: Option<Instant>,
    /// Nothing passes until it heals.
    held: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    last_due: Option<Instant>,
}

impl Net {
    /// A network without nodes and faults; `seed` decides its small delays.
    pub fn new(seed: u64, trick: Option<Trick>) -> Net {
        Net(Arc::new(Mutex::new(State {
            rng: Rng::new(seed),
            listeners: BTreeMap::new(),
            wires: Vec::new(),
            delays: BTreeMap::new(),
            cuts: BTreeSet::new(),
            holds: BTreeSet::new(),
            // A tampered chunk must be whole frames, so it must never be cut by lack of room.
            room: if trick.is_some() { usize::MAX } else { ROOM },
            tamper: Tamper::new(trick),
        })))
    }

    /// The link as one life of a node sees it.
    pub fn link(&self, me: NodeId, life: u64) -> Arc<dyn Link + Send + Sync> {
        Arc::new(FaultLink { net: self.clone(), me, life })
    }

    /// From now on bytes from `from` to `to` take so long; what is under way keeps its time.
    pub fn delay(&self, from: NodeId, to: NodeId, delay: Duration) {
        lock(&self.0).delays.insert((from, to), delay);
    }

    /// The process that was that life of a node is gone. With `drains`, what it had handed over still arrives.
    pub fn kill(&self, node: NodeId, life: u64, drains: bool) {
        let ended = {
            let mut state = lock(&self.0);
            if state.listeners.get(&node).is_some_and(|(of, _)| *of == life) {
                state.listeners.remove(&node);
            }
            let me = (node, life);
            state.wires.iter().filter(|wire| wire.from == me || wire.to == me).cloned().collect::<Vec<_>>()
        };
        for wire in ended {
            wire.end(!(drains && wire.from == (node, life)));
        }
        lock(&self.0).forget_ended();
    }

    /// Ends all connections between two nodes, and lets none come up until [`Net::heal`].
    pub fn cut(&self, a: NodeId, b: NodeId, drains: bool) {
        let ended = {
            let mut state = lock(&self.0);
            state.cuts.insert(pair(a, b));
            state.wires.iter().filter(|wire| wire.is_between(a, b)).cloned().collect::<Vec<_>>()
        };
        ended.iter().for_each(|wire| wire.end(!drains));
        lock(&self.0).forget_ended();
    }

    /// Nothing passes between two nodes until [`Net::heal`]; neither is told.
    pub fn hold(&self, a: NodeId, b: NodeId) {
        let mut state = lock(&self.0);
        state.holds.insert(pair(a, b));
        for wire in state.wires.iter().filter(|wire| wire.is_between(a, b)) {
            lock(&wire.state).held = true;
        }
    }

    /// Ends a cut or a hold.
    pub fn heal(&self, a: NodeId, b: NodeId) {
        let mut state = lock(&self.0);
        state.cuts.remove(&pair(a, b));
        state.holds.remove(&pair(a, b));
        for wire in state.wires.iter().filter(|wire| wire.is_between(a, b)) {
            wire.set_held(false);
        }
        state.forget_ended();
    }

    /// How often the trick was played.
    pub fn tricks(&self) -> u64 {
        lock(&self.0).tamper.played
    }

    fn connect(&self, from: (NodeId, u64), to: NodeId) -> io::Result<FaultConn> {
        let mut state = lock(&self.0);
        if state.cuts.contains(&pair(from.0, to)) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (life, listener) = state.listeners.get(&to).cloned().ok_or(io::ErrorKind::NotFound)?;
        let held = state.holds.contains(&pair(from.0, to));
        let wire = |from, to| {
            let state = Mutex::new(WireState { held, ..WireState::default() });
            Arc::new(Wire { from, to, state })
        };
        let (out, back) = (wire(from, (to, life)), wire((to, life), from));
        let theirs = FaultConn::new(self, out.clone(), back.clone());
        listener.send(theirs).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        state.wires.extend([out.clone(), back.clone()]);
        Ok(FaultConn::new(self, back, out))
    }
}

struct FaultLink {
    net: Net,
    me: NodeId,
    life: u64,
}

impl Link for FaultLink {
    fn name(&self) -> &'static str {
        "fault"
    }

    fn listen(&self, me: NodeId) -> Result<Box<dyn Listener>, ListenError> {
        let mut state = lock(&self.net.0);
        if state.listeners.get(&me).is_some_and(|(_, other)| !other.is_closed()) {
            return Err(ListenError::IdTaken(me));
        }
        let (sender, accepted) = mpsc::unbounded_channel();
        state.listeners.insert(me, (self.life, sender));
        Ok(Box::new(FaultListener(accepted)))
    }

    fn dial(&self, to: NodeId) -> Dialing {
        let connected = self.net.connect((self.me, self.life), to);
        Box::pin(std::future::ready(connected.map(|conn| Box::new(conn) as Box<dyn Conn>)))
    }
}

struct FaultListener(mpsc::UnboundedReceiver<FaultConn>);

impl Listener for FaultListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Conn>>> {
        self.0.poll_recv(cx).map(|conn| match conn {
            Some(conn) => Ok(Box::new(conn) as Box<dyn Conn>),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        })
    }
}

struct FaultConn {
    net: Net,
    incoming: Arc<Wire>,
    outgoing: Arc<Wire>,
    timer: Mutex<Option<Pin<Box<Sleep>>>>,
}

impl FaultConn {
    fn new(net: &Net, incoming: Arc<Wire>, outgoing: Arc<Wire>) -> FaultConn {
        FaultConn { net: net.clone(), incoming, outgoing, timer: Mutex::new(None) }
    }

    /// Wakes the reader when `due` has come.
    fn wait_until(&self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut timer = lock(&self.timer);
        let sleep = timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        sleep.as_mut().poll(cx)
    }
}

impl Conn for FaultConn {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut Buffer) -> Poll<io::Result<usize>> {
        loop {
            let now = Instant::now();
            let due = {
                let mut state = lock(&self.incoming.state);
                remember(&mut state.reader, cx);
                if state.held {
                    return Poll::Pending;
                }
                match (state.chunks.front().map(|(due, _)| *due), state.ends) {
                    (Some(due), _) if due <= now => {
                        let Some((_, chunk)) = state.chunks.pop_front() else { return Poll::Pending };
                        state.bytes -= chunk.len();
                        into.tail(chunk.len()).extend_from_slice(&chunk);
                        let writer = state.writer.take();
                        drop(state);
                        writer.into_iter().for_each(Waker::wake);
                        steps::tell(Step::Received(self.incoming.from.0, self.incoming.to.0));
                        return Poll::Ready(Ok(chunk.len()));
                    }
                    (Some(due), _) => due,
                    (None, Some(ends)) if ends <= now => return Poll::Ready(Ok(0)),
                    (None, Some(ends)) => ends,
                    (None, None) => return Poll::Pending,
                }
            };
            if self.wait_until(due, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn try_write(&self, from: &mut Buffer) -> io::Result<()> {
        let mut net = lock(&self.net.0);
        let mut state = lock(&self.outgoing.state);
        if state.ends.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let room = net.room.saturating_sub(state.bytes).min(from.len());
        if room == 0 {
            return Ok(());
        }
        let (sender, receiver) = (self.outgoing.from.0, self.outgoing.to.0);
        let written = net.tamper.pass(&from.filled()[..room]);
        from.consume(room);
        let delay = net.delays.get(&(sender, receiver)).copied().unwrap_or_default();
        // Whole milliseconds: the runtime's clock stands anywhere within one, and a fraction would round by chance.
        let jitter = Duration::from_millis(net.rng.below(3));
        // Now and then a write arrives in two pieces.
        let cut = if written.len() > 1 && net.rng.percent(10) {
            net.rng.range(1, written.len() as u64) as usize
        } else {
            written.len()
        };
        for piece in [&written[..cut], &written[cut..]] {
            if !piece.is_empty() {
                let due = Instant::now() + delay + jitter;
                let due = state.last_due.map_or(due, |last| due.max(last));
                state.last_due = Some(due);
                state.bytes += piece.len();
                state.chunks.push_back((due, piece.to_vec()));
            }
        }
        let reader = state.reader.take();
        drop((state, net));
        reader.into_iter().for_each(Waker::wake);
        steps::tell(Step::Sent(sender, receiver));
        Ok(())
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let room = lock(&self.net.0).room;
        let mut state = lock(&self.outgoing.state);
        if state.ends.is_some() || state.bytes < room {
            return Poll::Ready(Ok(()));
        }
        remember(&mut state.writer, cx);
        Poll::Pending
    }

    fn close(&self) {
        self.outgoing.end(false);
    }
}

impl Drop for FaultConn {
    fn drop(&mut self) {
        self.outgoing.end(false);
        self.incoming.end(true);
    }
}

impl Wire {
    fn is_between(&self, a: NodeId, b: NodeId) -> bool {
        pair(self.from.0, self.to.0) == pair(a, b)
    }

    fn end(&self, loses: bool) {
        let mut state = lock(&self.state);
        if loses {
            state.chunks.clear();
            state.bytes = 0;
        }
        let now = Instant::now();
        let last = state.last_due.filter(|_| !state.chunks.is_empty()).map_or(now, |last| last.max(now));
        state.ends.get_or_insert(last);
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn set_held(&self, held: bool) {
        let mut state = lock(&self.state);
        state.held = held;
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }
}

fn pair(a: NodeId, b: NodeId) -> (NodeId, NodeId) {
    (a.min(b), a.max(b))
}

fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
