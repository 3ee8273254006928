//! Players' requests and what players are told (snipe.md section 1).

use crate::held::PUSHES;
use crate::job::{Job, Task};
use crate::modules::Handled;
use crate::protocol::{AnswerOf, PushesDelivered, STORE};
use crate::run::{Run, Said};
use crate::steps::{self, NO_HANDLER};
use crate::{HandlerError, NotifyError, Params, Server};
use chappe_node::{Event, To};
use chappe_store::NewAnswer;
use chappe_wire::client::{ERROR_FIELD, KIND_FIELD, NOTIFY_FIELD, Names, REQUEST_FIELD};
use chappe_wire::{PlayerId, Reason, Row, Value, value};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

/// The type under which waiting pushes go by themselves.
const PUSHED: &str = "server.notify";
/// The longest type of a request, in bytes.
const KIND: usize = 256;
/// The longest id of a request, in bytes.
const ID: usize = 200;
/// How long the master may take to look an answer up.
const LOOKUP: Duration = Duration::from_secs(5);

/// A push that waits for a response, with its place in the store if it is kept there.
type Waiting = (Option<u64>, Value);

impl Server {
    pub(crate) fn serve_requests(&self) {
        let server = self.clone();
        let node = self.0.node.clone();
        let Names { namespace, system, event } = Names::REQUEST;
        node.listen(namespace, system, event, 0, move |event| server.on_request(event));
    }

    fn on_request(&self, event: Event<'_>) {
        let Some(origin) = event.origin() else { return };
        let fields = match event.data::<Value>() {
            Ok(fields) if fields.as_map().is_some() => fields,
            Ok(_) | Err(_) => return self.0.node.stats().count("bad_requests"),
        };
        let id = match fields.field(REQUEST_FIELD) {
            Some(Value::Str(id)) if id.len() <= ID => Some(id.clone()),
            Some(Value::Int(id)) => Some(id.to_string()),
            None | Some(Value::Nil) => None,
            Some(_) => {
                let text = format!("the request's id is a text of at most {ID} bytes, or a whole number");
                return self.tell_error(origin.uid, "", None, &HandlerError::bad_params(text));
            }
        };
        let Some(kind) = fields.field(KIND_FIELD).and_then(Value::as_str).map(str::to_owned) else {
            return self.tell_error(
                origin.uid,
                "",
                id,
                &HandlerError::bad_params("params[\"_type\"] is missing"),
            );
        };
        if kind.len() > KIND {
            let text = format!("params[{KIND_FIELD:?}] has more than {KIND} bytes");
            return self.tell_error(origin.uid, "", id, &HandlerError::bad_params(text));
        }
        // Names that begin with `_` belong to the runtime.
        let Value::Map(pairs) = fields else { return };
        let own = pairs.into_iter().filter(|(key, _)| key.as_str().is_none_or(|name| !name.starts_with('_')));
        let mut pairs: Vec<_> = vec![(KIND_FIELD.into(), kind.as_str().into())];
        pairs.extend(own);
        let params = Params::new(Value::Map(pairs));
        let is_known = self.0.modules.borrow().request(&kind).is_some();
        if !is_known {
            self.say_unheard(&kind);
            let text = format!("no module handles requests of type {kind:?}");
            return self.tell_error(origin.uid, &kind, id, &HandlerError::refuse_with(NO_HANDLER, text));
        }
        let job = Job::new(Task::Request { epoch: origin.epoch, kind: kind.clone(), id: id.clone(), params });
        if let Err(reason) = self.queue(origin.uid, job) {
            let error = HandlerError::refuse_with(reason.as_str(), "too many requests of the player wait");
            self.tell_error(origin.uid, &kind, id, &error);
        }
    }

    /// Runs a player's request: what the handler returns is the response.
    pub(crate) async fn run_request(&self, run: &Rc<Run>) -> Handled {
        let job = run.job.clone();
        let (Task::Request { epoch, kind, id, params }, Some(uid)) = (&job.task, run.uid) else {
            return Ok(None);
        };
        let method = self.0.modules.borrow().request(kind);
        let forced = steps::forced(run);
        let result = match (forced, method) {
            (Some(error), _) => Err(error),
            (None, None) => Err(HandlerError::refuse(NO_HANDLER)),
            (None, Some(method)) => {
                let (player, params) = (self.player_in(run, uid), params.clone());
                self.call(run, move || method(player, params)).await
            }
        };
        let fields = match &result {
            Ok(Some(fields)) => match self.response_fields("response", run, kind, fields.clone()) {
                Ok(fields) => Some(fields),
                Err(error) => Some(self.failed_request(run, kind, id.as_deref(), &error.into())),
            },
            Ok(None) => None,
            Err(error) => Some(self.failed_request(run, kind, id.as_deref(), error)),
        };
        let mut did = run.did.borrow_mut();
        let passes = result.as_ref().is_err_and(|error| error.passing().is_some());
        if let Some(id) = id.as_ref().filter(|_| !passes) {
            // An empty one says that the response comes later.
            let response = fields.as_ref().and_then(|fields| value::encode(fields).ok()).unwrap_or_default();
            did.answers.push(NewAnswer { uid, request: first(id), response });
        }
        if let Some(fields) = fields {
            did.said.push(Said::Response { uid, epoch: *epoch, fields });
        }
        result
    }

