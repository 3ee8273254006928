//! The gate: what a handler run sends is held until the run may speak (snipe.md section 4). What is sent later to the
//! same receiver queues behind it; everything else passes. While nothing is held and no run is current, a message pays
//! for the gate with the check of one flag.

use crate::call::Responder;
use crate::held::Held;
use crate::node::{Inner, Node};
use chappe_wire::{NodeId, Reason, Row};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::time::Duration;

/// The most messages that may be held, and the most bytes of them.
const MOST: (usize, usize) = (100_000, 64 << 20);
/// How many discarded runs are remembered, so that what one says too late is dropped as well.
const REMEMBERED: usize = 10_000;

/// One run of a handler, whose output leaves together: [`Node::new_run`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(u64);

/// A run that gets its id with the first message that is held for it: one that says nothing costs the gate nothing.
#[derive(Debug, Default)]
pub struct LazyRun(Cell<Option<RunId>>);

impl LazyRun {
    /// Its id, once it has said something. It is to be opened or discarded under it, as any other.
    pub fn id(&self) -> Option<RunId> {
        self.0.get()
    }

    /// Forgets the id, of a run that was opened or discarded: what is said next is another run's.
    pub fn take(&self) -> Option<RunId> {
        self.0.take()
    }
}

/// On whose behalf code runs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Current {
    #[default]
    Nobody,
    /// A run that has not said anything yet.
    Unnamed,
    Run(RunId),
}

/// Whom a held message is for: what keeps its order behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Receiver {
    /// Events, requests and answers to a node.
    Node(NodeId),
    /// Pushes to a session, by its epoch.
    Player(u64),
    /// Pushes to whatever session a player has.
    Uid(u64),
}

pub(crate) type Receivers = SmallVec<[Receiver; 2]>;

/// Why a message is held: its run, or none when it only queues behind others.
pub(crate) struct Hold(Option<RunId>);

#[derive(Default)]
pub(crate) struct Gate {
    /// A run is current, or something is held.
    is_busy: Cell<bool>,
    current: Cell<Current>,
    sweep_due: Cell<bool>,
    /// When the first held request's time is up.
    due: Cell<Option<Duration>>,
    queue: RefCell<Queue>,
}

#[derive(Default)]
struct Queue {
    last: u64,
    /// Runs that may not speak yet, and how much each has said.
    closed: FxHashMap<RunId, u32>,
    discarded: BTreeSet<RunId>,
    held: VecDeque<Item>,
    /// How many of `held` are for each receiver.
    behind: FxHashMap<Receiver, u32>,
    bytes: usize,
}

struct Item {
    run: Option<RunId>,
    to: Receivers,
    held: Held,
}

impl Gate {
    /// Whether a message of that row has to be looked at more closely. The runtime's own are never held.
    pub(crate) fn holds(&self, row: Row) -> bool {
        self.is_busy.get() && row != Row::Internal
    }

    /// Whether a message sent now to these receivers must be held.
    pub(crate) fn hold_for(&self, to: &[Receiver]) -> Option<Hold> {
        if self.current.get() == Current::Unnamed {
            let run = self.queue.borrow_mut().new_run();
            self.current.set(Current::Run(run));
            return Some(Hold(Some(run)));
        }
        let queue = self.queue.borrow();
        if let Current::Run(run) = self.current.get()
            && (queue.closed.contains_key(&run) || queue.discarded.contains(&run))
        {
            return Some(Hold(Some(run)));
        }
        to.iter().any(|to| queue.behind.contains_key(to)).then_some(Hold(None))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.borrow().held.is_empty()
    }

    /// How many messages are held.
    pub(crate) fn len(&self) -> usize {
        self.queue.borrow().held.len()
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.due.get()
    }

    fn update(&self) {
        self.is_busy.set(self.current.get() != Current::Nobody || !self.is_empty());
    }

