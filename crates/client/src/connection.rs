//! The connection: one task that writes what waits, reads what comes, and gets a new socket when one drops.

use crate::client::Login;
use crate::error::ClientError;
use crate::event::{ClientEvent, Received};
use crate::request::Response;
use crate::socket::{self, Socket};
use crate::state::{INBOX, Shared};
use bytes::Bytes;
use chappe_wire::Reason;
use chappe_wire::client::{self as wire, FromClient, ToClient, Welcome};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};

/// How long a connection and a login may take; a login waits for the master and up to four servers.
const CONNECT: Duration = Duration::from_secs(10);
const LOGIN: Duration = Duration::from_secs(45);
/// How long a write may take before the socket counts as dead.
const WRITE: Duration = Duration::from_secs(10);
/// The first wait between two attempts to come back, doubled up to the second.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
/// After so many events the proxy is told at once that they have arrived; else once a tick.
const ACK_EVERY: u64 = 32;
const TICK: Duration = Duration::from_secs(1);
/// Silence after which the proxy is asked whether it is there, and after which the socket counts as dead.
const SILENCE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(60));
/// Messages written or read before the other side has its turn.
const TURN: usize = 256;

/// How a socket has ended.
enum Ended {
    /// The session is over, or nobody wants it any more.
    Over,
    /// The session waits for a new socket.
    Dropped,
}

/// Logs in, and keeps the connection from then on.
pub(crate) async fn start(shared: Arc<Shared>, url: String, login: Login) -> Result<(), ClientError> {
    let (socket, welcome) = open(&url, &login, None, 0).await?;
    take_welcome(&shared, welcome);
    tokio::spawn(run(shared, url, login, socket));
    Ok(())
}

async fn run(shared: Arc<Shared>, url: String, login: Login, mut socket: Socket) {
    while let Ended::Dropped = carry(&shared, &mut socket).await {
        drop(socket);
        match come_back(&shared, &url, &login).await {
            Ok(Some(next)) => socket = next,
            Ok(None) => return,
            Err(error) => return shared.finish(error.reason(), error.to_string(), false),
        }
    }
}

/// A new socket for the session, within the time for which the proxy keeps it. `None`: nobody wants it any more.
async fn come_back(shared: &Shared, url: &str, login: &Login) -> Result<Option<Socket>, ClientError> {
    let (token, window) = {
        let state = shared.lock();
        let welcome = state.welcome.as_ref();
        welcome.map_or((None, 0), |welcome| (Some(welcome.token.clone()), welcome.resume_ms))
    };
    let deadline = Instant::now() + Duration::from_millis(window);
    let mut wait = RETRY.0;
    loop {
        let received = {
            let state = shared.lock();
            if state.is_abandoned || state.end.is_some() {
                return Ok(None);
            }
            state.received
        };
        match open(url, login, token.clone(), received).await {
            Ok((socket, welcome)) => {
                let resumed = welcome.resumed;
                take_welcome(shared, welcome);
                shared.tell(ClientEvent::Reconnected { resumed });
                return Ok(Some(socket));
            }
            Err(error) if error.reason() != Reason::Disconnected || Instant::now() + wait > deadline => {
                return Err(error);
            }
            Err(_) => {}
        }
        // Thousands of clients of one proxy must not come back in one moment.
        sleep(wait + Duration::from_millis(login.uid % 20)).await;
        wait = (wait * 2).min(RETRY.1);
    }
}

fn take_welcome(shared: &Shared, welcome: Welcome) {
    let mut state = shared.lock();
    if welcome.resumed {
        state.outbox.resume(welcome.received);
    } else {
        for row in state.outbox.restart() {
            state.counts.lost[row.index()] += 1;
        }
        state.received = 0;
    }
    state.told = state.received;
    state.ask_again();
    state.server = welcome.server_id;
    state.welcome = Some(welcome);
}

