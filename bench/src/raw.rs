//! The limit: frames on Unix sockets between one-thread processes, with nothing above them; see [`crate::pipe`] for
//! how it reads and writes.

use std::{future::poll_fn, io, task::Poll, time::Instant};

use anyhow::{Result, bail};
use tokio::net::UnixListener;

use crate::{
    callers,
    harness::{Bench, Post},
    job::Kind,
    measure::Tally,
    pipe::{Pipe, push_frame},
};

/// One-way messages leave in writes of about this many bytes: about what a socket takes at once.
const BATCH: usize = 64 * 1024;

/// Drives the work.
pub(crate) async fn drive(bench: &mut Bench) -> Result<Tally> {
    match bench.job.kind {
        Kind::Rpc => callers::rpc(bench).await,
        Kind::Event | Kind::Fanout => one_way(bench).await,
        Kind::Client => bail!("the relay does that"),
    }
}

/// Serves the work for one driver.
pub(crate) async fn peer(post: Post) -> Result<()> {
    let listener = UnixListener::bind(post.job.socket(post.index))?;
    post.ready("")?;
    let mut pipe = Pipe::new(listener.accept().await?.0);
    match post.job.kind {
        Kind::Rpc => echo(&mut pipe).await,
        _ => count(&mut pipe, &post).await,
    }
}

/// Answers each call with its own payload.
pub(crate) async fn echo(pipe: &mut Pipe) -> Result<()> {
    while pipe.turn().await? {
        while let Some(frame) = pipe.inbox.next_frame()? {
            pipe.outbox.push(frame.id, frame.body);
        }
    }
    Ok(())
}

/// Sends each message to every peer: encoded once, written to each.
async fn one_way(bench: &mut Bench) -> Result<Tally> {
    let mut pipes = Vec::new();
    for peer in 0..bench.job.peers() {
        pipes.push(Pipe::connect(&bench.job.socket(peer)).await?);
    }
    let payload = bench.job.payload();
    let mut batch = Vec::with_capacity(BATCH * 2);
    let window = bench.begin();
    let mut tally = Tally::new(window)?;
    while !window.is_over(Instant::now()) {
        batch.clear();
        while batch.len() < BATCH {
            push_frame(&mut batch, tally.sent, &payload);
            tally.sent += 1;
        }
        write_to_all(&mut pipes, &batch).await?;
    }
    Ok(tally)
}

async fn write_to_all(pipes: &mut [Pipe], batch: &[u8]) -> io::Result<()> {
    let mut written = vec![0; pipes.len()];
    poll_fn(|cx| {
        let mut all = Poll::Ready(Ok(()));
        for (pipe, written) in pipes.iter_mut().zip(&mut written) {
            while *written < batch.len() {
                match pipe.poll_write(cx, &batch[*written..]) {
                    Poll::Ready(Ok(sent)) => *written += sent,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {
                        all = Poll::Pending;
                        break;
                    }
                }
            }
        }
        all
    })
    .await
}

async fn count(pipe: &mut Pipe, post: &Post) -> Result<()> {
    while pipe.turn().await? {
        let mut messages = 0;
        while let Some(frame) = pipe.inbox.next_frame()? {
            // Looking at the body is what any receiver does.
            if frame.body.len() != post.job.size {
                bail!("a message of {} bytes", frame.body.len());
            }
            messages += 1;
        }
        post.received(messages);
    }
    Ok(())
}
