//! A node's life: listen, join, load, be ready, leave.

use crate::control;
use crate::error::NodeError;
use crate::node::{Inner, Node};
use crate::pulse::{self, Heart};
use crate::rpc::To;
use chappe_link::Link;
use chappe_route::{State, ViewChange};
use chappe_wire::hello::Purpose;
use chappe_wire::{Role, Row};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep_until;

/// The loop makes a turn at least this often, so that an idle node is not taken for a stuck one.
const IDLE_TURN: Duration = Duration::from_millis(500);

/// Queues that nothing was put into for so long give their memory back.
const REST: Duration = Duration::from_secs(1);

/// What sends a node's heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beats {
    /// A thread of its own, so that a blocked node still beats and is known to be stuck.
    Thread,
    /// A task on the node's own thread, for clusters on virtual time.
    Task,
}

impl Node {
    /// Runs the node until [`Node::stop`] is called or it has to end: listens, joins the cluster, runs `setup`
    /// (which registers listeners and methods, and may send), and only then is routable. Must run inside a
    /// [`tokio::task::LocalSet`]; everything of the node runs on that one thread.
    ///
    /// # Errors
    /// [`NodeError`]: its id is taken, the master turned it away or declared it lost, its setup failed.
    pub async fn run(
        &self,
        link: Arc<dyn Link + Send + Sync>,
        beats: Beats,
        setup: impl AsyncFnOnce(&Node) -> Result<(), String>,
    ) -> Result<(), NodeError> {
        let inner = &self.0;
        self.serve_runtime();
        self.take_connections(&link)?;
        tokio::task::spawn_local(Rc::clone(inner).flusher());
        tokio::task::spawn_local(Rc::clone(inner).housekeeping());

        let is_master = self.config().role == Role::Master;
        let heart = self.start_heart(link, beats, is_master)?;
        let life = async {
            if is_master {
                self.apply_view(ViewChange { members: vec![self.member()], ..ViewChange::default() });
                std::future::pending().await
            } else {
                Rc::clone(inner).stay_joined().await
            }
        };
        let start = async {
            inner.meshed().await;
            setup(self).await.map_err(|why| NodeError::Setup { node: self.id(), why })?;
            self.set_state(State::Ready);
            tracing::info!(node = %self.id(), role = %self.config().role, "ready");
            Ok::<_, NodeError>(())
        };
        let serve = async {
            start.await?;
            inner.stop.notified().await;
            Ok(())
        };
        let result = tokio::select! {
            biased;
            end = life => Err(end),
            end = serve => end,
            () = self.stopped_early() => Ok(()),
        };
        self.leave().await;
        // From here on another life may have the id, in this process too.
        self.stop_listening();
        drop(heart);
        result
    }

    /// Takes connections from now on; one that does already goes on.
    pub(crate) fn take_connections(&self, link: &Arc<dyn Link + Send + Sync>) -> Result<(), NodeError> {
        let inner = &self.0;
        if inner.accepting.borrow().is_none() {
            let listener = link.listen(self.id())?;
            *inner.link.borrow_mut() = Some(link.clone());
            let accepting = tokio::task::spawn_local(Rc::clone(inner).accept(listener));
            *inner.accepting.borrow_mut() = Some(accepting.abort_handle());
        }
        Ok(())
    }

    pub(crate) fn stop_listening(&self) {
        let accepting = self.0.accepting.borrow_mut().take();
        accepting.into_iter().for_each(|accepting| accepting.abort());
    }

    /// Asks the node to leave: it takes nothing new, finishes what it has, and [`Node::run`] returns.
    pub fn stop(&self) {
        self.0.stopping.set(true);
        self.0.stop.notify_waiters();
        self.0.stop.notify_one();
    }

    /// Whether the node was asked to leave in order to be started again.
    pub fn wants_restart(&self) -> bool {
        self.0.restarts.get()
    }

    /// Takes nothing new any more, or takes it again; the node stays.
    fn set_draining(&self, drains: bool) {
        match (self.state(), drains) {
            (State::Ready, true) => self.set_state(State::Draining),
            (State::Draining, false) if !self.is_stopping() => self.set_state(State::Ready),
            _ => {}
        }
    }

    /// Drops every connection at once, as the end of the process would: for tests that kill a node, whose handles may
    /// live on. What ran it must be dropped first.
    pub fn abandon(&self) {
        let peers = self.0.peers.take();
        // Also those that something waits to be written to.
        let dirty = self.0.dirty.take();
        drop((peers, dirty));
    }

