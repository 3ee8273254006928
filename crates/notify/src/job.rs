//! What waits for a player's record: a request, a notification, a step of a durable one, a call of the game's own.

use crate::modules::Handled;
use crate::protocol::Delivery;
use crate::{HandlerError, Params, Player};
use chappe_store::{NewNotification, NotificationId, Step};
use chappe_wire::Value;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// What a handler was called for, so that a later run on the same player can answer it: [`Player::origin`],
/// [`Server::run_after`](crate::Server::run_after).
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The type of the player's request, when the handler was called for one.
    pub(crate) kind: Option<String>,
    /// The player's request that the chain of handlers began with: its type and id.
    pub(crate) request: Option<(String, String)>,
}

impl Origin {
    /// The type of the player's request, when it was one.
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }
}

/// One handler run to come. It may run more than once: what a failed commit has undone runs again.
pub(crate) struct Job {
    pub(crate) task: Task,
    /// The commit, not decided yet, that sent what this handles: without it, it never was.
    pub(crate) cause: Cell<Option<u64>>,
    /// The response that it gives to a request is stored already: another run of the same chain gave one.
    pub(crate) answered: Cell<bool>,
    /// How often it has run.
    pub(crate) tries: Cell<u32>,
    /// The handler is not to run: what it did could not be stored. The text says why.
    pub(crate) forced: RefCell<Option<HandlerError>>,
    /// Told once what came of it, when that is durable.
    done: RefCell<Option<DoneHook>>,
}

pub(crate) type DoneHook = Box<dyn FnOnce(Result<Option<Value>, HandlerError>)>;
/// A call of the game's own on a player.
pub(crate) type CallMethod = Rc<dyn Fn(Player) -> Pin<Box<dyn Future<Output = Handled>>>>;

pub(crate) enum Task {
    /// A player's request.
    Request { epoch: u64, kind: String, id: Option<String>, params: Params },
    /// A plain notification for a player.
    Plain { id: Option<u64>, record: Params, depth: u32 },
    /// A step of a durable notification.
    Step(Delivery),
    /// What the game itself wants done.
    Call { name: String, origin: Origin, method: CallMethod },
    /// A durable notification that was sent outside of any handler.
    Bare(Box<NewNotification>),
}

impl Job {
    pub(crate) fn new(task: Task) -> Rc<Job> {
        Job::with_hook(task, None)
    }

    pub(crate) fn with_hook(task: Task, done: Option<DoneHook>) -> Rc<Job> {
        Rc::new(Job {
            task,
            cause: Cell::new(None),
            answered: Cell::new(false),
            tries: Cell::new(0),
            forced: RefCell::default(),
            done: RefCell::new(done),
        })
    }

    /// Becomes another job, which has not run and nobody waits for. Returns its task, to be made another too.
    pub(crate) fn renew(&mut self) -> &mut Task {
        self.cause.set(None);
        self.answered.set(false);
        self.tries.set(0);
        *self.forced.get_mut() = None;
        *self.done.get_mut() = None;
        &mut self.task
    }

    pub(crate) fn step(delivery: Delivery, cause: Option<u64>) -> Rc<Job> {
        let job = Job::new(Task::Step(delivery));
        job.cause.set(cause);
        job
    }

    /// The step that it is, if it is one.
    pub(crate) fn step_key(&self) -> Option<(NotificationId, Step)> {
        match &self.task {
            Task::Step(delivery) => Some((delivery.id, delivery.step)),
            _ => None,
        }
    }

    /// How many notifications lie behind what it sends.
    pub(crate) fn depth(&self) -> u32 {
        match &self.task {
            Task::Plain { depth, .. } => *depth,
            Task::Step(delivery) => delivery.depth,
            Task::Request { .. } | Task::Call { .. } | Task::Bare(_) => 0,
        }
    }

    /// Tells whoever waits for it.
    pub(crate) fn finish(&self, result: Result<Option<Value>, HandlerError>) {
        let done = self.done.borrow_mut().take();
        if let Some(done) = done {
            done(result);
        }
    }
}

/// For logs and the record's history.
impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.task {
            Task::Request { kind, .. } => f.write_str(kind),
            Task::Plain { record, .. } => f.write_str(record.kind()),
            Task::Step(delivery) => write!(f, "notification {}", delivery.id),
            Task::Call { name, .. } => f.write_str(name),
            Task::Bare(_) => f.write_str("notify"),
        }
    }
}
