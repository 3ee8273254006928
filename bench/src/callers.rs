//! The limit with callers: as many tasks as there are calls under way, each of which awaits its own answer, on one
//! thread and over one [`Pipe`].

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    harness::Bench,
    measure::Tally,
    pipe::{Outbox, Pipe},
};

/// Calls from `in_flight` tasks.
pub(crate) async fn rpc(bench: &mut Bench) -> Result<Tally> {
    let mut pipe = Pipe::connect(&bench.job.socket(0)).await?;
    let window = bench.begin();
    let desk = Desk::new(bench.job.in_flight, Tally::new(window)?);
    for slot in 0..bench.job.in_flight {
        tokio::spawn(caller(desk.clone(), slot, bench.job.payload()));
    }
    loop {
        // The callers that the last read has woken go first: what all of them ask leaves in one write.
        go_last().await;
        pipe.outbox.take(&mut desk.lock().outbox);
        if !pipe.turn().await? {
            bail!("the peer has closed");
        }
        if window.is_over(Instant::now()) {
            return desk.lock().tally.take().context("a tally is taken once");
        }
        let mut desk = desk.lock();
        while let Some(frame) = pipe.inbox.next_frame()? {
            let slot = desk.slots.get_mut(frame.id as usize).context("an answer to no call")?;
            slot.answer.extend_from_slice(frame.body);
            slot.is_answered = true;
            if let Some(caller) = slot.caller.take() {
                caller.wake();
            }
        }
    }
}

/// Calls for ever: the loop that reads the answers ends the run, and it needs one more answer to see that it is over.
async fn caller(desk: Desk, slot: usize, payload: Vec<u8>) {
    let mut answer = Vec::new();
    let mut sent_at = Instant::now();
    loop {
        desk.call(slot, &payload, &mut answer).await;
        let now = Instant::now();
        if let Some(tally) = &mut desk.lock().tally {
            tally.answered(sent_at, now);
        }
        sent_at = now;
    }
}

/// Puts the current task behind all that can run. Unlike `yield_now` it does not look at the sockets in between,
/// which would be a system call for each turn.
async fn go_last() {
    let mut gone = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut gone, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// Where callers and the socket's loop meet.
#[derive(Clone)]
struct Desk(Arc<Mutex<Open>>);

struct Open {
    slots: Vec<Slot>,
    outbox: Outbox,
    tally: Option<Tally>,
}

/// One caller's place: a call has one answer, and the next begins after it, so the places never run out.
#[derive(Default)]
struct Slot {
    caller: Option<Waker>,
    is_answered: bool,
    answer: Vec<u8>,
}

impl Desk {
    fn new(callers: usize, tally: Tally) -> Self {
        let slots = (0..callers).map(|_| Slot::default()).collect();
        Self(Arc::new(Mutex::new(Open { slots, outbox: Outbox::default(), tally: Some(tally) })))
    }

    /// Never contended: all is on one thread. It is a mutex because `tokio::spawn` asks for it.
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(&self, slot: usize, payload: &[u8], answer: &mut Vec<u8>) {
        self.lock().outbox.push(slot as u64, payload);
        poll_fn(|cx| self.poll_answer(slot, answer, cx)).await;
    }

    fn poll_answer(&self, slot: usize, answer: &mut Vec<u8>, cx: &mut Context<'_>) -> Poll<()> {
        let slot = &mut self.lock().slots[slot];
        if !std::mem::take(&mut slot.is_answered) {
            slot.caller = Some(cx.waker().clone());
            return Poll::Pending;
        }
        answer.clear();
        std::mem::swap(answer, &mut slot.answer);
        Poll::Ready(())
    }
}