    /// Whether the node was asked to leave.
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.get()
    }

    /// Resolves when the node is asked to leave before it was ready.
    async fn stopped_early(&self) {
        loop {
            let stop = self.0.stop.notified();
            if self.is_stopping() && self.state() == State::Starting {
                return;
            }
            stop.await;
            if self.state() != State::Starting {
                // The one that serves is to see it.
                self.0.stop.notify_one();
                std::future::pending::<()>().await;
            }
        }
    }

    fn start_heart(
        &self,
        link: Arc<dyn Link + Send + Sync>,
        beats: Beats,
        is_master: bool,
    ) -> Result<Option<tokio::sync::oneshot::Sender<()>>, NodeError> {
        if is_master {
            return Ok(None);
        }
        let config = self.config();
        let heart = Heart {
            link,
            to: self.0.beats_to.subscribe(),
            hello: self.0.hello(None, Purpose::Pulse),
            secrets: config.secrets.clone(),
            progress: self.0.progress.clone(),
            period: config.timing.heartbeat,
        };
        match beats {
            Beats::Task => {
                let (stop, stopped) = tokio::sync::oneshot::channel();
                tokio::task::spawn_local(async move {
                    tokio::select! {
                        biased;
                        _ = stopped => {}
                        () = pulse::beat(heart) => {}
                    }
                });
                Ok(Some(stop))
            }
            Beats::Thread => pulse::on_thread(heart)
                .map(Some)
                .map_err(|error| NodeError::Setup { node: self.id(), why: error.to_string() }),
        }
    }

    /// The requests that every node answers.
    fn serve_runtime(&self) {
        let node = self.clone();
        self.register(Row::Internal, control::NODE, "view", move |call| {
            // Only the master's word counts.
            if node.obeys(call.from(), call.incarnation())
                && let Ok(change) = call.args::<ViewChange>()
            {
                node.apply_view(change);
            }
        });
        let node = self.clone();
        self.register(Row::Internal, control::NODE, "declare", move |call| {
            if node.obeys(call.from(), call.incarnation())
                && let Ok(declare) = call.args::<control::Declare>()
            {
                node.declare(declare);
            }
        });
        let node = self.clone();
        self.register(Row::Internal, control::NODE, "report", move |call| {
            let _ = call.respond(&node.report());
        });
        let node = self.clone();
        self.register(Row::Internal, control::NODE, "stop", move |call| {
            if node.obeys(call.from(), call.incarnation()) {
                // Masters of an older version say nothing.
                node.0.restarts.set(call.args::<control::Stop>().unwrap_or(false));
                node.stop();
            }
            let _ = call.respond(&());
        });
        let node = self.clone();
        self.register(Row::Internal, control::NODE, "replace", move |call| {
            let replace = call.args::<control::Replace>();
            let obeys = node.obeys(call.from(), call.incarnation());
            let responder = call.into_responder();
            let taken_in = move || drop(responder.respond(&()));
            match replace {
                Ok(replace) if obeys => node.replace(replace, taken_in),
                _ => taken_in(),
            }
        });
        let node = self.clone();
        self.register(Row::Internal, control::NODE, "drain", move |call| {
            if node.obeys(call.from(), call.incarnation())
                && let Ok(drains) = call.args::<control::Drain>()
            {
                node.set_draining(drains);
            }
            let _ = call.respond(&());
        });
        self.serve_unordered();
        if self.config().role.is_server() {
            self.serve_players();
        }
    }

    /// As [`Node::ask`] for the runtime's own requests to the master, waited for while it restarts.
    ///
    /// # Errors
    /// As [`Node::ask`]; `DeadlineExceeded` when no master came up in time.
    pub fn ask_master<T: serde::Serialize, R: serde::de::DeserializeOwned + 'static>(
        &self,
        method: &str,
        args: &T,
        timeout: Duration,
    ) -> impl Future<Output = Result<R, crate::Failure>> + use<T, R> {
        self.ask(Row::Internal, To::Master, (control::MASTER, method), args, timeout)
    }

    /// Sends the master a message of the runtime's own that wants no answer.
    pub fn tell_master<T: serde::Serialize>(&self, method: &str, data: &T) {
        self.0.tell_master(method, data);
    }

    /// Sends a node a message of the runtime's own that wants no answer. Returns whether it was queued; a drop
    /// is counted.
    pub fn tell<T: serde::Serialize>(
        &self,
        to: chappe_wire::NodeId,
        module: &str,
        method: &str,
        data: &T,
    ) -> bool {
        self.tell_each([to], module, method, data).is_empty()
    }

    /// As [`Node::tell`] for several nodes: encoded once. Returns those for whom it was not queued.
    pub fn tell_each<T: serde::Serialize>(
        &self,
        to: impl IntoIterator<Item = chappe_wire::NodeId>,
        module: &str,
        method: &str,
        data: &T,
    ) -> Vec<chappe_wire::NodeId> {
        let payload = chappe_wire::value::encode(data).inspect_err(|error| {
            tracing::error!(module, method, %error, "a message of the runtime's cannot be sent");
        });
        let is_queued = |id| payload.as_ref().is_ok_and(|payload| self.0.tell(id, module, method, payload));
        to.into_iter().filter(|id| !is_queued(*id)).collect()
    }
}

impl Inner {
    /// Deadlines, acknowledgements that found no frame to ride on, and the idle turn.
    async fn housekeeping(self: Rc<Self>) {
        let mut rested = Duration::ZERO;
        loop {
            let now = self.clock.now();
            if now - rested >= REST {
                rested = now;
                self.peers.borrow().values().for_each(|peer| peer.rest());
            }
            self.progress.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.expire_requests(now);
            self.expire_held(now);
            self.expire_replaced(now);
            if self.acks_due.get().is_some_and(|due| due <= now) {
                self.acks_due.set(None);
                self.tell_all_acks();
            }
            let due = [
                self.pending.borrow().next_deadline(),
                self.waiting.borrow().next_deadline(),
                self.gate.next_deadline(),
                self.replaced.next_deadline(),
                self.acks_due.get(),
                // Well within the time after which it would count as stuck.
                Some(now + IDLE_TURN.min(self.config.timing.stuck / 4)),
            ];
            let next = due.into_iter().flatten().min().unwrap_or(now);
            self.wakes_at.set(next);
            tokio::select! {
                biased;
                () = self.deadlines_changed.notified() => {}
                () = sleep_until(self.clock.at(next)) => {}
            }
        }
    }
}

/// Runs a node on the current thread until it ends: a runtime of one thread, and everything on it.
///
/// # Errors
/// As [`Node::run`]; [`NodeError::Setup`] when the runtime cannot be made.
pub fn run_blocking<F: Future<Output = Result<(), NodeError>>>(
    life: impl FnOnce() -> F,
) -> Result<(), NodeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| NodeError::Setup { node: Default::default(), why: error.to_string() })?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async move { life().await })
}
