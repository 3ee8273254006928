//! Hands each step to the server where it runs: one delivery at a time for each target, in order, tried again until a
//! server has it.

use super::inflight::{Due, Life, Place, Target};
use super::places::place;
use super::{Desk, Refusal, args, retry_after};
use crate::protocol::{Deliver, Delivery, NOTIFY, Returned};
use chappe_node::To;
use chappe_store::{Notification, NotificationId, Store, StoreError};
use chappe_wire::{NodeId, Reason, Row};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::sleep;

/// How long a server may take to queue what it is handed.
const DELIVER: Duration = Duration::from_secs(5);
/// The most steps in one delivery.
const STEPS: usize = 256;
/// The most bytes in one delivery, unless a single step has more.
const BYTES: usize = 256 << 10;

/// Which targets are being served.
#[derive(Default)]
pub(super) struct Dispatch {
    /// Everything that an earlier life of the master has left is in the table.
    is_loaded: Cell<bool>,
    awaits_recovery: Cell<bool>,
    working: RefCell<FxHashSet<Target>>,
    /// Those for whom there is no server now.
    stalled: RefCell<BTreeSet<Target>>,
    /// How often in a row servers have given steps of a target back.
    returns: RefCell<FxHashMap<Target, u32>>,
    /// Those whose steps were given back and rest for a while.
    resting: RefCell<FxHashSet<Target>>,
}

/// What one try has come to.
enum Round {
    Delivered,
    Nothing,
    Failed,
}

/// What is to be sent, with the number of bytes.
type Filled = Vec<(Due, Option<Notification>)>;

impl Desk {
    pub(super) fn serve_deliveries(&self) {
        self.serve(Row::Internal, "returned", |desk, call| {
            let life = (call.from(), call.incarnation());
            if let Ok(Returned { steps }) = args(&call) {
                desk.returned(life, steps);
            }
        });
    }

    /// The queue of a target has advanced, or has something new.
    pub(super) fn advanced(&self, target: Target) {
        self.0.dispatch.returns.borrow_mut().remove(&target);
        self.kick(target);
    }

    /// A life of a node has ended: what it had goes elsewhere.
    pub(super) fn lose(&self, life: Life) {
        self.forget_owner(life);
        let lost = self.0.table.borrow_mut().lose(life);
        lost.into_iter().for_each(|target| self.kick(target));
        self.look_again();
    }

    /// Someone is ready who was not: targets that had no server may have one.
    pub(super) fn look_again(&self) {
        let stalled = self.0.dispatch.stalled.take();
        stalled.into_iter().for_each(|target| self.kick(target));
    }

    /// The table is whole: dispatching begins.
    pub(super) fn loaded(&self) {
        self.0.dispatch.is_loaded.set(true);
        let waiting = self.0.table.borrow().waiting_targets();
        waiting.into_iter().for_each(|target| self.kick(target));
    }

    fn returned(&self, life: Life, steps: Vec<(NotificationId, chappe_store::Step)>) {
        self.0.node.stats().count_many("notifications_returned", steps.len() as u64);
        let mut targets = BTreeSet::new();
        {
            let mut table = self.0.table.borrow_mut();
            targets.extend(steps.into_iter().filter_map(|(id, step)| table.give_back(id, step, life)));
        }
        for target in targets {
            // Whoever gives steps back may be asked again by mistake: not in a tight loop.
            let times = {
                let mut returns = self.0.dispatch.returns.borrow_mut();
                let times = returns.entry(target).or_default();
                *times += 1;
                *times - 1
            };
            if times == 0 || !self.0.dispatch.resting.borrow_mut().insert(target) {
                self.kick(target);
                continue;
            }
            let desk = self.clone();
            self.0.node.spawn(async move {
                sleep(retry_after(times - 1)).await;
                desk.0.dispatch.resting.borrow_mut().remove(&target);
                desk.kick(target);
            });
        }
    }

    /// Sees to it that what waits for a target is on its way.
    fn kick(&self, target: Target) {
        if !self.0.dispatch.is_loaded.get()
            || self.rests(target)
            || !self.0.dispatch.working.borrow_mut().insert(target)
        {
            return;
        }
        let working = Working(self.clone(), target);
        self.0.node.spawn(async move {
            let Working(desk, target) = &working;
            let mut failures = 0;
            loop {
                match desk.round(*target).await {
                    Round::Delivered => failures = 0,
                    Round::Nothing => break,
                    Round::Failed => {
                        sleep(retry_after(failures)).await;
                        failures += 1;
                    }
                }
            }
        });
    }

