//! Durable notifications on their way into a commit: that of the handler which sends them, or one of their own.

use crate::job::{Job, Task};
use crate::message::Message;
use crate::modules::Handled;
use crate::protocol::Sealed;
use crate::run::Run;
use crate::{NotifyError, Params, Server};
use chappe_store::{NewNotification, Sender};
use chappe_wire::{Value, value};
use std::rc::Rc;

impl Server {
    pub(crate) fn notify_durable(
        &self,
        call: &'static str,
        uid: u64,
        message: Message,
        run: Option<Rc<Run>>,
        depth: u32,
    ) -> Result<(), NotifyError> {
        let bad = |what: String| NotifyError::BadMessage { call, what };
        self.see_names(&message);
        let caller = run.as_ref().and_then(|run| run.uid);
        let node = Sender::Node(self.0.node.id());
        let kind = message.kind().to_owned();
        let (validate, sender) = match message.validate {
            Some((validate, Some(id))) => (Some(validate), Sender::Player(id)),
            Some((validate, None)) => (Some(validate), node),
            None => (None, caller.map_or(node, Sender::Player)),
        };
        let deadline = validate.as_ref().map(|_| self.0.options.deadline.as_millis());
        let sealed = Sealed {
            kind: kind.clone(),
            id: message.id,
            record: value::encode(&message.record).map_err(|error| bad(error.to_string()))?,
            validate,
            request: run.as_ref().and_then(|run| run.request.clone()),
        };
        let sent = NewNotification {
            id: self.next_notification(),
            sender,
            receiver: uid,
            kind,
            payload: value::encode(&sealed).map_err(|error| bad(error.to_string()))?,
            deadline_in_ms: deadline.and_then(|ms| u64::try_from(ms).ok()),
            depth,
        };
        match run {
            Some(run) if run.ended.get() => return Err(NotifyError::RunEnded { call, uid }),
            Some(run) => run.did.borrow_mut().sent.push(sent),
            None => self.notify_alone(sent, sealed, message.record),
        }
        Ok(())
    }

    /// Says once of each name in a notification that nobody here handles it: game servers have the same modules, so it is
    /// a slip, and the sender would hear of it only when the notification fails.
    fn see_names(&self, message: &Message) {
        if !self.0.node.config().role.is_server() {
            return;
        }
        let validate = message.validate.as_ref().map(|(validate, _)| validate);
        let others = validate.into_iter().flat_map(|it| [&it.func, &it.on_success, &it.on_fail]).flatten();
        for kind in others.map(String::as_str).chain([message.kind()]) {
            let is_known = {
                let modules = self.0.modules.borrow();
                modules.player(kind.as_bytes()).is_some() || modules.node(kind.as_bytes()).is_some()
            };
            if !is_known {
                self.say_unheard(kind);
            }
        }
    }

    /// A durable notification outside of any handler: a commit of its own. When the store cannot take it, its sender
    /// learns it.
    fn notify_alone(&self, sent: NewNotification, sealed: Sealed, record: Value) {
        let server = self.clone();
        let (kind, sender, depth) = (sent.kind.clone(), sent.sender, sent.depth);
        let hook = move |result: Handled| {
            let Err(error) = result else { return };
            tracing::warn!(node = %server.0.node.id(), kind, "a notification was not sent: {error}");
            let handler = sealed.validate.as_ref().and_then(|validate| validate.handler(false));
            let (Some(handler), Value::Map(mut fields)) = (handler, record) else { return };
            fields.retain(|(key, _)| key.as_str() != Some("_type"));
            fields.insert(0, ("_type".into(), handler.into()));
            fields.push(("errorCode".into(), error.code().into()));
            let record = Params::new(Value::Map(fields));
            server.clone().0.node.spawn(async move {
                match sender {
                    Sender::Player(uid) => server.queue_plain(uid, Some(uid), record, depth),
                    Sender::Node(_) => server.start(None, Job::new(Task::Plain { id: None, record, depth })),
                }
            });
        };
        self.start(None, Job::with_hook(Task::Bare(Box::new(sent)), Some(Box::new(hook))));
    }
}
