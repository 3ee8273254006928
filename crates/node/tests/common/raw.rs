//! A peer that a test plays by hand: it can say what no node would.

use super::AnyLink;
use chappe_link::{Buffer, Conn};
use chappe_node::system::ServerSystem;
use chappe_node::{Member, State, ViewChange};
use chappe_wire::frame::{read_frame, write_frame};
use chappe_wire::hello::{Greeting, Hello, PROTOCOL, Purpose};
use chappe_wire::{Body, Envelope, Meta, NodeId, Role, Row};
use std::future::poll_fn;

/// A connection to a node, in the name of any other.
pub(crate) struct Raw {
    conn: Box<dyn Conn>,
    buffer: Buffer,
    seq: u32,
}

/// The greeting of a first life of service `id`, for a connection to `to`.
pub(crate) fn hello(id: i64, to: i64) -> Hello {
    Hello {
        cluster: "test".into(),
        node: NodeId(id),
        role: Role::Service,
        node_type: "fake".into(),
        incarnation: 1,
        to: Some(NodeId(to)),
        purpose: Purpose::Messages,
        term: 0,
        auth: None,
        version: String::new(),
    }
}

/// Tells `lobby` that service `id`, which serves the module `fake`, is ready.
pub(crate) fn introduce(lobby: &ServerSystem, id: i64) {
    let fake = Member {
        id: NodeId(id),
        role: Role::Service,
        node_type: "fake".into(),
        modules: vec!["fake".into()],
        state: State::Ready,
        incarnation: 1,
    };
    lobby.apply_view(ViewChange { members: vec![fake], ..ViewChange::default() });
}

impl Raw {
    /// Connects with that greeting; `Err` is how it was turned away.
    pub(crate) async fn connect(link: &AnyLink, hello: Hello) -> Result<Raw, String> {
        let conn = link.dial(hello.to.unwrap()).await.unwrap();
        let mut raw = Raw { conn, buffer: Buffer::default(), seq: 0 };
        raw.write(&Greeting::Hello(hello).encode(PROTOCOL));
        loop {
            match Greeting::decode(raw.buffer.filled(), PROTOCOL).unwrap() {
                Some((Greeting::Hello(_), _, used)) => {
                    raw.buffer.consume(used);
                    return Ok(raw);
                }
                Some((Greeting::Refuse(refusal), ..)) => return Err(refusal.to_string()),
                Some((other, ..)) => return Err(format!("{other:?}")),
                None => assert!(raw.read().await, "closed before its greeting"),
            }
        }
    }

    /// Writes an envelope as the next frame.
    pub(crate) fn say(&mut self, row: Row, body: Body<'_>, payload: &[u8]) {
        self.say_as(Meta::of(row), body, payload);
    }

    pub(crate) fn say_as(&mut self, meta: Meta, body: Body<'_>, payload: &[u8]) {
        self.seq += 1;
        let mut frame = Vec::new();
        write_frame(&mut frame, self.seq, 0, |out| Envelope { meta, body, payload }.encode_into(out));
        self.write(&frame);
    }

    /// Says that it has taken in everything up to that frame.
    pub(crate) fn acknowledge(&mut self, seq: u32) {
        let mut frame = Vec::new();
        let ack = Envelope { meta: Meta::of(Row::Internal), body: Body::Ack, payload: &[] };
        write_frame(&mut frame, 0, seq, |out| ack.encode_into(out));
        self.write(&frame);
    }

    /// Reads frames until `wanted` makes something of one; `None` when the connection ends first.
    pub(crate) async fn hear<T>(&mut self, wanted: impl Fn(&Envelope<'_>) -> Option<T>) -> Option<T> {
        loop {
            let found = match read_frame(self.buffer.filled(), 1 << 30).unwrap() {
                Some((frame, used)) => (Some(wanted(&Envelope::decode(frame.body).unwrap())), used),
                None => (None, 0),
            };
            self.buffer.consume(found.1);
            match found.0 {
                Some(Some(found)) => return Some(found),
                Some(None) => {}
                None if self.read().await => {}
                None => return None,
            }
        }
    }

    fn write(&self, bytes: &[u8]) {
        let mut buffer = Buffer::default();
        buffer.tail(bytes.len()).extend_from_slice(bytes);
        let _ = self.conn.try_write(&mut buffer);
    }

    async fn read(&mut self) -> bool {
        poll_fn(|cx| self.conn.poll_read(cx, &mut self.buffer)).await.is_ok_and(|count| count > 0)
    }
}
