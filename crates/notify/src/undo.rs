//! A commit that failed: what read what it wrote falls with it, and runs again (snipe.md section 4).

use crate::HandlerError;
use crate::Server;
use crate::held::Held;
use crate::job::{Job, Task};
use crate::protocol::CommitReply;
use crate::undecided::{Entry, Fallen};
use chappe_wire::Reason;
use std::collections::BTreeSet;
use std::rc::Rc;

/// A job, and on whose record it runs.
type Place = (Option<u64>, Rc<Job>);
/// Records, each with the record epoch.
type Epochs = Vec<(u64, u64)>;

impl Server {
    /// The commit of a run was refused.
    pub(crate) fn undo(&self, number: u64, why: CommitReply) {
        self.refused(number, why);
        self.say_free();
    }

    fn refused(&self, number: u64, why: CommitReply) {
        let Some((first, epochs, affected)) = self.fall(number) else {
            if let CommitReply::Stale { .. } | CommitReply::Again | CommitReply::Moved = why {
                // It had fallen with another one before.
                return;
            }
            return tracing::debug!(number, ?why, "a run that had fallen was decided");
        };
        let (uid, job) = first;
        match why {
            CommitReply::Again | CommitReply::Committed { .. } => {
                uid.into_iter().for_each(|uid| self.await_doubt(uid, &job));
                self.run_again(vec![(uid, job)]);
            }
            CommitReply::Moved | CommitReply::DeadlinePassed => self.overtaken(uid, &job),
            CommitReply::Answered { .. } if !matches!(job.task, Task::Request { .. }) => {
                // Two runs of one chain have answered the same request: the first answer is the one that is kept.
                job.answered.set(true);
                self.run_again(vec![(uid, job)]);
            }
            CommitReply::Answered { response } => self.answer_again(uid, &job, &response),
            CommitReply::Failed(text) => {
                let is_first = job.forced.borrow().is_none();
                tracing::error!(node = %self.0.node.id(), handler = %job, "what a handler did cannot be stored: {text}");
                if is_first {
                    *job.forced.borrow_mut() = Some(HandlerError::failed(text));
                    self.run_again(vec![(uid, job)]);
                } else if let Some(step) = job.step_key() {
                    // Not even that it failed can be stored. The master tries again, more and more rarely, and shows it.
                    self.0.node.stats().count("steps_not_storable");
                    self.give_back(vec![step]);
                } else {
                    self.overtaken(uid, &job);
                }
            }
            CommitReply::Stale { uid: stale } => {
                tracing::warn!(node = %self.0.node.id(), player = stale, "the record is another server's by now");
                self.0.node.stats().count("records_lost");
                let epoch = epochs.iter().find(|(uid, _)| *uid == stale).map(|(_, epoch)| *epoch);
                let held = self.0.records.borrow().get(&stale).and_then(Held::epoch);
                if epoch.is_some() && held != epoch {
                    // It has come back here since: under that epoch the job runs again.
                    self.run_again(vec![(uid, job)]);
                    return affected.into_iter().for_each(|uid| self.pump(uid));
                }
                self.drop_record(stale, false, "another server owns it");
                match (job.step_key(), uid) {
                    (Some(step), _) => self.give_back(vec![step]),
                    (None, Some(uid)) => self.reroute(uid, &job),
                    (None, None) => job.finish(Err(HandlerError::failed("the record is another server's"))),
                }
            }
        }
        affected.into_iter().for_each(|uid| self.pump(uid));
    }

    /// The store could not take the commit; nothing of it was done.
    pub(crate) fn undo_unavailable(&self, number: u64) {
        let Some(((uid, job), _, affected)) = self.fall(number) else { return };
        self.0.node.stats().count("commits_unavailable");
        match (job.step_key(), &job.task) {
            (Some(step), _) => self.give_back(vec![step]),
            (None, Task::Plain { id, record, depth }) => {
                self.dead(Reason::StoreUnavailable.as_str(), uid, *id, record, *depth);
            }
            _ => self.refuse_job(uid.unwrap_or_default(), &job, Reason::StoreUnavailable),
        }
        affected.into_iter().for_each(|uid| self.pump(uid));
        self.say_free();
    }

    /// What was refused rests on another run whose commit is in doubt: until that is decided, running again would be in vain.
    fn await_doubt(&self, uid: u64, job: &Job) {
        let cause = job.cause.get().filter(|cause| self.0.undecided.borrow().contains(*cause));
        if let Some(held) = self.0.records.borrow_mut().get_mut(&uid) {
            held.blocked_by = held.last_writer.max(cause);
        }
    }

    /// Someone else was first: the deadline, or another server.
    fn overtaken(&self, uid: Option<u64>, job: &Rc<Job>) {
        if let Some(step) = job.step_key() {
            self.forget_step(step);
        } else {
            self.refuse_job(uid.unwrap_or_default(), job, Reason::HandlerFailed);
        }
    }

