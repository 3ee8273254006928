//! Requests and their one outcome (apollo.md section 3).

use crate::call::Call;
use crate::error::Failure;
use crate::listeners::{Topic, target};
use crate::node::Node;
use crate::waiting::Outgoing;
use chappe_wire::envelope::split_target;
use chappe_wire::value::{self, ValueError};
use chappe_wire::{Body, Envelope, NodeId, Reason, Row, Value};
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The time-out of a request that names none (apollo.md section 3).
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// The outcome of a request: the answer's data, or why there is none.
pub type Reply<'a> = Result<Data<'a>, Failure>;

/// An answer's data, decoded when it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a>(pub(crate) &'a [u8]);

impl<'a> Data<'a> {
    /// The data, decoded.
    ///
    /// # Errors
    /// When it is not of that form; the error names the place in it.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T, ValueError> {
        value::decode(self.0)
    }

    /// The data as a dynamic value.
    ///
    /// # Errors
    /// When the bytes are no MessagePack value.
    pub fn value(self) -> Result<Value, ValueError> {
        value::decode(self.0)
    }

    /// The data as MessagePack, as it was sent.
    pub fn raw(self) -> &'a [u8] {
        self.0
    }
}

/// Whom a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To<'a> {
    /// One provider of the module, in turn.
    Module,
    /// The provider of the module that this key belongs to.
    Key(&'a [u8]),
    /// That node.
    Node(NodeId),
    /// The master, waited for while it restarts.
    Master,
}

/// A module and a method of it, put together once for many requests: [`Node::one_way_raw`].
#[derive(Debug, Clone)]
pub struct Target(Topic);

impl Target {
    /// Of those names.
    pub fn new(module: &str, method: &str) -> Target {
        Target(target(module, method))
    }

    fn names(&self) -> (&str, &str) {
        split_target(&self.0).unwrap_or_default()
    }
}

