//! A player's record as its owner holds it: the document as the handlers so far have left it, and who waits for it.

use crate::attributes::Document;
use crate::job::Job;
use crate::run::Run;
use chappe_store::NotificationId;
use chappe_wire::Value;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// The most that may wait for one player.
pub(crate) const QUEUE: usize = 1024;
/// The most handler runs of one player whose commits are not decided; the next waits.
pub(crate) const UNDECIDED: usize = 256;
/// The most pushes that wait for a response to ride with.
pub(crate) const PUSHES: usize = 64;

/// A record that this node owns, or is about to.
pub(crate) struct Held {
    /// Which claim it came by, or is to come by.
    pub(crate) claim: u64,
    pub(crate) ownership: Ownership,
    pub(crate) version: u64,
    pub(crate) document: Rc<Document>,
    /// It was brought up to date when it was loaded: the next commit of a run that touches it stores that.
    pub(crate) upgraded: bool,
    pub(crate) queue: VecDeque<Rc<Job>>,
    pub(crate) running: Option<Running>,
    /// Runs that touched it and are not decided.
    pub(crate) undecided: usize,
    /// The last run that wrote it and is not decided.
    pub(crate) last_writer: Option<u64>,
    /// A run whose commit is in doubt, and without which the next one would be in vain.
    pub(crate) blocked_by: Option<u64>,
    /// It is about to be let go.
    pub(crate) leaving: Option<Leaving>,
    /// Told when it has become this node's, has gone, or stays after all.
    pub(crate) waiters: Vec<oneshot::Sender<()>>,
    /// Pushes that wait for the next response, each with its place in the store if it is kept there.
    pub(crate) pushes: VecDeque<(Option<u64>, Value)>,
    pub(crate) pushes_due: bool,
    /// Notifications that are on their way here through the master: what is sent here must not overtake them.
    pub(crate) awaited: BTreeSet<NotificationId>,
    /// When it was last seen to have been used, and whether it was since: a look at the clock for each run would cost as much
    /// as a short run.
    pub(crate) idle_since: Instant,
    pub(crate) is_used: bool,
}

/// Whose it is.
pub(crate) enum Ownership {
    /// Asked for.
    Claiming,
    /// This node's, under that record epoch.
    Owned(u64),
}

/// How a record is let go.
pub(crate) struct Leaving {
    /// What is queued is done first; else no handler starts any more.
    pub(crate) drains: bool,
    /// Told when nothing runs and nothing is undecided.
    pub(crate) quiet: Vec<oneshot::Sender<()>>,
}

/// The handler that owns the record until it ends.
pub(crate) struct Running {
    pub(crate) run: Rc<Run>,
    pub(crate) task: Option<AbortHandle>,
}

impl Held {
    pub(crate) fn claiming(claim: u64) -> Held {
        Held {
            claim,
            ownership: Ownership::Claiming,
            version: 0,
            document: Rc::default(),
            upgraded: false,
            queue: VecDeque::new(),
            running: None,
            undecided: 0,
            last_writer: None,
            blocked_by: None,
            leaving: None,
            waiters: Vec::new(),
            pushes: VecDeque::new(),
            pushes_due: false,
            awaited: BTreeSet::new(),
            idle_since: Instant::now(),
            is_used: false,
        }
    }

    /// The record epoch, when it is this node's.
    pub(crate) fn epoch(&self) -> Option<u64> {
        match self.ownership {
            Ownership::Owned(epoch) => Some(epoch),
            Ownership::Claiming => None,
        }
    }

    /// Whether it is this node's and stays so.
    pub(crate) fn stays(&self) -> bool {
        self.epoch().is_some() && self.leaving.is_none()
    }

    /// Whether the next handler may start.
    pub(crate) fn can_run(&self) -> bool {
        !self.queue.is_empty() && self.takes()
    }

    /// Whether nothing but the queue keeps a handler from starting.
    pub(crate) fn takes(&self) -> bool {
        self.epoch().is_some()
            && self.running.is_none()
            && self.blocked_by.is_none()
            && self.undecided < UNDECIDED
            && self.leaving.as_ref().is_none_or(|leaving| leaving.drains)
    }

    /// Whether nobody waits for the end of the handler that has just run.
    pub(crate) fn has_no_next(&self) -> bool {
        self.queue.is_empty() && self.leaving.is_none()
    }

    /// Whether nothing is under way any more, of what is to be done before it is let go.
    pub(crate) fn is_quiet(&self) -> bool {
        let drains = self.leaving.as_ref().is_some_and(|leaving| leaving.drains);
        self.running.is_none() && self.undecided == 0 && (!drains || self.queue.is_empty())
    }

    /// Whether nobody needs it.
    pub(crate) fn is_idle(&self) -> bool {
        self.stays() && self.queue.is_empty() && self.running.is_none() && self.undecided == 0
    }

    /// Whether nobody has needed it for so long, as far as was looked.
    pub(crate) fn is_idle_for(&mut self, keep: Duration) -> bool {
        if std::mem::take(&mut self.is_used) {
            self.idle_since = Instant::now();
        }
        self.is_idle() && self.idle_since.elapsed() >= keep
    }

    /// What tells that its state has changed; `None`: it is owned and stays.
    pub(crate) fn wait(&mut self) -> Option<oneshot::Receiver<()>> {
        if self.stays() {
            return None;
        }
        let (told, changed) = oneshot::channel();
        self.waiters.push(told);
        Some(changed)
    }

    /// From now on it is to be let go; resolves when nothing is under way.
    pub(crate) fn let_go(&mut self, drains: bool) -> oneshot::Receiver<()> {
        let (told, quiet) = oneshot::channel();
        let leaving = self.leaving.get_or_insert_with(|| Leaving { drains, quiet: Vec::new() });
        leaving.drains &= drains;
        leaving.quiet.push(told);
        quiet
    }
}
