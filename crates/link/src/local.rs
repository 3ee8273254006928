//! The local link: Unix sockets between processes of one machine.
//!
//! Each node listens on `ID.sock` in the cluster's run directory and holds a lock on `ID.lock` beside it, which
//! names its process. So a second process that claims the id is told so, and a socket left behind by a crash is
//! in nobody's way.

use crate::{Buffer, Conn, Dialing, Link, ListenError, Listener};
use chappe_wire::NodeId;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::cell::RefCell;
use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixListener;

/// How much room a read asks for: large enough that one call empties a busy socket.
const READ: usize = 256 * 1024;

/// Sockets and locks are for this user alone.
const OWN: u32 = 0o600;

/// Unix sockets in one directory.
#[derive(Debug, Clone)]
pub struct LocalLink {
    run_dir: PathBuf,
}

impl LocalLink {
    /// A link over the sockets in `run_dir`, which [`Link::listen`] creates for its owner alone.
    pub fn new(run_dir: impl Into<PathBuf>) -> LocalLink {
        LocalLink { run_dir: run_dir.into() }
    }

    /// The path of a node's socket.
    pub fn socket_of(&self, node: NodeId) -> PathBuf {
        self.run_dir.join(format!("{node}.sock"))
    }

    /// The process that holds a node's id, while it lives or after it died; `None` when none ever did.
    pub fn process_of(&self, node: NodeId) -> Option<u32> {
        let text = std::fs::read_to_string(self.run_dir.join(format!("{node}.lock"))).ok()?;
        text.trim().parse().ok()
    }

    fn bind(&self, me: NodeId) -> Result<LocalListener, (PathBuf, Result<io::Error, NodeId>)> {
        let dir = || self.run_dir.clone();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.run_dir)
            .map_err(|err| (dir(), Ok(err)))?;
        let lock_path = self.run_dir.join(format!("{me}.lock"));
        // Not truncated before it is ours: it says who holds the id.
        let options = OpenOptions::new().write(true).create(true).truncate(false).mode(OWN).clone();
        let mut lock = options.open(&lock_path).map_err(|err| (lock_path.clone(), Ok(err)))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err((lock_path, Err(me))),
            Err(TryLockError::Error(err)) => return Err((lock_path, Ok(err))),
        }
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(|err| (lock_path.clone(), Ok(err)))?;
        let path = self.socket_of(me);
        // The lock is ours: a socket that stands here is a dead process's.
        match std::fs::remove_file(&path) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err((path, Ok(err))),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(|err| (path.clone(), Ok(err)))?;
        // Whatever the umask says, and should the directory be open to others.
        std::fs::set_permissions(&path, Permissions::from_mode(OWN))
            .map_err(|err| (path.clone(), Ok(err)))?;
        Ok(LocalListener { listener, path, _lock: lock })
    }
}

impl Link for LocalLink {
    fn name(&self) -> &'static str {
        "local"
    }

    fn listen(&self, me: NodeId) -> Result<Box<dyn Listener>, ListenError> {
        match self.bind(me) {
            Ok(listener) => Ok(Box::new(listener)),
            Err((_, Err(id))) => Err(ListenError::IdTaken(id)),
            Err((place, Ok(source))) => Err(ListenError::Io { place: place.display().to_string(), source }),
        }
    }

    fn dial(&self, to: NodeId) -> Dialing {
        let path = self.socket_of(to);
        Box::pin(async move {
            let stream = tokio::net::UnixStream::connect(&path).await?;
            Ok(Box::new(LocalConn::new(stream)?) as Box<dyn Conn>)
        })
    }
}

struct LocalListener {
    listener: UnixListener,
    path: PathBuf,
    /// Held for as long as the node listens.
    _lock: File,
}

impl Listener for LocalListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Conn>>> {
        let (stream, _) = ready!(self.listener.poll_accept(cx))?;
        Poll::Ready(Ok(Box::new(LocalConn::new(stream)?)))
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A connected socket.
///
/// It is registered for reading alone. A Unix socket tells every writer whenever its peer has read, and a loop
/// that listened for that would be woken twice for each message; writability is asked for only while a write
/// waits, by a second registration.
struct LocalConn {
    stream: AsyncFd<UnixStream>,
    waiting: RefCell<Option<AsyncFd<UnixStream>>>,
}

impl LocalConn {
    fn new(stream: tokio::net::UnixStream) -> io::Result<LocalConn> {
        Ok(LocalConn {
            stream: register(stream.into_std()?, Interest::READABLE)?,
            waiting: RefCell::new(None),
        })
    }
}

#[expect(
    deprecated,
    reason = "it asks that the stream owns its descriptor, which the standard library's does"
)]
fn register(stream: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(stream, interest)
}

impl Conn for LocalConn {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut Buffer) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.stream.poll_read_ready(cx))?;
            let tail = into.tail(READ);
            let room = tail.capacity() - tail.len();
            match recv(self.stream.get_ref(), spare_capacity(tail), RecvFlags::DONTWAIT) {
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
                Ok((count, _)) => {
                    if count > 0 && count < room {
                        // It did not fill its room: the socket is empty, and the call that would say so is saved.
                        ready.clear_ready();
                    }
                    return Poll::Ready(Ok(count));
                }
            }
        }
    }

    fn try_write(&self, from: &mut Buffer) -> io::Result<()> {
        while !from.is_empty() {
            match send(self.stream.get_ref(), from.filled(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => from.consume(count),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = self.waiting.borrow_mut();
        let stream = match &*waiting {
            Some(stream) => stream,
            None => {
                let stream = self.stream.get_ref().try_clone()?;
                waiting.insert(register(stream, Interest::WRITABLE)?)
            }
        };
        let ready = ready!(stream.poll_write_ready(cx)).map(drop);
        *waiting = None;
        Poll::Ready(ready)
    }

    fn close(&self) {
        // An error says that it is closed already.
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }
}
