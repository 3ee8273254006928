//! gRPC through tonic over a Unix socket: unary calls, many at once on one HTTP/2 connection, and a client stream for
//! one-way messages. The messages are bytes as they are, which spares tonic what protobuf would cost it.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};
use bytes::{Buf, BufMut, Bytes};
use futures_util::future::BoxFuture;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_stream::{
    StreamExt,
    wrappers::{ReceiverStream, UnixListenerStream},
};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    client,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server,
    transport::{Channel, Endpoint, Server},
};

use crate::{
    harness::{Bench, Post},
    job::{Job, Kind},
    measure::{Tally, Window},
};

const CALL: &str = "/bench.Bench/Call";
const TELL: &str = "/bench.Bench/Tell";
/// HTTP/2's own windows of 64 KiB would stop a fast stream again and again.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// One-way messages between the application and the stream.
const QUEUE: usize = 4096;

/// Drives the work.
pub(crate) async fn drive(bench: &mut Bench) -> Result<Tally> {
    match bench.job.kind {
        Kind::Rpc => calls(bench).await,
        Kind::Event | Kind::Fanout => one_way(bench).await,
        Kind::Client => bail!("the relay does that"),
    }
}

/// Serves the work.
pub(crate) async fn peer(post: Post) -> Result<()> {
    let listener = UnixListener::bind(post.job.socket(post.index))?;
    post.ready("")?;
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(4096)
        .serve_with_incoming(Service { post }, UnixListenerStream::new(listener))
        .await?;
    Ok(())
}

async fn connect(job: &Job, peer: usize) -> Result<client::Grpc<Channel>> {
    let path = job.socket(peer);
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://bench")
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .buffer_size(4096)
        .connect_with_connector(connector)
        .await?;
    Ok(client::Grpc::new(channel))
}

/// A task for each call under way.
async fn calls(bench: &mut Bench) -> Result<Tally> {
    let client = connect(&bench.job, 0).await?;
    let payload = Bytes::from(bench.job.payload());
    let window = bench.begin();
    let tally = Arc::new(Mutex::new(Tally::new(window)?));
    let mut callers = JoinSet::new();
    for _ in 0..bench.job.in_flight {
        callers.spawn(caller(client.clone(), payload.clone(), window, Arc::clone(&tally)));
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    let tally = Arc::into_inner(tally).context("a caller is left")?;
    Ok(tally.into_inner().unwrap_or_else(PoisonError::into_inner))
}

async fn caller(
    mut client: client::Grpc<Channel>,
    payload: Bytes,
    window: Window,
    tally: Arc<Mutex<Tally>>,
) -> Result<()> {
    let mut sent_at = Instant::now();
    while !window.is_over(sent_at) {
        client.ready().await?;
        client.unary(Request::new(payload.clone()), PathAndQuery::from_static(CALL), Plain).await?;
        let now = Instant::now();
        tally.lock().unwrap_or_else(PoisonError::into_inner).answered(sent_at, now);
        sent_at = now;
    }
    Ok(())
}

/// A stream to each peer; every message goes into each of them.
async fn one_way(bench: &mut Bench) -> Result<Tally> {
    let mut streams = Vec::new();
    let mut calls = JoinSet::new();
    for peer in 0..bench.job.peers() {
        let mut client = connect(&bench.job, peer).await?;
        let (sender, messages) = mpsc::channel(QUEUE);
        streams.push(sender);
        calls.spawn(async move {
            client.ready().await?;
            let messages = Request::new(ReceiverStream::new(messages));
            client.client_streaming(messages, PathAndQuery::from_static(TELL), Plain).await?;
            anyhow::Ok(())
        });
    }
    let payload = Bytes::from(bench.job.payload());
    let window = bench.begin();
    let mut tally = Tally::new(window)?;
    while !window.is_over(Instant::now()) {
        for _ in 0..64 {
            for stream in &streams {
                stream.send(payload.clone()).await?;
            }
        }
        tally.sent += 64;
    }
    drop(streams);
    while let Some(ended) = calls.join_next().await {
        ended??;
    }
    Ok(tally)
}

/// What tonic's code generator would have written.
#[derive(Clone)]
struct Service {
    post: Post,
}

impl tower::Service<http::Request<Body>> for Service {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let post = self.post.clone();
        Box::pin(async move {
            let mut grpc = server::Grpc::new(Plain);
            Ok(match request.uri().path() {
                CALL => grpc.unary(Echo, request).await,
                TELL => grpc.client_streaming(Count { post }, request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

/// Answers each call with its own payload.
struct Echo;

impl server::UnaryService<Bytes> for Echo {
    type Response = Bytes;
    type Future = std::future::Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        std::future::ready(Ok(Response::new(request.into_inner())))
    }
}

/// Counts what a stream brings.
struct Count {
    post: Post,
}

impl server::ClientStreamingService<Bytes> for Count {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let post = self.post.clone();
        Box::pin(async move {
            let mut messages = request.into_inner();
            while let Some(message) = messages.next().await {
                message?;
                post.received(1);
            }
            Ok(Response::new(Bytes::new()))
        })
    }
}

/// Messages that are bytes.
#[derive(Clone, Copy)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
