//! What comes for this node from the master, and on the master from nodes: the other end of `mechanisms`.

use crate::job::{Job, Task};
use crate::modules::{Handled, Handling};
use crate::protocol::{Dead, SendTo, ToNode};
use crate::{HandlerError, Params, Server};
use chappe_node::Call;
use chappe_wire::{Reason, Row, Value, value};
use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::timeout;

impl Server {
    /// A plain notification that could not be handled.
    pub(crate) fn dead(&self, reason: &str, uid: Option<u64>, id: Option<u64>, record: &Params, depth: u32) {
        self.0.node.stats().count("dead_letters");
        let record = record.encoded().map(Cow::into_owned).unwrap_or_default();
        self.tell_master("dead", &Dead { reason: reason.to_owned(), uid, id, record, depth });
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
        let Ok(record) = Params::read(&record) else { return };
        let is_here = id.is_some_and(|uid| self.0.node.player_by_uid(uid).is_some());
        match id {
            Some(uid) if is_here => self.queue_plain(uid, id, record, depth),
            Some(uid) => self.dead("userNotOnline", Some(uid), id, &record, depth),
            None => self.start(None, Job::new(Task::Plain { id, record, depth })),
        }
    }

    /// `$notify cache`, on the master.
    pub(crate) fn on_cache_notify(&self, call: Call<'_>) {
        let Some((kind, handling)) = self.cache_handling(&call) else { return };
        let server = self.clone();
        self.0.node.spawn(async move {
            if let Err(error) = handling.in_time().await {
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
            match handling.in_time().await {
                Ok(answer) => drop(responder.respond(&answer.unwrap_or_default())),
                Err(error) => responder.fail(Reason::HandlerFailed, &error.to_string()),
            }
        });
    }

    fn cache_handling(&self, call: &Call<'_>) -> Option<(String, CacheHandling)> {
        let ToNode { record, depth, .. } = call.args().ok()?;
        let params = Params::read(&record).ok()?;
        let kind = params.kind().to_owned();
        let method = self.0.modules.borrow().cache(&kind);
        match method {
            Some(method) => {
                let (server, depth) = (self.clone(), depth.saturating_add(1));
                let handling = behind(&server, depth, || method(call.from(), params));
                Some((kind, CacheHandling { server, depth, handling }))
            }
            None => {
                self.say_unheard(&kind);
                self.dead("noHandler", None, None, &params, 0);
                None
            }
        }
    }
}

/// A handler of the master: what it sends is as deep in the chain as what it was called for.
struct CacheHandling {
    server: Server,
    depth: u32,
    handling: Handling,
}

impl CacheHandling {
    /// Its outcome, which takes no longer than that of any other handler.
    async fn in_time(self) -> Handled {
        let limit = self.server.0.options.handler;
        let over = |_| Err(HandlerError::failed(format!("the handler took over {limit:?}")));
        timeout(limit, self).await.unwrap_or_else(over)
    }
}

impl Future for CacheHandling {
    type Output = Handled;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Handled> {
        let CacheHandling { server, depth, handling } = self.get_mut();
        behind(server, *depth, || handling.as_mut().poll(cx))
    }
}

/// Runs `part` with so many notifications behind what it sends.
fn behind<R>(server: &Server, depth: u32, part: impl FnOnce() -> R) -> R {
    /// On a panic too.
    struct Restore<'a>(&'a Server, u32);
    impl Drop for Restore<'_> {
        fn drop(&mut self) {
            self.0.0.behind.set(self.1);
        }
    }
    let _restore = Restore(server, server.0.behind.replace(depth));
    part()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NotifyError, Options};
    use chappe_node::{Config, Node};
    use chappe_wire::{NodeId, Role, value};

    #[test]
    fn a_circle_through_the_master_never_ends() {
        let node = Node::new(Config::new("c", NodeId(1), Role::Master, "master"));
        let server = Server::attach(&node, Options::default());
        let send = || server.notify_node(NodeId(2), value!({"_type": "a.b"}));
        let limit = server.0.options.depth;
        let sent = behind(&server, limit + 1, send);
        assert!(matches!(sent, Err(NotifyError::TooDeep { depth, .. }) if depth == limit + 1));
        assert_eq!(server.0.behind.get(), 0);
    }
}
