//! Plain notifications for players whose records are here. One that nothing is before runs at once where it came in, and
//! one whose handler ends at once, without having touched or said anything, costs no task and no commit.

use crate::job::{Job, Task};
use crate::modules::Handled;
use crate::run::Run;
use crate::runs::{Part, Pumping};
use crate::steps;
use crate::{HandlerError, Params, Server};
use chappe_wire::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

impl Server {
    /// Sends a plain notification to wherever the player is.
    pub(crate) fn say_plain(&self, uid: u64, id: Option<u64>, record: Value, depth: u32) {
        if self.is_here(uid) {
            self.queue_plain(uid, id, Params::new(record), depth);
        } else {
            self.send_away(uid, id, &record, depth);
        }
    }

    /// Queues a plain notification for a player whose notifications are handled here.
    pub(crate) fn queue_plain(&self, uid: u64, id: Option<u64>, record: Params, depth: u32) {
        let job = Job::new(Task::Plain { id, record, depth });
        if self.is_free(uid) {
            return self.run_now(uid, job);
        }
        if let Err(reason) = self.queue(uid, job.clone())
            && let Task::Plain { record, .. } = &job.task
        {
            self.dead(reason.as_str(), Some(uid), id, record, depth);
        }
    }

    /// Whether what is queued for a player now would run at once, before anything else.
    fn is_free(&self, uid: u64) -> bool {
        !self.0.is_pumping.get()
            && self.0.current.borrow().is_none()
            && self.0.to_pump.borrow().is_empty()
            && self.0.records.borrow().get(&uid).is_some_and(|held| held.queue.is_empty() && held.takes())
    }

    fn run_now(&self, uid: u64, job: Rc<Job>) {
        self.0.is_pumping.set(true);
        let pumping = Pumping(self);
        self.start(Some(uid), job);
        drop(pumping);
        let is_done = self.0.to_pump.borrow().is_empty()
            && self
                .0
                .records
                .borrow()
                .get(&uid)
                .is_some_and(|held| held.queue.is_empty() && held.leaving.is_none());
        if !is_done {
            // What it has left for its own player comes before what it has left for others.
            self.0.to_pump.borrow_mut().push_front(uid);
            self.pump_all();
        }
    }

    /// Runs a plain notification's handler; as a task only when it waits for something.
    pub(crate) fn start_plain(&self, run: &Rc<Run>, id: Option<u64>, record: &Params) {
        if let Some(error) = steps::forced(run) {
            return self.end_plain(run, Err(error));
        }
        let begin = match steps::handler(self, run, record.kind(), id, record.clone()) {
            Ok(begin) => begin,
            Err(error) => return self.end_plain(run, Err(error)),
        };
        // Most handlers end at once: they cost no task.
        let begun = self.within(run, || {
            catch_unwind(AssertUnwindSafe(|| {
                let mut handling = begin();
                let polled = handling.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                (polled, handling)
            }))
        });
        let handling = match begun {
            Ok((Poll::Ready(result), _)) => return self.end_plain(run, result),
            Ok((Poll::Pending, handling)) => handling,
            Err(_) => return self.end_plain(run, Err(self.panicked(run))),
        };
        let (server, this) = (self.clone(), run.clone());
        let task = self.0.node.spawn(async move {
            let result = server.in_time(Part::new(&server, &this, handling)).await;
            server.end_plain(&this, result);
            if let Some(uid) = this.uid {
                server.pump(uid);
            }
        });
        self.mark_running(run, Some(task));
    }

    fn end_plain(&self, run: &Rc<Run>, result: Handled) {
        if let (Err(error), Task::Plain { id, record, depth }) = (&result, &run.job.task) {
            self.plain_failed(run, error, *id, record, *depth);
        }
        self.finish(run, result);
    }

    #[cold]
    fn plain_failed(
        &self,
        run: &Rc<Run>,
        error: &HandlerError,
        id: Option<u64>,
        record: &Params,
        depth: u32,
    ) {
        self.reset(run);
        self.dead(error.code(), run.uid, id, record, depth);
        steps::log_failure(self, run, error);
    }
}