    fn failed_request(&self, run: &Rc<Run>, kind: &str, id: Option<&str>, error: &HandlerError) -> Value {
        self.reset(run);
        if !error.is_refusal() {
            let node = self.0.node.id();
            let player = run.uid.unwrap_or_default();
            self.0.node.stats().count("handlers_failed");
            tracing::error!(%node, player, handler = kind, "{}", error.text());
        }
        error_fields(kind, id, error)
    }

    /// A response's fields: the handler's, `_type`, and the id of the request that it answers.
    pub(crate) fn response_fields(
        &self,
        call: &'static str,
        run: &Run,
        kind: &str,
        params: Value,
    ) -> Result<Value, NotifyError> {
        let pairs = match params {
            Value::Map(pairs) => pairs,
            other => {
                let what = format!("a response is a map, not {}", crate::params::type_name(&other));
                return Err(NotifyError::BadMessage { call, what });
            }
        };
        let id = run.request.as_ref().filter(|(of, _)| of == kind).map(|(_, id)| id.as_str());
        let mut fields = head(kind, id);
        fields.extend(
            pairs.into_iter().filter(|(key, _)| key.as_str().is_none_or(|name| !name.starts_with('_'))),
        );
        Ok(Value::Map(fields))
    }

    /// A response that a handler sends.
    pub(crate) fn respond_in(
        &self,
        run: &Run,
        uid: u64,
        kind: &str,
        fields: Value,
    ) -> Result<(), NotifyError> {
        if run.ended.get() {
            return Err(NotifyError::RunEnded { call: "response", uid });
        }
        let mut did = run.did.borrow_mut();
        if let Some((_, id)) = run.request.as_ref().filter(|(of, _)| of == kind)
            && run.uid == Some(uid)
            && !run.job.answered.get()
        {
            let what = |error: value::ValueError| NotifyError::BadMessage {
                call: "response",
                what: error.to_string(),
            };
            let response = value::encode(&fields).map_err(what)?;
            let request = last(id);
            did.answers.retain(|answer| answer.request != request);
            did.answers.push(NewAnswer { uid, request, response });
        }
        match self.0.node.player_by_uid(uid) {
            Some(player) => did.said.push(Said::Response { uid, epoch: player.id.0, fields }),
            None => did.said.push(Said::Away { uid, fields }),
        }
        Ok(())
    }

    /// Tells players what handlers have said, now that it is true.
    pub(crate) fn say(&self, said: Vec<Said>) {
        for said in said {
            match said {
                Said::Response { uid, epoch, fields } => self.respond(uid, epoch, fields),
                Said::Away { uid, fields } => self.respond_away(uid, fields),
                Said::Cache(bytes) => {
                    if let Err(error) = self.queue_cache(bytes) {
                        tracing::warn!(node = %self.0.node.id(), %error, "the master is not told");
                    }
                }
                Said::Push { uid, fields } => self.queue_push(uid, None, fields),
                Said::Plain { uid, id, record, depth } => self.say_plain(uid, id, record, depth),
            }
        }
    }

    /// Sends a response to a player who was not here when it was said: the master knows where they are. For one who is
    /// offline it is dropped and counted there.
    fn respond_away(&self, uid: u64, fields: Value) {
        if let Some(player) = self.0.node.player_by_uid(uid) {
            return self.respond(uid, player.id.0, fields);
        }
        self.send_on(uid, &fields, None);
    }

    /// Sends a response to a session, with the pushes that wait for one.
    pub(crate) fn respond(&self, uid: u64, epoch: u64, fields: Value) {
        let (node, row) = (&self.0.node, Row::PlayerResponse);
        let Some(player) = node.player(PlayerId(epoch)) else {
            return node.stats().dropped(row, Reason::PlayerOffline);
        };
        let Value::Map(mut fields) = fields else { return };
        let (places, pushes): (Vec<_>, Vec<_>) = self.take_pushes(uid).into_iter().unzip();
        let has_pushes = !pushes.is_empty();
        if has_pushes {
            fields.push((NOTIFY_FIELD.into(), Value::List(pushes)));
        }
        let mut response = Value::Map(fields);
        let sent = node.respond_to_player(player.id, &response);
        if let Err(error) = &sent {
            tracing::warn!(node = %node.id(), player = uid, %error, "a response was not sent");
            if let Value::Map(fields) = &mut response
                && has_pushes
                && let Some((_, Value::List(pushes))) = fields.pop()
            {
                self.put_back(uid, places.into_iter().zip(pushes));
            }
            return;
        }
        if let Some(up_to) = places.into_iter().flatten().max() {
            self.tell_master("delivered", &PushesDelivered { uid, up_to });
        }
    }

