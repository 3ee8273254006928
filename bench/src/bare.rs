//! The raw sockets again, with nobody who waits: one loop that takes an answer and sends the next call. What the
//! sockets themselves could do; [`crate::raw`] adds to it only that each call is awaited by somebody.

use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::{harness::Bench, measure::Tally, pipe::Pipe};

/// Drives calls.
pub(crate) async fn rpc(bench: &mut Bench) -> Result<Tally> {
    let mut pipe = Pipe::connect(&bench.job.socket(0)).await?;
    let payload = bench.job.payload();
    let window = bench.begin();
    let mut tally = Tally::new(window)?;
    let mut sent_at = vec![Instant::now(); bench.job.in_flight];
    for call in 0..bench.job.in_flight {
        pipe.outbox.push(call as u64, &payload);
    }
    while pipe.turn().await? {
        // One look at the clock for all that came in one read.
        let now = Instant::now();
        if window.is_over(now) {
            return Ok(tally);
        }
        while let Some(frame) = pipe.inbox.next_frame()? {
            let sent_at = sent_at.get_mut(frame.id as usize).context("an answer to no call")?;
            if frame.body.len() != payload.len() {
                bail!("an answer of {} bytes", frame.body.len());
            }
            tally.answered(*sent_at, now);
            *sent_at = now;
            pipe.outbox.push(frame.id, &payload);
        }
    }
    bail!("the peer has closed")
}
