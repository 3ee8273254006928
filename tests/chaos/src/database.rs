//! A PostgreSQL server of our own: unprivileged, on a Unix socket in a temporary directory.

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How long it may take to be up.
const START: Duration = Duration::from_secs(60);
/// Between two looks whether it is, and between two attempts to start it.
const LOOK: Duration = Duration::from_millis(100);

/// A server; it ends with this value.
pub(crate) struct Database {
    dir: TempDir,
    bin: PathBuf,
    server: Option<Child>,
}

impl Database {
    /// Makes one and starts it.
    ///
    /// # Errors
    /// What could not be done.
    pub(crate) async fn start() -> Result<Database, String> {
        let bin = programs().ok_or("PostgreSQL is not installed: scripts/ensure-deb.sh postgresql")?;
        // Not below the run's own directory: the server is another user, who may not go there.
        let dir = tempfile::Builder::new().prefix("chappe-chaos-pg-").tempdir_in("/tmp");
        let dir = dir.map_err(|error| format!("a directory for PostgreSQL: {error}"))?;
        if Uid::effective().is_root() {
            run(Command::new("chown").arg(user()).arg(dir.path())).await?;
        }
        let mut made = unprivileged(&bin.join("initdb"), dir.path());
        made.args(["--auth=trust", "--username=chappe", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"]);
        run(made.arg(dir.path().join("data"))).await?;
        let mut database = Database { dir, bin, server: None };
        database.run().await?;
        Ok(database)
    }

    /// Its url, for the key `store` of deploy.json.
    pub(crate) fn url(&self) -> String {
        let host = self.dir.path().display().to_string().replace('/', "%2F");
        format!("postgres://chappe@{host}/postgres")
    }

    /// Starts it, and waits until it answers. What a killed one left behind may keep the next one waiting.
    ///
    /// # Errors
    /// When it does not come up within 60 s.
    pub(crate) async fn run(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if self.server.as_mut().is_none_or(|server| !matches!(server.try_wait(), Ok(None))) {
                self.server = Some(self.spawn()?);
            }
            let mut asked = Command::new(self.bin.join("pg_isready"));
            asked.arg("-q").arg("-h").arg(self.dir.path()).args(["-U", "chappe", "-d", "postgres"]);
            if run(&mut asked).await.is_ok() {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        Err(format!("PostgreSQL does not come up within {START:?}"))
    }

    fn spawn(&self) -> Result<Child, String> {
        let log = File::options().create(true).append(true).open(self.log_file());
        let log = log.map_err(|error| format!("the log of PostgreSQL: {error}"))?;
        let mut server = unprivileged(&self.bin.join("postgres"), self.dir.path());
        server.arg("-D").arg(self.dir.path().join("data")).arg("-k").arg(self.dir.path());
        server.args(["-c", "listen_addresses=", "-c", "fsync=on", "-c", "logging_collector=off"]);
        server.stdout(Stdio::null()).stderr(log).kill_on_drop(true);
        server.spawn().map_err(|error| format!("PostgreSQL cannot be started: {error}"))
    }

    /// Ends it as a crash does: `signal` is SIGKILL for its first process, or SIGQUIT, at which all end at once.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn crash(&mut self, signal: Signal) -> Result<(), String> {
        let mut server = self.server.take().ok_or("there is no PostgreSQL to kill")?;
        signalled(&server, signal)?;
        server.wait().await.map(drop).map_err(|error| format!("PostgreSQL: {error}"))
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) {
        let Some(mut server) = self.server.take() else { return };
        if signalled(&server, Signal::SIGINT).is_ok() {
            let _ = tokio::time::timeout(Duration::from_secs(10), server.wait()).await;
        }
    }

    /// What it says.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }
}

fn signalled(server: &Child, signal: Signal) -> Result<(), String> {
    let id = server.id().and_then(|id| i32::try_from(id).ok()).ok_or("PostgreSQL has ended by itself")?;
    kill(Pid::from_raw(id), signal).map_err(|error| format!("PostgreSQL: {error}"))
}

async fn run(command: &mut Command) -> Result<(), String> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let told = command.stdin(Stdio::null()).output().await.map_err(|error| format!("{program}: {error}"))?;
    match told.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&told.stderr))),
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
    let mut command = match Uid::effective().is_root() {
        true => Command::new("setpriv"),
        false => Command::new(program),
    };
    if Uid::effective().is_root() {
        command.arg(format!("--reuid={}", user()));
        command.args(["--regid=nogroup", "--clear-groups", "--"]).arg(program);
    }
    command.current_dir(dir);
    command
}

fn user() -> &'static str {
    let there = User::from_name("postgres").is_ok_and(|user| user.is_some());
    if there { "postgres" } else { "nobody" }
}
