//! One run of a handler: what it has read, written, sent and said. Nothing of it is real before its commit is.

use crate::Params;
use crate::attributes::Document;
use crate::job::{Job, Task};
use chappe_node::LazyRun;
use chappe_store::{NewAnswer, NewDeadLetter, NewNotification, NewPush, Transition};
use chappe_wire::Value;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A handler that runs, or has run and is not decided.
pub(crate) struct Run {
    pub(crate) job: Rc<Job>,
    /// The player that it is for.
    pub(crate) uid: Option<u64>,
    /// Under which its messages are held.
    pub(crate) gate: LazyRun,
    /// The handler has returned: nothing can be added.
    pub(crate) ended: Cell<bool>,
    /// A player whom it waits for.
    pub(crate) waits_for: Cell<Option<u64>>,
    /// The player's request that the chain of handlers began with: its type and id.
    pub(crate) request: Option<(String, String)>,
    pub(crate) did: RefCell<Did>,
}

/// What a run has done so far.
#[derive(Default)]
pub(crate) struct Did {
    /// Records that it read or wrote.
    pub(crate) touched: BTreeMap<u64, Touched>,
    /// Durable notifications.
    pub(crate) sent: Vec<NewNotification>,
    /// What players here are told, in order.
    pub(crate) said: Vec<Said>,
    /// Durable pushes to players who are offline.
    pub(crate) pushes: Vec<NewPush>,
    pub(crate) answers: Vec<NewAnswer>,
    pub(crate) transition: Option<Transition>,
    pub(crate) dead_letters: Vec<NewDeadLetter>,
}

/// A record that a run has touched.
pub(crate) struct Touched {
    pub(crate) epoch: u64,
    pub(crate) version: u64,
    pub(crate) before: Rc<Document>,
    pub(crate) now: Rc<Document>,
    /// The run has sent notifications on the player's behalf. They are in the order of the record's versions, so that none
    /// overtakes an earlier one whose commit is in doubt: it counts as changed.
    pub(crate) sends: bool,
    /// The document was brought up to date when it was loaded, and is not stored so: it counts as changed, for what is said
    /// of it must not be the outcome of an upgrade that comes out otherwise next time.
    pub(crate) upgraded: bool,
}

/// What a player is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    /// A response, with what waits for the next one.
    Response { uid: u64, epoch: u64, fields: Value },
    /// A response for a player who is not here: it goes where they are, if they are online.
    Away { uid: u64, fields: Value },
    /// For the master, encoded: what `cacheNotify` was given.
    Cache(Vec<u8>),
    /// Rides with the next response.
    Push { uid: u64, fields: Value },
    /// A plain notification for a player, wherever they are.
    Plain { uid: u64, id: Option<u64>, record: Params, depth: u32 },
}

impl Said {
    /// To whom.
    pub(crate) fn receiver(&self) -> u64 {
        match self {
            Said::Response { uid, .. }
            | Said::Away { uid, .. }
            | Said::Push { uid, .. }
            | Said::Plain { uid, .. } => *uid,
            // No player has it.
            Said::Cache(_) => u64::MAX,
        }
    }
}

impl Run {
    pub(crate) fn new(job: Rc<Job>, uid: Option<u64>, request: Option<(String, String)>) -> Rc<Run> {
        Rc::new(Run {
            job,
            uid,
            gate: LazyRun::default(),
            ended: Cell::new(false),
            waits_for: Cell::new(None),
            request,
            did: RefCell::default(),
        })
    }

    /// A run for a plain notification to that player with `_id` and depth; `fill` puts the record in. It takes the place of
    /// `spare`, whose handler has done nothing, if nobody else holds that: most such handlers then allocate nothing.
    pub(crate) fn of_plain<E>(
        spare: Option<Rc<Run>>,
        uid: u64,
        (id, depth): (Option<u64>, u32),
        fill: impl FnOnce(&mut Params) -> Result<(), E>,
    ) -> Result<Rc<Run>, E> {
        if let Some(mut run) = spare
            && let Some(Run { job, uid: of, gate, ended, waits_for, request, did: _ }) = Rc::get_mut(&mut run)
            && let Some(Task::Plain { id: of_id, record, depth: of_depth }) = Rc::get_mut(job).map(Job::renew)
        {
            fill(record)?;
            (*of, *of_id, *of_depth) = (Some(uid), id, depth);
            (*gate, *request) = (LazyRun::default(), None);
            ended.set(false);
            waits_for.set(None);
            return Ok(run);
        }
        let mut record = Params::default();
        fill(&mut record)?;
        Ok(Run::new(Job::new(Task::Plain { id, record, depth }), Some(uid), None))
    }

    /// Whether it leaves anything that must survive.
    pub(crate) fn is_durable(&self) -> bool {
        let did = self.did.borrow();
        !(did.leaves_nothing() && did.touched.values().all(|touched| !touched.is_changed()))
    }
}

impl Did {
    /// Whether it is as if the handler had not run.
    pub(crate) fn is_nothing(&self) -> bool {
        self.touched.is_empty() && self.said.is_empty() && self.leaves_nothing()
    }

    fn leaves_nothing(&self) -> bool {
        self.sent.is_empty()
            && self.pushes.is_empty()
            && self.answers.is_empty()
            && self.transition.is_none()
            && self.dead_letters.is_empty()
    }

    /// Takes everything back but that records were read: what was said of them still rests on what was seen.
    pub(crate) fn reset(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        for record in touched.values_mut() {
            (record.now, record.sends) = (record.before.clone(), false);
        }
        *self = Did { touched, ..Did::default() };
    }
}

impl Touched {
    pub(crate) fn is_changed(&self) -> bool {
        self.sends || self.upgraded || !Rc::ptr_eq(&self.before, &self.now) && self.before != self.now
    }
}
