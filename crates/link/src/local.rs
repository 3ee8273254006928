//! The local link: Unix sockets between processes of one machine.
//!
//! Each node listens on `ID.sock` in the cluster's run directory and holds a lock on `ID.lock` beside it, which
//! names its process. So a second process that claims the id is told so, and a socket left behind by a crash is
//! in nobody's way.

use crate::{Buffer, Conn, Dialing, Link, ListenError, Listener};
use chappe_wire::NodeId;
use nix::sys::socket::{Shutdown, shutdown};
use std::cell::RefCell;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::io::poll_read_buf;

/// How much room a read asks for: large enough that one call empties a busy socket.
const READ: usize = 256 * 1024;

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
        let options = OpenOptions::new().write(true).create(true).truncate(false).clone();
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
        Box::pin(async move { Ok(Box::new(LocalConn::open(&path).await?) as Box<dyn Conn>) })
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
        Poll::Ready(Ok(Box::new(LocalConn { stream: RefCell::new(stream) })))
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

struct LocalConn {
    /// Borrowed for the length of one call of the system.
    stream: RefCell<UnixStream>,
}

impl LocalConn {
    async fn open(path: &Path) -> io::Result<LocalConn> {
        Ok(LocalConn { stream: RefCell::new(UnixStream::connect(path).await?) })
    }
}

impl Conn for LocalConn {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut Buffer) -> Poll<io::Result<usize>> {
        // A read that does not fill its room tells tokio that the socket is empty, which saves the call that
        // would find it out.
        poll_read_buf(Pin::new(&mut *self.stream.borrow_mut()), cx, into.tail(READ))
    }

    fn try_write(&self, from: &mut Buffer) -> io::Result<()> {
        let stream = self.stream.borrow();
        while !from.is_empty() {
            match stream.try_write(from.filled()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => from.consume(count),
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(err) => return Err(err),
            }
        }
        Ok(())
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.borrow().poll_write_ready(cx)
    }

    fn close(&self) {
        // An error says that it is closed already.
        let _ = shutdown(self.stream.borrow().as_raw_fd(), Shutdown::Write);
    }
}
