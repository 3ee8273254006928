//! The memory link: nodes of one process, each on a thread of its own or all on one.
//!
//! What one turn of a node's loop has written for a peer is handed over as a whole: one lock, and where the
//! receiver has caught up, no copy. A receiver decodes from its own buffer, so it always gets its own copy.

use crate::{Buffer, Conn, Dialing, Link, ListenError, Listener};
use chappe_wire::NodeId;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::sync::mpsc;

/// How many bytes may wait in one direction before the writer keeps the rest in its own, counted queue.
const ROOM: usize = 1 << 20;

/// The nodes of one process that can reach each other. Clones share one network.
#[derive(Debug, Clone, Default)]
pub struct MemoryLink {
    listeners: Arc<Mutex<HashMap<NodeId, mpsc::UnboundedSender<MemoryConn>>>>,
}

impl MemoryLink {
    /// A network without nodes.
    pub fn new() -> MemoryLink {
        MemoryLink::default()
    }

    fn connect(&self, to: NodeId) -> io::Result<MemoryConn> {
        let (a, b) = (Arc::new(Pipe::default()), Arc::new(Pipe::default()));
        let ours = MemoryConn { incoming: a.clone(), outgoing: b.clone() };
        let theirs = MemoryConn { incoming: b, outgoing: a };
        let listeners = lock(&self.listeners);
        let listener = listeners.get(&to).ok_or(io::ErrorKind::NotFound)?;
        listener.send(theirs).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(ours)
    }
}

impl Link for MemoryLink {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn listen(&self, me: NodeId) -> Result<Box<dyn Listener>, ListenError> {
        let (sender, accepted) = mpsc::unbounded_channel();
        let mut listeners = lock(&self.listeners);
        if listeners.get(&me).is_some_and(|other| !other.is_closed()) {
            return Err(ListenError::IdTaken(me));
        }
        listeners.insert(me, sender);
        Ok(Box::new(MemoryListener { accepted }))
    }

    fn dial(&self, to: NodeId) -> Dialing {
        let connected = self.connect(to).map(|conn| Box::new(conn) as Box<dyn Conn>);
        Box::pin(std::future::ready(connected))
    }
}

struct MemoryListener {
    accepted: mpsc::UnboundedReceiver<MemoryConn>,
}

impl Listener for MemoryListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Conn>>> {
        self.accepted.poll_recv(cx).map(|conn| match conn {
            Some(conn) => Ok(Box::new(conn) as Box<dyn Conn>),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        })
    }
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Pipe {
    state: Mutex<PipeState>,
}

#[derive(Debug, Default)]
struct PipeState {
    bytes: Buffer,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

#[derive(Debug)]
struct MemoryConn {
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
}

impl Conn for MemoryConn {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut Buffer) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.incoming.state);
        let count = state.bytes.len();
        if count == 0 {
            if state.closed {
                return Poll::Ready(Ok(0));
            }
            remember(&mut state.reader, cx);
            return Poll::Pending;
        }
        into.append(&mut state.bytes);
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(count))
    }

    fn try_write(&self, from: &mut Buffer) -> io::Result<()> {
        let mut state = lock(&self.outgoing.state);
        if state.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if state.bytes.len() >= ROOM {
            return Ok(());
        }
        state.bytes.append(from);
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = lock(&self.outgoing.state);
        if state.closed || state.bytes.len() < ROOM {
            return Poll::Ready(Ok(()));
        }
        remember(&mut state.writer, cx);
        Poll::Pending
    }

    fn close(&self) {
        self.outgoing.close();
    }

    fn is_within_process(&self) -> bool {
        true
    }
}

impl Drop for MemoryConn {
    fn drop(&mut self) {
        self.outgoing.close();
        self.incoming.close();
    }
}

fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

/// No code panics while it holds one of these locks; a poisoned one is as good as new.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
