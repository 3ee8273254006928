//! A player's requests and their responses (snipe.md section 1, "Player requests").

use crate::client::Client;
use crate::error::ClientError;
use crate::event::Received;
use crate::state::Shared;
use bytes::Bytes;
use chappe_wire::client::{ERROR_FIELD, KIND_FIELD, NOTIFY_FIELD, Names, REQUEST_FIELD};
use chappe_wire::value::{self, ValueError};
use chappe_wire::{Row, Value};
use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How many answered requests are remembered, so that a repeated response is known as one.
const REMEMBERED: usize = 1024;

pub(crate) type ResponseHandler = Arc<dyn Fn(&Response) + Send + Sync>;

/// What a server has answered, or said by itself. Fields are read by name.
#[derive(Clone)]
pub struct Response {
    received: Received,
    value: Value,
}

impl Response {
    /// The response in an event that is one: of the names that responses have, and a map.
    pub(crate) fn of(received: &Received) -> Option<Response> {
        let names =
            Names { namespace: received.namespace(), system: received.system(), event: received.name() };
        if names != Names::RESPONSE {
            return None;
        }
        let value = received.value().ok().filter(|value| value.as_map().is_some())?;
        Some(Response { received: received.clone(), value })
    }

    /// Its type: that of the request, or what the server has named it (`module.method`). Empty for none.
    pub fn kind(&self) -> &str {
        self.text(KIND_FIELD).unwrap_or_default()
    }

    /// How it went, where it says so: `ok`, or an error's word.
    pub fn error_code(&self) -> Option<&str> {
        self.text(ERROR_FIELD)
    }

    /// The id of the request that it answers, where that had one.
    pub fn request_id(&self) -> Option<&str> {
        self.text(REQUEST_FIELD)
    }

    /// One of its fields.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.value.field(name)
    }

    /// All of it as a dynamic value, a map.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// All of it, decoded.
    ///
    /// # Errors
    /// When it is not of that form; the error names the place in it.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, ValueError> {
        self.received.data()
    }

    /// The notifications that ride in it (`client.notify` on the server).
    pub fn server_notify(&self) -> &[Value] {
        self.field(NOTIFY_FIELD).and_then(Value::as_list).unwrap_or_default()
    }

    /// The event that it came in.
    pub fn received(&self) -> &Received {
        &self.received
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.field(name).and_then(Value::as_str)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({})", self.value)
    }
}

/// Requests that are waited for. Pure.
pub(crate) struct Asks {
    /// What this client's ids begin with; no other client, and no later life of this one, has the same.
    prefix: String,
    last: u64,
    open: BTreeMap<u64, Ask>,
    answered: BTreeSet<u64>,
}

struct Ask {
    /// Empty until it is queued.
    frame: Bytes,
    done: oneshot::Sender<Response>,
}

impl Asks {
    pub(crate) fn new() -> Asks {
        // A hasher's keys are random.
        let random = || RandomState::new().hash_one(crate::event::unix_nanos());
        let prefix = format!("{:016x}{:016x}-", random(), random());
        Asks { prefix, last: 0, open: BTreeMap::new(), answered: BTreeSet::new() }
    }

    fn open(&mut self) -> (u64, String, oneshot::Receiver<Response>) {
        let (done, answer) = oneshot::channel();
        self.last += 1;
        self.open.insert(self.last, Ask { frame: Bytes::new(), done });
        (self.last, format!("{}{}", self.prefix, self.last), answer)
    }

    /// The frames of those that wait, in the order asked.
    pub(crate) fn frames(&self) -> Vec<Bytes> {
        self.open.values().map(|ask| ask.frame.clone()).filter(|frame| !frame.is_empty()).collect()
    }

    /// Gives a response to whoever waits for it, or back where nobody does. One that says nothing new is kept.
    pub(crate) fn answer(&mut self, response: Response) -> Option<Response> {
        let number = response.request_id().and_then(|id| id.strip_prefix(&self.prefix)?.parse().ok());
        let Some(number) = number else { return Some(response) };
        if let Some(ask) = self.open.remove(&number) {
            self.answered.insert(number);
            if self.answered.len() > REMEMBERED {
                self.answered.pop_first();
            }
            return ask.done.send(response).err();
        }
        let is_repeat = self.answered.contains(&number) && response.server_notify().is_empty();
        (!is_repeat).then_some(response)
    }

    /// It is over: nobody will be answered.
    pub(crate) fn end(&mut self) {
        self.open.clear();
    }
}

/// Forgets a request when nobody waits for it any more.
struct Asking {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Asking {
    fn drop(&mut self) {
        let ask = self.shared.lock().asks.open.remove(&self.number);
        drop(ask);
    }
}

impl Client {
    /// Sends a request of type `kind` (`module.method`) to the lobby or game that the player is on; its response comes
    /// to [`Client::on_response`], or as an event that [`Received::response`] reads. `params` is a map or struct;
    /// fields of it whose names begin with `_` are left out. A request with an `id` runs once, however often it is
    /// sent: a repeat gets the same response.
    ///
    /// # Errors
    /// As [`Client::notify_to_server`]; [`ClientError::Data`] too when `params` is no map.
    pub fn request<T: Serialize + ?Sized>(
        &self,
        kind: &str,
        params: &T,
        id: Option<&str>,
    ) -> Result<(), ClientError> {
        self.send_request(kind, params, id).map(drop)
    }