async fn open(
    url: &str,
    login: &Login,
    resume: Option<String>,
    received: u64,
) -> Result<(Socket, Welcome), ClientError> {
    let unreachable = |why: String| ClientError::Unreachable { url: url.to_owned(), why };
    let mut socket = match timeout(CONNECT, socket::connect(url, login.tls.as_ref())).await {
        Ok(connected) => connected?,
        Err(_) => return Err(unreachable("no answer".to_owned())),
    };
    let login = wire::Login {
        uid: login.uid,
        token: login.token.clone(),
        nickname: login.nickname.clone(),
        protocol: wire::PROTOCOL,
        resume,
        received,
    };
    let frame = encode(&FromClient::Login(login)).map_err(ClientError::unsendable)?;
    let answer = async {
        socket.send(Message::Binary(frame)).await?;
        loop {
            match socket.next().await {
                // An announcement may come in between.
                Some(Ok(Message::Binary(frame))) if answers_login(&frame) => return Ok(frame),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Err(Error::ConnectionClosed),
            }
        }
    };
    let frame = match timeout(LOGIN, answer).await {
        Ok(answer) => answer.map_err(|error| socket::failed(url, &error))?,
        Err(_) => return Err(unreachable("the login was not answered".to_owned())),
    };
    match ToClient::decode(&frame) {
        Ok(ToClient::Welcome(welcome)) => Ok((socket, welcome)),
        Ok(ToClient::Close(reason, message)) => {
            Err(ClientError::Closed { reason, message: message.to_owned() })
        }
        Ok(other) => Err(unreachable(format!("the login was answered with {other:?}"))),
        Err(error) => Err(unreachable(error.to_string())),
    }
}

fn answers_login(frame: &[u8]) -> bool {
    !matches!(ToClient::decode(frame), Ok(ToClient::Ack(_) | ToClient::Announce(_) | ToClient::Pong(_)))
}

/// Works one socket until it ends.
async fn carry(shared: &Shared, socket: &mut Socket) -> Ended {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_due, mut said_logout, mut is_asked) = (false, false, false);
    let mut heard = Instant::now();
    loop {
        let has_room = {
            let mut state = shared.lock();
            if state.is_abandoned || state.end.is_some() {
                return Ended::Over;
            }
            if std::mem::take(&mut state.wants_drop) {
                return Ended::Dropped;
            }
            state.inbox.len() < INBOX
        };
        let silent = heard.elapsed();
        if silent >= SILENCE.1 {
            return Ended::Dropped;
        }
        let asks = silent >= SILENCE.0 && !is_asked;
        is_asked |= asks;
        match timeout(WRITE, write(shared, socket, is_due, asks, &mut said_logout)).await {
            Ok(Ok(())) => is_due = false,
            Ok(Err(_)) | Err(_) => {
                // What came before the end may say why.
                return read_rest(shared, socket).await;
            }
        }
        tokio::select! {
            biased;
            () = shared.work.notified() => {}
            message = socket.next(), if has_room => {
                heard = Instant::now();
                is_asked = false;
                let mut message = Some(message);
                for _ in 0..TURN {
                    // What is there already is taken without another turn.
                    let Some(next) = message.take().or_else(|| socket.next().now_or_never()) else { break };
                    if let Some(ended) = take(shared, next) {
                        return ended;
                    }
                }
            }
            _ = tick.tick() => is_due = true,
        }
    }
}

/// Writes everything that waits, in one go.
async fn write(
    shared: &Shared,
    socket: &mut Socket,
    is_due: bool,
    asks: bool,
    said_logout: &mut bool,
) -> Result<(), Error> {
    let mut wrote = false;
    for _ in 0..TURN {
        let Some(frame) = shared.lock().outbox.next() else { break };
        socket.feed(Message::Binary(frame)).await?;
        wrote = true;
    }
    let (ack, logout) = {
        let mut state = shared.lock();
        let untold = state.received - state.told;
        let ack = (untold >= ACK_EVERY || (is_due && untold > 0)).then_some(state.received);
        state.told = ack.unwrap_or(state.told);
        let is_empty = state.outbox.is_written();
        if !is_empty {
            // More than one turn's worth: come again at once.
            shared.work.notify_one();
        }
        (ack, state.wants_logout && is_empty && !*said_logout)
    };
    let asks = asks.then_some(FromClient::Ping(0));
    let logout = logout.then_some(FromClient::Logout);
    *said_logout |= logout.is_some();
    for message in [ack.map(FromClient::Ack), asks, logout].into_iter().flatten() {
        if let Ok(frame) = encode(&message) {
            socket.feed(Message::Binary(frame)).await?;
            wrote = true;
        }
    }
    if wrote {
        socket.flush().await?;
    }
    Ok(())
}

