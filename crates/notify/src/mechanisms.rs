//! The calls of snipe.md section 1, one each.

use crate::job::{CallMethod, Job, Origin, Task};
use crate::message::{Message, Typed, split};
use crate::modules::Handled;
use crate::protocol::{Exists, NOTIFY, STORE, SendTo, ToNode};
use crate::run::{Run, Said};
use crate::{HandlerError, NotifyError, Params, Player, Server};
use chappe_node::{Callback, Failure, State, To};
use chappe_wire::{NodeId, Reason, Role, Row, Value, value};
use serde::Serialize;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

/// How long the master may take.
const ASK: Duration = Duration::from_secs(5);
/// Between two times that the same is asked.
const AGAIN: Duration = Duration::from_millis(100);
/// The most `cacheNotify`s that wait.
const CACHE: usize = 10_000;

impl Server {
    /// `server.notify(uid, {_type, ...})` (mechanisms 4 to 6): to the game server that the player is on, or the first one when
    /// they are offline. With `_validate`, or `_durable: true`, it ends exactly once through any crash: inside a handler
    /// it is committed with what the handler changed, outside of one by itself.
    ///
    /// # Errors
    /// [`NotifyError::BadMessage`], which names the field; [`NotifyError::TooDeep`] for handlers that notify each other in
    /// a circle.
    pub fn notify(&self, uid: u64, record: Value) -> Result<(), NotifyError> {
        const CALL: &str = "server.notify";
        let message = Message::read(CALL, record)?;
        let run = self.0.current.borrow().clone();
        let depth = self.depth(CALL, message.kind(), run.as_deref())?;
        if message.validate.is_some() || message.durable {
            return self.notify_durable(CALL, uid, message, run, depth);
        }
        let (id, record) = (message.id, Params::new(message.record));
        match run {
            Some(run) => run.did.borrow_mut().said.push(Said::Plain { uid, id, record, depth }),
            None => self.say_plain(uid, id, record, depth),
        }
        Ok(())
    }

    /// As [`Server::notify`] for a plain notification whose fields are a struct of the game's own (or any map): `kind` is its
    /// `_type`, `"module.method"`. Nothing is built on the way but what travels.
    ///
    /// # Errors
    /// As [`Server::notify`]; also for what cannot be sent, by the path in it, and for a field whose name begins with `_`.
    pub fn notify_fields<T: Serialize + ?Sized>(
        &self,
        uid: u64,
        kind: &str,
        fields: &T,
    ) -> Result<(), NotifyError> {
        const CALL: &str = "server.notify_fields";
        let bad = |what| NotifyError::BadMessage { call: CALL, what };
        let fields = Typed::new(kind, fields).map_err(bad)?;
        let run = self.0.current.borrow().clone();
        let depth = self.depth(CALL, kind, run.as_deref())?;
        if run.is_none() && !self.is_here(uid) {
            let sent = self.send_away(uid, None, depth, |out| fields.encode_into(out).map(drop));
            return sent.map_err(|error| bad(error.to_string()));
        }
        let record = fields.params().map_err(|error| bad(error.to_string()))?;
        match run {
            Some(run) => run.did.borrow_mut().said.push(Said::Plain { uid, id: None, record, depth }),
            None => self.queue_plain(uid, None, record, depth),
        }
        Ok(())
    }

    /// `server.cacheNotify({_type, ...})` (mechanism 1): to the master, behind the next request to it, or after 1 s by
    /// itself.
    ///
    /// # Errors
    /// [`NotifyError::BadMessage`]; [`NotifyError::Failed`] with `Overloaded` when 10,000 wait.
    pub fn cache_notify(&self, record: Value) -> Result<(), NotifyError> {
        const CALL: &str = "cacheNotify";
        let bytes = self.to_node(CALL, record)?;
        let run = self.0.current.borrow().clone().filter(|run| !run.ended.get());
        if let Some(run) = run {
            // It leaves with what the handler has done, or not at all.
            run.did.borrow_mut().said.push(Said::Cache(bytes));
            return Ok(());
        }
        self.queue_cache(bytes)
    }

    pub(crate) fn queue_cache(&self, bytes: Vec<u8>) -> Result<(), NotifyError> {
        const CALL: &str = "cacheNotify";
        let mut cache = self.0.cache.borrow_mut();
        if cache.len() >= CACHE {
            let text = format!("{CACHE} wait for the master already");
            return Err(NotifyError::Failed { call: CALL, reason: Reason::Overloaded, text });
        }
        cache.push_back(bytes);
        drop(cache);
        if !self.0.cache_due.replace(true) {
            let server = self.clone();
            self.0.node.spawn(async move {
                sleep(server.0.options.cache_after).await;
                server.0.cache_due.set(false);
                server.flush_cache();
            });
        }
        Ok(())
    }