    /// Delivers what waits for a target and fits into one message.
    async fn round(&self, target: Target) -> Round {
        if self.rests(target) {
            return Round::Nothing;
        }
        if self.0.master.is_recovering() {
            self.stall(target);
            self.await_recovery();
            return Round::Nothing;
        }
        if let Target::Player(uid) = target
            && self.may_have_session(uid)
        {
            self.stall(target);
            return Round::Nothing;
        }
        let life = match self.destination(target).await {
            Ok(Some(life)) => life,
            Ok(None) => {
                self.stall(target);
                return Round::Nothing;
            }
            Err((reason, text)) => {
                tracing::debug!(?target, %reason, text, "where a step runs is not known yet");
                return Round::Failed;
            }
        };
        let due = self.0.table.borrow().due(target, life, STEPS);
        // Where it runs was asked for, and meanwhile steps may have been given back.
        if due.is_empty() || self.rests(target) {
            return Round::Nothing;
        }
        let filled = match self.fill(due).await {
            Ok(filled) => filled,
            Err(error) => {
                self.note::<()>(&Err(error));
                return Round::Failed;
            }
        };
        // The store was asked meanwhile.
        if !self.is_live(life) {
            return Round::Failed;
        }
        let steps = self.load(filled, life);
        if steps.is_empty() {
            return if self.0.table.borrow().has_waiting(target) { Round::Failed } else { Round::Nothing };
        }
        self.deliver(target, life, steps).await
    }

    async fn deliver(&self, target: Target, life: Life, steps: Vec<Delivery>) -> Round {
        let uid = match target {
            Target::Player(uid) => Some(uid),
            Target::Node(_) => None,
        };
        let deliver = Deliver { uid, steps };
        let to = To::Node(life.0);
        let node = &self.0.node;
        let answer = node.ask::<_, ()>(Row::Internal, to, (NOTIFY, "deliver"), &deliver, DELIVER).await;
        let mut table = self.0.table.borrow_mut();
        let still_there = |place: Place| place == Place::Sent(life);
        for Delivery { id, step, .. } in deliver.steps {
            if !table.get(id).is_some_and(|flight| flight.step == step && still_there(flight.place)) {
                // It has moved on meanwhile, or its node is gone.
                continue;
            }
            match &answer {
                Ok(()) => drop(table.put(id, step, Place::Accepted(life))),
                Err(_) => drop(table.put(id, step, Place::Waiting)),
            }
        }
        drop(table);
        match answer {
            Ok(()) => Round::Delivered,
            Err(failure) => {
                node.stats().count("deliveries_failed");
                tracing::debug!(?target, to = %life.0, %failure, "a delivery is tried again");
                Round::Failed
            }
        }
    }

    /// Where the steps of a target run now; `None`: nowhere.
    async fn destination(&self, target: Target) -> Result<Option<Life>, Refusal> {
        let id = match target {
            Target::Player(uid) => self.place_of(uid).await?,
            Target::Node(id) => self.is_up(id).then_some(id),
        };
        Ok(id.and_then(|id| self.life_of(id)))
    }

    /// Where the steps of a player run now.
    async fn place_of(&self, uid: u64) -> Result<Option<NodeId>, Refusal> {
        let find = |owner| {
            let (session, owner) = (self.0.master.session_of(uid), self.live_owner(owner));
            self.0.node.with_view(|view| (place(session, owner, view), session.is_some()))
        };
        // Whose record it is, is asked only when that decides.
        let known = self.known_owner(uid);
        let (found, has_session) = find(known);
        if found.is_none() || has_session || known.is_some() {
            return Ok(found);
        }
        let owner = match self.owner_of(uid).await {
            // The server that takes the step will find the record corrupt.
            Err((Reason::BadData, _)) => None,
            owner => owner?,
        };
        Ok(find(owner).0)
    }

    fn is_up(&self, id: NodeId) -> bool {
        use chappe_node::State;
        let up = |view: &chappe_node::View| view.member(id).is_some_and(|it| it.state != State::Starting);
        id == self.0.node.id() || self.0.node.with_view(up)
    }