/// What is called with a request's outcome.
pub type Callback = Box<dyn FnOnce(Reply<'_>)>;

/// Waits for a request's outcome.
pub(crate) enum Waiter {
    Callback(Callback),
    /// A task; one allocation holds all that it needs.
    Task(Rc<dyn Finish>),
}

impl Waiter {
    pub(crate) fn finish(self, reply: Reply<'_>) {
        match self {
            Waiter::Callback(callback) => callback(reply),
            Waiter::Task(slot) => slot.finish(reply),
        }
    }
}

/// Takes a request's outcome.
pub(crate) trait Finish {
    fn finish(&self, reply: Reply<'_>);
}

/// Where a request's outcome, decoded, meets the task that awaits it.
struct Slot<R>(RefCell<Outcome<R>>);

enum Outcome<R> {
    Open(Option<Waker>),
    Done(Result<R, Failure>),
    Taken,
}

impl<R: DeserializeOwned> Finish for Slot<R> {
    fn finish(&self, reply: Reply<'_>) {
        let parsed = reply.and_then(|data| data.parse::<R>().map_err(Failure::from));
        if let Outcome::Open(Some(waker)) = self.0.replace(Outcome::Done(parsed)) {
            waker.wake();
        }
    }
}

impl<R> Slot<R> {
    fn poll(&self, cx: &Context<'_>) -> Poll<Result<R, Failure>> {
        let mut outcome = self.0.borrow_mut();
        match &mut *outcome {
            Outcome::Open(waker) => {
                *waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Outcome::Done(_) | Outcome::Taken => {}
        }
        match std::mem::replace(&mut *outcome, Outcome::Taken) {
            Outcome::Done(result) => Poll::Ready(result),
            Outcome::Open(_) | Outcome::Taken => Poll::Pending,
        }
    }
}
pub(crate) type Method = Rc<dyn Fn(Call<'_>)>;

/// A node's registered methods.
#[derive(Default)]
pub(crate) struct Methods {
    by_target: FxHashMap<Box<[u8]>, (Row, Method)>,
    /// What was asked for last: requests come in bursts of one kind.
    last: RefCell<Option<(Topic, Row, Method)>>,
}

impl Methods {
    /// Replaces what stood under the same names. Returns whether the module is new, and what was replaced: to be
    /// dropped when the table is no longer borrowed, because what a handler owns may call the node when it goes.
    pub(crate) fn add(
        &mut self,
        module: &str,
        method: &str,
        row: Row,
        handler: Method,
    ) -> (bool, Option<(Row, Method)>) {
        let is_new = !self.serves(module);
        *self.last.get_mut() = None;
        let replaced = self.by_target.insert(target(module, method).into_boxed_slice(), (row, handler));
        (is_new, replaced)
    }

    pub(crate) fn of(&self, target: &[u8]) -> Option<(Row, Method)> {
        let mut last = self.last.borrow_mut();
        if let Some((of, row, method)) = &*last
            && of.as_slice() == target
        {
            return Some((*row, method.clone()));
        }
        let (row, method) = self.by_target.get(target)?;
        *last = Some((Topic::from_slice(target), *row, method.clone()));
        Some((*row, method.clone()))
    }

    pub(crate) fn serves(&self, module: &str) -> bool {
        let prefix = target(module, "");
        self.by_target.keys().any(|target| target.starts_with(&prefix))
    }
}

impl Node {
    /// Registers a method of a module (rows 14 and 15). What stood under the same two names is replaced.
    pub fn register(&self, row: Row, module: &str, method: &str, handler: impl Fn(Call<'_>) + 'static) {
        let (is_new, replaced) = self.0.methods.borrow_mut().add(module, method, row, Rc::new(handler));
        drop(replaced);
        if is_new && !module.starts_with('$') {
            self.0.announce_module(module);
        }
    }

    /// Sends a request; `callback` gets its one outcome, never before this call has returned.
    ///
    /// # Errors
    /// When `args` cannot be sent; the callback is then not called.
    pub fn request<T: Serialize + ?Sized>(
        &self,
        row: Row,
        to: To<'_>,
        (module, method): (&str, &str),
        args: &T,
        timeout: Duration,
        callback: impl FnOnce(Reply<'_>) + 'static,
    ) -> Result<(), ValueError> {
        self.0.encode("args", args, |bytes| {
            self.request_raw(row, to, (module, method), bytes, timeout, Some(Box::new(callback)));
        })
    }

    /// As [`Node::request`], as a future of the answer decoded as `R`.
    ///
    /// # Errors
    /// `WouldDeadlock` when it is awaited in the run that asked (see [`Node::in_run`]); the request still leaves with the
    /// run. Else
    /// The [`Failure`]: the reason of the outcome, or `BadData` when the arguments cannot be sent or the answer
    /// is not of that form.
    pub fn ask<T: Serialize + ?Sized, R: DeserializeOwned + 'static>(
        &self,
        row: Row,
        to: To<'_>,
        target: (&str, &str),
        args: &T,
        timeout: Duration,
    ) -> impl Future<Output = Result<R, Failure>> + use<T, R> {
        let slot = Rc::new(Slot(RefCell::new(Outcome::Open(None))));
        let waiter = Waiter::Task(slot.clone());
        let sent = self.0.encode("args", args, |bytes| {
            self.start_request(row, to, target, bytes, timeout, Some(waiter));
        });
        // What a run asks leaves when the run has ended: who awaits it in the run would wait for themselves.
        let (node, own) = (self.clone(), self.current_run().filter(|_| row != Row::Internal));
        async move {
            sent?;
            poll_fn(|cx| match slot.poll(cx) {
                Poll::Pending if own.is_some() && node.current_run() == own => Poll::Ready(Err(own_output())),
                polled => polled,
            })
            .await
        }
    }

    /// For Snipe's `cacheNotify` (snipe.md section 1): `hook` is called when a request to the master has been sent, other
    /// than the runtime's own and `cacheNotify`s, so that what waits for one travels behind it. Replaces the hook before.
    pub fn after_master_request(&self, hook: impl Fn() + 'static) {
        let before = self.0.after_master_request.borrow_mut().replace(Rc::new(hook));
        drop(before);
    }

    /// Sends a request whose arguments are MessagePack already. Without a callback no answer is wanted. Arguments over
    /// the limit on a message end it as `TooLarge`.
    pub fn request_raw(
        &self,
        row: Row,
        to: To<'_>,
        (module, method): (&str, &str),
        args: &[u8],
        timeout: Duration,
        callback: Option<Callback>,
    ) {
        self.start_request(row, to, (module, method), args, timeout, callback.map(Waiter::Callback));
    }

    /// As [`Node::request_raw`] for what wants no answer, to one node. Where nothing has to be waited for, it is as cheap as an
    /// event.
    pub fn one_way_raw(&self, row: Row, to: NodeId, target: &Target, args: &[u8]) {
        let node = &self.0;
        let is_plain = to != node.config.master && !node.gate.holds(row) && !node.is_replaced(to);
        let is_small = args.len() <= node.config.limits.message_bytes;
        let peers = node.peers.borrow();
        let Some(peer) = peers.get(&to).filter(|peer| is_plain && is_small && peer.is_connected()) else {
            drop(peers);
            return self.request_raw(row, To::Node(to), target.names(), args, Duration::ZERO, None);
        };
        node.stats.sent(row, 1);
        let body = Body::Request { id: 0, timeout_ms: 0, one_way: true, target: &target.0 };
        let envelope = Envelope { meta: node.meta(row), body, payload: args };
        if let Err(reason) = node.post_peer(peer, row, |out| envelope.encode_into(out)) {
            node.stats.dropped(row, reason);
        }
    }

    fn start_request(
        &self,
        row: Row,
        to: To<'_>,
        (module, method): (&str, &str),
        args: &[u8],
        timeout: Duration,
        waiter: Option<Waiter>,
    ) {
        let node = &self.0;
        let target = target(module, method);
        let now = node.clock.now();
        node.stats.sent(row, 1);
        if args.len() > node.config.limits.message_bytes {
            let text = format!("{} bytes of arguments are over the limit on a message", args.len());
            return node.fail_later(waiter, row, Reason::TooLarge, text);
        }
        node.route_request(&Outgoing { row, to, module, target: &target, args, now, timeout }, waiter);
    }
}

fn own_output() -> Failure {
    let text =
        "the answer is awaited by the handler that asked, and what a handler sends leaves after its commit";
    Failure::new(chappe_wire::Reason::WouldDeadlock, text)
}
