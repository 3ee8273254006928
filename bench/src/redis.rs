//! Redis publish/subscribe through redis-rs over a Unix socket. Each side has a channel of its own for what comes to
//! it, and what one turn produced is published as one pipeline.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{FuturesUnordered, ReadyChunks},
};
use redis::{
    AsyncConnectionConfig, Client, Pipeline, RedisResult,
    aio::{MultiplexedConnection, PubSubStream},
};
use tokio::time::timeout_at;

use crate::{
    harness::{Bench, Post},
    job::{Job, Kind},
    measure::Tally,
};

const CALLS: &str = "calls";
const ANSWERS: &str = "answers";
const EVENTS: &str = "events";
/// How many messages that have come are handled in one go.
const BATCH: usize = 1024;
/// One-way messages in a pipeline, and pipelines under way: deep enough to keep the server busy, and bounded.
const EVENTS_IN_PIPELINE: u64 = 512;
const PIPELINES: usize = 4;

/// Drives the work.
pub(crate) async fn drive(bench: &mut Bench) -> Result<Tally> {
    match bench.job.kind {
        Kind::Rpc => rpc(bench).await,
        Kind::Event | Kind::Fanout => publish(bench).await,
        Kind::Client => bail!("the relay does that"),
    }
}

/// Serves the work.
pub(crate) async fn peer(post: Post) -> Result<()> {
    let is_rpc = post.job.kind == Kind::Rpc;
    let client = client(&post.job)?;
    let mut messages = subscribe(&client, if is_rpc { CALLS } else { EVENTS }).await?;
    let mut publisher = Publisher::connect(&client).await?;
    post.ready("")?;
    loop {
        let batch = publisher.while_publishing(messages.next()).await?.context("the subscription ended")?;
        post.received(batch.len() as u64);
        if is_rpc {
            publisher.publish(ANSWERS, batch.iter().map(redis::Msg::get_payload_bytes));
        }
    }
}

fn client(job: &Job) -> Result<Client> {
    Ok(Client::open(job.broker.as_ref().context("no Redis server")?.url.as_str())?)
}

/// The messages of a channel, from the moment when the server has confirmed it.
async fn subscribe(client: &Client, channel: &str) -> Result<ReadyChunks<PubSubStream>> {
    let mut subscription = client.get_async_pubsub().await?;
    subscription.subscribe(channel).await?;
    Ok(subscription.into_on_message().ready_chunks(BATCH))
}

/// A connection to publish on, with the pipelines that the server has not yet confirmed.
struct Publisher {
    connection: MultiplexedConnection,
    under_way: FuturesUnordered<BoxFuture<'static, RedisResult<()>>>,
}

impl Publisher {
    async fn connect(client: &Client) -> Result<Self> {
        // The default of half a second is shorter than a disturbed machine may take.
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(20)));
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Self { connection, under_way: FuturesUnordered::new() })
    }

    /// Publishes all as one pipeline, which is under way from the next wait on.
    fn publish<'a>(&mut self, channel: &str, payloads: impl Iterator<Item = &'a [u8]>) {
        let mut pipeline = Pipeline::with_capacity(BATCH);
        for payload in payloads {
            pipeline.cmd("PUBLISH").arg(channel).arg(payload).ignore();
        }
        let mut connection = self.connection.clone();
        self.under_way.push(async move { pipeline.query_async(&mut connection).await }.boxed());
    }

    /// Waits for something else, and meanwhile for the server's confirmations.
    async fn while_publishing<T>(&mut self, other: impl Future<Output = T>) -> Result<T> {
        tokio::pin!(other);
        loop {
            tokio::select! {
                biased;
                Some(confirmed) = self.under_way.next() => confirmed?,
                done = &mut other => return Ok(done),
            }
        }
    }
}

async fn rpc(bench: &mut Bench) -> Result<Tally> {
    let client = client(&bench.job)?;
    let mut answers = subscribe(&client, ANSWERS).await?;
    let mut publisher = Publisher::connect(&client).await?;
    let window = bench.begin();
    let mut tally = Tally::new(window)?;
    let mut sent_at = vec![Instant::now(); bench.job.in_flight];
    // A call's number is the first part of its payload, and comes back with it.
    let mut calls = Vec::new();
    for call in 0..bench.job.in_flight as u64 {
        let mut bytes = call.to_le_bytes().to_vec();
        bytes.extend_from_slice(&bench.job.payload());
        calls.push(bytes);
    }
    publisher.publish(CALLS, calls.iter().map(Vec::as_slice));
    let mut open = calls.len() as u64;
    let patience = tokio::time::Instant::from_std(window.end) + Duration::from_secs(2);
    while open > 0 {
        let Ok(batch) = publisher.while_publishing(timeout_at(patience, answers.next())).await? else {
            break;
        };
        let now = Instant::now();
        let mut again = Vec::with_capacity(BATCH);
        for answer in batch.context("the subscription ended")? {
            let (call, _) =
                answer.get_payload_bytes().split_first_chunk().context("an answer without a number")?;
            let call = u64::from_le_bytes(*call) as usize;
            let sent_at = sent_at.get_mut(call).context("an answer to no call")?;
            tally.answered(*sent_at, now);
            *sent_at = now;
            again.push(calls[call].as_slice());
        }
        if window.is_over(now) {
            open -= again.len() as u64;
        } else {
            publisher.publish(CALLS, again.into_iter());
        }
    }
    tally.lost = open;
    Ok(tally)
}

async fn publish(bench: &mut Bench) -> Result<Tally> {
    let client = client(&bench.job)?;
    let mut publisher = Publisher::connect(&client).await?;
    let payload = bench.job.payload();
    let window = bench.begin();
    let mut tally = Tally::new(window)?;
    while !window.is_over(Instant::now()) {
        publisher.publish(EVENTS, (0..EVENTS_IN_PIPELINE).map(|_| payload.as_slice()));
        tally.sent += EVENTS_IN_PIPELINE;
        while publisher.under_way.len() >= PIPELINES {
            publisher.under_way.next().await.transpose()?;
        }
    }
    while publisher.under_way.next().await.transpose()?.is_some() {}
    Ok(tally)
}
