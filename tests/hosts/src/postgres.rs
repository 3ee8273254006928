//! A PostgreSQL server of our own: unprivileged, over TCP, in a directory of its own.

use crate::kept::{Keepers, Kept};
use crate::nats::free;
use crate::net::finish;
use crate::told;
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to be up.
const START: Duration = Duration::from_secs(60);
/// Between two looks whether it is.
const LOOK: Duration = Duration::from_millis(50);
/// Who may come over the network: the hosts.
const HOSTS: &str = "host all all 10.77.0.0/16 trust\n";

/// The server.
pub(crate) struct Postgres {
    bin: PathBuf,
    dir: PathBuf,
    pub(crate) address: SocketAddr,
    log: PathBuf,
    keepers: Keepers,
    server: Option<Kept>,
}

impl Postgres {
    /// Makes one and starts it at a free port.
    ///
    /// # Errors
    /// What could not be done.
    pub(crate) fn start(ip: IpAddr, keepers: &Keepers, log: &Path) -> Result<Postgres, String> {
        let bin = programs().ok_or("PostgreSQL is not installed: scripts/ensure-deb.sh postgresql")?;
        // Not below the run's own directory: the server is another user, who may not go there.
        let dir = tempfile::Builder::new().prefix("chappe-hosts-pg-").tempdir_in("/tmp");
        let dir = dir.map_err(told("a directory for PostgreSQL"))?.keep();
        keepers.remove_later(dir.clone());
        if is_root() {
            finish(Command::new("chown").arg(user()).arg(&dir))?;
        }
        let mut made = unprivileged(&bin.join("initdb"), &dir);
        made.args(["--auth=trust", "--username=chappe", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"]);
        finish(made.arg(dir.join("data")))?;
        let rules = std::fs::File::options().append(true).open(dir.join("data/pg_hba.conf"));
        rules.and_then(|mut rules| rules.write_all(HOSTS.as_bytes())).map_err(told("pg_hba.conf"))?;
        let (address, log) = (free(ip)?, log.join("postgres.log"));
        let mut postgres = Postgres { bin, dir, address, log, keepers: keepers.clone(), server: None };
        postgres.run()?;
        Ok(postgres)
    }

    /// Starts it, and waits until it answers. What a killed one left behind may keep the next one waiting.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if self.server.as_ref().is_none_or(|server| !server.is_alive()) {
                self.server = None;
                self.server = Some(self.keepers.start(&self.command(), Signal::SIGINT, &self.log)?);
            }
            let mut asked = Command::new(self.bin.join("pg_isready"));
            asked.arg("-q").arg("-h").arg(&self.dir).args(["-p", &self.address.port().to_string()]);
            asked.args(["-U", "chappe", "-d", "postgres"]).stdin(Stdio::null());
            if asked.status().is_ok_and(|status| status.success()) {
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        Err(format!("PostgreSQL does not come up within {START:?}: see {}", self.log.display()))
    }

    fn command(&self) -> Command {
        let mut server = unprivileged(&self.bin.join("postgres"), &self.dir);
        server.arg("-D").arg(self.dir.join("data")).arg("-k").arg(&self.dir);
        server.args(["-p", &self.address.port().to_string()]);
        server.arg("-c").arg(format!("listen_addresses={}", self.address.ip()));
        server.args(["-c", "fsync=on", "-c", "logging_collector=off"]);
        server
    }

    /// Ends it: by SIGINT in order, though nobody is waited for; by SIGKILL as a crash does.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn end(&mut self, signal: Signal) -> Result<(), String> {
        let server = self.server.take().filter(Kept::is_alive).ok_or("there is no PostgreSQL to end")?;
        server.end_by(signal);
        Ok(())
    }
}

/// Where Debian, or the PATH, has the server's programs.
fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    places.sort();
    places.reverse();
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    places.into_iter().find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
}

/// PostgreSQL refuses to run as root.
fn unprivileged(program: &Path, dir: &Path) -> Command {
    let mut command = Command::new(if is_root() { Path::new("setpriv") } else { program });
    if is_root() {
        command.arg(format!("--reuid={}", user()));
        command.args(["--regid=nogroup", "--clear-groups", "--"]).arg(program);
    }
    command.current_dir(dir);
    command
}

fn is_root() -> bool {
    Uid::effective().is_root()
}

fn user() -> &'static str {
    let there = User::from_name("postgres").is_ok_and(|user| user.is_some());
    if there { "postgres" } else { "nobody" }
}
