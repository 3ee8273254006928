//! Clusters of real processes, in a directory and on ports of their own.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything is waited for before the test says that it does not come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A deploy.json in a directory of its own.
pub(crate) struct Cluster {
    dir: tempfile::TempDir,
}

impl Cluster {
    /// With `text` as its deploy.json, in which each `PORT` becomes a port that is free.
    pub(crate) fn new(text: &str) -> Cluster {
        let dir = tempfile::tempdir().expect("a directory");
        let mut parts = text.split("PORT");
        let mut filled = parts.next().unwrap_or_default().to_owned();
        // Held together, so that no two are the same.
        let listeners: Vec<(TcpListener, &str)> =
            parts.map(|part| (TcpListener::bind("127.0.0.1:0").expect("a port"), part)).collect();
        for (listener, part) in &listeners {
            filled.push_str(&listener.local_addr().expect("bound").port().to_string());
            filled.push_str(part);
        }
        std::fs::write(dir.path().join("deploy.json"), filled).expect("written");
        let cluster = Cluster { dir };
        std::fs::create_dir(cluster.last_reports()).expect("a directory");
        cluster
    }

    /// One of each role, and two games.
    pub(crate) fn small() -> Cluster {
        Cluster::new(
            r#"{"cluster": "small", "master": {"serverid": 1, "port": PORT},
                "proxy": [{"serverid": 5, "port": PORT}], "lobby": [{"serverid": 10}],
                "game": [{"serverid": 20, "type": "bw4", "num": 2}],
                "service": [{"serverid": 30, "type": "service_mail"}]}"#,
        )
    }

    pub(crate) fn deploy(&self) -> PathBuf {
        self.dir.path().join("deploy.json")
    }

    /// The directory that its deploy.json is in.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where nodes that end leave their counters.
    pub(crate) fn last_reports(&self) -> PathBuf {
        self.dir.path().join("last")
    }

    /// `chappe NAME DEPLOY ARGS`, to be started; a name may be of two words.
    pub(crate) fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = chappe();
        command.args(name.split(' ')).arg(self.deploy()).args(args).env("XDG_RUNTIME_DIR", self.dir.path());
        command.env("CHAPPE_LAST_REPORTS", self.last_reports());
        command
    }

    /// Runs `chappe NAME DEPLOY ARGS` to its end.
    pub(crate) fn run(&self, name: &str, args: &[&str]) -> Output {
        self.command(name, args).output().expect("it runs")
    }

    /// As [`Cluster::run`] with `--json`: the exit code, and what it prints.
    pub(crate) fn ask(&self, name: &str, args: &[&str]) -> (Option<i32>, Value) {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let output = self.run(name, &args);
        let printed = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.code(), printed)
    }

    /// Starts it with `chappe up`.
    pub(crate) fn up(&self, args: &[&str]) -> Up {
        let mut command = self.command("up", &["--json"]);
        let mut child = command.args(args).stdout(Stdio::piped()).spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str::<Value>(&line)
                    && sender.send(event).is_err()
                {
                    break;
                }
            }
        });
        Up { child, lines, seen: Vec::new() }
    }

    /// Where its sockets are, once it has started.
    pub(crate) fn run_dir(&self) -> PathBuf {
        let mut found = subdirs(self.dir.path()).into_iter().flat_map(|dir| subdirs(&dir));
        found.find(|dir| dir.join("1.lock").exists()).expect("a master's lock")
    }

    /// The process of a node, as its lock says.
    pub(crate) fn process(&self, node: i64) -> Process {
        let found = subdirs(self.dir.path()).into_iter().flat_map(|dir| subdirs(&dir));
        let locks: Vec<PathBuf> = found.map(|dir| dir.join(format!("{node}.lock"))).collect();
        let text = locks.iter().find_map(|lock| std::fs::read_to_string(lock).ok()).expect("a lock");
        Process(text.trim().parse().map(Pid::from_raw).expect("a process id"))
    }

    pub(crate) fn processes(&self, nodes: &[i64]) -> Vec<Process> {
        nodes.iter().map(|node| self.process(*node)).collect()
    }
}

fn subdirs(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// The command, without what the environment may say about it.
pub(crate) fn chappe() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chappe"));
    for name in ["RUST_LOG", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    let ours = |name: &std::ffi::OsString| name.to_str().is_some_and(|name| name.starts_with("CHAPPE_"));
    for name in std::env::vars_os().map(|(name, _)| name).filter(ours) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).env("CHAPPE_PYTHON", "no-such-python");
    command
}

/// A process that is not ours to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process(Pid);

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Process {
    pub(crate) fn signal(self, signal: Signal) {
        kill(self.0, signal).expect("it is there");
    }

    /// Whether it is there. One that nobody has reaped is not.
    pub(crate) fn is_alive(self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).ok();
        stat.is_some_and(|text| !text.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
    }

    /// Waits until it is gone. One that nobody has reaped is.
    pub(crate) fn gone(self) {
        let began = Instant::now();
        while self.is_alive() {
            assert!(began.elapsed() < PATIENCE, "process {} stays", self.0);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A running `chappe up`.
pub(crate) struct Up {
    child: Child,
    lines: Receiver<Value>,
    seen: Vec<Value>,
}

impl Up {
    /// Waits for the next event of that name.
    pub(crate) fn event(&mut self, name: &str) -> Value {
        loop {
            let event = self.lines.recv_timeout(PATIENCE);
            let event = event.unwrap_or_else(|_| panic!("no `{name}` came, only {:#?}", self.seen));
            self.seen.push(event.clone());
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Waits for its end: its exit status, and everything that it said.
    pub(crate) fn end(&mut self) -> (ExitStatus, Vec<Value>) {
        let status = self.child.wait().expect("ours");
        while let Ok(event) = self.lines.recv_timeout(PATIENCE) {
            self.seen.push(event);
        }
        (status, self.seen.clone())
    }

    /// Its own process, beside those of the nodes.
    pub(crate) fn process(&self) -> Process {
        Process(Pid::from_raw(self.child.id().cast_signed()))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("it is there");
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
