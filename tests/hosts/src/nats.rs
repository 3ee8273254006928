//! A NATS server of our own.

use crate::kept::{Keepers, Kept};
use crate::told;
use nix::sys::signal::Signal;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long it may take to be up.
const START: Duration = Duration::from_secs(20);
/// Between two looks whether it is.
const LOOK: Duration = Duration::from_millis(10);

/// The server.
pub(crate) struct Nats {
    program: PathBuf,
    pub(crate) address: SocketAddr,
    log: PathBuf,
    keepers: Keepers,
    server: Option<Kept>,
}

impl Nats {
    /// Starts it at a free port.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub(crate) fn start(ip: IpAddr, keepers: &Keepers, dir: &Path) -> Result<Nats, String> {
        let program = program().ok_or("there is no nats-server: scripts/ensure-deb.sh nats-server")?;
        let address = free(ip)?;
        let mut nats =
            Nats { program, address, log: dir.join("nats.log"), keepers: keepers.clone(), server: None };
        nats.run()?;
        Ok(nats)
    }

    /// Ends it at once, as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.end_by(Signal::SIGKILL);
        }
    }

    /// Starts it, at the same address.
    ///
    /// # Errors
    /// When it takes no connections.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        let mut command = Command::new(&self.program);
        command.args(["--addr", &self.address.ip().to_string(), "--port", &self.address.port().to_string()]);
        self.server = Some(self.keepers.start(&command, Signal::SIGTERM, &self.log)?);
        let deadline = Instant::now() + START;
        while TcpStream::connect(self.address).is_err() {
            if Instant::now() > deadline {
                return Err(format!("NATS does not come up within {START:?}: see {}", self.log.display()));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

/// An address that nothing listens at.
///
/// # Errors
/// When there is none.
pub(crate) fn free(ip: IpAddr) -> Result<SocketAddr, String> {
    TcpListener::bind((ip, 0)).and_then(|listener| listener.local_addr()).map_err(told("a free port"))
}

/// Debian puts servers where an ordinary user's PATH does not look.
fn program() -> Option<PathBuf> {
    let places = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin:/sbin";
    std::env::split_paths(&places).map(|place| place.join("nats-server")).find(|path| path.is_file())
}
