//! The store's end: takes everything that waits, as one flush.

use crate::client::{Answer, Job, Reading};
use crate::{Done, Store, StoreClient, StoreError, StoreStats, Work};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::mpsc;

/// How many pieces may wait; beyond that callers get [`StoreError::Overloaded`].
const WAITING: usize = 65_536;
/// The most pieces in one transaction, so that none takes long.
const AT_ONCE: usize = 4_096;

/// Runs a store on a thread of its own, until all clients are gone; then it is closed. The thread's handle is for
/// whoever must know when that has happened.
///
/// # Errors
/// The system has no thread to give.
pub fn on_thread(mut store: Box<dyn Store>) -> std::io::Result<(StoreClient, std::thread::JoinHandle<()>)> {
    let (client, mut queue) = channel();
    let stats = client.stats.clone();
    let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || {
        while let Some(first) = queue.blocking_recv() {
            let batch = Batch::take(first, &mut queue);
            batch.run(&mut *store, &stats).answer();
        }
    })?;
    Ok((client, thread))
}

/// How long a flush takes on virtual time, drawn anew for each.
pub struct Pace {
    /// From taking the work to having it durable.
    pub before: Box<dyn FnMut() -> Duration>,
    /// From then to the answers.
    pub after: Box<dyn FnMut() -> Duration>,
    /// Called when the answers have been given.
    pub answered: Box<dyn FnMut()>,
}

/// Runs a store as a task of the caller's `LocalSet`, on tokio's clock: for simulations. A crash of the process is the
/// end of the task, wherever it stands.
pub fn on_task(mut store: Box<dyn Store>, mut pace: Pace) -> (StoreClient, tokio::task::JoinHandle<()>) {
    let (client, mut queue) = channel();
    let stats = client.stats.clone();
    let task = tokio::task::spawn_local(async move {
        while let Some(first) = queue.recv().await {
            let batch = Batch::take(first, &mut queue);
            tokio::time::sleep((pace.before)()).await;
            let ran = batch.run(&mut *store, &stats);
            tokio::time::sleep((pace.after)()).await;
            ran.answer();
            (pace.answered)();
        }
    });
    (client, task)
}

fn channel() -> (StoreClient, mpsc::Receiver<Job>) {
    let (queue, jobs) = mpsc::channel(WAITING);
    (StoreClient { queue, stats: Arc::default(), led_by: None }, jobs)
}

/// What is done at once: the work in one transaction, then the reads, which see it.
#[derive(Default)]
struct Batch {
    work: Vec<Work>,
    answers: Vec<Answer>,
    reads: Vec<Reading>,
}

impl Batch {
    fn take(first: Job, queue: &mut mpsc::Receiver<Job>) -> Batch {
        let mut batch = Batch::default();
        batch.add(first);
        while batch.work.len() + batch.reads.len() < AT_ONCE {
            match queue.try_recv() {
                Ok(job) => batch.add(job),
                Err(_) => break,
            }
        }
        batch
    }

    fn add(&mut self, job: Job) {
        match job {
            Job::Read(read) => self.reads.push(read),
            Job::Work(work, answer) => {
                self.work.push(*work);
                self.answers.push(answer);
            }
        }
    }

    fn run(self, store: &mut dyn Store, stats: &StoreStats) -> Ran {
        let done = if self.work.is_empty() { Ok(Vec::new()) } else { flush(store, &self.work, stats) };
        for read in self.reads {
            read(store);
        }
        Ran { done, answers: self.answers }
    }
}

/// A flush whose answers are still to be given.
struct Ran {
    done: Result<Vec<Done>, StoreError>,
    answers: Vec<Answer>,
}

impl Ran {
    fn answer(self) {
        // A caller who has stopped waiting needs no answer.
        match self.done {
            Ok(done) => {
                for (answer, done) in self.answers.into_iter().zip(done) {
                    drop(answer.send(Ok(done)));
                }
            }
            Err(error) => {
                for answer in self.answers {
                    drop(answer.send(Err(error.clone())));
                }
            }
        }
    }
}

fn flush(store: &mut dyn Store, work: &[Work], stats: &StoreStats) -> Result<Vec<Done>, StoreError> {
    let done = store.flush(work);
    stats.flushes.fetch_add(1, Relaxed);
    stats.work.fetch_add(work.len() as u64, Relaxed);
    let failed = done.is_err();
    if failed {
        stats.failed.fetch_add(1, Relaxed);
    }
    match (&done, stats.failing.swap(failed, Relaxed)) {
        (Err(error), false) => tracing::error!(store = store.name(), %error, "the store fails"),
        (Ok(_), true) => tracing::info!(store = store.name(), "the store works again"),
        _ => {}
    }
    done
}
