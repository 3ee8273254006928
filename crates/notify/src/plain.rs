//! Plain notifications for players whose records are here. One that nothing is before runs at once where it came in, and
//! one whose handler ends at once, without having touched or said anything, costs no task and no commit.

use crate::held::{Held, Running};
use crate::job::Task;
use crate::modules::Handled;
use crate::run::Run;
use crate::runs::{Part, Pumping};
use crate::steps;
use crate::{HandlerError, Params, Server};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

impl Server {
    /// Sends a plain notification to wherever the player is.
    pub(crate) fn say_plain(&self, uid: u64, id: Option<u64>, record: Params, depth: u32) {
        if self.is_here(uid) {
            self.queue_plain(uid, id, record, depth);
        } else {
            self.send_on_away(uid, id, depth, &record);
        }
    }

    /// Queues a plain notification for a player whose notifications are handled here.
    pub(crate) fn queue_plain(&self, uid: u64, id: Option<u64>, record: Params, depth: u32) {
        let Ok(run) = Run::of_plain::<Infallible>(self.0.spare.take(), uid, (id, depth), |place| {
            *place = record;
            Ok(())
        });
        if let Err(run) = self.run_at_once(uid, run) {
            self.queue_behind(uid, &run);
        }
    }

    /// As [`Server::queue_plain`], of what cannot run at once.
    pub(crate) fn queue_behind(&self, uid: u64, run: &Run) {
        if let Err(reason) = self.queue(uid, run.job.clone())
            && let Task::Plain { id, record, depth } = &run.job.task
        {
            self.dead(reason.as_str(), Some(uid), *id, record, *depth);
        }
    }

    /// Runs a plain notification's handler now, if what is queued for that player now would run before anything else;
    /// gives the run back if not.
    pub(crate) fn run_at_once(&self, uid: u64, run: Rc<Run>) -> Result<(), Rc<Run>> {
        let inner = &self.0;
        if inner.is_pumping.get() || inner.current.borrow().is_some() || !inner.to_pump.borrow().is_empty() {
            return Err(run);
        }
        match inner.records.borrow_mut().get_mut(&uid) {
            Some(held) if held.queue.is_empty() && held.takes() => {
                held.running = Some(Running { run: run.clone(), task: None });
            }
            _ => return Err(run),
        }
        run.job.tries.set(1);
        inner.is_pumping.set(true);
        let pumping = Pumping(self);
        let ended = self.begin_plain(&run);
        let is_done = match ended {
            Some(Ok(_)) if run.did.borrow().is_nothing() && !run.ended.replace(true) => {
                // As `finish` does it, with one look at the record.
                self.open(&run);
                let is_done = inner.records.borrow_mut().get_mut(&uid).is_some_and(|held| {
                    (held.running, held.is_used) = (None, true);
                    held.has_no_next()
                });
                self.put_by(run);
                is_done
            }
            ended => {
                if let Some(result) = ended {
                    self.end_plain(&run, result);
                }
                inner.records.borrow().get(&uid).is_some_and(Held::has_no_next)
            }
        };
        drop(pumping);
        if !is_done || !inner.to_pump.borrow().is_empty() {
            // What it has left for its own player comes before what it has left for others.
            inner.to_pump.borrow_mut().push_front(uid);
            self.pump_all();
        }
        Ok(())
    }

    /// Puts a run by that has ended, for the next plain notification, unless someone holds it still.
    fn put_by(&self, mut run: Rc<Run>) {
        let is_small =
            |run: &mut Run| matches!(&run.job.task, Task::Plain { record, .. } if record.is_small());
        if Rc::get_mut(&mut run).is_some_and(is_small) {
            self.0.spare.set(Some(run));
        }
    }

    /// Begins a plain notification's handler. Most end at once: what came of it; one that waits for something goes on as
    /// a task, which ends it.
    pub(crate) fn begin_plain(&self, run: &Rc<Run>) -> Option<Handled> {
        let Task::Plain { id, record, .. } = &run.job.task else { return Some(Ok(None)) };
        let begin = match steps::handler(self, run, record.kind_bytes(), *id, record.clone()) {
            Ok(begin) => begin,
            Err(error) => return Some(Err(error)),
        };
        let begun = self.within(run, || {
            catch_unwind(AssertUnwindSafe(|| {
                let mut handling = begin();
                let polled = handling.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                (polled, handling)
            }))
        });
        let handling = match begun {
            Ok((Poll::Ready(result), _)) => return Some(result),
            Ok((Poll::Pending, handling)) => handling,
            Err(_) => return Some(Err(self.panicked(run))),
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
        None
    }

    pub(crate) fn end_plain(&self, run: &Rc<Run>, result: Handled) {
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