    /// Takes back a run and all that rest on it. Those but the first are queued again; returned are the first one's job, the
    /// records that it touched with their epochs, and the players whose queues have changed.
    fn fall(&self, number: u64) -> Option<(Place, Epochs, BTreeSet<u64>)> {
        let fallen = self.0.undecided.borrow_mut().fall(number);
        let (_, first) = fallen.entries.first()?;
        let epochs = first.touched.clone();
        let first: Place = (first.run.uid, first.run.job.clone());
        let lost = fallen.numbers();
        let never_was = |job: &Job| job.cause.get().is_some_and(|cause| lost.contains(&cause));
        let mut affected = self.roll_back(&fallen);
        let mut again: Vec<Place> = Vec::new();
        for (number, entry) in &fallen.entries {
            self.forget_kept(*number, entry, &never_was);
            affected.extend(entry.kept.iter().filter_map(|(uid, ..)| *uid));
            self.0.outbox.borrow_mut().forget(*number);
            self.discard(&entry.run);
            affected.extend(entry.run.uid);
        }
        for (_, entry) in fallen.entries.iter().skip(1) {
            again.push((entry.run.uid, entry.run.job.clone()));
        }
        // That they ran in vain is not their fault.
        again.iter().for_each(|(_, job)| job.tries.set(job.tries.get().saturating_sub(1)));
        again.extend(self.cut_running(&affected, &fallen, &never_was));
        let (gone, again): (Vec<_>, Vec<_>) = again.into_iter().partition(|(_, job)| never_was(job));
        gone.iter().filter_map(|(_, job)| job.step_key()).for_each(|step| self.forget_step(step));
        self.run_again(again);
        Some((first, epochs, affected))
    }

    /// The records become what they were before the first of the fallen.
    fn roll_back(&self, fallen: &Fallen) -> BTreeSet<u64> {
        let mut affected = BTreeSet::new();
        let mut records = self.0.records.borrow_mut();
        for (number, entry) in &fallen.entries {
            for (uid, epoch) in &entry.touched {
                if let Some(held) = records.get_mut(uid).filter(|held| held.epoch() == Some(*epoch)) {
                    held.undecided = held.undecided.saturating_sub(1);
                    held.blocked_by = held.blocked_by.filter(|writer| writer != number);
                    affected.insert(*uid);
                }
            }
        }
        for (uid, before) in fallen.before() {
            if let Some(held) = records.get_mut(&uid).filter(|held| held.epoch() == Some(before.epoch)) {
                (held.version, held.document) = (before.version, before.document);
                held.upgraded = before.upgraded;
                held.last_writer = self.0.undecided.borrow().last_writer(uid, before.epoch);
            }
        }
        affected
    }

    /// Steps that a fallen run had queued here: they never were.
    fn forget_kept(&self, number: u64, entry: &Entry, never_was: &impl Fn(&Job) -> bool) {
        let mut forgotten = Vec::new();
        let mut records = self.0.records.borrow_mut();
        for (uid, id, step) in &entry.kept {
            let Some(held) = uid.and_then(|uid| records.get_mut(&uid)) else { continue };
            held.blocked_by = held.blocked_by.filter(|by| *by != number);
            let before = held.queue.len();
            held.queue.retain(|job| job.step_key() != Some((*id, *step)) || !never_was(job));
            if held.queue.len() < before {
                forgotten.push((*id, *step));
            }
        }
        drop(records);
        forgotten.into_iter().for_each(|step| self.forget_step(step));
    }

    /// Handlers that wait for something, and have read what has fallen.
    fn cut_running(
        &self,
        affected: &BTreeSet<u64>,
        fallen: &Fallen,
        never_was: &impl Fn(&Job) -> bool,
    ) -> Vec<Place> {
        let written = fallen.before();
        let kept =
            fallen.entries.iter().flat_map(|(_, entry)| entry.kept.iter().filter_map(|(uid, ..)| *uid));
        let players: BTreeSet<u64> = affected.iter().copied().chain(kept).collect();
        let mut cut = Vec::new();
        for uid in players {
            let mut records = self.0.records.borrow_mut();
            let Some(held) = records.get_mut(&uid) else { continue };
            let is_hit = held.running.as_ref().is_some_and(|running| {
                let did = running.run.did.borrow();
                never_was(&running.run.job) || did.touched.keys().any(|touched| written.contains_key(touched))
            });
            let Some(running) = is_hit.then(|| held.running.take()).flatten() else { continue };
            drop(records);
            cut.push((Some(uid), self.cut_short(running)));
        }
        cut
    }

    /// Queues jobs before everything else, in their order.
    fn run_again(&self, jobs: Vec<Place>) {
        for (uid, job) in jobs.into_iter().rev() {
            let Some(uid) = uid else {
                let server = self.clone();
                self.0.node.spawn(async move { server.start(None, job) });
                continue;
            };
            let mut records = self.0.records.borrow_mut();
            match records.get_mut(&uid).filter(|held| held.epoch().is_some()) {
                Some(held) => held.queue.push_front(job),
                None => {
                    drop(records);
                    match job.step_key() {
                        Some(step) => self.give_back(vec![step]),
                        None => self.reroute(uid, &job),
                    }
                }
            }
        }
    }
}
