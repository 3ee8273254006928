//! One client's socket as the rest of the proxy sees it: a bounded queue of bytes, and what has become of it.

use crate::session::SharedSession;
use chappe_wire::client::ToClient;
use chappe_wire::{Reason, value};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use tokio::time::Instant;

/// The form of a client's frames: what its login came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Binary,
    Text,
}

impl Format {
    /// A MessagePack frame in this form.
    pub(crate) fn body(self, frame: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Format::Binary => Some(frame),
            Format::Text => value::msgpack_to_json(&frame).ok().map(String::into_bytes),
        }
    }

    fn opcode(self) -> u8 {
        match self {
            Format::Text => 0x1,
            Format::Binary => 0x2,
        }
    }
}

/// How far a socket has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing was said yet.
    Silent,
    /// The login is being looked at.
    LoggingIn,
    /// It has a session.
    In,
    /// The last frame is queued; nothing more is read.
    Closing,
    /// It is to be dropped at once.
    Aborted,
}

pub(crate) struct Conn {
    pub(crate) id: u64,
    pub(crate) opened: Instant,
    pub(crate) heard: Cell<Instant>,
    pub(crate) pinged: Cell<bool>,
    pub(crate) format: Cell<Format>,
    pub(crate) stage: Cell<Stage>,
    pub(crate) closing_since: Cell<Option<Instant>>,
    pub(crate) session: RefCell<Option<SharedSession>>,
    /// Whole WebSocket frames that wait to be written, and how much of them was.
    pub(crate) out: RefCell<Out>,
    pub(crate) waker: RefCell<Option<Waker>>,
}

#[derive(Default)]
pub(crate) struct Out {
    pub(crate) bytes: Vec<u8>,
    pub(crate) written: usize,
}

impl Out {
    pub(crate) fn waiting(&self) -> usize {
        self.bytes.len() - self.written
    }
}

impl Conn {
    pub(crate) fn new(id: u64, now: Instant) -> Rc<Conn> {
        Rc::new(Conn {
            id,
            opened: now,
            heard: Cell::new(now),
            pinged: Cell::new(false),
            format: Cell::new(Format::Binary),
            stage: Cell::new(Stage::Silent),
            closing_since: Cell::new(None),
            session: RefCell::default(),
            out: RefCell::default(),
            waker: RefCell::default(),
        })
    }

    /// Whether frames may still be queued.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.stage.get(), Stage::Closing | Stage::Aborted)
    }

    /// Queues a frame that is in the client's form already.
    ///
    /// # Errors
    /// `SlowClient` when more than `limit` bytes wait: nothing was queued.
    pub(crate) fn queue(&self, body: &[u8], limit: usize) -> Result<(), Reason> {
        let mut out = self.out.borrow_mut();
        if out.waiting() > 0 && out.waiting() + body.len() > limit {
            return Err(Reason::SlowClient);
        }
        put_frame(&mut out.bytes, self.format.get().opcode(), body);
        drop(out);
        self.wake();
        Ok(())
    }

    /// Queues one of the protocol's own frames, which are small and few: no bound but the queue's next event.
    pub(crate) fn say(&self, message: &ToClient<'_>) {
        if !self.is_open() {
            return;
        }
        let mut frame = Vec::with_capacity(64);
        if message.encode_into(&mut frame).is_ok()
            && let Some(body) = self.format.get().body(frame)
        {
            let _ = self.queue(&body, usize::MAX);
        }
    }

    /// Queues the last frames: ours with the reason, and the WebSocket's own.
    pub(crate) fn close(&self, reason: Reason, message: &str, now: Instant) {
        if !self.is_open() {
            return;
        }
        self.say(&ToClient::Close(reason, message));
        let code: u16 = match reason {
            Reason::Logout => 1000,
            Reason::ShuttingDown | Reason::Draining => 1001,
            Reason::ProtocolError | Reason::BadData => 1002,
            Reason::TooLarge => 1009,
            Reason::Overloaded => 1013,
            _ => 1008,
        };
        let mut body = code.to_be_bytes().to_vec();
        body.extend_from_slice(reason.as_str().as_bytes());
        put_frame(&mut self.out.borrow_mut().bytes, 0x8, &body);
        self.stage.set(Stage::Closing);
        self.closing_since.set(Some(now));
        self.wake();
    }

    /// Ends the socket when all that waits is written. The session goes on: the client is told nothing, and comes back.
    pub(crate) fn end(&self, now: Instant) {
        if self.is_open() {
            self.stage.set(Stage::Closing);
            self.closing_since.set(Some(now));
            self.wake();
        }
    }

    /// Queues a WebSocket ping.
    pub(crate) fn ping(&self) {
        if self.is_open() {
            put_frame(&mut self.out.borrow_mut().bytes, 0x9, &[]);
            self.pinged.set(true);
            self.wake();
        }
    }

    /// Drops the socket without another word.
    pub(crate) fn abort(&self) {
        self.stage.set(Stage::Aborted);
        self.wake();
    }

    pub(crate) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// Appends a WebSocket frame as a server sends it: whole and unmasked (RFC 6455, section 5.2).
fn put_frame(out: &mut Vec<u8>, opcode: u8, body: &[u8]) {
    out.push(0x80 | opcode);
    match body.len() {
        length @ 0..=125 => out.push(length as u8),
        length @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(body);
}
