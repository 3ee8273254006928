//! Which records this node owns: they come with a player or a notification, and go when nobody needs them.

use crate::attributes;
use crate::held::{Held, Ownership, QUEUE, Running};
use crate::job::{Job, Task};
use crate::protocol::{Claim, ClaimReply, Deliver, Owned, Release, Returned, STORE};
use crate::{HandlerError, Server};
use chappe_node::{Call, Entering, Failure, Leaving, To};
use chappe_store::{NotificationId, Step};
use chappe_wire::{NodeId, Reason, Row, value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, timeout};

/// Turns of the loop that it takes at most to let a player in whose record has come.
const ADMITTED: usize = 8;
/// How long a claim may take, with all that is asked again: longer than another master needs to take over.
const CLAIM: Duration = Duration::from_secs(15);
/// Before a claim that was lost with its master is made again.
const AGAIN: Duration = Duration::from_millis(50);
/// How long a player who leaves waits for what was begun.
const LEAVE: Duration = Duration::from_secs(3);
/// How long another server that takes a record over waits for what was begun here.
const RELEASE: Duration = Duration::from_millis(1500);

/// Why a record did not become this node's.
enum NotOwned {
    NoSuchPlayer,
    Elsewhere(NodeId),
    Failed(Failure),
}

impl Server {
    /// Takes players' records from the master as they come, and lets them go as they leave.
    pub(crate) fn serve_players(&self) {
        let server = self.clone();
        self.0.node.on_enter(move |entering: Entering| {
            let server = server.clone();
            Box::pin(async move { server.enter(entering.uid).await })
        });
        let server = self.clone();
        self.0.node.on_player_leave(move |leaving: Leaving| {
            let server = server.clone();
            Box::pin(async move { server.leave(leaving.uid).await })
        });
        self.serve_requests();
        let server = self.clone();
        self.0.node.spawn(async move {
            let period = (server.0.options.keep / 2).max(Duration::from_millis(100));
            loop {
                sleep(period).await;
                server.let_idle_go();
            }
        });
    }

    async fn enter(&self, uid: u64) -> Result<(), Failure> {
        if !self.0.modules.borrow().handle_players() {
            return Ok(());
        }
        let (mut failed, mut is_claimed) = (None, false);
        loop {
            let wait = self.0.records.borrow_mut().get_mut(&uid).map(Held::wait);
            match wait {
                Some(None) if is_claimed => return Ok(()),
                // It is here for a notification: claimed anew, it comes with what has waited for a login.
                Some(None) => self.leave(uid).await,
                // Looked at again when another claim has ended, or the record has gone.
                Some(Some(changed)) => drop(changed.await),
                None => {
                    if let Some(failure) = failed.take() {
                        return Err(failure);
                    }
                    let fresh = attributes::fresh(self.0.modules.borrow().attributes());
                    let fresh = attributes::encode(&fresh).map_err(Failure::from)?;
                    let (server, (told, claimed)) = (self.clone(), oneshot::channel());
                    let number = self.claiming(uid);
                    is_claimed = true;
                    // It goes on when whoever waits for it has gone.
                    self.0.node.spawn(async move {
                        let _ = told.send(server.claim(uid, number, Some(fresh)).await);
                        // What waits for the record finds the player here: whoever waits for this lets them in first.
                        for _ in 0..ADMITTED {
                            yield_now().await;
                        }
                        server.pump(uid);
                    });
                    let gone = || Failure::new(Reason::ShuttingDown, "the node has ended");
                    failed = claimed.await.map_err(|_| gone())?.err().map(|why| why.into_failure(uid));
                }
            }
        }
    }

    /// The player has left: what was begun is done first, and becomes durable.
    async fn leave(&self, uid: u64) {
        let quiet = match self.0.records.borrow_mut().get_mut(&uid) {
            Some(held) => held.let_go(true),
            None => return,
        };
        self.pump(uid);
        let _ = timeout(LEAVE, quiet).await;
        self.drop_record(uid, true, "the player has left");
    }

