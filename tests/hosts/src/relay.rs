//! TCP between one host and a server, which can be held up: nothing passes, and nothing says so.

use crate::told;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often a connection without traffic looks whether it is held up.
const LOOK: Duration = Duration::from_millis(20);
/// Read at once.
const CHUNK: usize = 64 * 1024;

/// Whether anything passes.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Holds everything up, or lets it pass.
    pub(crate) fn shut(&self, is_shut: bool) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = is_shut;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let mut is_shut = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while *is_shut {
            is_shut = self.0.1.wait(is_shut).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Listens for one host and passes on to `server`, for as long as the program runs; where it listens.
///
/// # Errors
/// When there is no port or no thread.
pub(crate) fn relay(server: SocketAddr, gate: &Gate) -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(told("a relay"))?;
    let address = listener.local_addr().map_err(told("a relay"))?;
    let gate = gate.clone();
    let accept = move || {
        for near in listener.incoming().flatten() {
            let gate = gate.clone();
            // Whoever dials through a cut waits, as behind a link that is down.
            start(move || {
                gate.pass();
                let Ok(far) = TcpStream::connect(server) else { return };
                let back = near.try_clone().and_then(|near| Ok((far.try_clone()?, near)));
                let Ok((from, to)) = back else { return };
                let other = gate.clone();
                start(move || copy(from, to, &other));
                copy(near, far, &gate);
            });
        }
    };
    let thread = std::thread::Builder::new().name("relay".into()).spawn(accept);
    thread.map(|_| address).map_err(told("a relay"))
}

fn start(run: impl FnOnce() + Send + 'static) {
    let _ = std::thread::Builder::new().name("relay".into()).stack_size(256 * 1024).spawn(run);
}

fn copy(mut from: TcpStream, mut to: TcpStream, gate: &Gate) {
    let _ = from.set_read_timeout(Some(LOOK));
    let _ = to.set_nodelay(true);
    let mut buffer = vec![0; CHUNK];
    loop {
        gate.pass();
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        // What was read just before the cut waits as well; so does the news that one side has gone.
        gate.pass();
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    gate.pass();
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

    use super::*;

    #[test]
    fn nothing_passes_a_cut_and_nothing_is_lost_by_it() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Gate::default();
        let address = relay(server.local_addr().unwrap(), &gate).unwrap();
        let mut near = TcpStream::connect(address).unwrap();
        let (mut far, _) = server.accept().unwrap();
        let mut got = [0; 4];
        near.write_all(b"ping").unwrap();
        far.read_exact(&mut got).unwrap();

        gate.shut(true);
        near.write_all(b"held").unwrap();
        far.set_read_timeout(Some(LOOK * 5)).unwrap();
        assert!(far.read(&mut got).is_err());
        gate.shut(false);
        far.set_read_timeout(None).unwrap();
        far.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"held");
        drop(far);
        assert_eq!(near.read(&mut got).unwrap(), 0);
    }
}