    /// Takes out of the queue what `pick` wants; it is asked in order.
    fn take(&self, mut pick: impl FnMut(&Queue, &Item) -> bool) -> Vec<Item> {
        let mut queue = self.queue.borrow_mut();
        let all = std::mem::take(&mut queue.held);
        let (mut taken, mut kept) = (Vec::new(), VecDeque::new());
        for item in all {
            if pick(&queue, &item) {
                queue.forget(&item);
                taken.push(item);
            } else {
                kept.push_back(item);
            }
        }
        queue.held = kept;
        drop(queue);
        self.update();
        taken
    }
}

impl Queue {
    fn new_run(&mut self) -> RunId {
        self.last += 1;
        let run = RunId(self.last);
        self.closed.insert(run, 0);
        run
    }

    fn forget(&mut self, item: &Item) {
        self.bytes -= item.held.bytes();
        for to in &item.to {
            if let Some(count) = self.behind.get_mut(to) {
                *count -= 1;
                if *count == 0 {
                    self.behind.remove(to);
                }
            }
        }
    }
}

/// Makes the run before the current one again, on a panic too.
struct Restore<'a>(&'a Gate, Current);

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        self.0.current.set(self.1);
        self.0.update();
    }
}

/// Notes the id that a run has got meanwhile, and makes the run before it current again; on a panic too.
struct Note<'a>(Restore<'a>, &'a LazyRun);

impl Drop for Note<'_> {
    fn drop(&mut self) {
        if let Current::Run(run) = self.0.0.current.get() {
            self.1.0.set(Some(run));
        }
    }
}

impl Node {
    /// A new run, whose output is held until [`Node::open_run`] or [`Node::discard_run`]. One of the two must follow.
    pub fn new_run(&self) -> RunId {
        self.0.gate.queue.borrow_mut().new_run()
    }

    /// Runs `run_it` as a part of that run: what it sends (events, pushes, requests, answers) is held until the run is
    /// opened. A run may have several parts, and parts of other runs within one. Timers, tasks and callbacks that are
    /// started here are not in the run when they run. The runtime's own messages ([`Row::Internal`]) are never held.
    ///
    /// A call that is held returns as if it had been sent; at most 100,000 messages and 64 MiB are held, and what is
    /// beyond fails as `Overloaded`. A held request ends at its deadline like any other. In a run that is open already,
    /// calls are as outside of one; in a discarded one they are dropped.
    pub fn in_run<R>(&self, run: RunId, run_it: impl FnOnce() -> R) -> R {
        let gate = &self.0.gate;
        let restore = Restore(gate, gate.current.replace(Current::Run(run)));
        gate.is_busy.set(true);
        let result = run_it();
        drop(restore);
        result
    }

    /// As [`Node::in_run`], in a run that gets its id when it first says something.
    pub fn in_lazy_run<R>(&self, run: &LazyRun, run_it: impl FnOnce() -> R) -> R {
        let gate = &self.0.gate;
        let current = run.id().map_or(Current::Unnamed, Current::Run);
        let note = Note(Restore(gate, gate.current.replace(current)), run);
        gate.is_busy.set(true);
        let result = run_it();
        drop(note);
        result
    }

    /// As [`Node::in_run`], for a part that awaits: it is in the run whenever it goes on.
    pub fn in_run_async<F: Future>(&self, run: RunId, part: F) -> impl Future<Output = F::Output> + use<F> {
        let (node, mut part) = (self.clone(), Box::pin(part));
        poll_fn(move |cx| node.in_run(run, || part.as_mut().poll(cx)))
    }

    /// The run that is current; none for one that has not said anything yet.
    pub fn current_run(&self) -> Option<RunId> {
        match self.0.gate.current.get() {
            Current::Run(run) => Some(run),
            Current::Nobody | Current::Unnamed => None,
        }
    }

    /// Lets a run's output leave, at the end of this turn and in the order in which everything was sent: a message waits
    /// for those before it that share a receiver with it.
    pub fn open_run(&self, run: RunId) {
        let said = self.0.gate.queue.borrow_mut().closed.remove(&run);
        if said.is_some_and(|said| said > 0) {
            self.0.sweep_later();
        }
    }

