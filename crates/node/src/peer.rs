//! A life of another node, as this one talks to it: the queue of what is to be sent, and the account of it.

use crate::stats::Pair;
use chappe_link::{Buffer, Conn};
use chappe_route::{Ledger, Seen};
use chappe_wire::frame::write_frame;
use chappe_wire::{NodeId, Reason, Role, Row};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Frames that may come before the other side is told of them without being asked.
const TELL_AFTER: usize = 1024;
/// What the runtime's own messages may use of a queue above its bound: a full queue must not cost membership.
const INTERNAL_ROOM: usize = 1 << 20;
/// Room that an emptied queue keeps.
const KEEP: usize = 256 * 1024;
/// Room that it keeps when nothing was queued for a while: with a thousand peers the other adds up.
const KEEP_AT_REST: usize = 4 * 1024;

/// Refusals that are remembered for receipts that are asked for late.
const REFUSALS: usize = 1024;

/// A frame that was sent: by which connection, and its number there. The default is a message of the node to
/// itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ticket {
    peer: u32,
    seq: u32,
}

/// What waits for a receipt: told `Ok` when the peer has taken the frame in.
pub(crate) type ReceiptWaiter = Box<dyn FnOnce(Result<(), Reason>)>;

pub(crate) struct Peer {
    /// Tells this connection's tickets from those of every other.
    number: u32,
    pub(crate) id: NodeId,
    pub(crate) incarnation: u64,
    pub(crate) pair: Pair,
    conn: RefCell<Option<Rc<dyn Conn>>>,
    out: RefCell<Buffer>,
    ledger: RefCell<Ledger<ReceiptWaiter>>,
    /// Frames that the other side refused while nobody waited for their receipt.
    refusals: RefCell<VecDeque<(u32, Reason)>>,
    /// The last acknowledgement that came.
    acked: Cell<u32>,
    /// Its role, while the view says that messages may go to it: what a sender looks at instead of the view.
    pub(crate) takes_as: Cell<Option<Role>>,
    /// It leaves, and waits to hear that what it has said was taken in.
    pub(crate) is_leaving: Cell<bool>,
    /// Something was queued since [`Peer::rest`].
    was_used: Cell<bool>,
    /// In the list of peers to flush.
    pub(crate) dirty: Cell<bool>,
    /// It is for heartbeats, and for nothing else.
    pub(crate) is_pulse: bool,
    /// A task waits until the connection takes more.
    pub(crate) blocked: Cell<bool>,
    /// Nothing more can be written.
    is_mute: Cell<bool>,
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
        static MADE: AtomicU32 = AtomicU32::new(1);
        Peer {
            number: MADE.fetch_add(1, Ordering::Relaxed),
            id,
            incarnation,
            pair: Pair::default(),
            conn: RefCell::default(),
            out: RefCell::default(),
            ledger: RefCell::default(),
            refusals: RefCell::default(),
            acked: Cell::new(0),
            takes_as: Cell::new(None),
            is_leaving: Cell::new(false),
            was_used: Cell::new(false),
            dirty: Cell::new(false),
            is_pulse: false,
            blocked: Cell::new(false),
            is_mute: Cell::new(false),
            closed: Cell::new(false),
        }
    }

    /// The other end of a node's heartbeats.
    pub(crate) fn of_heartbeats(id: NodeId, incarnation: u64) -> Peer {
        Peer { is_pulse: true, ..Peer::new(id, incarnation) }
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

    /// The last frame of the sequence that was queued.
    pub(crate) fn last_sent(&self) -> Ticket {
        Ticket { peer: self.number, seq: self.ledger.borrow().last_sent() }
    }

    /// Which connection it is: no other has the same.
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Whether it is connected by what can publish to many ([`chappe_link::Spread`]).
    pub(crate) fn is_spread_to(&self) -> bool {
        self.conn.borrow().as_ref().is_some_and(|conn| conn.is_spread_to())
    }

    /// Bytes that wait.
    pub(crate) fn queued(&self) -> usize {
        self.out.borrow().len()
    }

    /// Frames sent and not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.ledger.borrow().unacknowledged()
    }

    /// Queues a frame of the sequence.
    pub(crate) fn push(
        &self,
        row: Row,
        limit: usize,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Ticket, Reason> {
        if self.is_mute.get() {
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
        self.was_used.set(true);
        self.pair.sent.count(row);
        Ok(Ticket { peer: self.number, seq })
    }

    /// Queues a frame outside the sequence: at most one for each frame taken in.
    pub(crate) fn push_bare(&self, body: impl FnOnce(&mut Vec<u8>)) {
        if self.is_mute.get() {
            return;
        }
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
        match waiter {
            Some(waiter) => waiter(Err(reason)),
            None => {
                let mut refusals = self.refusals.borrow_mut();
                refusals.truncate(REFUSALS - 1);
                refusals.push_front((seq, reason));
            }
        }
    }

    /// Calls `waiter` when that frame has been taken in, or can no longer be.
    pub(crate) fn wait(&self, ticket: Ticket, waiter: ReceiptWaiter) {
        if self.closed.get() || ticket.peer != self.number {
            return waiter(Err(Reason::Disconnected));
        }
        let refusal = self.refusals.borrow().iter().find(|(seq, _)| *seq == ticket.seq).copied();
        if let Some((_, reason)) = refusal {
            return waiter(Err(reason));
        }
        let settled = self.ledger.borrow_mut().wait(ticket.seq, waiter);
        if let Some(waiter) = settled {
            waiter(Ok(()));
        }
    }

    /// Whether so much came since the other side was told that it is to be told now; one that leaves waits for each.
    pub(crate) fn owes_ack(&self) -> bool {
        let untold = self.ledger.borrow().untold();
        untold >= TELL_AFTER || untold > 0 && self.is_leaving.get()
    }

    /// Whether anything came since the other side was told.
    pub(crate) fn has_untold(&self) -> bool {
        self.ledger.borrow().untold() > 0
    }

    /// A write has failed: nothing more is queued, and what came before the end can still be read.
    pub(crate) fn mute(&self) {
        self.is_mute.set(true);
        self.out.borrow_mut().consume(usize::MAX);
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

    /// Gives the queue's memory back if nothing was queued since this was last called.
    pub(crate) fn rest(&self) {
        if !self.was_used.replace(false) {
            self.out.borrow_mut().shrink(KEEP_AT_REST);
        }
    }

    /// Ends the connection and the account. Returns false when that was done before.
    pub(crate) fn close(&self) -> bool {
        if self.closed.replace(true) {
            return false;
        }
        self.mute();
        let (rows, receipts) = self.ledger.borrow_mut().close();
        for row in rows {
            self.pair.under_way.count(row);
        }
        if let Some(conn) = self.conn.borrow_mut().take() {
            conn.close();
        }
        receipts.into_iter().for_each(|waiter| waiter(Err(Reason::Disconnected)));
        true
    }
}