/// The socket takes nothing more; what the proxy has sent before that is still read.
async fn read_rest(shared: &Shared, socket: &mut Socket) -> Ended {
    let rest = async {
        loop {
            let message = socket.next().await;
            if let Some(ended) = take(shared, message) {
                return ended;
            }
        }
    };
    timeout(WRITE, rest).await.unwrap_or(Ended::Dropped)
}

/// Takes in one message.
fn take(shared: &Shared, message: Option<Result<Message, Error>>) -> Option<Ended> {
    let frame = match message {
        Some(Ok(Message::Binary(frame))) => frame,
        Some(Ok(Message::Close(_)) | Err(_)) | None => return Some(Ended::Dropped),
        Some(Ok(_)) => return None,
    };
    match ToClient::decode(&frame) {
        Ok(ToClient::Event { names, data, measured }) => {
            take_event(shared, Received::new(&frame, names, data, measured));
        }
        Ok(ToClient::Server(moved)) => {
            {
                let mut state = shared.lock();
                state.server = moved.server_id;
                if !moved.is_transfer {
                    // What the lost server had not done is for the next one.
                    state.ask_again();
                    shared.work.notify_one();
                }
            }
            shared.tell(ClientEvent::Moved { server: moved.server_id, is_transfer: moved.is_transfer });
        }
        Ok(ToClient::Announce(text)) => shared.tell(ClientEvent::Announce(text.to_owned())),
        Ok(ToClient::Error(reason, message)) => {
            shared.tell(ClientEvent::Dropped { reason, message: message.to_owned() });
        }
        Ok(ToClient::Ack(received)) => shared.lock().outbox.acknowledge(received),
        Ok(ToClient::Close(reason, message)) => {
            // The acknowledgement before it was the last.
            shared.finish(reason, message.to_owned(), true);
            return Some(Ended::Over);
        }
        Ok(ToClient::Pong(_) | ToClient::Welcome(_)) => {}
        Err(error) => {
            tracing::warn!(%error, "the proxy has sent what is no frame");
            return Some(Ended::Dropped);
        }
    }
    None
}

fn take_event(shared: &Shared, event: Received) {
    let response = Response::of(&event);
    let handlers = {
        let mut state = shared.lock();
        state.received += 1;
        let row = event.row().map_or(0, chappe_wire::Row::index);
        state.counts.received[row] += 1;
        let unasked = response.map(|response| state.asks.answer(response));
        if let Some(None) = unasked {
            return;
        }
        if let Some(Some(response)) = unasked
            && let Some(handlers) = state.on_response.get(response.kind()).cloned()
        {
            drop(state);
            return handlers.iter().for_each(|handler| handler(&response));
        }
        if state.listeners.is_empty() {
            None
        } else {
            let names = [event.namespace(), event.system(), event.name()].map(str::to_owned);
            state.listeners.get(&names).cloned()
        }
    };
    match handlers {
        Some(handlers) => handlers.iter().for_each(|handler| handler(&event)),
        None => shared.tell(ClientEvent::Event(event)),
    }
}

fn encode(message: &FromClient<'_>) -> Result<Bytes, chappe_wire::value::ValueError> {
    let mut frame = Vec::with_capacity(64);
    message.encode_into(&mut frame)?;
    Ok(Bytes::from(frame))
}
