//! What comes for this node from the master, and on the master from nodes: the other end of `mechanisms`.

use crate::job::{Job, Task};
use crate::modules::Handling;
use crate::protocol::{Dead, SendTo, ToNode};
use crate::{Params, Server};
use chappe_node::Call;
use chappe_wire::{Reason, Row, Value, value};

impl Server {
    /// A plain notification that could not be handled.
    pub(crate) fn dead(&self, reason: &str, uid: Option<u64>, id: Option<u64>, record: &Value, depth: u32) {
        self.0.node.stats().count("dead_letters");
        let record = value::encode(record).unwrap_or_default();
        self.tell_master("dead", &Dead { reason: reason.to_owned(), uid, id, record, depth });
    }

    /// Queues a plain notification for a player whose notifications are handled here.
    pub(crate) fn queue_plain(&self, uid: u64, id: Option<u64>, record: Value, depth: u32) {
        let job = Job::new(Task::Plain { kind: kind(&record), id, record, depth });
        if let Err(reason) = self.queue(uid, job.clone())
            && let Task::Plain { record, .. } = &job.task
        {
            self.dead(reason.as_str(), Some(uid), id, record, depth);
        }
    }

    /// `$notify send_to`: a response for a player here.
    pub(crate) fn on_send_to(&self, call: Call<'_>) {
        let Ok(SendTo { uid, record }) = call.args() else { return };
        let Ok(fields) = value::decode::<Value>(&record) else { return };
        match self.0.node.player_by_uid(uid) {
            Some(player) => self.respond(uid, player.id.0, fields),
            None => self.0.node.stats().dropped(Row::SendTo, Reason::PlayerOffline),
        }
    }

    /// `$notify event`: the master notifies this node.
    pub(crate) fn on_event(&self, call: Call<'_>) {
        let Ok(ToNode { id, record, depth }) = call.args() else { return };
        let Ok(record) = value::decode::<Value>(&record) else { return };
        let is_here = id.is_some_and(|uid| self.0.node.player_by_uid(uid).is_some());
        match id {
            Some(uid) if is_here => self.queue_plain(uid, id, record, depth),
            Some(uid) => self.dead("userNotOnline", Some(uid), id, &record, depth),
            None => self.start(None, Job::new(Task::Plain { kind: kind(&record), id, record, depth })),
        }
    }

    /// `$notify cache`, on the master.
    pub(crate) fn on_cache_notify(&self, call: Call<'_>) {
        let Some((kind, handling)) = self.cache_handling(&call) else { return };
        let server = self.clone();
        self.0.node.spawn(async move {
            if let Err(error) = handling.await {
                server.0.node.stats().count("handlers_failed");
                tracing::error!(node = %server.0.node.id(), handler = kind, "{error}");
            }
        });
    }

    /// `$notify cache_request`, on the master.
    pub(crate) fn on_cache_request(&self, call: Call<'_>) {
        let Some((_, handling)) = self.cache_handling(&call) else {
            return call.fail(Reason::NoMethod, "no module of the master handles that type");
        };
        let responder = call.into_responder();
        self.0.node.spawn(async move {
            match handling.await {
                Ok(answer) => drop(responder.respond(&answer.unwrap_or_default())),
                Err(error) => responder.fail(Reason::HandlerFailed, &error.to_string()),
            }
        });
    }

    fn cache_handling(&self, call: &Call<'_>) -> Option<(String, Handling)> {
        let ToNode { record, .. } = call.args().ok()?;
        let params = Params::new(value::decode::<Value>(&record).ok()?);
        let kind = params.kind().to_owned();
        let method = self.0.modules.borrow().cache(&kind);
        match method {
            Some(method) => Some((kind, method(call.from(), params))),
            None => {
                self.say_unheard(&kind);
                self.dead("noHandler", None, None, params.value(), 0);
                None
            }
        }
    }
}

/// The `_type` of a record.
fn kind(record: &Value) -> String {
    record.field("_type").and_then(Value::as_str).unwrap_or_default().to_owned()
}
