//! A link in memory that counts what passes and takes [`LATENCY`] each way, as a network of one site does. It has no faults, and
//! an idle connection costs it no timer: there may be a million of them.

use chappe_link::{Buffer, Conn, Dialing, Link, ListenError, Listener};
use chappe_wire::NodeId;
use chappe_wire::hello::{Greeting, PROTOCOL, Purpose};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::ops::Sub;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};

/// What a byte takes from one node to another.
pub const LATENCY: Duration = Duration::from_millis(1);
/// What may be under way in one direction, as over the memory link.
const ROOM: usize = 1 << 20;
/// What a greeting begins with, and no frame: as a frame's length it would be over a gigabyte.
const MAGIC: &[u8] = b"CHPE";

/// The network. Clones are one network.
#[derive(Clone, Default)]
pub struct Wires(Arc<State>);

#[derive(Default)]
struct State {
    listeners: Mutex<HashMap<NodeId, mpsc::UnboundedSender<WireConn>>>,
    counters: Counters,
}

#[derive(Default)]
struct Counters {
    frames: AtomicU64,
    bytes: AtomicU64,
    acks: AtomicU64,
    pulses: AtomicU64,
    pulse_bytes: AtomicU64,
    greetings: AtomicU64,
    greeting_bytes: AtomicU64,
    opened: AtomicU64,
    closed: AtomicU64,
}

/// What has passed, all nodes together; heartbeats and greetings are apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Frames of messages.
    pub frames: u64,
    /// Frames that carry nothing but an acknowledgement (or a refusal, or a close).
    pub acks: u64,
    /// Bytes of both.
    pub bytes: u64,
    /// Heartbeats.
    pub pulses: u64,
    /// Bytes of them.
    pub pulse_bytes: u64,
    /// Greetings of connections.
    pub greetings: u64,
    /// Bytes of them.
    pub greeting_bytes: u64,
    /// Connections that were made.
    pub opened: u64,
    /// Connections that have ended.
    pub closed: u64,
}

impl Wires {
    /// What has passed until now.
    pub fn traffic(&self) -> Traffic {
        let Counters { frames, bytes, acks, pulses, pulse_bytes, greetings, greeting_bytes, opened, closed } =
            &self.0.counters;
        Traffic {
            frames: frames.load(Relaxed),
            acks: acks.load(Relaxed),
            bytes: bytes.load(Relaxed),
            pulses: pulses.load(Relaxed),
            pulse_bytes: pulse_bytes.load(Relaxed),
            greetings: greetings.load(Relaxed),
            greeting_bytes: greeting_bytes.load(Relaxed),
            opened: opened.load(Relaxed),
            closed: closed.load(Relaxed),
        }
    }

    /// Connections that stand.
    pub fn connections(&self) -> u64 {
        let traffic = self.traffic();
        traffic.opened - traffic.closed
    }
}

impl Sub for Traffic {
    type Output = Traffic;
    fn sub(self, earlier: Traffic) -> Traffic {
        Traffic {
            frames: self.frames - earlier.frames,
            acks: self.acks - earlier.acks,
            bytes: self.bytes - earlier.bytes,
            pulses: self.pulses - earlier.pulses,
            pulse_bytes: self.pulse_bytes - earlier.pulse_bytes,
            greetings: self.greetings - earlier.greetings,
            greeting_bytes: self.greeting_bytes - earlier.greeting_bytes,
            opened: self.opened - earlier.opened,
            closed: self.closed - earlier.closed,
        }
    }
}

impl Link for Wires {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn listen(&self, me: NodeId) -> Result<Box<dyn Listener>, ListenError> {
        let (sender, accepted) = mpsc::unbounded_channel();
        lock(&self.0.listeners).insert(me, sender);
        Ok(Box::new(WireListener(accepted)))
    }

    fn dial(&self, to: NodeId) -> Dialing {
        let wires = self.clone();
        Box::pin(async move {
            tokio::time::sleep(LATENCY).await;
            let (ours, theirs) = WireConn::pair(&wires.0);
            let listeners = lock(&wires.0.listeners);
            let listener = listeners.get(&to).ok_or(io::ErrorKind::NotFound)?;
            listener.send(theirs).map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(Box::new(ours) as Box<dyn Conn>)
        })
    }
}

struct WireListener(mpsc::UnboundedReceiver<WireConn>);

impl Listener for WireListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Conn>>> {
        self.0.poll_recv(cx).map(|conn| match conn {
            Some(conn) => Ok(Box::new(conn) as Box<dyn Conn>),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        })
    }
}

/// One direction of a connection.
#[derive(Default)]
struct Pipe {
    chunks: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    ends: Option<Instant>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// A connection, for both of its ends.
struct Line {
    state: Arc<State>,
    pipes: [Mutex<Pipe>; 2],
    is_pulse: AtomicBool,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.state.counters.closed.fetch_add(1, Relaxed);
    }
}

/// One end; it reads the pipe of its side and writes the other.
struct WireConn {
    line: Arc<Line>,
    side: usize,
    due: Mutex<Option<Pin<Box<Sleep>>>>,
}

