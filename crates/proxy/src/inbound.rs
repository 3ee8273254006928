//! From clients into the cluster.

use crate::conn::{Conn, Format, Stage};
use crate::proxy::Proxy;
use crate::rate::Verdict;
use crate::session::{Held, Session, SharedSession};
use chappe_node::{ENGINE_NAMESPACE, ENGINE_SYSTEM};
use chappe_wire::client::{FromClient, Names, ToClient};
use chappe_wire::{NodeId, Reason, Row, value};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// A client is told at most this often that its messages are dropped.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Messages after which a client is told at once how many have arrived.
const ACK_EVERY: u64 = 64;

/// One message from a client, on its way to `to`: none for the server that the player is on.
struct Incoming<'a> {
    row: Row,
    to: Option<NodeId>,
    names: Names<'a>,
    data: &'a [u8],
    stamp: u64,
}

/// What is to be done about a client after one of its messages.
enum Outcome {
    Fine,
    Dropped(Reason),
    Flood,
}

impl Proxy {
    /// A binary frame.
    pub(crate) fn on_binary(&self, conn: &Rc<Conn>, frame: &[u8]) {
        self.on_frame(conn, Format::Binary, frame);
    }

    /// A text frame: the same as JSON.
    pub(crate) fn on_text(&self, conn: &Rc<Conn>, text: &str) {
        if conn.stage.get() == Stage::Silent {
            // Who types by hand reads what is wrong with the first line, too.
            conn.format.set(Format::Text);
        }
        match value::json_to_msgpack(text) {
            Ok(frame) => self.on_frame(conn, Format::Text, &frame),
            Err(error) => self.on_bad_frame(conn, Reason::ProtocolError, &error.to_string()),
        }
    }

    /// What is no frame of the protocol: the connection is closed, and the session with it.
    pub(crate) fn on_bad_frame(&self, conn: &Rc<Conn>, reason: Reason, message: &str) {
        self.stats().count("client_protocol_errors");
        let session = conn.session.borrow().clone();
        match session {
            Some(session) => self.end(&session, reason, message),
            None => conn.close(reason, message, Instant::now()),
        }
    }

    fn on_frame(&self, conn: &Rc<Conn>, format: Format, frame: &[u8]) {
        let message = match FromClient::decode(frame) {
            Ok(message) => message,
            Err(error) => return self.on_bad_frame(conn, Reason::ProtocolError, &error.to_string()),
        };
        let session = conn.session.borrow().clone();
        if conn.out.borrow().waiting() > self.options().queue_bytes {
            // It asks and does not read the answers.
            return self.slow(conn, session.as_ref());
        }
        match (message, session) {
            (FromClient::Login(login), None) if conn.stage.get() == Stage::Silent => {
                conn.format.set(format);
                conn.stage.set(Stage::LoggingIn);
                self.on_login(conn, login);
            }
            (FromClient::Login(_), _) => {
                self.on_bad_frame(conn, Reason::ProtocolError, "one login per connection");
            }
            (FromClient::Ping(number), _) => conn.say(&ToClient::Pong(number)),
            (FromClient::Event { names, data, stamp }, session) => {
                let row = if names == Names::REQUEST { Row::PlayerRequest } else { Row::ClientToServer };
                self.on_message(conn, session, Incoming { row, to: None, names, data, stamp });
            }
            (FromClient::Service { to, names, data, stamp }, session) => {
                let row = Row::ClientToService;
                self.on_message(conn, session, Incoming { row, to: Some(to), names, data, stamp });
            }
            (FromClient::Ack(received), Some(session)) => session.borrow_mut().replay.acknowledge(received),
            (FromClient::Logout, Some(session)) => {
                let is_moving = {
                    let mut session = session.borrow_mut();
                    session.wants_logout = session.is_moving;
                    session.is_moving
                };
                // What is held goes to the new server first.
                if !is_moving {
                    self.end(&session, Reason::Logout, "logged out");
                }
            }
            (FromClient::Ack(_) | FromClient::Logout, None) => {
                self.on_bad_frame(conn, Reason::ProtocolError, "the first frame is a login");
            }
        }
    }

