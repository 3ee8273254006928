//! A request as its handler gets it, and what answers it (apollo.md section 3).

use crate::gate::{Hold, Receiver};
use crate::held::{Answer, Held};
use crate::node::Node;
use chappe_wire::envelope::split_target;
use chappe_wire::value::{self, ValueError};
use chappe_wire::{Body, Envelope, NodeId, Reason, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest text of a failed request; what is longer is cut.
const MESSAGE: usize = 4096;

/// A request as it came, borrowed for the length of the handler. It is answered at once or, through its
/// [`Responder`], later; one that is let go unanswered ends as `HandlerFailed`.
pub struct Call<'a> {
    pub(crate) target: &'a [u8],
    pub(crate) args: &'a [u8],
    pub(crate) row: Row,
    pub(crate) responder: Responder,
}

impl<'a> Call<'a> {
    /// The module's name.
    pub fn module(&self) -> &'a str {
        split_target(self.target).unwrap_or_default().0
    }

    /// The method's name.
    pub fn method(&self) -> &'a str {
        split_target(self.target).unwrap_or_default().1
    }

    /// The node that asks.
    pub fn from(&self) -> NodeId {
        self.responder.to
    }

    /// Which life of that node asks.
    pub fn incarnation(&self) -> u64 {
        self.responder.incarnation
    }

    /// The call that asks.
    pub fn row(&self) -> Row {
        self.row
    }

    /// The arguments, decoded.
    ///
    /// # Errors
    /// When they are not of that form; the error names the place in them.
    pub fn args<T: DeserializeOwned>(&self) -> Result<T, ValueError> {
        value::decode(self.args).map_err(|err| err.labelled("args"))
    }

    /// The arguments as MessagePack, as they were sent.
    pub fn raw(&self) -> &'a [u8] {
        self.args
    }

    /// Answers (`ResponseToServer`, row 18).
    ///
    /// # Errors
    /// When `data` cannot be sent; the caller is then told `HandlerFailed` with the same text.
    pub fn respond<T: Serialize + ?Sized>(self, data: &T) -> Result<(), ValueError> {
        self.responder.respond(data)
    }

    /// Answers with what `handler` makes of the decoded arguments. Arguments of another form, and an answer that
    /// cannot be sent, end the request as `HandlerFailed` with a text that names the place.
    pub fn answer<A: DeserializeOwned, R: Serialize>(self, handler: impl FnOnce(A) -> R) {
        match self.args::<A>() {
            // An answer that cannot be sent is told to the caller.
            Ok(args) => drop(self.respond(&handler(args))),
            Err(error) => self.fail(Reason::HandlerFailed, &error.to_string()),
        }
    }

    /// Answers that it failed.
    pub fn fail(self, reason: Reason, message: &str) {
        self.responder.fail(reason, message);
    }

    /// What answers later.
    pub fn into_responder(self) -> Responder {
        self.responder
    }
}

/// Answers one request, once. Dropped unanswered, it tells the caller `HandlerFailed`; where a discarded run had answered
/// ([`Node::discard_run`]), `NodeLost`.
pub struct Responder {
    node: Node,
    row: Row,
    to: NodeId,
    incarnation: u64,
    id: u64,
    one_way: bool,
    done: bool,
    /// Its answer was held, and discarded with the run that gave it.
    is_reopened: bool,
}

impl Responder {
    /// For a request of `row`; answers to the runtime's own requests are the runtime's own traffic.
    pub(crate) fn new(node: Node, row: Row, from: (NodeId, u64), id: u64, one_way: bool) -> Responder {
        let row = if row == Row::Internal { Row::Internal } else { Row::ResponseToServer };
        if !one_way {
            node.0.answers_owed.set(node.0.answers_owed.get() + 1);
        }
        Responder { node, row, to: from.0, incarnation: from.1, id, one_way, done: false, is_reopened: false }
    }

    /// The node that asks.
    pub fn to(&self) -> NodeId {
        self.to
    }

    /// The caller's number for the request.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether an answer is wanted.
    pub fn is_wanted(&self) -> bool {
        !self.one_way
    }

    /// Answers (`ResponseToServer`, row 18).
    ///
    /// # Errors
    /// When `data` cannot be sent; the caller is then told `HandlerFailed` with the same text.
    pub fn respond<T: Serialize + ?Sized>(mut self, data: &T) -> Result<(), ValueError> {
        let node = self.node.clone();
        node.0.encode("data", data, |bytes| self.send(Ok(()), bytes)).inspect_err(|err| {
            self.send(Err(Reason::HandlerFailed), err.to_string().as_bytes());
        })
    }

    /// Answers with `data`, which is MessagePack already. Data over the limit on a message ends the request as
    /// `HandlerFailed`.
    pub fn respond_raw(mut self, data: &[u8]) {
        let limit = self.node.config().limits.message_bytes;
        if data.len() > limit {
            let text = format!("an answer of {} bytes is over the limit of {limit}", data.len());
            return self.fail(Reason::HandlerFailed, &text);
        }
        self.send(Ok(()), data);
    }

    /// Answers that it failed. `message` says why to a person; what is over 4 KiB of it is cut.
    pub fn fail(mut self, reason: Reason, message: &str) {
        let end = message.floor_char_boundary(MESSAGE);
        self.send(Err(reason), &message.as_bytes()[..end]);
    }

    fn send(&mut self, status: Result<(), Reason>, payload: &[u8]) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        let node = &self.node.0;
        if self.one_way {
            if status.is_ok() && !payload.is_empty() {
                node.stats.count("unwanted_answers");
            }
            return;
        }
        if node.gate.holds(self.row)
            && let Some(hold) = node.gate.hold_for(&[Receiver::Node(self.to)])
        {
            return self.hold(hold, status, payload);
        }
        self.send_now(status, payload);
    }

    /// Leaves the answer with the gate. Where that has no room, the caller is told so.
    #[cold]
    fn hold(&self, hold: Hold, status: Result<(), Reason>, payload: &[u8]) {
        let node = self.node.clone();
        let Responder { row, to, incarnation, id, one_way, .. } = *self;
        let responder = Responder { node, row, to, incarnation, id, one_way, done: true, is_reopened: false };
        let held = Held::Answer(Answer { responder, status, payload: payload.into() });
        let receivers = std::iter::once(Receiver::Node(self.to)).collect();
        if let Err(held) = self.node.0.hold_back(hold, receivers, held) {
            held.fail(&self.node.0, Reason::Overloaded, "too much output is held");
        }
    }

    /// It may answer again: what it said was discarded.
    pub(crate) fn reopen(&mut self) {
        (self.done, self.is_reopened) = (false, true);
    }

    pub(crate) fn send_now(&mut self, status: Result<(), Reason>, payload: &[u8]) {
        let node = &self.node.0;
        node.answers_owed.set(node.answers_owed.get() - 1);
        let meta = node.meta(self.row);
        let envelope = Envelope { meta, body: Body::Response { id: self.id, status }, payload };
        node.stats.sent(self.row, 1);
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is(crate::sabotage::Sabotage::AnswerTwice) {
            let _ = node.post_to_life(self.to, self.incarnation, &envelope);
        }
        if let Err(reason) = node.post_to_life(self.to, self.incarnation, &envelope) {
            node.stats.dropped(self.row, reason);
        }
    }
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Responder({} to {})", self.id, self.to)
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if self.is_reopened {
            return self
                .send(Err(Reason::NodeLost), b"what was answered was discarded, and nobody did it again");
        }
        self.send(Err(Reason::HandlerFailed), b"the handler let go of the request without an answer");
    }
}