    /// A push waits for the next response, or for its time.
    pub(crate) fn queue_push(&self, uid: u64, place: Option<u64>, fields: Value) {
        if let Some(held) = self.0.records.borrow_mut().get_mut(&uid) {
            if held.pushes.len() >= PUSHES {
                held.pushes.pop_front();
                self.0.node.stats().count("pushes_dropped");
            }
            held.pushes.push_back((place, fields));
        }
        self.push_later(uid);
    }

    /// Sees to it that what waits for a response goes by itself when none comes.
    pub(crate) fn push_later(&self, uid: u64) {
        let is_due = match self.0.records.borrow_mut().get_mut(&uid) {
            Some(held) => std::mem::replace(&mut held.pushes_due, true),
            None => true,
        };
        if is_due {
            return;
        }
        let server = self.clone();
        self.0.node.spawn(async move {
            sleep(server.0.options.push_after).await;
            let waits = match server.0.records.borrow_mut().get_mut(&uid) {
                Some(held) => {
                    held.pushes_due = false;
                    !held.pushes.is_empty()
                }
                None => false,
            };
            let player = server.0.node.player_by_uid(uid);
            if let (true, Some(player)) = (waits, player) {
                server.respond(uid, player.id.0, Value::Map(head(PUSHED, None)));
            }
        });
    }

    fn take_pushes(&self, uid: u64) -> VecDeque<Waiting> {
        let mut records = self.0.records.borrow_mut();
        records.get_mut(&uid).map(|held| std::mem::take(&mut held.pushes)).unwrap_or_default()
    }

    /// Pushes that did not leave with a response wait for the next one.
    fn put_back(&self, uid: u64, pushes: impl DoubleEndedIterator<Item = Waiting>) {
        if let Some(held) = self.0.records.borrow_mut().get_mut(&uid) {
            pushes.rev().for_each(|push| held.pushes.push_front(push));
        }
        self.push_later(uid);
    }

    /// A request came again whose answer is stored.
    pub(crate) fn answer_again(&self, uid: Option<u64>, job: &Rc<Job>, response: &[u8]) {
        let (Task::Request { epoch, id: Some(id), .. }, Some(uid)) = (&job.task, uid) else { return };
        self.0.node.stats().count("requests_repeated");
        if let Ok(fields @ Value::Map(_)) = value::decode::<Value>(response) {
            return self.respond(uid, *epoch, fields);
        }
        // The response came later, if it has come.
        let (server, epoch) = (self.clone(), *epoch);
        let asked = AnswerOf { uid, request: last(id) };
        self.0.node.spawn(async move {
            let node = &server.0.node;
            let answer = node.ask::<_, Option<serde_bytes::ByteBuf>>(
                Row::Internal,
                To::Master,
                (STORE, "answer"),
                &asked,
                LOOKUP,
            );
            if let Ok(Some(response)) = answer.await
                && let Ok(fields @ Value::Map(_)) = value::decode::<Value>(&response)
            {
                server.respond(uid, epoch, fields);
            }
        });
    }

    /// Tells whoever waits for a job that it will not be done.
    pub(crate) fn refuse_job(&self, uid: u64, job: &Rc<Job>, reason: Reason) {
        let error = HandlerError::refuse_with(reason.as_str(), "it was not done; nothing has changed");
        match &job.task {
            Task::Request { kind, id, .. } => self.tell_error(uid, kind, id.clone(), &error),
            _ => job.finish(Err(error)),
        }
    }

    fn tell_error(&self, uid: u64, kind: &str, id: Option<String>, error: &HandlerError) {
        self.0.node.stats().count("requests_refused");
        if let Some(player) = self.0.node.player_by_uid(uid) {
            self.respond(uid, player.id.0, error_fields(kind, id.as_deref(), error));
        }
    }
}

fn error_fields(kind: &str, id: Option<&str>, error: &HandlerError) -> Value {
    let mut fields = head(kind, id);
    let code: &str = match error.passing() {
        Some(reason) => reason.as_str(),
        None => error.code(),
    };
    fields.push((ERROR_FIELD.into(), code.into()));
    if error.text() != error.code() {
        // What went wrong inside is for the log.
        let text = if error.is_refusal() { error.text() } else { "the handler failed" };
        fields.push(("message".into(), text.into()));
    }
    Value::Map(fields)
}

fn head(kind: &str, id: Option<&str>) -> Vec<(Value, Value)> {
    let mut head = vec![(KIND_FIELD.into(), kind.into())];
    head.extend(id.map(|id| (REQUEST_FIELD.into(), id.into())));
    head
}

/// Under which a request's first answer is stored: that of its handler.
fn first(id: &str) -> String {
    format!("a:{id}")
}

/// Under which the response is stored that a later handler sends.
fn last(id: &str) -> String {
    format!("b:{id}")
}
