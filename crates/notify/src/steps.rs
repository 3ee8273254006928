//! What is run for each kind of job (snipe.md section 2).

use crate::job::Task;
use crate::modules::{Handled, Handling, NodeMethod, PlayerMethod};
use crate::protocol::{Delivery, Outcome, Sealed};
use crate::run::Run;
use crate::{HandlerError, Params, Player, Server};
use chappe_store::{NewDeadLetter, NewNotification, Sender, Step, Transition, When};
use chappe_wire::{Value, value};
use std::rc::Rc;

/// The code of a type that no module handles.
pub(crate) const NO_HANDLER: &str = "noHandler";
/// The largest dead letter, in bytes, that takes the result of the notification along.
const LETTER: usize = 200 << 10;
/// The code of an outcome that is as wanted.
const OK: &str = "ok";

/// Runs a job's handlers. What they did is in the run; what did not succeed has been taken back.
pub(crate) async fn execute(server: &Server, run: &Rc<Run>) -> Handled {
    let job = run.job.clone();
    let result = match &job.task {
        Task::Request { .. } => return server.run_request(run).await,
        // It has a way of its own, which is shorter.
        Task::Plain { .. } => return Ok(None),
        Task::Step(delivery) => step(server, run, delivery).await,
        Task::Call { method, .. } => match run.uid {
            Some(uid) if job.forced.borrow().is_none() => {
                let method = method.clone();
                let player = server.player_in(run, uid);
                let result = server.call(run, move || method(player)).await;
                if result.is_err() {
                    server.reset(run);
                }
                result
            }
            _ => Err(forced(run).unwrap_or_else(|| HandlerError::failed("there is no record to run it on"))),
        },
        Task::Bare(sent) => match forced(run) {
            Some(error) => Err(error),
            None => {
                run.did.borrow_mut().sent.push((**sent).clone());
                Ok(None)
            }
        },
    };
    if let Err(error) = &result {
        log_failure(server, run, error);
    }
    result
}

/// Says that a handler failed; an expected no is nothing to be said.
pub(crate) fn log_failure(server: &Server, run: &Run, error: &HandlerError) {
    if error.is_refusal() {
        return;
    }
    let (node, player) = (server.0.node.id(), run.uid.unwrap_or_default());
    server.0.node.stats().count("handlers_failed");
    tracing::error!(%node, player, handler = %run.job, code = error.code(), "{}", error.text());
}

/// One step of a durable notification.
async fn step(server: &Server, run: &Rc<Run>, delivery: &Delivery) -> Handled {
    let sealed: Sealed = match value::decode(&delivery.payload) {
        Ok(sealed) => sealed,
        Err(error) => {
            // Nobody can ever handle it.
            settle(run, delivery, When::Any, None);
            return Err(HandlerError::failed(format!(
                "notification {} cannot be read: {error}",
                delivery.id
            )));
        }
    };
    match delivery.step {
        Step::Sent => act(server, run, delivery, &sealed).await,
        Step::Decided => outcome(server, run, delivery, &sealed).await,
    }
}

/// Validate, then act (steps 1 to 3 of section 2).
async fn act(server: &Server, run: &Rc<Run>, delivery: &Delivery, sealed: &Sealed) -> Handled {
    let record = Params::read(&sealed.record).unwrap_or_default();
    let result = match forced(run) {
        Some(error) => Err(error),
        None => validate_and_act(server, run, sealed, &record).await,
    };
    let (error, result) = match result {
        Ok(Verdict::Done(result)) => (None, result),
        Ok(Verdict::Refused(result)) => {
            server.reset(run);
            (Some(HandlerError::refuse(code_of(&result).unwrap_or_default())), Some(result))
        }
        Err(error) => {
            server.reset(run);
            let code = error_value(&error);
            (Some(error), Some(code))
        }
    };
    match &sealed.validate {
        Some(validate) => {
            let success = error.is_none();
            let told = validate.handler(success).map(|_| encode_outcome(success, result.as_ref()));
            settle(run, delivery, When::Before, told);
        }
        None => {
            settle(run, delivery, When::Any, None);
            if let Some(error) = &error {
                let letter =
                    dead_letter(error.code(), delivery, sealed.kind.clone(), delivery.payload.clone());
                run.did.borrow_mut().dead_letters.push(letter);
            }
        }
    }
    error.map_or(Ok(result), Err)
}

enum Verdict {
    Done(Option<Value>),
    Refused(Value),
}

async fn validate_and_act(
    server: &Server,
    run: &Rc<Run>,
    sealed: &Sealed,
    record: &Params,
) -> Result<Verdict, HandlerError> {
    let func = sealed.validate.as_ref().and_then(|validate| validate.func.as_deref());
    if let Some(func) = func {
        let answer = handle(server, run, func, sealed.id, record.clone()).await?;
        if let Some(answer) = answer
            && code_of(&answer).is_some_and(|code| code != OK)
        {
            return Ok(Verdict::Refused(answer));
        }
    }
    handle(server, run, &sealed.kind, sealed.id, record.clone()).await.map(Verdict::Done)
}