    fn on_message(&self, conn: &Rc<Conn>, session: Option<SharedSession>, message: Incoming<'_>) {
        self.stats().count("from_clients");
        let row = message.row;
        let Some(shared) = session else {
            self.stats().dropped(row, Reason::ProtocolError);
            return self.on_bad_frame(conn, Reason::ProtocolError, "the first frame is a login");
        };
        let outcome = self.pass_on(&mut shared.borrow_mut(), message);
        match outcome {
            Outcome::Fine => {}
            Outcome::Dropped(reason) => self.tell_drop(&mut shared.borrow_mut(), row, reason),
            Outcome::Flood => {
                self.stats().count("floods");
                self.end(&shared, Reason::RateLimited, "far more messages than the limit");
            }
        }
    }

    fn pass_on(&self, session: &mut Session, message: Incoming<'_>) -> Outcome {
        let Incoming { row, to, names, data, stamp } = message;
        let options = self.options();
        session.received += 1;
        if session.received - session.told >= ACK_EVERY
            && let Some(conn) = session.live()
        {
            session.told = session.received;
            conn.say(&ToClient::Ack(session.received));
        }
        let dropped = |reason| {
            self.stats().dropped(row, reason);
            Outcome::Dropped(reason)
        };
        let now = self.0.started.elapsed();
        match session.bucket.take(options.client_rate, options.client_burst, now) {
            Verdict::Pass => {}
            Verdict::Drop => return dropped(Reason::RateLimited),
            Verdict::Flood => {
                self.stats().dropped(row, Reason::RateLimited);
                return Outcome::Flood;
            }
        }
        if (names.namespace, names.system) == (ENGINE_NAMESPACE, ENGINE_SYSTEM) {
            // Those a node raises itself; from a client it would be a forgery.
            return dropped(Reason::Refused);
        }
        if data.len() > options.message_bytes {
            return dropped(Reason::TooLarge);
        }
        let stamp = if self.0.node.config().measure { stamp } else { 0 };
        let meta = session.meta(row, stamp, self.0.node.id());
        let mut topic = self.0.topic.take();
        topic.clear();
        names.topic_into(&mut topic);
        let outcome = match (to, session.server) {
            (None, _) if session.is_moving => {
                let bytes = session.held_bytes + topic.len() + data.len();
                let has_room = bytes <= options.hold_bytes || session.held.is_empty();
                if has_room && session.held.len() < options.hold_messages {
                    session.held_bytes = bytes;
                    let (topic, data) = (topic.as_slice().into(), data.into());
                    session.held.push_back(Held { meta, topic, data });
                    Outcome::Fine
                } else {
                    dropped(Reason::Overloaded)
                }
            }
            (Some(to), _) | (None, Some(to)) => match self.0.node.forward(to, meta, &topic, data) {
                Ok(()) => Outcome::Fine,
                Err(reason) => Outcome::Dropped(reason),
            },
            (None, None) => dropped(Reason::StaleSession),
        };
        *self.0.topic.borrow_mut() = topic;
        outcome
    }

    /// Tells a client that its messages are dropped; not for each one.
    fn tell_drop(&self, session: &mut Session, row: Row, reason: Reason) {
        let now = Instant::now();
        if session.told_drop.is_some_and(|told| now - told < TELL_EVERY) {
            return;
        }
        session.told_drop = Some(now);
        if let Some(conn) = &session.conn {
            let message = format!("{} was not passed on: {reason}", row.call());
            conn.say(&ToClient::Error(reason, &message));
        }
    }

    /// A client that does not read what it is sent.
    pub(crate) fn slow(&self, conn: &Rc<Conn>, session: Option<&SharedSession>) {
        self.stats().count("slow_clients");
        match session {
            Some(session) => self.end(session, Reason::SlowClient, "the client does not read"),
            None => conn.abort(),
        }
    }
}
