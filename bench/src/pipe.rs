//! A buffered socket with frames on it: `u32` length of what follows, `u64` id, body; little-endian.
//!
//! This is the whole art of the limit that everything else is measured against: one read takes all that has come,
//! one write hands over all that a turn of the loop has produced, and nothing is woken in between.

use std::{
    future::poll_fn,
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
};

/// Room for what one read can bring: more than a Unix socket holds by default, so that a read is almost never full.
const READ: usize = 512 * 1024;
const LENGTH: usize = 4;
const ID: usize = 8;

/// A connection: a socket, what was read from it and what is to be written to it.
pub(crate) struct Pipe {
    stream: UnixStream,
    /// Frames that have come.
    pub(crate) inbox: Inbox,
    /// Frames to send.
    pub(crate) outbox: Outbox,
}

impl Pipe {
    /// A pipe on a connected socket.
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, inbox: Inbox::new(), outbox: Outbox::default() }
    }

    /// Connects to the socket at `path`.
    pub(crate) async fn connect(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).await.map(Self::new)
    }

    /// One turn: writes what the last one produced, and waits until bytes have come. False when the other side has
    /// closed. It never waits for the write alone, so two sides that both have much to say cannot block each other.
    pub(crate) async fn turn(&mut self) -> io::Result<bool> {
        poll_fn(|cx| self.poll_turn(cx)).await
    }

    /// See [`Pipe::turn`].
    pub(crate) fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
            return Poll::Ready(Err(error));
        }
        self.inbox.poll_fill(&mut self.stream, cx)
    }

    /// Writes what the outbox holds.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outbox.poll_flush(&mut self.stream, cx)
    }

    /// Writes from a buffer that several pipes share; how much of it went.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
}

/// What was read and not yet taken.
pub(crate) struct Inbox {
    bytes: Box<[u8]>,
    head: usize,
    tail: usize,
}

/// A frame in the inbox.
pub(crate) struct Frame<'a> {
    /// What the sender called it.
    pub(crate) id: u64,
    /// What it carries.
    pub(crate) body: &'a [u8],
}

impl Inbox {
    fn new() -> Self {
        Self { bytes: vec![0; READ].into_boxed_slice(), head: 0, tail: 0 }
    }

    fn poll_fill(&mut self, stream: &mut UnixStream, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        // What is left is less than a frame: moving it to the front is cheap, and leaves the most room.
        self.bytes.copy_within(self.head..self.tail, 0);
        self.tail -= self.head;
        self.head = 0;
        let mut room = ReadBuf::new(&mut self.bytes[self.tail..]);
        ready!(Pin::new(stream).poll_read(cx, &mut room))?;
        let read = room.filled().len();
        self.tail += read;
        Poll::Ready(Ok(read > 0))
    }

    /// Takes the next whole frame. An error when it could never fit.
    pub(crate) fn next_frame(&mut self) -> io::Result<Option<Frame<'_>>> {
        let Some((length, rest)) = self.bytes[self.head..self.tail].split_first_chunk::<LENGTH>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if !(ID..=READ - LENGTH).contains(&length) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes")));
        }
        let Some((id, body)) = rest.get(..length).and_then(|frame| frame.split_first_chunk::<ID>()) else {
            return Ok(None);
        };
        self.head += LENGTH + length;
        Ok(Some(Frame { id: u64::from_le_bytes(*id), body }))
    }
}

/// What is to be written, and how far that has got.
#[derive(Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    written: usize,
}

impl Outbox {
    /// Adds a frame.
    pub(crate) fn push(&mut self, id: u64, body: &[u8]) {
        push_frame(&mut self.bytes, id, body);
    }

    /// Takes over all that another outbox holds, behind what is in this one already.
    pub(crate) fn take(&mut self, other: &mut Self) {
        if self.bytes.is_empty() {
            std::mem::swap(self, other);
        } else {
            self.bytes.extend_from_slice(&other.bytes[other.written..]);
            *other = Self::default();
        }
    }

    fn poll_flush(&mut self, stream: &mut UnixStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.bytes.len() {
            let sent = ready!(Pin::new(&mut *stream).poll_write(cx, &self.bytes[self.written..]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += sent;
        }
        self.bytes.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

/// Appends a frame to a buffer.
pub(crate) fn push_frame(buffer: &mut Vec<u8>, id: u64, body: &[u8]) {
    buffer.reserve(LENGTH + ID + body.len());
    buffer.extend_from_slice(&((ID + body.len()) as u32).to_le_bytes());
    buffer.extend_from_slice(&id.to_le_bytes());
    buffer.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: u64 = 5000;

    /// Bodies of all lengths, so that reads end anywhere in a frame.
    fn body(id: u64) -> Vec<u8> {
        vec![id as u8; (id % 997) as usize]
    }

    #[tokio::test]
    async fn frames_arrive_whole_and_in_order_however_full_the_sockets_are() -> io::Result<()> {
        let (near, far) = UnixStream::pair()?;
        let (mut near, mut far) = (Pipe::new(near), Pipe::new(far));
        tokio::spawn(async move {
            while far.turn().await? {
                while let Some(frame) = far.inbox.next_frame()? {
                    far.outbox.push(frame.id, frame.body);
                }
            }
            io::Result::Ok(())
        });
        // More than the sockets hold, and handed over while the first part is still on its way.
        let mut desk = Outbox::default();
        (0..FRAMES / 2).for_each(|id| near.outbox.push(id, &body(id)));
        (FRAMES / 2..FRAMES).for_each(|id| desk.push(id, &body(id)));
        let mut next = 0;
        while next < FRAMES && near.turn().await? {
            near.outbox.take(&mut desk);
            while let Some(frame) = near.inbox.next_frame()? {
                assert_eq!((frame.id, frame.body), (next, body(next).as_slice()));
                next += 1;
            }
        }
        assert_eq!(next, FRAMES);
        Ok(())
    }

    #[tokio::test]
    async fn a_frame_that_can_never_fit_is_an_error() -> io::Result<()> {
        let (near, far) = UnixStream::pair()?;
        let (mut near, mut far) = (Pipe::new(near), Pipe::new(far));
        near.outbox.bytes.extend_from_slice(&[0xff; 16]);
        poll_fn(|cx| near.poll_flush(cx)).await?;
        assert!(far.turn().await?);
        assert!(far.inbox.next_frame().is_err());
        Ok(())
    }
}