    /// As [`Client::request`] with an id of its own, and waits for the response. When the socket, the session or the
    /// server is lost meanwhile, it is sent again; the id sees to it that it runs once.
    ///
    /// # Errors
    /// As [`Client::request`]; [`ClientError::Late`] when no response has come after `timeout`; a response that comes
    /// later is an event. [`ClientError::Closed`] when the session ends first. Whether the request ran is not known in
    /// either case.
    pub fn ask<T: Serialize + ?Sized>(
        &self,
        kind: &str,
        params: &T,
        timeout: Duration,
    ) -> impl Future<Output = Result<Response, ClientError>> + use<T> {
        let shared = self.shared().clone();
        let (number, id, answer) = shared.lock().asks.open();
        let asking = Asking { shared: shared.clone(), number };
        let sent = self.send_request(kind, params, Some(&id)).map(|frame| {
            // It may be answered already.
            if let Some(ask) = shared.lock().asks.open.get_mut(&number) {
                ask.frame = frame;
            }
        });
        async move {
            let _asking = asking;
            sent?;
            match tokio::time::timeout(timeout, answer).await {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(_)) => Err(shared.lock().end.clone().map_or(ClientError::Late, ClientError::from)),
                Err(_) => Err(ClientError::Late),
            }
        }
    }

    /// Calls `handler` for each response of type `kind` that nobody waits for with [`Client::ask`];
    /// [`Client::next_event`] does then not return it. The handler must not wait.
    pub fn on_response(&self, kind: &str, handler: impl Fn(&Response) + Send + Sync + 'static) {
        let handler: ResponseHandler = Arc::new(handler);
        self.shared().lock().on_response.entry(kind.to_owned()).or_default().push(handler);
    }

    fn send_request<T: Serialize + ?Sized>(
        &self,
        kind: &str,
        params: &T,
        id: Option<&str>,
    ) -> Result<Bytes, ClientError> {
        let params = value::encode(params).and_then(|bytes| value::decode::<Value>(&bytes));
        let mut fields = match params.map_err(|error| error.labelled("params"))? {
            Value::Map(fields) => fields,
            Value::Nil => Vec::new(),
            _ => {
                return Err(ValueError::custom("the parameters of a request are a map")
                    .labelled("params")
                    .into());
            }
        };
        fields.retain(|(name, _)| !name.as_str().is_some_and(|name| name.starts_with('_')));
        fields.push((Value::from(KIND_FIELD), Value::from(kind)));
        fields.extend(id.map(|id| (Value::from(REQUEST_FIELD), Value::from(id))));
        self.send(Row::PlayerRequest, None, Names::REQUEST, &Value::Map(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chappe_wire::{Reason, value};

    fn response(id: &str, notify: &[&str]) -> Response {
        let value = value!({"_type": "a.b", "_request": id});
        let Value::Map(mut fields) = value else { panic!("a map") };
        if !notify.is_empty() {
            let list: Value = notify.iter().copied().collect();
            fields.push((Value::from(NOTIFY_FIELD), list));
        }
        let received = Received::new(&Bytes::new(), Names::RESPONSE, &[], (0, 0));
        Response { received, value: Value::Map(fields) }
    }

    #[test]
    fn a_repeated_response_is_not_told_twice_and_what_rides_in_it_is_not_lost() {
        let mut asks = Asks::new();
        let (_, id, mut answer) = asks.open();
        assert!(asks.answer(response("another's", &[])).is_some());
        assert!(asks.answer(response(&id, &[])).is_none());
        assert_eq!(answer.try_recv().unwrap().kind(), "a.b");
        assert!(asks.answer(response(&id, &[])).is_none());
        assert_eq!(asks.answer(response(&id, &["n"])).unwrap().server_notify().len(), 1);
        assert_ne!(Asks::new().prefix, asks.prefix, "a later life's ids are others");
    }

    #[test]
    fn what_may_be_lost_is_asked_again_and_what_still_waits_is_not_doubled() {
        let shared = Shared::new();
        let mut state = shared.lock();
        let frame = |text: &'static [u8]| Bytes::copy_from_slice(text);
        let frames = [frame(b"arrived"), frame(b"written"), frame(b"waits")];
        for frame in &frames {
            let (number, ..) = state.asks.open();
            state.asks.open.get_mut(&number).unwrap().frame = frame.clone();
            assert!(state.outbox.push(Row::PlayerRequest, frame.clone()));
        }
        let _ = (state.outbox.next(), state.outbox.next());
        state.outbox.acknowledge(1);
        // A new session.
        assert_eq!(state.outbox.restart().len(), 1);
        state.ask_again();
        let carried: Vec<Bytes> = std::iter::from_fn(|| state.outbox.next()).collect();
        assert_eq!(carried, [&b"waits"[..], b"arrived", b"written"]);
        drop(state);
        shared.finish(Reason::Kicked, String::new(), true);
        assert!(shared.lock().asks.frames().is_empty());
    }
}