impl WireConn {
    fn pair(state: &Arc<State>) -> (WireConn, WireConn) {
        state.counters.opened.fetch_add(1, Relaxed);
        let line = Line { state: state.clone(), pipes: Default::default(), is_pulse: AtomicBool::new(false) };
        let line = Arc::new(line);
        let end = |side| WireConn { line: line.clone(), side, due: Mutex::default() };
        (end(0), end(1))
    }

    fn incoming(&self) -> MutexGuard<'_, Pipe> {
        lock(&self.line.pipes[self.side])
    }

    fn outgoing(&self) -> MutexGuard<'_, Pipe> {
        lock(&self.line.pipes[1 - self.side])
    }

    /// Waits for that time; `true` when it has come.
    fn wait_until(&self, at: Instant, cx: &mut Context<'_>) -> bool {
        let mut due = lock(&self.due);
        let mut sleep = due.take().unwrap_or_else(|| Box::pin(sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        let is_over = sleep.as_mut().poll(cx).is_ready();
        if !is_over {
            *due = Some(sleep);
        }
        is_over
    }

    fn count(&self, chunk: &[u8]) {
        let counters = &self.line.state.counters;
        let length = chunk.len() as u64;
        if chunk.starts_with(MAGIC) {
            if let Ok(Some((Greeting::Hello(hello), ..))) = Greeting::decode(chunk, PROTOCOL) {
                self.line.is_pulse.store(hello.purpose == Purpose::Pulse, Relaxed);
            }
            counters.greetings.fetch_add(1, Relaxed);
            counters.greeting_bytes.fetch_add(length, Relaxed);
            return;
        }
        let (mut frames, mut acks) = (0, 0);
        let mut rest = chunk;
        while let Some((head, body)) = rest.split_first_chunk::<8>() {
            let long = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let is_bare = head[4..] == [0; 4];
            (frames, acks) = (frames + u64::from(!is_bare), acks + u64::from(is_bare));
            rest = body.get(long.saturating_sub(4)..).unwrap_or_default();
        }
        if self.line.is_pulse.load(Relaxed) {
            counters.pulses.fetch_add(frames, Relaxed);
            counters.pulse_bytes.fetch_add(length, Relaxed);
        } else {
            counters.frames.fetch_add(frames, Relaxed);
            counters.acks.fetch_add(acks, Relaxed);
            counters.bytes.fetch_add(length, Relaxed);
        }
    }
}

impl Conn for WireConn {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut Buffer) -> Poll<io::Result<usize>> {
        loop {
            let mut pipe = self.incoming();
            let now = Instant::now();
            let mut count = 0;
            while let Some((_, chunk)) = pipe.chunks.pop_front_if(|(at, _)| *at <= now) {
                into.tail(chunk.len()).extend_from_slice(&chunk);
                count += chunk.len();
            }
            pipe.bytes -= count;
            if count > 0 {
                if pipe.chunks.is_empty() {
                    pipe.chunks = VecDeque::new();
                }
                let writer = pipe.writer.take();
                drop(pipe);
                writer.into_iter().for_each(Waker::wake);
                return Poll::Ready(Ok(count));
            }
            let next = pipe.chunks.front().map(|(at, _)| *at).or(pipe.ends);
            let Some(next) = next else {
                remember(&mut pipe.reader, cx);
                return Poll::Pending;
            };
            if pipe.chunks.is_empty() && next <= now {
                return Poll::Ready(Ok(0));
            }
            // What comes later comes behind this, but the end may come first when the other side is killed.
            remember(&mut pipe.reader, cx);
            drop(pipe);
            if !self.wait_until(next, cx) {
                return Poll::Pending;
            }
        }
    }

    fn try_write(&self, from: &mut Buffer) -> io::Result<()> {
        let mut pipe = self.outgoing();
        if pipe.ends.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if pipe.bytes >= ROOM || from.is_empty() {
            return Ok(());
        }
        self.count(from.filled());
        pipe.chunks.push_back((Instant::now() + LATENCY, from.filled().to_vec()));
        pipe.bytes += from.len();
        from.consume(usize::MAX);
        let reader = pipe.reader.take();
        drop(pipe);
        reader.into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipe = self.outgoing();
        if pipe.ends.is_some() || pipe.bytes < ROOM {
            return Poll::Ready(Ok(()));
        }
        remember(&mut pipe.writer, cx);
        Poll::Pending
    }

    fn close(&self) {
        end(self.outgoing());
    }
}

impl Drop for WireConn {
    fn drop(&mut self) {
        end(self.outgoing());
        // Whoever writes to it learns that it is gone.
        end(self.incoming());
    }
}

fn end(mut pipe: MutexGuard<'_, Pipe>) {
    pipe.ends.get_or_insert_with(|| Instant::now() + LATENCY);
    let wakers = [pipe.reader.take(), pipe.writer.take()];
    drop(pipe);
    wakers.into_iter().flatten().for_each(Waker::wake);
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
