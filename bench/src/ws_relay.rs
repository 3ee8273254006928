//! A plain WebSocket relay of two hops, to measure the way through Chappe's proxy against: clients on WebSockets, a
//! relay that passes each message on over a Unix socket, a server that answers, and the same way back. The driver is
//! all the clients, peer 0 the server, peer 1 the relay.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Instant,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener},
    sync::mpsc,
    task::JoinSet,
};
use tokio_tungstenite::{
    WebSocketStream, accept_async_with_config, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use crate::{
    harness::{Bench, Post},
    measure::{Tally, Window},
    pipe::Pipe,
    raw,
};

/// Messages of the relay's clients on their way to the server.
const QUEUE: usize = 4096;

/// Drives the clients.
pub(crate) async fn drive(bench: &mut Bench) -> Result<Tally> {
    let url = bench.address(1)?.to_owned();
    let mut sockets = Vec::new();
    for _ in 0..bench.job.in_flight {
        sockets.push(connect(&url).await?);
    }
    let payload = Bytes::from(bench.job.payload());
    let window = bench.begin();
    let tally = Arc::new(Mutex::new(Tally::new(window)?));
    let mut clients = JoinSet::new();
    for socket in sockets {
        clients.spawn(client(socket, payload.clone(), window, Arc::clone(&tally)));
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    let tally = Arc::into_inner(tally).context("a client is left")?;
    Ok(tally.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The server, or the relay.
pub(crate) async fn peer(post: Post) -> Result<()> {
    if post.index == 0 { serve(&post).await } else { relay(&post).await }
}

/// Small buffers, as anyone with many connections sets them.
fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0)
}

async fn connect(address: &str) -> Result<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(client_async_with_config(format!("ws://{address}/"), stream, Some(config())).await?.0)
}

async fn client(
    mut socket: WebSocketStream<TcpStream>,
    payload: Bytes,
    window: Window,
    tally: Arc<Mutex<Tally>>,
) -> Result<()> {
    let mut sent_at = Instant::now();
    while !window.is_over(sent_at) {
        socket.send(Message::Binary(payload.clone())).await?;
        socket.next().await.context("the relay has closed")??;
        let now = Instant::now();
        tally.lock().unwrap_or_else(PoisonError::into_inner).answered(sent_at, now);
        sent_at = now;
    }
    Ok(())
}

async fn serve(post: &Post) -> Result<()> {
    let listener = UnixListener::bind(post.job.socket(0))?;
    post.ready("")?;
    let mut pipe = Pipe::new(listener.accept().await?.0);
    raw::echo(&mut pipe).await
}

/// Whom the server's answers go to.
type Clients = Arc<Mutex<HashMap<u64, mpsc::UnboundedSender<Bytes>>>>;

async fn relay(post: &Post) -> Result<()> {
    let pipe = Pipe::connect(&post.job.socket(0)).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let clients = Clients::default();
    let (to_server, from_clients) = mpsc::channel(QUEUE);
    let uplink = tokio::spawn(uplink(pipe, from_clients, Arc::clone(&clients)));
    let accepting = accept(&listener, to_server, &clients);
    post.ready(&listener.local_addr()?.to_string())?;
    tokio::select! {
        ended = uplink => ended?,
        ended = accepting => ended,
    }
}

async fn accept(
    listener: &TcpListener,
    to_server: mpsc::Sender<(u64, Bytes)>,
    clients: &Clients,
) -> Result<()> {
    for id in 0.. {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (sender, answers) = mpsc::unbounded_channel();
        clients.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        let (to_server, clients) = (to_server.clone(), Arc::clone(clients));
        tokio::spawn(async move {
            // A client that leaves ends its own connection and nothing else.
            let _ = connection(stream, id, to_server, answers).await;
            clients.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        });
    }
    Ok(())
}

async fn connection(
    stream: TcpStream,
    id: u64,
    to_server: mpsc::Sender<(u64, Bytes)>,
    mut answers: mpsc::UnboundedReceiver<Bytes>,
) -> Result<()> {
    let mut socket = accept_async_with_config(stream, Some(config())).await?;
    loop {
        tokio::select! {
            message = socket.next() => match message.context("the client has closed")?? {
                Message::Binary(payload) => to_server.send((id, payload)).await?,
                Message::Close(_) => return Ok(()),
                _ => {}
            },
            Some(answer) = answers.recv() => socket.send(Message::Binary(answer)).await?,
        }
    }
}

/// The relay's socket to the server: what has come from all clients leaves in one write.
async fn uplink(mut pipe: Pipe, mut messages: mpsc::Receiver<(u64, Bytes)>, clients: Clients) -> Result<()> {
    loop {
        let open = poll_fn(|cx| {
            while let Poll::Ready(Some((id, payload))) = messages.poll_recv(cx) {
                pipe.outbox.push(id, &payload);
            }
            pipe.poll_turn(cx)
        })
        .await?;
        if !open {
            return Ok(());
        }
        let clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(frame) = pipe.inbox.next_frame()? {
            if let Some(client) = clients.get(&frame.id) {
                // It fails only when the client has just left.
                let _ = client.send(Bytes::copy_from_slice(frame.body));
            }
        }
    }
}
