//! Which records this node owns: they come with a player or a notification, and go when nobody needs them.

use crate::Server;
use crate::held::{Ownership, QUEUE, Running};
use crate::job::{Job, Task};
use crate::protocol::{Deliver, Release, Returned, STORE};
use chappe_node::{Call, Entering, Leaving, To};
use chappe_store::{NotificationId, Step};
use chappe_wire::{Reason, Row, value};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// How long a player who leaves waits for what was begun.
const LEAVE: Duration = Duration::from_secs(3);
/// How long another server that takes a record over waits for what was begun here.
const RELEASE: Duration = Duration::from_millis(1500);

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

    /// The player has left: what was begun is done first, and becomes durable.
    pub(crate) async fn leave(&self, uid: u64) {
        let (quiet, number) = match self.0.records.borrow_mut().get_mut(&uid) {
            Some(held) => (held.let_go(true), held.claim),
            None => return,
        };
        self.pump(uid);
        let _ = timeout(LEAVE, quiet).await;
        // Somebody else may have let go of it, and it may have been claimed anew.
        if self.is_awaited(uid, number) {
            self.drop_record(uid, true, "the player has left");
        }
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
        self.discard(&running.run);
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
            Task::Plain { id, record, depth } => self.send_on_away(uid, *id, *depth, record),
            _ => self.refuse_job(uid, job, Reason::StaleSession),
        }
    }

    /// Lets go of records that nobody has needed for a while.
    fn let_idle_go(&self) {
        let keep = self.0.options.keep;
        let mut idle: Vec<u64> = {
            let mut records = self.0.records.borrow_mut();
            records.iter_mut().filter_map(|(uid, held)| held.is_idle_for(keep).then_some(*uid)).collect()
        };
        idle.retain(|uid| self.0.node.player_by_uid(*uid).is_none());
        idle.sort_unstable();
        for uid in idle {
            self.drop_record(uid, true, "nobody needs it");
        }
    }
}

/// Wakes those who wait; whoever has gone needs nothing.
pub(crate) fn tell(waiters: impl IntoIterator<Item = oneshot::Sender<()>>) {
    for waiter in waiters {
        let _ = waiter.send(());
    }
}