    /// Reads what is not kept here, as much as fits into one delivery.
    async fn fill(&self, due: Vec<Due>) -> Result<Filled, StoreError> {
        let first_read = due.iter().position(|due| !due.is_whole);
        let Some(first_read) = first_read else {
            return Ok(due.into_iter().map(|due| (due, None)).collect());
        };
        let read: Vec<NotificationId> = due[first_read..].iter().map(|due| due.id).collect();
        let found = self.0.store.read(move |store| read_some(store, &read)).await?;
        // Those behind what was read are for the next delivery.
        let count = first_read + found.len();
        let mut found = found.into_iter();
        let mut filled: Filled = Vec::with_capacity(count);
        for (at, due) in due.into_iter().enumerate().take(count) {
            let read = if at < first_read { None } else { found.next() };
            match read {
                None => filled.push((due, None)),
                Some((id, Some(notification))) => {
                    if notification.step != due.step {
                        self.take_in(id, Some(notification.clone()));
                    }
                    filled.push((due, Some(notification)));
                }
                // It ended, and the commit that ended it is on its way to the table.
                Some((id, None)) => self.take_in(id, None),
            }
        }
        Ok(filled)
    }

    /// Marks what still waits as sent, as much as fits into one delivery, and takes it along.
    fn load(&self, filled: Filled, life: Life) -> Vec<Delivery> {
        let (mut steps, mut bytes) = (Vec::new(), 0);
        let mut table = self.0.table.borrow_mut();
        for (due, read) in filled {
            let Some(flight) = table.get(due.id) else { continue };
            if (flight.step, flight.place) != (due.step, Place::Waiting) {
                continue;
            }
            let (sender, receiver, depth) = (flight.sender, flight.receiver, flight.depth);
            let (payload, outcome) = match read {
                Some(read) if read.step == due.step => (read.payload, read.outcome),
                Some(_) => continue,
                None => match table.carried(due.id) {
                    Some(carried) => carried,
                    None => break,
                },
            };
            let size = payload.len() + outcome.as_ref().map_or(0, Vec::len);
            if !steps.is_empty() && bytes + size > BYTES {
                break;
            }
            bytes += size;
            table.put(due.id, due.step, Place::Sent(life));
            steps.push(Delivery { id: due.id, step: due.step, sender, receiver, payload, depth, outcome });
        }
        steps
    }

    /// Whether there is nothing to do for a target at the moment.
    fn rests(&self, target: Target) -> bool {
        self.0.dispatch.resting.borrow().contains(&target) || !self.0.table.borrow().has_waiting(target)
    }

    fn stall(&self, target: Target) {
        self.0.dispatch.stalled.borrow_mut().insert(target);
    }

    fn await_recovery(&self) {
        if self.0.dispatch.awaits_recovery.replace(true) {
            return;
        }
        let desk = self.clone();
        self.0.master.when_recovered(move |has_room| {
            desk.0.dispatch.awaits_recovery.set(false);
            if has_room {
                return desk.look_again();
            }
            let later = desk.clone();
            desk.0.node.spawn(async move {
                sleep(retry_after(0)).await;
                later.look_again();
            });
        });
    }
}

/// A target that is being served, until this is dropped: also when its task panics.
struct Working(Desk, Target);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.0.dispatch.working.borrow_mut().remove(&self.1);
    }
}

/// One that is corrupt counts as none: it is told, and costs no other its turn. It stays in the store.
pub(super) fn legible(
    id: NotificationId,
    read: Result<Option<Notification>, StoreError>,
) -> Result<Option<Notification>, StoreError> {
    match read {
        Err(StoreError::Corrupt(why)) => {
            tracing::error!(%id, why, "a notification cannot be read");
            Ok(None)
        }
        read => read,
    }
}

/// Reads notifications one by one until a delivery is full; at least one.
fn read_some(
    store: &mut dyn Store,
    ids: &[NotificationId],
) -> Result<Vec<(NotificationId, Option<Notification>)>, StoreError> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    for id in ids {
        let notification = legible(*id, store.notification(*id))?;
        let outcome = |found: &Notification| found.outcome.as_ref().map_or(0, Vec::len);
        bytes += notification.as_ref().map_or(0, |found| found.payload.len() + outcome(found));
        found.push((*id, notification));
        if bytes > BYTES {
            break;
        }
    }
    Ok(found)
}