    /// Drops a run's output: nothing of it leaves, callbacks of its requests are not called, and receipts of its
    /// messages tell `HandlerFailed`. Returns what answers the requests that it had answered, for the run that takes its
    /// place; one that is let go tells its caller `NodeLost`, which says that trying again can help.
    pub fn discard_run(&self, run: RunId) -> Vec<Responder> {
        let gate = &self.0.gate;
        {
            let mut queue = gate.queue.borrow_mut();
            queue.closed.remove(&run);
            queue.discarded.insert(run);
            if queue.discarded.len() > REMEMBERED {
                queue.discarded.pop_first();
            }
        }
        let dropped = gate.take(|_, item| item.run == Some(run));
        self.0.sweep_later();
        dropped.into_iter().filter_map(|item| item.held.discard(&self.0)).collect()
    }

    /// How many messages are held by runs, or queue behind such.
    pub fn held_messages(&self) -> usize {
        self.0.gate.len()
    }
}

impl Inner {
    /// Holds a message; gives it back when there is no room.
    pub(crate) fn hold_back(self: &Rc<Self>, hold: Hold, to: Receivers, held: Held) -> Result<(), Box<Held>> {
        let gate = &self.gate;
        let mut queue = gate.queue.borrow_mut();
        let bytes = queue.bytes + held.bytes();
        if queue.held.len() >= MOST.0 || bytes > MOST.1 {
            return Err(Box::new(held));
        }
        queue.bytes = bytes;
        for to in &to {
            *queue.behind.entry(*to).or_default() += 1;
        }
        if let Some(said) = hold.0.and_then(|run| queue.closed.get_mut(&run)) {
            *said += 1;
        }
        let is_late = hold.0.is_some_and(|run| queue.discarded.contains(&run));
        let deadline = held.deadline();
        queue.held.push_back(Item { run: hold.0, to, held });
        drop(queue);
        gate.is_busy.set(true);
        if is_late {
            self.sweep_later();
        }
        if let Some(deadline) = deadline {
            gate.due.set(Some(gate.due.get().map_or(deadline, |due| due.min(deadline))));
            self.wake_by(deadline);
        }
        Ok(())
    }

    /// Sees to it that what may leave does, at the end of this turn.
    fn sweep_later(self: &Rc<Self>) {
        if !self.gate.is_empty() && !self.gate.sweep_due.replace(true) {
            let node = self.clone();
            self.later(move || node.sweep());
        }
    }

    /// Sends what may leave: what is of no closed run, and shares no receiver with what stays before it.
    fn sweep(self: &Rc<Self>) {
        self.gate.sweep_due.set(false);
        let mut blocked = FxHashSet::default();
        let leaving = self.gate.take(|queue, item| {
            if item.run.is_some_and(|run| queue.discarded.contains(&run)) {
                return true;
            }
            let is_open = item.run.is_none_or(|run| !queue.closed.contains_key(&run));
            let leaves = is_open && !item.to.iter().any(|to| blocked.contains(to));
            if !leaves {
                blocked.extend(item.to.iter().copied());
            }
            leaves
        });
        for item in leaving {
            let is_discarded = item.run.is_some_and(|run| self.gate.queue.borrow().discarded.contains(&run));
            if is_discarded {
                drop(item.held.discard(self));
            } else {
                item.held.leave(self);
            }
        }
    }

    /// Ends the held requests whose time is up.
    pub(crate) fn expire_held(self: &Rc<Self>, now: Duration) {
        if self.gate.due.get().is_none_or(|due| due > now) {
            return;
        }
        let mut next: Option<Duration> = None;
        let expired = self.gate.take(|_, item| {
            let Some(deadline) = item.held.deadline() else { return false };
            if deadline > now {
                next = Some(next.map_or(deadline, |next| next.min(deadline)));
            }
            deadline <= now
        });
        self.gate.due.set(next);
        let text = "the output of the handler was held for too long";
        expired.into_iter().for_each(|item| item.held.fail(self, Reason::DeadlineExceeded, text));
        self.sweep_later();
    }

    /// Ends everything that is held, for a node that stops.
    pub(crate) fn end_held(self: &Rc<Self>) {
        let left = self.gate.take(|_, _| true);
        let text = "the node leaves";
        left.into_iter().for_each(|item| item.held.fail(self, Reason::ShuttingDown, text));
    }
}
