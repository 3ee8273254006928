//! A PostgreSQL server of our own that archives its log: unprivileged, on a Unix socket in a temporary directory.

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) struct Postgres {
    dir: tempfile::TempDir,
    bin: PathBuf,
    data: PathBuf,
    child: Option<Child>,
}

impl Postgres {
    /// Starts one. `None`, and a line that says so, where PostgreSQL cannot be had; a failure where
    /// `CHAPPE_REQUIRE_POSTGRES=1`.
    pub(crate) fn start() -> Option<Postgres> {
        let Some(bin) = programs() else {
            let required = std::env::var("CHAPPE_REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
            assert!(!required, "PostgreSQL is not installed: scripts/ensure-deb.sh postgresql");
            eprintln!("SKIPPED: PostgreSQL is not installed, its backups were not tested");
            return None;
        };
        let dir = tempfile::Builder::new().prefix("chappe-pg-").tempdir_in("/tmp").unwrap();
        if Uid::effective().is_root() {
            assert!(Command::new("chown").arg(user()).arg(dir.path()).status().unwrap().success());
        }
        let data = dir.path().join("data");
        let mut server = Postgres { dir, bin, data, child: None };
        let data = server.data.display().to_string();
        server.unprivileged(
            "initdb",
            &["--auth=trust", "--username=chappe", "--no-locale", "--no-sync", "-D", &data],
        );
        server.unprivileged_program("mkdir", &[&server.archive()]);
        server.run();
        Some(server)
    }

    fn run(&mut self) {
        let mut command = self.as_user(&self.bin.join("postgres"));
        command.arg("-D").arg(&self.data).arg("-k").arg(self.dir.path());
        let archive = format!("archive_command=cp %p {}/%f", self.archive());
        for setting in ["listen_addresses=", "fsync=on", "logging_collector=off", "archive_mode=on", &archive]
        {
            command.args(["-c", setting]);
        }
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let patience = Instant::now() + Duration::from_secs(60);
        // One that recovers takes readers before it takes writers.
        while self.sql_says("SELECT pg_is_in_recovery()").is_none_or(|said| said.trim() != "f") {
            assert!(Instant::now() < patience, "PostgreSQL does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ends it in order: the log is archived to its end.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            self.sql_says("SELECT pg_switch_wal()");
            let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT);
            let _ = child.wait();
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn archive(&self) -> String {
        self.dir.path().join("archive").display().to_string()
    }

    fn base(&self) -> PathBuf {
        self.dir.path().join("base")
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://chappe@/{database}?host={}", self.dir.path().display())
    }

    pub(crate) fn base_backup(&self) {
        let base = self.base().display().to_string();
        let dir = self.dir.path().display().to_string();
        self.unprivileged("pg_basebackup", &["-h", &dir, "-U", "chappe", "-c", "fast", "-D", &base]);
    }

    /// Starts a server on the base backup, and has it take the log up to the point of that name.
    pub(crate) fn recover_to(&mut self, point: &str) {
        self.data = self.base();
        let settings = format!(
            "restore_command = 'cp {}/%f %p'\nrecovery_target_name = '{point}'\nrecovery_target_action = 'promote'\n",
            self.archive()
        );
        let file = self.data.join("postgresql.auto.conf");
        let before = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, before + &settings).unwrap();
        let signal = self.data.join("recovery.signal").display().to_string();
        self.unprivileged_program("touch", &[&signal]);
        self.run();
    }

    pub(crate) fn sql(&self, statement: &str) {
        assert!(self.sql_says(statement).is_some(), "{statement}");
    }

    fn sql_says(&self, statement: &str) -> Option<String> {
        let mut command = self.client("psql");
        let output = command.args(["-At", "-d", "postgres", "-c", statement]).output().unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// One of PostgreSQL's programs, connected to this server; it must not fail.
    pub(crate) fn program(&self, name: &str, args: &[&str]) {
        succeeds(self.client(name).args(args));
    }

    fn client(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.arg("-h").arg(self.dir.path()).args(["-U", "chappe"]);
        command
    }

    fn unprivileged(&self, name: &str, args: &[&str]) {
        succeeds(self.as_user(&self.bin.join(name)).args(args));
    }

    fn unprivileged_program(&self, name: &str, args: &[&str]) {
        succeeds(self.as_user(Path::new(name)).args(args));
    }

    /// PostgreSQL refuses to run as root.
    fn as_user(&self, program: &Path) -> Command {
        let mut command = if Uid::effective().is_root() {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={}", user())).args(["--regid=nogroup", "--clear-groups", "--"]);
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.dir.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

fn succeeds(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
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

fn user() -> &'static str {
    let there = User::from_name("postgres").is_ok_and(|user| user.is_some());
    if there { "postgres" } else { "nobody" }
}
