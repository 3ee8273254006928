//! NATS through async-nats, tuned as its users do when every message counts: subscriptions deep enough that the
//! client library drops nothing silently, a deep command queue, and no timer for each request.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use async_nats::{Client, ConnectOptions, Subject, Subscriber};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::{
    task::{JoinSet, unconstrained},
    time::timeout_at,
};

use crate::{
    harness::{Bench, Post},
    job::{Engine, Job, Kind},
    measure::{Tally, Window},
};

const CALLS: &str = "calls";
const EVENTS: &str = "events";
/// The default of 65,536 loses messages silently when a receiver falls behind.
const DEPTH: usize = 4_000_000;
/// How many messages that have come are handled in one go.
const BATCH: usize = 1024;

/// Drives the work.
pub(crate) async fn drive(bench: &mut Bench) -> Result<Tally> {
    match (bench.job.kind, bench.job.engine) {
        (Kind::Rpc, Engine::NatsRequest) => requests(bench).await,
        (Kind::Rpc, _) => inbox(bench).await,
        (Kind::Event | Kind::Fanout, _) => publish(bench).await,
        (Kind::Client, _) => bail!("the relay does that"),
    }
}

/// Serves the work. Without tokio's budget for a task: on one thread that budget would let the client library read far
/// more at each turn than we may then take from it, and we would fall behind for ever.
pub(crate) async fn peer(post: Post) -> Result<()> {
    unconstrained(serve(post)).await
}

async fn serve(post: Post) -> Result<()> {
    let client = connect(&post.job).await?;
    let subject = if post.job.kind == Kind::Rpc { CALLS } else { EVENTS };
    let mut messages = subscribe(&client, subject).await?.ready_chunks(BATCH);
    post.ready("")?;
    while let Some(batch) = messages.next().await {
        post.received(batch.len() as u64);
        for message in batch {
            if let Some(reply) = message.reply {
                client.publish(reply, message.payload).await?;
            }
        }
    }
    bail!("the subscription ended")
}

async fn connect(job: &Job) -> Result<Client> {
    let broker = job.broker.as_ref().context("no NATS server")?;
    let options = ConnectOptions::new()
        .subscription_capacity(DEPTH)
        .client_capacity(64 * 1024)
        .request_timeout(None)
        .ping_interval(Duration::from_secs(5));
    Ok(options.connect(&broker.url).await?)
}

/// Subscribes, and makes sure that the server knows: a message of our own on the same connection comes back only
/// after the server has seen the subscription before it.
async fn subscribe(client: &Client, subject: &'static str) -> Result<Subscriber> {
    let messages = client.subscribe(subject).await?;
    let probe = client.new_inbox();
    let mut probes = client.subscribe(probe.clone()).await?;
    client.publish(probe, Bytes::new()).await?;
    probes.next().await.context("the probe's subscription ended")?;
    Ok(messages)
}

/// A task for each call under way, and the library's own request.
async fn requests(bench: &mut Bench) -> Result<Tally> {
    let client = connect(&bench.job).await?;
    let payload = Bytes::from(bench.job.payload());
    let window = bench.begin();
    let tally = Arc::new(Mutex::new(Tally::new(window)?));
    let mut callers = JoinSet::new();
    for _ in 0..bench.job.in_flight {
        callers.spawn(requester(client.clone(), payload.clone(), window, Arc::clone(&tally)));
    }
    // A request that was lost would wait for ever: two seconds after the end it counts as lost.
    let patience = tokio::time::Instant::from_std(window.end) + Duration::from_secs(2);
    let mut lost = 0;
    while !callers.is_empty() {
        match timeout_at(patience, callers.join_next()).await {
            Ok(Some(ended)) => ended??,
            Ok(None) => break,
            Err(_) => {
                lost = callers.len() as u64;
                callers.shutdown().await;
            }
        }
    }
    drop(callers);
    let tally = Arc::into_inner(tally).context("a caller is left")?;
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    tally.lost = lost;
    Ok(tally)
}

async fn requester(client: Client, payload: Bytes, window: Window, tally: Arc<Mutex<Tally>>) -> Result<()> {
    let mut sent_at = Instant::now();
    while !window.is_over(sent_at) {
        client.request(Subject::from_static(CALLS), payload.clone()).await?;
        let now = Instant::now();
        tally.lock().unwrap_or_else(PoisonError::into_inner).answered(sent_at, now);
        sent_at = now;
    }
    Ok(())
}

/// One subscription for all answers; the first bytes of a payload tell which call it answers.
async fn inbox(bench: &mut Bench) -> Result<Tally> {
    let client = connect(&bench.job).await?;
    let own = Subject::from(client.new_inbox());
    let mut answers = client.subscribe(own.clone()).await?.ready_chunks(BATCH);
    let payload = bench.job.payload();
    let window = bench.begin();
    let mut tally = Tally::new(window)?;
    let mut sent_at = vec![Instant::now(); bench.job.in_flight];
    for call in 0..bench.job.in_flight as u64 {
        client.publish_with_reply(CALLS, own.clone(), numbered(call, &payload)).await?;
    }
    let mut open = bench.job.in_flight as u64;
    let patience = tokio::time::Instant::from_std(window.end) + Duration::from_secs(2);
    while open > 0 {
        let Ok(batch) = timeout_at(patience, answers.next()).await else { break };
        let now = Instant::now();
        for answer in batch.context("the inbox ended")? {
            let (call, _) = answer.payload.split_first_chunk().context("an answer without a number")?;
            let call = u64::from_le_bytes(*call);
            let sent_at = sent_at.get_mut(call as usize).context("an answer to no call")?;
            tally.answered(*sent_at, now);
            *sent_at = now;
            if window.is_over(now) {
                open -= 1;
            } else {
                client.publish_with_reply(CALLS, own.clone(), numbered(call, &payload)).await?;
            }
        }
    }
    tally.lost = open;
    Ok(tally)
}

fn numbered(call: u64, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(8 + payload.len());
    bytes.put_u64_le(call);
    bytes.put_slice(payload);
    bytes.freeze()
}

/// Publishes as fast as the client library takes it.
async fn publish(bench: &mut Bench) -> Result<Tally> {
    let client = connect(&bench.job).await?;
    let payload = Bytes::from(bench.job.payload());
    let window = bench.begin();
    let mut tally = Tally::new(window)?;
    while !window.is_over(Instant::now()) {
        for _ in 0..64 {
            client.publish(Subject::from_static(EVENTS), payload.clone()).await?;
        }
        tally.sent += 64;
    }
    client.flush().await?;
    Ok(tally)
}
