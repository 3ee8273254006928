//! From a handler's end to what is durable: its commit, and what follows when it is decided (snipe.md section 4).
//!
//! The next handler of a player does not wait for the disk: it goes on with what the last one left. So when a commit
//! fails, the runs that read what it wrote fall with it and run again (`undo`); the store refuses their commits, because
//! each names the version of every record that it read.

use crate::held::{Held, QUEUE};
use crate::job::{Job, Task};
use crate::protocol::{CommitReply, Delivery, NodeCommit, Resolve, STORE};
use crate::run::{Did, Run, Said, Touched};
use crate::undecided::{Before, Entry};
use crate::{HandlerError, Server, attributes};
use chappe_node::{Data, Failure, To};
use chappe_store::{Commit, CommitId, NotificationId, RecordChange, Sender, Step};
use chappe_wire::{Reason, Row, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

/// How long the master may take with a commit, before it is asked what became of it.
const COMMIT: Duration = Duration::from_secs(10);
/// Between two questions what became of a commit: the first wait, and the longest.
const RESOLVE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// The largest document, in bytes: with 64 kept pushes it must fit into one message of a claim.
const DOCUMENT: usize = 256 << 10;

/// A run's documents that have changed, encoded.
type Encoded = BTreeMap<u64, Vec<u8>>;
/// A step that this server has queued by itself: on whose record, and which.
type Kept = (Option<u64>, NotificationId, Step);

impl Server {
    /// A run's handlers have returned: what they did becomes the state that the next run sees, and is committed.
    pub(crate) fn finish(&self, run: &Rc<Run>, result: Result<Option<Value>, HandlerError>) {
        if run.ended.replace(true) {
            // It was cut short.
            return;
        }
        if run.did.borrow().is_nothing() {
            // Nothing to store, to say or to wait for.
            self.let_go_of(run);
            self.open(run);
            return run.job.finish(result);
        }
        self.order_sent(run);
        let encoded = match encode(&run.did.borrow()) {
            Ok(encoded) => encoded,
            Err(why) => return self.run_forced(run, HandlerError::failed(why)),
        };
        let is_durable = run.is_durable();
        let did = run.did.take();
        let number = self.0.undecided.borrow_mut().next();
        let (wrote, waits) = self.take_over(run, number, &did);
        if !is_durable && waits.is_empty() {
            self.open(run);
            self.say_in_turn(number, did.said);
            return run.job.finish(result);
        }
        let touched: Vec<_> = did.touched.iter().map(|(uid, record)| (*uid, record.epoch)).collect();
        self.count_undecided(&touched, true);
        let kept = self.keep(number, run, &did);
        let (said, commit) = if is_durable { self.commit_of(run, did, encoded) } else { (did.said, None) };
        let entry = Entry {
            run: run.clone(),
            commit: commit.as_ref().map(|commit| commit.id),
            waits: if commit.is_some() { BTreeSet::new() } else { waits },
            touched,
            wrote,
            kept: kept.clone(),
            result: Some(result),
        };
        self.0.undecided.borrow_mut().add(number, entry);
        let dropped = self.0.outbox.borrow_mut().add(number, said, false);
        self.count_dropped(dropped);
        #[cfg(feature = "sabotage")]
        if chappe_store::sabotage::is(chappe_store::sabotage::Sabotage::ReleaseEarly) {
            self.0.outbox.borrow_mut().settle(number);
            self.say_free();
        }
        if let Some(commit) = commit {
            self.send_commit(number, commit, &kept);
        }
        kept.into_iter().filter_map(|(uid, ..)| uid).for_each(|uid| self.pump(uid));
    }

    /// What a run sends on its player's behalf is in the order of the record's versions.
    fn order_sent(&self, run: &Run) {
        let mut did = run.did.borrow_mut();
        let Some(uid) = run.uid.filter(|_| !did.sent.is_empty()) else { return };
        let records = self.0.records.borrow();
        let Some((held, epoch)) = records.get(&uid).and_then(|held| held.epoch().map(|epoch| (held, epoch)))
        else {
            return;
        };
        let touched = did.touched.entry(uid).or_insert_with(|| {
            let (before, now) = (held.document.clone(), held.document.clone());
            let (version, upgraded) = (held.version, held.upgraded);
            Touched { epoch, version, before, now, sends: true, upgraded }
        });
        touched.sends = true;
    }

    /// Says what waits for nothing itself, behind what waits for the same receivers.
    fn say_in_turn(&self, number: u64, said: Vec<Said>) {
        if !said.is_empty() {
            let dropped = self.0.outbox.borrow_mut().add(number, said, true);
            self.count_dropped(dropped);
            self.say_free();
        }
    }

    fn count_dropped(&self, count: usize) {
        for _ in 0..count {
            self.0.node.stats().dropped(Row::PlayerResponse, Reason::Overloaded);
        }
    }

    /// Says what nothing holds back any more.
    pub(crate) fn say_free(&self) {
        let free = self.0.outbox.borrow_mut().take_free();
        self.say(free);
    }

    /// What a run has done cannot be stored: it runs again as one that failed for that reason.
    fn run_forced(&self, run: &Rc<Run>, why: HandlerError) {
        self.discard(run);
        *run.job.forced.borrow_mut() = Some(why);
        self.start(run.uid, run.job.clone());
    }

    /// The records become what the run has left them as. Returns what those that it wrote were before, and the runs that
    /// must be durable before anything of this one may be heard.
    fn take_over(&self, run: &Run, number: u64, did: &Did) -> (BTreeMap<u64, Before>, BTreeSet<u64>) {
        self.let_go_of(run);
        let mut records = self.0.records.borrow_mut();
        let (mut wrote, mut waits) = (BTreeMap::new(), BTreeSet::new());
        for (uid, touched) in &did.touched {
            let Some(held) = records.get_mut(uid).filter(|held| held.epoch() == Some(touched.epoch)) else {
                continue;
            };
            waits.extend(held.last_writer);
            if touched.is_changed() {
                let document = touched.before.clone();
                let Touched { epoch, version, upgraded, .. } = *touched;
                wrote.insert(*uid, Before { epoch, version, document, upgraded });
                held.version = version + 1;
                held.upgraded = false;
                held.document = touched.now.clone();
                held.last_writer = Some(number);
            }
        }
        (wrote, waits)
    }

    /// A run's handlers have ended: the next one may have the record.
    fn let_go_of(&self, run: &Run) {
        let mut records = self.0.records.borrow_mut();
        if let Some(held) = run.uid.and_then(|uid| records.get_mut(&uid)) {
            held.running = None;
            held.is_used = true;
        }
    }

    /// What a run has sent may leave.
    pub(crate) fn open(&self, run: &Run) {
        if let Some(said) = run.gate.id() {
            self.0.node.open_run(said);
        }
    }

    fn count_undecided(&self, touched: &[(u64, u64)], more: bool) {
        let mut records = self.0.records.borrow_mut();
        for (uid, epoch) in touched {
            if let Some(held) = records.get_mut(uid).filter(|held| held.epoch() == Some(*epoch)) {
                held.undecided = if more { held.undecided + 1 } else { held.undecided.saturating_sub(1) };
            }
        }
    }

    /// Queues here, without waiting for the disk or the master, what the run sends to players of this server, and its
    /// outcome for one.
    fn keep(&self, number: u64, run: &Run, did: &Did) -> Vec<Kept> {
        let mut kept = Vec::new();
        let mut records = self.0.records.borrow_mut();
        for sent in &did.sent {
            let Some(held) = records.get_mut(&sent.receiver) else { continue };
            if !(held.stays() && held.awaited.is_empty() && held.queue.len() < QUEUE) {
                // It goes through the master; what is sent later must not overtake it.
                held.awaited.insert(sent.id);
                continue;
            }
            let delivery = Delivery {
                id: sent.id,
                step: Step::Sent,
                sender: sent.sender,
                receiver: sent.receiver,
                payload: sent.payload.clone(),
                depth: sent.depth,
                outcome: None,
            };
            self.queue_kept(held, number, delivery);
            kept.push((Some(sent.receiver), sent.id, Step::Sent));
        }
        let decided = did.transition.as_ref().and_then(|transition| transition.outcome.clone());
        if let (Task::Step(delivery), Some(outcome)) = (&run.job.task, decided)
            && let Sender::Player(uid) = delivery.sender
            && let Some(held) = records.get_mut(&uid)
            && held.stays()
            && held.queue.len() < QUEUE
        {
            let delivery = Delivery { step: Step::Decided, outcome: Some(outcome), ..delivery.clone() };
            kept.push((Some(uid), delivery.id, Step::Decided));
            self.queue_kept(held, number, delivery);
        }
        kept
    }

    fn queue_kept(&self, held: &mut Held, number: u64, delivery: Delivery) {
        self.0.steps.borrow_mut().insert((delivery.id, delivery.step));
        held.queue.push_back(Job::step(delivery, Some(number)));
    }

    fn commit_of(&self, run: &Run, did: Did, mut encoded: Encoded) -> (Vec<Said>, Option<Commit>) {
        let mut commit = Commit::new(self.next_commit(), run.job.to_string());
        let change = |(uid, touched): (&u64, &Touched)| RecordChange {
            uid: *uid,
            epoch: touched.epoch,
            version: touched.version,
            document: encoded.remove(uid),
        };
        // The same step may have been done elsewhere meanwhile: that outcome is not the one that was handled here.
        let cause = run.job.cause.get();
        commit.rests_on = cause.and_then(|cause| self.0.undecided.borrow().commit_of(cause));
        commit.records = did.touched.iter().map(change).collect();
        commit.transitions = did.transition.into_iter().collect();
        (commit.sent, commit.answers) = (did.sent, did.answers);
        (commit.pushes, commit.dead_letters) = (did.pushes, did.dead_letters);
        (did.said, Some(commit))
    }

    fn send_commit(&self, number: u64, commit: Commit, kept: &[Kept]) {
        let (server, id) = (self.clone(), commit.id);
        let commit = NodeCommit { commit, kept: kept.iter().map(|(_, id, _)| *id).collect() };
        let answered = move |reply: Result<Data<'_>, Failure>| match reply.map(Data::parse::<CommitReply>) {
            Ok(Ok(reply)) => server.decide(number, reply),
            Err(failure) if failure.reason == Reason::StoreUnavailable => {
                server.undo_unavailable(number);
                server.0.decided.notify_waiters();
            }
            Ok(Err(_)) | Err(_) => server.find_out(number, id),
        };
        let to = (STORE, "commit");
        let sent = self.0.node.request(Row::Internal, To::Master, to, &commit, COMMIT, answered);
        if let Err(error) = sent {
            self.decide(number, CommitReply::Failed(error.to_string()));
        }
    }

    /// The answer was lost: asks until it is known what became of the commit. It is never repeated.
    fn find_out(&self, number: u64, id: CommitId) {
        let server = self.clone();
        self.0.node.stats().count("commits_in_doubt");
        self.0.node.spawn(async move {
            let mut wait = RESOLVE.0;
            loop {
                sleep(wait).await;
                wait = (wait * 2).min(RESOLVE.1);
                let node = &server.0.node;
                let asked =
                    node.ask(Row::Internal, To::Master, (STORE, "resolve"), &Resolve { id }, COMMIT).await;
                if let Ok(reply) = asked {
                    return server.decide(number, reply);
                }
            }
        });
    }

    fn decide(&self, number: u64, reply: CommitReply) {
        self.decide_as(number, reply);
        self.0.decided.notify_waiters();
    }

    fn decide_as(&self, number: u64, reply: CommitReply) {
        match reply {
            CommitReply::Committed { pushes_dropped } => {
                for _ in 0..pushes_dropped {
                    self.0.node.stats().count("kept_pushes_dropped");
                }
                if !self.0.undecided.borrow().contains(number) {
                    // The store refuses what rests on what it has refused; nothing may ever come here.
                    self.0.node.stats().count("commits_after_fall");
                    tracing::error!(node = %self.0.node.id(), "a commit that had fallen with another one is durable");
                }
                self.settle(number);
            }
            refused => self.undo(number, refused),
        }
    }

    /// A run is durable: what it said leaves.
    fn settle(&self, number: u64) {
        let mut settled = vec![number];
        while let Some(number) = settled.pop() {
            let Some((entry, free)) = self.0.undecided.borrow_mut().settle(number) else { continue };
            settled.extend(free);
            self.count_undecided(&entry.touched, false);
            self.forget_writer(number, &entry);
            if let Some(step) = entry.run.job.step_key() {
                self.step_is_done(&step);
            }
            self.return_dropped(&entry.kept);
            self.open(&entry.run);
            self.0.outbox.borrow_mut().settle(number);
            self.say_free();
            if let Some(result) = entry.result {
                entry.run.job.finish(result);
            }
            let kept = entry.kept.iter().filter_map(|(uid, ..)| *uid);
            let touched = entry.touched.iter().map(|(uid, _)| *uid);
            touched.chain(entry.run.uid).chain(kept).for_each(|uid| self.pump(uid));
        }
    }

    fn forget_writer(&self, number: u64, entry: &Entry) {
        let mut records = self.0.records.borrow_mut();
        let kept = entry.kept.iter().filter_map(|(uid, ..)| uid.as_ref());
        for uid in entry.wrote.keys().chain(kept) {
            if let Some(held) = records.get_mut(uid) {
                held.last_writer = held.last_writer.filter(|writer| *writer != number);
                held.blocked_by = held.blocked_by.filter(|writer| *writer != number);
            }
        }
    }

    /// Of the steps that were queued here, those whose records have gone meanwhile: now that the master knows of them.
    fn return_dropped(&self, kept: &[Kept]) {
        if kept.is_empty() {
            return;
        }
        let steps = self.0.steps.borrow();
        let is_dropped = |(_, id, step): &&Kept| !steps.contains(&(*id, *step));
        let dropped: Vec<_> = kept.iter().filter(is_dropped).map(|(_, id, step)| (*id, *step)).collect();
        drop(steps);
        self.give_back(dropped);
    }
}

/// Encodes the documents that a run has changed.
fn encode(did: &Did) -> Result<Encoded, String> {
    let mut encoded = Encoded::new();
    for (uid, touched) in did.touched.iter().filter(|(_, touched)| touched.is_changed()) {
        let bytes = attributes::encode(&touched.now)
            .map_err(|error| format!("the record of player {uid}: {error}"))?;
        if bytes.len() > DOCUMENT {
            let size = bytes.len();
            return Err(format!("the record of player {uid} has {size} bytes; the limit is {DOCUMENT}"));
        }
        encoded.insert(*uid, bytes);
    }
    Ok(encoded)
}
