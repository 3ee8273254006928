//! A client's WebSocket: one task that reads frames, and writes at once what one turn has queued.
//!
//! The library reads (it is the reading that meets hostile input) and answers pings; frames to the client are
//! made by us, into the one buffer, so that data is copied once. Its buffers are small on purpose: ten thousand
//! idle clients are the usual case.

use crate::conn::{Conn, Out, Stage};
use crate::proxy::Proxy;
use crate::tls;
use chappe_wire::Reason;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response, ServerHandshake};
use tungstenite::http::{StatusCode, header};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

/// What is read from a client at once.
const READ_BYTES: usize = 4096;
/// Frames of one client that are taken before others have their turn.
const TURN_FRAMES: usize = 64;
/// An output buffer that has grown beyond this is given back once it is empty.
const KEEP_BYTES: usize = 2048;

/// What carries the bytes. Boxed where it is large: most clients are idle.
type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// Runs one client's socket from its first byte to its last.
pub(crate) async fn serve(proxy: Proxy, tcp: TcpStream) {
    let _ = tcp.set_nodelay(true);
    // Boxed: its state is large and soon gone, and the task's own stays as small as it is when idle.
    let Some(stream) = Box::pin(arrive(&proxy, tcp)).await else { return };
    let conn = proxy.opened();
    let guard = Guard { proxy, conn };
    let limit = guard.proxy.options().message_bytes + 16 * 1024;
    let config = config().max_message_size(Some(limit)).max_frame_size(Some(limit));
    let mut socket =
        Box::new(Socket { stream, ws: WebSocketContext::new(Role::Server, Some(config)), is_shut: false });
    poll_fn(|cx| socket.turn(&guard.proxy, &guard.conn, cx)).await;
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(READ_BYTES).write_buffer_size(0)
}

/// Whatever ends the task, the proxy hears of it.
struct Guard {
    proxy: Proxy,
    conn: Rc<Conn>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.proxy.socket_ended(&self.conn);
    }
}

struct Socket {
    stream: Stream,
    ws: WebSocketContext,
    is_shut: bool,
}

impl Socket {
    fn turn(&mut self, proxy: &Proxy, conn: &Rc<Conn>, cx: &mut Context<'_>) -> Poll<()> {
        {
            let mut waker = conn.waker.borrow_mut();
            if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
        }
        let mut read = 0;
        while conn.is_open() {
            if read == TURN_FRAMES {
                cx.waker().wake_by_ref();
                break;
            }
            read += 1;
            let mut stream = Turn { stream: &mut self.stream, cx, out: &conn.out };
            match self.ws.read(&mut stream) {
                Ok(message) => {
                    conn.heard.set(Instant::now());
                    conn.pinged.set(false);
                    match message {
                        Message::Binary(frame) => proxy.on_binary(conn, &frame),
                        Message::Text(text) => proxy.on_text(conn, &text),
                        Message::Close(_) => return Poll::Ready(()),
                        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                    }
                }
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(Error::Capacity(error)) => {
                    proxy.on_bad_frame(conn, Reason::TooLarge, &error.to_string());
                }
                Err(
                    error @ (Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)
                    | Error::Io(_)
                    | Error::ConnectionClosed
                    | Error::AlreadyClosed),
                ) => {
                    tracing::debug!(conn = conn.id, %error, "a client's socket has ended");
                    return Poll::Ready(());
                }
                Err(error) => proxy.on_bad_frame(conn, Reason::ProtocolError, &error.to_string()),
            }
        }
        if conn.stage.get() == Stage::Aborted {
            return Poll::Ready(());
        }
        match self.write(conn, cx) {
            Ok(true) if conn.stage.get() == Stage::Closing => self.linger(cx),
            Ok(_) => Poll::Pending,
            Err(_) => Poll::Ready(()),
        }
    }

    /// Writes what is queued; whether all of it went.
    fn write(&mut self, conn: &Conn, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut out = conn.out.borrow_mut();
        while out.waiting() > 0 {
            let Out { bytes, written } = &mut *out;
            match Pin::new(&mut self.stream).poll_write(cx, &bytes[*written..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => *written += count,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    // What was written makes room once it is most of the buffer.
                    if *written > bytes.len() / 2 {
                        bytes.drain(..*written);
                        *written = 0;
                    }
                    return Ok(false);
                }
            }
        }
        out.written = 0;
        out.bytes.clear();
        out.bytes.shrink_to(KEEP_BYTES);
        // Over TLS, what was taken may still wait in there.
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(flushed) => flushed.map(|()| true),
            Poll::Pending => Ok(false),
        }
    }

    /// After the last frame: reads on until the client closes, because a socket closed with bytes unread would
    /// take the last frame back. The proxy's tick bounds it.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_shut {
            if Pin::new(&mut self.stream).poll_shutdown(cx).is_pending() {
                return Poll::Pending;
            }
            self.is_shut = true;
        }
        let mut bytes = [0; READ_BYTES];
        for _ in 0..TURN_FRAMES {
            let mut into = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(cx, &mut into) {
                Poll::Ready(Ok(())) if !into.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The socket for the length of one turn, as the library wants it: reading never waits, writing goes to the
/// queue.
struct Turn<'a, 'b> {
    stream: &'a mut Stream,
    cx: &'a mut Context<'b>,
    out: &'a RefCell<Out>,
}

impl Read for Turn<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut into = ReadBuf::new(into);
        match Pin::new(&mut *self.stream).poll_read(self.cx, &mut into) {
            Poll::Ready(Ok(())) => Ok(into.filled().len()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Turn<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.borrow_mut().bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// From a connection to a WebSocket, by the time that a login may take. What fails is counted here.
async fn arrive(proxy: &Proxy, tcp: TcpStream) -> Option<Stream> {
    let deadline = Instant::now() + proxy.options().login_deadline;
    let stream = match &proxy.options().tls {
        Some(tls) => Either::Right(Box::new(secure(proxy, tls.config().into(), tcp, deadline).await?)),
        None => Either::Left(tcp),
    };
    let greeted = timeout_at(deadline, greet(proxy, stream)).await.ok().flatten();
    if greeted.is_none() {
        proxy.stats().count("client_handshakes_failed");
    }
    greeted
}

/// The TLS handshake.
async fn secure(
    proxy: &Proxy,
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    deadline: Instant,
) -> Option<TlsStream<TcpStream>> {
    let Some(_one) = Handshake::begin(proxy) else {
        proxy.stats().count("tls_handshakes_refused");
        return None;
    };
    let failure = match timeout_at(deadline, acceptor.accept(tcp)).await {
        Ok(Ok(stream)) => return Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake has failed");
            tls::failure(&error)
        }
        Err(_) => "tls_handshake_timeouts",
    };
    proxy.stats().count(failure);
    None
}

/// A TLS handshake under way, as one of so many.
struct Handshake<'a>(&'a Proxy);

impl Handshake<'_> {
    fn begin(proxy: &Proxy) -> Option<Handshake<'_>> {
        let count = &proxy.0.handshakes;
        if count.get() >= proxy.options().max_handshakes {
            return None;
        }
        count.set(count.get() + 1);
        Some(Handshake(proxy))
    }
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        let count = &self.0.0.handshakes;
        count.set(count.get() - 1);
    }
}

