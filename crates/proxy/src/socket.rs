//! A client's WebSocket: one task that reads frames, and writes at once what one turn has queued.
//!
//! The library reads (it is the reading that meets hostile input) and answers pings; frames to the client are
//! made by us, into the one buffer, so that data is copied once. Its buffers are small on purpose: ten thousand
//! idle clients are the usual case.

use crate::conn::{Conn, Out, Stage};
use crate::proxy::Proxy;
use chappe_wire::Reason;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::server::{NoCallback, ServerHandshake};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

/// What is read from a client at once.
const READ_BYTES: usize = 4096;
/// Frames of one client that are taken before others have their turn.
const TURN_FRAMES: usize = 64;
/// An output buffer that has grown beyond this is given back once it is empty.
const KEEP_BYTES: usize = 2048;

/// Runs one client's socket from its first byte to its last.
pub(crate) async fn serve(proxy: Proxy, tcp: TcpStream) {
    let _ = tcp.set_nodelay(true);
    let deadline = proxy.options().login_deadline;
    // Boxed: its state is large and soon gone, and the task's own stays as small as it is when idle.
    let greeting = Box::pin(tokio::time::timeout(deadline, greet(tcp)));
    let Ok(Some(tcp)) = greeting.await else {
        proxy.stats().count("client_handshakes_failed");
        return;
    };
    let conn = proxy.opened();
    let guard = Guard { proxy, conn };
    let limit = guard.proxy.options().message_bytes + 16 * 1024;
    let config = config().max_message_size(Some(limit)).max_frame_size(Some(limit));
    let mut socket =
        Box::new(Socket { tcp, ws: WebSocketContext::new(Role::Server, Some(config)), is_shut: false });
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
    tcp: TcpStream,
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
            let mut stream = Turn { tcp: &mut self.tcp, cx, out: &conn.out };
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
            match Pin::new(&mut self.tcp).poll_write(cx, &bytes[*written..]) {
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
        Ok(true)
    }

    /// After the last frame: reads on until the client closes, because a socket closed with bytes unread would
    /// take the last frame back. The proxy's tick bounds it.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_shut {
            if Pin::new(&mut self.tcp).poll_shutdown(cx).is_pending() {
                return Poll::Pending;
            }
            self.is_shut = true;
        }
        let mut bytes = [0; READ_BYTES];
        for _ in 0..TURN_FRAMES {
            let mut into = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.tcp).poll_read(cx, &mut into) {
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
    tcp: &'a mut TcpStream,
    cx: &'a mut Context<'b>,
    out: &'a RefCell<Out>,
}

impl Read for Turn<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut into = ReadBuf::new(into);
        match Pin::new(&mut *self.tcp).poll_read(self.cx, &mut into) {
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

/// The HTTP upgrade.
async fn greet(tcp: TcpStream) -> Option<TcpStream> {
    let mut step = ServerHandshake::start(Plain(tcp), NoCallback, Some(config()));
    loop {
        match step.handshake() {
            Ok(ws) => return Some(ws.into_inner().0),
            Err(HandshakeError::Failure(error)) => {
                tracing::debug!(%error, "not a WebSocket client");
                return None;
            }
            Err(HandshakeError::Interrupted(next)) => {
                let tcp = &next.get_ref().get_ref().0;
                // The answer is a few hundred bytes into an empty socket: what is waited for is the request.
                tcp.readable().await.ok()?;
                step = next;
            }
        }
    }
}

struct Plain(TcpStream);

impl Read for Plain {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(into)
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