/// Tells the sender (steps 2 and 4 of section 2).
async fn outcome(server: &Server, run: &Rc<Run>, delivery: &Delivery, sealed: &Sealed) -> Handled {
    let outcome: Option<Outcome> = delivery.outcome.as_deref().and_then(|bytes| value::decode(bytes).ok());
    let handler = outcome.as_ref().and_then(|outcome| sealed.validate.as_ref()?.handler(outcome.success));
    let (Some(outcome), Some(handler)) = (&outcome, handler) else {
        settle(run, delivery, When::Any, None);
        return Ok(None);
    };
    let record = merge(
        value::decode(&sealed.record).unwrap_or_default(),
        value::decode(&outcome.result).unwrap_or_default(),
    );
    let result = match forced(run) {
        Some(error) => Err(error),
        None => handle(server, run, handler, None, Params::new(record.clone())).await,
    };
    if let Err(error) = &result {
        server.reset(run);
        // It can be sent again as what it would have been: this handler, on the sender's record.
        let fields = Value::Map(with_type(record, handler));
        let again = Sealed {
            kind: handler.to_owned(),
            id: None,
            record: value::encode(&fields).unwrap_or_default(),
            validate: None,
            request: sealed.request.clone(),
        };
        let mut payload = value::encode(&again).unwrap_or_default();
        if payload.len() > LETTER {
            // Without the result it is at most what was stored before.
            let Value::Map(mut fields) = value::decode(&sealed.record).unwrap_or_default() else {
                return result;
            };
            fields.push(("errorCode".into(), error.code().into()));
            let record =
                value::encode(&Value::Map(with_type(Value::Map(fields), handler))).unwrap_or_default();
            payload = value::encode(&Sealed { record, ..again }).unwrap_or_default();
        }
        run.did.borrow_mut().dead_letters.push(dead_letter(
            error.code(),
            delivery,
            handler.to_owned(),
            payload,
        ));
    }
    settle(run, delivery, When::Any, None);
    result
}

/// Runs the handler of a type: on the player's record, or on none.
async fn handle(server: &Server, run: &Rc<Run>, kind: &str, id: Option<u64>, record: Params) -> Handled {
    let begin = handler(server, run, kind.as_bytes(), id, record)?;
    server.call(run, begin).await
}

/// The handler of a type, ready to run: on the player's record, or on none.
pub(crate) fn handler(
    server: &Server,
    run: &Rc<Run>,
    kind: &[u8],
    id: Option<u64>,
    params: Params,
) -> Result<impl FnOnce() -> Handling + use<>, HandlerError> {
    enum With {
        Player(PlayerMethod, Player),
        Nobody(NodeMethod),
    }
    let with = {
        let modules = server.0.modules.borrow();
        let on_none = if run.uid.is_none() || id.is_none() { modules.node(kind) } else { None };
        match (on_none, run.uid) {
            (Some(method), _) => Some(With::Nobody(method)),
            (None, Some(uid)) => {
                modules.player(kind).map(|method| With::Player(method, server.player_in(run, uid)))
            }
            (None, None) => None,
        }
    };
    let Some(with) = with else {
        let kind = &*String::from_utf8_lossy(kind);
        server.say_unheard(kind);
        let text = format!("no module of node {} handles {kind:?}", server.0.node.id());
        return Err(HandlerError::refuse_with(NO_HANDLER, text));
    };
    Ok(move || match with {
        With::Player(method, player) => method(player, params),
        With::Nobody(method) => method(params),
    })
}

/// The notification's next state: decided with an outcome, or settled.
fn settle(run: &Run, delivery: &Delivery, when: When, outcome: Option<Vec<u8>>) {
    let handled = delivery.outcome.clone();
    let transition = Transition { id: delivery.id, from: delivery.step, when, outcome, handled };
    run.did.borrow_mut().transition = Some(transition);
}

/// Why the handler is not to run, when what it did could not be stored.
pub(crate) fn forced(run: &Run) -> Option<HandlerError> {
    run.job.forced.borrow().clone()
}

fn dead_letter(reason: &str, delivery: &Delivery, kind: String, payload: Vec<u8>) -> NewDeadLetter {
    let receiver = match (delivery.step, delivery.sender) {
        (Step::Decided, Sender::Player(uid)) => uid,
        _ => delivery.receiver,
    };
    let notification = NewNotification {
        id: delivery.id,
        sender: delivery.sender,
        receiver,
        kind,
        payload,
        deadline_in_ms: None,
        depth: delivery.depth,
    };
    NewDeadLetter { reason: reason.to_owned(), notification }
}

pub(crate) fn encode_outcome(success: bool, result: Option<&Value>) -> Vec<u8> {
    let nothing = Value::Map(Vec::new());
    let result = value::encode(result.unwrap_or(&nothing)).unwrap_or_default();
    // A struct of a bool and bytes always encodes.
    value::encode(&Outcome { success, result }).unwrap_or_default()
}

/// The record that says what went wrong.
pub(crate) fn error_value(error: &HandlerError) -> Value {
    value!({"errorCode": error.code(), "message": error.text()})
}

fn code_of(answer: &Value) -> Option<&str> {
    answer.field("errorCode").and_then(Value::as_str)
}

/// The notification's fields with those of the result: the result wins; names that begin with `_` stay.
fn merge(message: Value, result: Value) -> Value {
    let (Value::Map(mut fields), Value::Map(result)) = (message, result) else { return Value::Nil };
    for (key, value) in result {
        let is_ours = key.as_str().is_some_and(|name| name.starts_with('_'));
        match fields.iter_mut().find(|(name, _)| *name == key) {
            _ if is_ours => {}
            Some((_, slot)) => *slot = value,
            None => fields.push((key, value)),
        }
    }
    Value::Map(fields)
}

fn with_type(record: Value, kind: &str) -> Vec<(Value, Value)> {
    let Value::Map(mut fields) = record else { return vec![("_type".into(), kind.into())] };
    fields.retain(|(key, _)| key.as_str() != Some("_type"));
    fields.insert(0, ("_type".into(), kind.into()));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_wins_but_for_the_runtimes_own_names() {
        let merged = merge(
            value!({"_type": "user.giveMoney2", "amount": 500, "n": 1}),
            value!({"n": 2, "_type": "user.steal", "moneyReceived": 3}),
        );
        assert_eq!(merged, value!({"_type": "user.giveMoney2", "amount": 500, "n": 2, "moneyReceived": 3}));
    }
}