/// The HTTP upgrade.
async fn greet(proxy: &Proxy, stream: Stream) -> Option<Stream> {
    let waiting = Waiting { stream, waker: Waker::noop().clone() };
    let mut step = Some(ServerHandshake::start(waiting, Origins(proxy), Some(config())));
    poll_fn(move |cx| {
        let Some(mut mid) = step.take() else { return Poll::Ready(None) };
        mid.get_mut().get_mut().waker = cx.waker().clone();
        match mid.handshake() {
            Ok(ws) => Poll::Ready(Some(ws.into_inner().stream)),
            Err(HandshakeError::Failure(error)) => {
                tracing::debug!(%error, "not a WebSocket client");
                Poll::Ready(None)
            }
            Err(HandshakeError::Interrupted(next)) => {
                step = Some(next);
                Poll::Pending
            }
        }
    })
    .await
}

/// A browser tells from whose page a connection comes; nobody else is bound to tell the truth, or anything.
struct Origins<'a>(&'a Proxy);

impl Callback for Origins<'_> {
    fn on_request(self, request: &Request, response: Response) -> Result<Response, ErrorResponse> {
        let allowed = &self.0.options().origins;
        let Some(origin) = request.headers().get(header::ORIGIN).filter(|_| !allowed.is_empty()) else {
            return Ok(response);
        };
        if allowed.iter().any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes())) {
            return Ok(response);
        }
        self.0.stats().count("origins_refused");
        let mut refusal = ErrorResponse::new(Some("pages of this site may not connect".to_owned()));
        *refusal.status_mut() = StatusCode::FORBIDDEN;
        Err(refusal)
    }
}

/// The socket while the library drives the upgrade: what would wait wakes the task later.
struct Waiting {
    stream: Stream,
    waker: Waker,
}

impl Read for Waiting {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut into = ReadBuf::new(into);
        match Pin::new(&mut self.stream).poll_read(&mut Context::from_waker(&self.waker), &mut into) {
            Poll::Ready(Ok(())) => Ok(into.filled().len()),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Write for Waiting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_later(Pin::new(&mut self.stream).poll_write(&mut Context::from_waker(&self.waker), bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        or_later(Pin::new(&mut self.stream).poll_flush(&mut Context::from_waker(&self.waker)))
    }
}

fn or_later<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
