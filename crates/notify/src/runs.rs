//! Handler runs: one at a time for each record, in the order of the queue (snipe.md section 4).

use crate::held::Running;
use crate::job::{Job, Task};
use crate::modules::{Handled, Handling};
use crate::protocol::Sealed;
use crate::run::Run;
use crate::{HandlerError, Player, Server, steps};
use chappe_wire::value;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::time::sleep;

/// How often a run that others have undone is begun anew.
const TRIES: u32 = 64;

impl Server {
    /// Starts what may start on a player's record.
    pub(crate) fn pump(&self, uid: u64) {
        self.0.to_pump.borrow_mut().push_back(uid);
        if self.0.current.borrow().is_some() {
            // Another player's handler does not run inside of this one.
            let server = self.clone();
            self.0.node.spawn(async move { server.pump_all() });
            return;
        }
        self.pump_all();
    }

    pub(crate) fn pump_all(&self) {
        if self.0.is_pumping.replace(true) {
            // Whoever is at it comes to all.
            return;
        }
        let pumping = Pumping(self);
        loop {
            let next = self.0.to_pump.borrow_mut().pop_front();
            let Some(uid) = next else { break };
            while let Some(job) = self.next_job(uid) {
                self.start(Some(uid), job);
            }
            self.see_quiet(uid);
        }
        drop(pumping);
    }

    fn next_job(&self, uid: u64) -> Option<Rc<Job>> {
        let mut records = self.0.records.borrow_mut();
        let held = records.get_mut(&uid).filter(|held| held.can_run())?;
        held.queue.pop_front()
    }

    /// Runs a job, on that player's record or on none.
    pub(crate) fn start(&self, uid: Option<u64>, job: Rc<Job>) {
        job.tries.set(job.tries.get() + 1);
        if job.tries.get() > TRIES && job.forced.borrow().is_none() {
            *job.forced.borrow_mut() = Some(HandlerError::failed("what it read was undone again and again"));
        }
        let request = match &job.task {
            Task::Request { kind, id: Some(id), .. } => Some((kind.clone(), id.clone())),
            Task::Call { origin, .. } => origin.request.clone(),
            Task::Step(delivery) => {
                value::decode::<Sealed>(&delivery.payload).ok().and_then(|sealed| sealed.request)
            }
            _ => None,
        };
        let run = Run::new(job, uid, request);
        self.mark_running(&run, None);
        if let Task::Plain { .. } = &run.job.task {
            let ended = match steps::forced(&run) {
                Some(error) => Some(Err(error)),
                None => self.begin_plain(&run),
            };
            return ended.map_or((), |result| self.end_plain(&run, result));
        }
        let (server, this) = (self.clone(), run.clone());
        let mut work: Pin<Box<dyn Future<Output = Handled>>> =
            Box::pin(async move { steps::execute(&server, &this).await });
        // Most handlers end at once: they cost no task.
        if let Poll::Ready(result) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return self.finish(&run, result);
        }
        let (server, this) = (self.clone(), run.clone());
        let task = self.0.node.spawn(async move {
            let result = work.await;
            server.finish(&this, result);
            if let Some(uid) = this.uid {
                server.pump(uid);
            }
        });
        self.mark_running(&run, Some(task));
    }

    pub(crate) fn mark_running(&self, run: &Rc<Run>, task: Option<tokio::task::AbortHandle>) {
        if let Some(uid) = run.uid
            && let Some(held) = self.0.records.borrow_mut().get_mut(&uid)
        {
            held.running = Some(Running { run: run.clone(), task });
        }
    }

    /// Runs one handler as a part of `run`: what it sends is held until the run's commit is durable. A panic, and one that
    /// takes too long, fail it.
    pub(crate) async fn call(&self, run: &Rc<Run>, handling: impl FnOnce() -> Handling) -> Handled {
        // Even what the handler does before it first waits is a part of the run.
        let begun = self.within(run, || catch_unwind(AssertUnwindSafe(handling)));
        let Ok(handling) = begun else { return Err(self.panicked(run)) };
        self.in_time(Part::new(self, run, handling)).await
    }

    /// Waits for a handler, for as long as one may take.
    pub(crate) async fn in_time(&self, mut part: Part) -> Handled {
        let limit = self.0.options.handler;
        // Most handlers end at once: they need no timer.
        let mut over = None;
        poll_fn(move |cx| {
            if let Poll::Ready(result) = Pin::new(&mut part).poll(cx) {
                return Poll::Ready(result);
            }
            let over = over.get_or_insert_with(|| Box::pin(sleep(limit)));
            let is_over = over.as_mut().poll(cx);
            is_over.map(|()| Err(HandlerError::failed(format!("the handler took over {limit:?}"))))
        })
        .await
    }

    /// The player whom a run is for, as its handlers get them.
    pub(crate) fn player_in(&self, run: &Rc<Run>, uid: u64) -> Player {
        Player { server: self.clone(), run: run.clone(), uid }
    }

    /// Makes `run` the current one while `part` runs.
    pub(crate) fn within<R>(&self, run: &Rc<Run>, part: impl FnOnce() -> R) -> R {
        let before = self.0.current.replace(Some(run.clone()));
        let result = self.0.node.in_lazy_run(&run.gate, part);
        *self.0.current.borrow_mut() = before;
        result
    }

    /// Takes back what a run has done so far.
    pub(crate) fn reset(&self, run: &Rc<Run>) {
        self.discard(run);
        run.did.borrow_mut().reset();
    }

    /// What a run has said so far never leaves.
    pub(crate) fn discard(&self, run: &Run) {
        if let Some(said) = run.gate.take() {
            drop(self.0.node.discard_run(said));
        }
    }

    pub(crate) fn panicked(&self, run: &Run) -> HandlerError {
        self.0.node.stats().count("handler_panics");
        HandlerError::failed(format!("the handler of {} panicked", run.job))
    }
}

/// Ends a round over the queues, however it ends.
pub(crate) struct Pumping<'a>(pub(crate) &'a Server);

impl Drop for Pumping<'_> {
    fn drop(&mut self) {
        self.0.0.is_pumping.set(false);
    }
}

/// A handler on behalf of a run.
pub(crate) struct Part {
    server: Server,
    run: Rc<Run>,
    handling: Handling,
}

impl Part {
    pub(crate) fn new(server: &Server, run: &Rc<Run>, handling: Handling) -> Part {
        Part { server: server.clone(), run: run.clone(), handling }
    }
}

impl Future for Part {
    type Output = Handled;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Handled> {
        let Part { server, run, handling } = self.get_mut();
        let polled = server.within(run, || catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx))));
        polled.unwrap_or_else(|_| Poll::Ready(Err(server.panicked(run))))
    }
}