    /// `$notify release`: the master wants the record for another server.
    pub(crate) fn on_release(&self, call: Call<'_>) {
        let release: Release = match call.args() {
            Ok(release) => release,
            Err(error) => return call.fail(Reason::BadData, &error.to_string()),
        };
        let uid = release.uid;
        let quiet = {
            let mut records = self.0.records.borrow_mut();
            match records.get_mut(&uid).filter(|held| held.epoch() == Some(release.epoch)) {
                None => return drop(call.respond(&())),
                Some(held) => held.let_go(false),
            }
        };
        let (server, responder) = (self.clone(), call.into_responder());
        self.see_quiet(uid);
        self.0.node.spawn(async move {
            let _ = timeout(RELEASE, quiet).await;
            let is_same =
                server.0.records.borrow().get(&uid).is_some_and(|held| held.epoch() == Some(release.epoch));
            if is_same {
                server.drop_record(uid, false, "another server took the record over");
            }
            let _ = responder.respond(&());
        });
    }

    /// Tells those who wait for a record to be let go, when nothing is under way on it.
    pub(crate) fn see_quiet(&self, uid: u64) {
        let mut records = self.0.records.borrow_mut();
        let Some(held) = records.get_mut(&uid) else { return };
        if held.is_quiet()
            && let Some(leaving) = &mut held.leaving
        {
            tell(leaving.quiet.drain(..));
        }
    }

    /// Has the record come here for what waits for it: an offline player's.
    pub(crate) fn fetch(&self, uid: u64) {
        if self.0.records.borrow().contains_key(&uid) {
            return;
        }
        let number = self.claiming(uid);
        let server = self.clone();
        self.0.node.spawn(async move {
            // Those who wait have been told.
            let _ = server.claim(uid, number, None).await;
            server.pump(uid);
        });
    }

    /// From now on the record is asked for, under a number of its own.
    fn claiming(&self, uid: u64) -> u64 {
        let number = self.0.undecided.borrow_mut().next();
        self.0.records.borrow_mut().insert(uid, Held::claiming(number));
        number
    }

    /// Whether it is still that claim which is waited for.
    fn is_awaited(&self, uid: u64, number: u64) -> bool {
        self.0.records.borrow().get(&uid).is_some_and(|held| held.claim == number)
    }

    async fn claim(&self, uid: u64, number: u64, create: Option<Vec<u8>>) -> Result<(), NotOwned> {
        let claim = Claim { uid, create };
        let asked = self.ask_claim(&claim).await;
        if !self.is_awaited(uid, number) {
            // It has been let go of meanwhile, or is claimed anew: this answer is for nobody.
            if let Ok(ClaimReply::Owned(Owned { epoch, .. })) = asked {
                self.tell_master("release", &Release { uid, epoch });
            }
            return Err(NotOwned::Failed(Failure::new(Reason::StaleSession, "the record was let go of")));
        }
        let owned = match asked {
            Ok(ClaimReply::Owned(owned)) => self.own(uid, number, owned),
            Ok(ClaimReply::NoSuchPlayer) => Err(NotOwned::NoSuchPlayer),
            Ok(ClaimReply::Elsewhere(server)) => Err(NotOwned::Elsewhere(server)),
            Err(failure) => Err(NotOwned::Failed(failure)),
        };
        if let Err(why) = &owned {
            self.claim_failed(uid, why);
        }
        owned
    }