    /// `cacheRequest({_type, ...})` (mechanism 9): the master's module method returns the answer.
    ///
    /// # Errors
    /// [`NotifyError::BadMessage`] as a failure; the failure of the request; [`NotifyError::WouldDeadlock`] when it is
    /// awaited in a handler on a player: what that sends leaves after its commit. It leaves all the same.
    pub fn cache_request(&self, record: Value) -> impl Future<Output = Result<Value, HandlerError>> + use<> {
        self.cache_request_within(record, ASK)
    }

    /// As [`Server::cache_request`], with the time that the answer may take; else 5 s.
    ///
    /// # Errors
    /// As [`Server::cache_request`].
    pub fn cache_request_within(
        &self,
        record: Value,
        limit: Duration,
    ) -> impl Future<Output = Result<Value, HandlerError>> + use<> {
        let asked = self.to_node("cacheRequest", record).map(|bytes| {
            let (told, answered) = oneshot::channel();
            let callback = move |reply: chappe_node::Reply<'_>| {
                let answer = reply.and_then(|data| data.value().map_err(Failure::from));
                drop(told.send(answer));
            };
            let (row, to) = (Row::CacheRequest, (NOTIFY, "cache_request"));
            self.0.node.request_raw(row, To::Master, to, &bytes, limit, Some(Box::new(callback)));
            answered
        });
        let run = self.0.current.borrow().clone();
        let server = self.clone();
        async move {
            let gone = |_| HandlerError::undone("the request was undone with its handler");
            let answer = server.not_in(run, "cacheRequest", asked?).await?;
            answer.map_err(gone)?.map_err(HandlerError::from)
        }
    }

    /// `slaveClient.notify({_type, ...})` (mechanism 2), on the master: to one node, at once.
    ///
    /// # Errors
    /// [`NotifyError::BadMessage`]; [`NotifyError::WrongRole`] elsewhere than on the master.
    pub fn notify_node(&self, node: NodeId, record: Value) -> Result<(), NotifyError> {
        const CALL: &str = "slaveClient.notify";
        let bytes = self.by_master(CALL, record)?;
        let target = (NOTIFY, "event");
        self.0.node.request_raw(Row::SlaveNotify, To::Node(node), target, &bytes, ASK, None);
        Ok(())
    }

    /// `server.notifyAll(type, {_type, ...})` (mechanism 3; newer name `broadcast`), on the master: to every node of a type.
    /// Returns how many.
    ///
    /// # Errors
    /// As [`Server::notify_node`].
    pub fn notify_all(&self, node_type: &str, record: Value) -> Result<usize, NotifyError> {
        const CALL: &str = "notifyAll";
        let bytes = self.by_master(CALL, record)?;
        let nodes = self.nodes_of(node_type);
        for node in &nodes {
            let target = (NOTIFY, "event");
            self.0.node.request_raw(Row::NotifyAll, To::Node(*node), target, &bytes, ASK, None);
        }
        Ok(nodes.len())
    }

    /// `server.getRandomClient(type)`, on the master: a ready node of a type; `None` when there is none.
    pub fn random_client(&self, node_type: &str) -> Option<NodeId> {
        let nodes = self.nodes_of(node_type);
        let drawn = self.0.drawn.get();
        self.0
            .drawn
            .set(drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
        nodes.get(((drawn >> 33) as usize).checked_rem(nodes.len())?).copied()
    }

    /// `server.sendTo(uid, {_type, ...})` (mechanism 8): a response for a player on any game server.
    ///
    /// # Errors
    /// `userNotOnline` when the player is nowhere; else as [`Server::cache_request`].
    pub fn send_to(&self, uid: u64, record: Value) -> impl Future<Output = Result<(), HandlerError>> + use<> {
        let message = Message::read("sendTo", record).and_then(|message| message.plain("sendTo"));
        let sent = message.map(|message| self.send_message(uid, message.record));
        let (server, run) = (self.clone(), self.0.current.borrow().clone());
        async move {
            match server.not_in(run, "sendTo", sent?).await? {
                Ok(Err(failure)) if failure.reason == Reason::PlayerOffline => {
                    Err(HandlerError::refuse("userNotOnline"))
                }
                Ok(result) => result.map_err(HandlerError::from),
                Err(_) => Err(HandlerError::undone("it was undone with its handler")),
            }
        }
    }

    /// `userExists(uid)`: whether anyone has ever logged in under that uid.
    ///
    /// A handler that awaits it stays the owner of its record meanwhile, and is one run with one commit. A language whose
    /// handlers cannot await keeps that: its handler has ended only when its callbacks have (the future that it gives to
    /// [`Module::request`](crate::Module::request) resolves after the last one), so what they do on the same player, and
    /// the response that they give, belong to the same run. A crash between the two then leaves nothing half done.
    ///
    /// # Errors
    /// When the master or the store does not answer within 5 s; mostly one that passes ([`HandlerError::passing`]).
    pub fn user_exists(&self, uid: u64) -> impl Future<Output = Result<bool, HandlerError>> + use<> {
        let is_here = self.0.records.borrow().get(&uid).is_some_and(|held| held.epoch().is_some());
        let node = self.0.node.clone();
        async move {
            if is_here {
                return Ok(true);
            }
            // A question may be asked twice: a master that dies with it is soon back.
            let deadline = Instant::now() + ASK;
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                let asked =
                    node.ask(Row::Internal, To::Master, (STORE, "exists"), &Exists { uid }, left).await;
                match asked {
                    Err(failure) if failure.reason.is_transient() && Instant::now() + AGAIN < deadline => {
                        sleep(AGAIN).await;
                    }
                    asked => return asked.map_err(HandlerError::from),
                }
            }
        }
    }

    /// Runs `handler` on a player's record, when its turn comes, as if a notification had come: for timers, Apollo's
    /// events and whatever else is not a request. The player must be on this server, or offline with this one as the
    /// first game server. Resolves when what it did is durable.
    ///
    /// # Errors
    /// The handler's error. In a handler on that player [`NotifyError::WouldDeadlock`], and in one on another player
    /// [`NotifyError::BadMessage`]: what it did would be durable by itself, and not be undone with that handler.
    pub fn run<H, F>(&self, uid: u64, name: &str, handler: H) -> impl Future<Output = Handled> + use<H, F>
    where
        H: Fn(Player) -> F + 'static,
        F: Future<Output = Handled> + 'static,
    {
        let is_other = self.0.current.borrow().as_ref().and_then(|run| run.uid).is_some_and(|own| own != uid);
        let ran = (!is_other).then(|| self.run_after(Origin::default(), uid, name, handler));
        async move {
            match ran {
                Some(ran) => ran.await,
                None => Err(NotifyError::BadMessage {
                    call: "server.run",
                    what: "a handler on a player changes other players by notifications alone".to_owned(),
                }
                .into()),
            }
        }
    }

    /// As [`Server::run`], in answer to what an earlier handler on that player was called for: a response of the type of the
    /// player's request is the response to that request.
    ///
    /// # Errors
    /// The handler's error; [`NotifyError::WouldDeadlock`] in a handler that owns the record itself, or whose record that
    /// other handler waits for.
    pub fn run_after<H, F>(
        &self,
        origin: Origin,
        uid: u64,
        name: &str,
        handler: H,
    ) -> impl Future<Output = Handled> + use<H, F>
    where
        H: Fn(Player) -> F + 'static,
        F: Future<Output = Handled> + 'static,
    {
        let method: CallMethod = Rc::new(move |player| Box::pin(handler(player)));
        let run = self.0.current.borrow().clone();
        let queued = self.check_deadlock(uid, run.as_deref()).and_then(|()| {
            let (told, done) = oneshot::channel();
            let task = Task::Call { name: name.to_owned(), origin, method };
            let job = Job::with_hook(task, Some(Box::new(move |result| drop(told.send(result)))));
            let text = "too much waits for the player".to_owned();
            self.queue(uid, job).map_err(|reason| NotifyError::Failed { call: "run", reason, text })?;
            Ok(done)
        });
        async move {
            let done = queued?;
            if let Some(run) = &run {
                run.waits_for.set(Some(uid));
            }
            let result = done.await;
            if let Some(run) = &run {
                run.waits_for.set(None);
            }
            result.unwrap_or_else(|_| Err(HandlerError::failed("the record went to another server")))
        }
    }

    /// Waits for `answer`, unless that is done in the run which asked for it: then it would wait for itself.
    async fn not_in<F: Future + Unpin>(
        &self,
        run: Option<Rc<Run>>,
        call: &'static str,
        mut answer: F,
    ) -> Result<F::Output, NotifyError> {
        poll_fn(|cx| match Pin::new(&mut answer).poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Ok(answer)),
            Poll::Pending => {
                let current = self.0.current.borrow();
                let is_own =
                    run.as_ref().zip(current.as_ref()).is_some_and(|(own, now)| Rc::ptr_eq(own, now));
                if is_own { Poll::Ready(Err(NotifyError::WouldWait { call })) } else { Poll::Pending }
            }
        })
        .await
    }

    fn check_deadlock(&self, uid: u64, run: Option<&Run>) -> Result<(), NotifyError> {
        let Some(own) = run.and_then(|run| run.uid) else { return Ok(()) };
        let records = self.0.records.borrow();
        let mut waits = Some(uid);
        // No chain is longer than there are handlers that wait.
        for _ in 0..=records.len() {
            match waits {
                Some(next) if next == own => return Err(NotifyError::WouldDeadlock { uid }),
                Some(next) => {
                    let running = records.get(&next).and_then(|held| held.running.as_ref());
                    waits = running.and_then(|running| running.run.waits_for.get());
                }
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn send_message(&self, uid: u64, record: Value) -> oneshot::Receiver<Result<(), Failure>> {
        let (told, answered) = oneshot::channel();
        let player = self.0.node.player_by_uid(uid).filter(|_| self.0.node.config().role.is_server());
        let run = self.0.current.borrow().clone();
        match player {
            Some(player) => {
                let said = Said::Response { uid, epoch: player.id.0, fields: record };
                match run {
                    Some(run) => run.did.borrow_mut().said.push(said),
                    None => self.say(vec![said]),
                }
                let _ = told.send(Ok(()));
            }
            None => {
                let callback = move |reply: chappe_node::Reply<'_>| drop(told.send(reply.map(drop)));
                // What cannot be encoded lets go of the callback, and the caller is told.
                self.send_on(uid, &record, Some(Box::new(callback)));
            }
        }
        answered
    }

    /// A response for a player who is not here: the master passes it on to where they are.
    pub(crate) fn send_on(&self, uid: u64, record: &Value, callback: Option<Callback>) {
        match value::encode(record).and_then(|record| value::encode(&SendTo { uid, record })) {
            Ok(bytes) => {
                let to = (STORE, "send_to");
                self.0.node.request_raw(Row::SendTo, To::Master, to, &bytes, ASK, callback);
            }
            Err(error) => tracing::error!(node = %self.0.node.id(), uid, %error, "a response cannot be sent"),
        }
    }

    /// Sends what waits for the master, behind whatever was sent to it last.
    pub(crate) fn flush_cache(&self) {
        let waiting = self.0.cache.take();
        for bytes in waiting {
            self.0.node.request_raw(Row::CacheNotify, To::Master, (NOTIFY, "cache"), &bytes, ASK, None);
        }
    }

    fn to_node(&self, call: &'static str, record: Value) -> Result<Vec<u8>, NotifyError> {
        let message = Message::read(call, record)?.plain(call)?;
        let run = self.0.current.borrow().clone();
        let depth = self.depth(call, message.kind(), run.as_deref())?;
        let id = message.id;
        let encoded =
            value::encode(&message.record).and_then(|record| value::encode(&ToNode { id, record, depth }));
        encoded.map_err(|error| NotifyError::BadMessage { call, what: error.to_string() })
    }

    fn by_master(&self, call: &'static str, record: Value) -> Result<Vec<u8>, NotifyError> {
        if self.0.node.config().role != Role::Master {
            return Err(NotifyError::WrongRole { call, who: "the master" });
        }
        self.to_node(call, record)
    }

    fn nodes_of(&self, node_type: &str) -> Vec<NodeId> {
        self.0.node.with_view(|view| {
            let of_type =
                view.members().filter(|member| member.node_type == node_type && member.state == State::Ready);
            of_type.map(|member| member.id).collect()
        })
    }

    /// How many notifications lie behind one that is sent now.
    fn depth(&self, call: &'static str, kind: &str, run: Option<&Run>) -> Result<u32, NotifyError> {
        debug_assert!(split(kind).is_some(), "read before");
        let depth = run.map_or(self.0.behind.get(), |run| run.job.depth() + 1);
        let limit = self.0.options.depth;
        if depth > limit {
            return Err(NotifyError::TooDeep { call, kind: kind.to_owned(), depth, limit });
        }
        Ok(depth)
    }
}
