//! A life of another node, as this one talks to it: the queue of what is to be sent, and the account of it.

use crate::stats::Pair;
use chappe_link::{Buffer, Conn};
use chappe_route::{Ledger, Seen};
use chappe_wire::frame::write_frame;
use chappe_wire::{NodeId, Reason, Role, Row};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

/// Frames that may come before the other side is told of them without being asked.
const TELL_AFTER: usize = 1024;
/// What the runtime's own messages may use of a queue above its bound: a full queue must not cost membership.
const INTERNAL_ROOM: usize = 1 << 20;
/// Room that an emptied queue keeps.
const KEEP: usize = 256 * 1024;

/// What waits for a receipt: told `Ok` when the peer has taken the frame in.
pub(crate) type ReceiptWaiter = Box<dyn FnOnce(Result<(), Reason>)>;

pub(crate) struct Peer {
    pub(crate) id: NodeId,
    pub(crate) incarnation: u64,
    pub(crate) pair: Pair,
    conn: RefCell<Option<Rc<dyn Conn>>>,
    out: RefCell<Buffer>,
    ledger: RefCell<Ledger<ReceiptWaiter>>,
    /// The last acknowledgement that came.
    acked: Cell<u32>,
    /// Its role, while the view says that messages may go to it: what a sender looks at instead of the view.
    pub(crate) takes_as: Cell<Option<Role>>,
    /// In the list of peers to flush.
    pub(crate) dirty: Cell<bool>,
    /// A task waits until the connection takes more.
    pub(crate) blocked: Cell<bool>,
    closed: Cell<bool>,
}

/// What one turn's flush left behind.
pub(crate) enum Flushed {
    All,
    Blocked(Rc<dyn Conn>),
    Broken(io::Error),
}

impl Peer {
    pub(crate) fn new(id: NodeId, incarnation: u64) -> Peer {
        Peer {
            id,
            incarnation,
            pair: Pair::default(),
            conn: RefCell::default(),
            out: RefCell::default(),
            ledger: RefCell::default(),
            acked: Cell::new(0),
            takes_as: Cell::new(None),
            dirty: Cell::new(false),
            blocked: Cell::new(false),
            closed: Cell::new(false),
        }
    }

    pub(crate) fn attach(&self, conn: Rc<dyn Conn>) {
        *self.conn.borrow_mut() = Some(conn);
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.conn.borrow().is_some()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Bytes that wait.
    pub(crate) fn queued(&self) -> usize {
        self.out.borrow().len()
    }

    /// Frames sent and not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.ledger.borrow().unacknowledged()
    }

    /// Queues a frame of the sequence; its number.
    pub(crate) fn push(
        &self,
        row: Row,
        limit: usize,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Result<u32, Reason> {
        if self.closed.get() {
            return Err(Reason::Disconnected);
        }
        let mut out = self.out.borrow_mut();
        let room = if row == Row::Internal { INTERNAL_ROOM } else { 0 };
        if out.len() >= limit + room {
            return Err(Reason::Overloaded);
        }
        let mut ledger = self.ledger.borrow_mut();
        let (seq, ack) = (ledger.send(row), ledger.ack());
        write_frame(out.tail(128), seq, ack, body);
        self.pair.sent.count(row);
        Ok(seq)
    }

    /// Queues a frame outside the sequence. Bounded by what comes in: at most one for each frame taken in.
    pub(crate) fn push_bare(&self, body: impl FnOnce(&mut Vec<u8>)) {
        let mut out = self.out.borrow_mut();
        let ack = self.ledger.borrow_mut().ack();
        write_frame(out.tail(64), 0, ack, body);
    }

    pub(crate) fn receive(&self, seq: u32) -> Seen {
        self.ledger.borrow_mut().receive(seq)
    }

    pub(crate) fn acknowledged(&self, ack: u32) {
        if self.acked.replace(ack) == ack {
            return;
        }
        let mut settled = Vec::new();
        self.ledger.borrow_mut().acknowledged(ack, |waiter| settled.push(waiter));
        settled.into_iter().for_each(|waiter| waiter(Ok(())));
    }

    pub(crate) fn refused(&self, seq: u32, reason: Reason) {
        let waiter = self.ledger.borrow_mut().refused(seq);
        if let Some(waiter) = waiter {
            waiter(Err(reason));
        }
    }

    /// Calls `waiter` when frame `seq` has been taken in, or can no longer be.
    pub(crate) fn wait(&self, seq: u32, waiter: ReceiptWaiter) {
        if self.closed.get() {
            return waiter(Err(Reason::Disconnected));
        }
        let settled = self.ledger.borrow_mut().wait(seq, waiter);
        if let Some(waiter) = settled {
            waiter(Ok(()));
        }
    }

    /// Whether so much came since the other side was told that it is to be told now.
    pub(crate) fn owes_ack(&self) -> bool {
        self.ledger.borrow().untold() >= TELL_AFTER
    }

    /// Whether anything came since the other side was told.
    pub(crate) fn has_untold(&self) -> bool {
        self.ledger.borrow().untold() > 0
    }

    /// Hands everything queued to the connection.
    pub(crate) fn flush(&self) -> Flushed {
        let conn = self.conn.borrow();
        let Some(conn) = conn.as_ref() else { return Flushed::All };
        let mut out = self.out.borrow_mut();
        if let Err(err) = conn.try_write(&mut out) {
            return Flushed::Broken(err);
        }
        if out.is_empty() {
            out.shrink(KEEP);
            return Flushed::All;
        }
        Flushed::Blocked(conn.clone())
    }

    /// Ends the connection and the account. Returns false when that was done before.
    pub(crate) fn close(&self) -> bool {
        if self.closed.replace(true) {
            return false;
        }
        let (rows, receipts) = self.ledger.borrow_mut().close();
        for row in rows {
            self.pair.under_way.count(row);
        }
        if let Some(conn) = self.conn.borrow_mut().take() {
            conn.close();
        }
        self.out.borrow_mut().consume(usize::MAX);
        receipts.into_iter().for_each(|waiter| waiter(Err(Reason::Disconnected)));
        true
    }
}