    /// Asks the master, and the next one if it is lost with the question: an answer that nobody has heard is replaced by a
    /// later one, which has a later epoch.
    async fn ask_claim(&self, claim: &Claim) -> Result<ClaimReply, Failure> {
        let until = Instant::now() + CLAIM;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let asked = self.0.node.ask(Row::Internal, To::Master, (STORE, "claim"), claim, left).await;
            match asked {
                Err(lost) if lost.reason == Reason::NodeLost && Instant::now() < until => sleep(AGAIN).await,
                answer => return answer,
            }
        }
    }

    fn own(&self, uid: u64, number: u64, owned: Owned) -> Result<(), NotOwned> {
        // Upgrades are the author's code: nothing is borrowed meanwhile.
        let declared = self.0.modules.borrow().attributes().to_vec();
        let load = || attributes::load(&declared, &owned.document);
        let loaded =
            catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|_| Err("an upgrade panicked".to_owned()));
        let (document, _) = loaded.map_err(|why| {
            tracing::error!(node = %self.0.node.id(), uid, "the record of player {uid} is not used: {why}");
            NotOwned::Failed(Failure::new(Reason::BadData, format!("player {uid}: {why}")))
        })?;
        let mut records = self.0.records.borrow_mut();
        let held = records.entry(uid).or_insert_with(|| Held::claiming(number));
        held.ownership = Ownership::Owned(owned.epoch);
        let waiters = std::mem::take(&mut held.waiters);
        held.version = owned.version;
        held.document = Rc::new(document);
        let steps = self.0.steps.borrow();
        let is_to_come = |id: &NotificationId| !steps.contains(&(*id, Step::Sent));
        held.awaited.extend(owned.outstanding.into_iter().filter(is_to_come));
        drop(steps);
        held.idle_since = Instant::now();
        for (place, push) in owned.pushes {
            match value::decode(&push) {
                Ok(fields) => held.pushes.push_back((Some(place), fields)),
                Err(error) => tracing::error!(uid, %error, "a kept push cannot be read"),
            }
        }
        let has_pushes = !held.pushes.is_empty();
        drop(records);
        tell(waiters);
        if has_pushes {
            self.push_later(uid);
        }
        Ok(())
    }

    /// What waited for a record that did not come.
    fn claim_failed(&self, uid: u64, why: &NotOwned) {
        let Some(held) = self.0.records.borrow_mut().remove(&uid) else { return };
        if let NotOwned::Elsewhere(server) = why {
            tracing::debug!(node = %self.0.node.id(), uid, %server, "the player is elsewhere");
        }
        let mut returned = Vec::new();
        for job in held.queue {
            match (why, job.step_key()) {
                (NotOwned::NoSuchPlayer, _) => {
                    *job.forced.borrow_mut() = Some(HandlerError::refuse("userNotFound"));
                    self.start(None, job);
                }
                (_, Some(step)) => returned.push(step),
                (NotOwned::Elsewhere(_), None) => self.reroute(uid, &job),
                (NotOwned::Failed(failure), None) => self.refuse_job(uid, &job, failure.reason),
            }
        }
        self.give_back(returned);
        tell(held.waiters);
    }

    /// Lets a record go. Steps that wait for it go back to the master; what else waits is told. Runs that are not decided
    /// are decided all the same.
    pub(crate) fn drop_record(&self, uid: u64, tell_store: bool, why: &str) {
        let Some(mut held) = self.0.records.borrow_mut().remove(&uid) else { return };
        tracing::debug!(node = %self.0.node.id(), uid, why, "a record is let go");
        let running = held.running.take().map(|running| self.cut_short(running));
        let mut returned = Vec::new();
        for job in running.into_iter().chain(held.queue) {
            match job.step_key() {
                // The master does not know it yet: it is given back when its commit is decided.
                Some(step)
                    if job.cause.get().is_some_and(|cause| self.0.undecided.borrow().contains(cause)) =>
                {
                    self.forget_step(step);
                }
                Some(step) => returned.push(step),
                None => self.reroute(uid, &job),
            }
        }
        self.give_back(returned);
        let quiet = held.leaving.into_iter().flat_map(|leaving| leaving.quiet);
        tell(quiet.chain(held.waiters));
        if let (Ownership::Owned(epoch), true) = (held.ownership, tell_store) {
            self.tell_master("release", &Release { uid, epoch });
        }
    }

    /// Ends a handler where it waits; nothing that it did leaves a trace.
    pub(crate) fn cut_short(&self, running: Running) -> Rc<Job> {
        if let Some(task) = running.task {
            task.abort();
        }
        running.run.ended.set(true);
        drop(self.0.node.discard_run(running.run.gate.get()));
        running.run.job.clone()
    }

    /// Steps that the master is to give to someone else.
    pub(crate) fn give_back(&self, steps: Vec<(NotificationId, Step)>) {
        if steps.is_empty() {
            return;
        }
        for step in &steps {
            self.step_is_done(step);
        }
        self.tell_master("returned", &Returned { steps });
    }

    /// A step that this server had queued by itself will not be done here. Where the master has given it to this server
    /// meanwhile, it may have another outcome by now, and is still to be done.
    pub(crate) fn forget_step(&self, step: (NotificationId, Step)) {
        self.0.steps.borrow_mut().remove(&step);
        let is_given = self.0.given_again.borrow_mut().remove(&step);
        if is_given {
            self.give_back(vec![step]);
        }
    }

    /// This server has nothing more to do with a step.
    pub(crate) fn step_is_done(&self, step: &(NotificationId, Step)) {
        self.0.steps.borrow_mut().remove(step);
        self.0.given_again.borrow_mut().remove(step);
    }

    /// A request of the runtime's own to the master that wants no answer.
    pub(crate) fn tell_master<T: serde::Serialize>(&self, method: &str, args: &T) {
        let node = &self.0.node;
        match value::encode(args) {
            Ok(bytes) => {
                let timeout = Duration::from_secs(10);
                node.request_raw(Row::Internal, To::Master, (STORE, method), &bytes, timeout, None);
            }
            Err(error) => tracing::error!(method, %error, "the master cannot be told"),
        }
    }

    /// `$notify deliver`: steps of notifications.
    pub(crate) fn on_deliver(&self, call: Call<'_>) {
        let deliver: Deliver = match call.args() {
            Ok(deliver) => deliver,
            Err(error) => return call.fail(Reason::BadData, &error.to_string()),
        };
        if let Some(uid) = deliver.uid {
            let records = self.0.records.borrow();
            let waiting = records.get(&uid).map_or(0, |held| held.queue.len());
            if waiting + deliver.steps.len() > QUEUE * 2 {
                return call.fail(Reason::Overloaded, "too much waits for the player");
            }
        }
        for delivery in deliver.steps {
            let key = (delivery.id, delivery.step);
            let is_new = self.0.steps.borrow_mut().insert(key);
            #[cfg(feature = "sabotage")]
            let is_new = is_new || chappe_store::sabotage::is(chappe_store::sabotage::Sabotage::SkipDedup);
            if !is_new {
                self.0.given_again.borrow_mut().insert(key);
                continue;
            }
            let id = delivery.id;
            let job = Job::step(delivery, None);
            match deliver.uid {
                None => self.start(None, job),
                Some(uid) => {
                    self.fetch(uid);
                    if let Some(held) = self.0.records.borrow_mut().get_mut(&uid) {
                        held.queue.push_back(job);
                        held.awaited.remove(&id);
                    }
                }
            }
        }
        let _ = call.respond(&());
        if let Some(uid) = deliver.uid {
            self.pump(uid);
        }
    }

    /// Queues a job for a player's record, which is fetched if need be.
    pub(crate) fn queue(&self, uid: u64, job: Rc<Job>) -> Result<(), Reason> {
        self.fetch(uid);
        {
            let mut records = self.0.records.borrow_mut();
            let Some(held) = records.get_mut(&uid) else { return Err(Reason::NotReady) };
            if held.queue.len() >= QUEUE {
                self.0.node.stats().count("player_queue_full");
                return Err(Reason::Overloaded);
            }
            held.queue.push_back(job);
        }
        self.pump(uid);
        Ok(())
    }

    /// A job that waited for a record which is another server's.
    pub(crate) fn reroute(&self, uid: u64, job: &Rc<Job>) {
        match &job.task {
            Task::Plain { id, record, depth, .. } => self.send_away(uid, *id, record, *depth),
            _ => self.refuse_job(uid, job, Reason::StaleSession),
        }
    }

    /// Lets go of records that nobody has needed for a while.
    fn let_idle_go(&self) {
        let keep = self.0.options.keep;
        let mut idle: Vec<u64> = {
            let records = self.0.records.borrow();
            let is_idle = |held: &Held| held.is_idle() && held.idle_since.elapsed() >= keep;
            records.iter().filter(|(_, held)| is_idle(held)).map(|(uid, _)| *uid).collect()
        };
        idle.retain(|uid| self.0.node.player_by_uid(*uid).is_none());
        idle.sort_unstable();
        for uid in idle {
            self.drop_record(uid, true, "nobody needs it");
        }
    }
}

impl NotOwned {
    fn into_failure(self, uid: u64) -> Failure {
        match self {
            NotOwned::NoSuchPlayer => Failure::new(Reason::UserNotFound, format!("there is no player {uid}")),
            NotOwned::Elsewhere(server) => {
                Failure::new(Reason::StaleSession, format!("player {uid} is on node {server}"))
            }
            NotOwned::Failed(failure) => failure,
        }
    }
}

/// Wakes those who wait; whoever has gone needs nothing.
fn tell(waiters: impl IntoIterator<Item = oneshot::Sender<()>>) {
    for waiter in waiters {
        let _ = waiter.send(());
    }
}
