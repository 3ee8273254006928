//! A PostgreSQL server of our own: unprivileged, on a Unix socket, with every commit synced, stopped at the end.

use crate::bench::BenchResult;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Postgres {
    data: tempfile::TempDir,
    /// Of the socket: its path must be short.
    socket: tempfile::TempDir,
    bin: PathBuf,
    child: Option<Child>,
}

impl Postgres {
    /// Starts one with its data in `dir`, for that many clients; `None` where PostgreSQL is not installed.
    pub(super) fn start(dir: &Path, clients: usize) -> BenchResult<Option<Postgres>> {
        let Some(bin) = programs() else { return Ok(None) };
        let made = |dir: &Path| tempfile::Builder::new().prefix("chappe-bench-").tempdir_in(dir);
        let mut server =
            Postgres { data: made(dir)?, socket: made(&std::env::temp_dir())?, bin, child: None };
        if Uid::effective().is_root() {
            for dir in [&server.data, &server.socket] {
                run(Command::new("chown").arg(user()).arg(dir.path()))?;
            }
        }
        let data = server.data.path().join("data");
        let mut init = server.unprivileged("initdb");
        init.args(["--auth=trust", "--username=chappe", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"]);
        run(init.arg(&data))?;
        let mut command = server.unprivileged("postgres");
        command.arg("-D").arg(&data).arg("-k").arg(server.socket.path());
        for setting in ["listen_addresses=", "fsync=on", "synchronous_commit=on", "full_page_writes=on"] {
            command.args(["-c", setting]);
        }
        command.args(["-c", &format!("max_connections={}", clients + 16)]);
        // Beyond what fills up within a run, as a server that is set up for its load has it.
        command.args(["-c", "max_wal_size=4GB", "-c", "shared_buffers=256MB"]);
        server.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        let patience = Instant::now() + PATIENCE;
        while !Command::new(server.bin.join("pg_isready"))
            .arg("-h")
            .arg(server.socket.path())
            .output()?
            .status
            .success()
        {
            if Instant::now() > patience {
                return Err("PostgreSQL does not come up".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Some(server))
    }

    /// A new database: its url.
    pub(super) fn database(&self, name: &str) -> BenchResult<String> {
        run(self.program("createdb").arg(name))?;
        let dir = self.socket.path().display();
        Ok(format!("postgres://chappe@/{name}?host={dir}"))
    }

    /// Forgets a database.
    pub(super) fn drop_database(&self, name: &str) -> BenchResult<()> {
        run(self.program("dropdb").arg("--force").arg(name)).map(drop)
    }

    /// One of PostgreSQL's programs, connected to this server.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.arg("-h").arg(self.socket.path()).args(["-U", "chappe"]);
        command
    }

    /// PostgreSQL refuses to run as root.
    fn unprivileged(&self, program: &str) -> Command {
        let program = self.bin.join(program);
        let mut command = if Uid::effective().is_root() {
            let mut command = Command::new("setpriv");
            let user = format!("--reuid={}", user());
            command.arg(user).args(["--regid=nogroup", "--clear-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.socket.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Errors say that it has ended already.
            let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT);
            let _ = child.wait();
        }
    }
}

/// Runs a program to its end; what it has printed.
pub(super) fn run(command: &mut Command) -> BenchResult<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where Debian, or the PATH, has the server's programs.
fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    places.sort();
    places.reverse();
    places.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let has = |bin: &PathBuf| ["initdb", "postgres", "pgbench"].iter().all(|name| bin.join(name).exists());
    places.into_iter().find(has)
}

fn user() -> &'static str {
    let there = User::from_name("postgres").is_ok_and(|user| user.is_some());
    if there { "postgres" } else { "nobody" }
}
