//! A NATS server for tests: Debian's, on a free port of this machine, ended with the test.

#![allow(unreachable_pub, dead_code, reason = "several tests have it, one of them as a module of a library")]

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Starts the server with its arguments and ends it when our end of the pipe closes, however this process went.
const KEEPER: &str = r#""$@" & child=$!; cat >/dev/null; kill -9 $child; wait $child"#;

/// A server that runs until this is dropped.
pub struct Server {
    program: PathBuf,
    dir: TempDir,
    port: u16,
    variables: Vec<(String, String)>,
    keeper: Option<Child>,
}

impl Server {
    /// A server with `config` added to its configuration. `None`, and a word on why, where there is no nats-server
    /// and none is required (`CHAPPE_REQUIRE_NATS=1`).
    ///
    /// # Panics
    /// When it does not start, or must be there and is not.
    pub fn start(config: &str) -> Option<Server> {
        Server::start_at(free_port(), config, &[])
    }

    /// As [`Server::start`], on that port, with variables in its environment.
    ///
    /// # Panics
    /// As there.
    pub fn start_at(port: u16, config: &str, variables: &[(String, String)]) -> Option<Server> {
        let program = program()?;
        let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("no directory for NATS: {error}"));
        let text = format!("listen: \"127.0.0.1:{port}\"\nping_interval: \"5s\"\n{config}\n");
        std::fs::write(dir.path().join("nats.conf"), text)
            .unwrap_or_else(|error| panic!("no configuration for NATS: {error}"));
        let mut server = Server { program, dir, port, variables: variables.to_vec(), keeper: None };
        server.resume();
        Some(server)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Ends it at once, as a kill would.
    pub fn kill(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }

    /// Starts it again, at the same address.
    ///
    /// # Panics
    /// When it does not start.
    pub fn resume(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.dir.path().join("log"));
        let log = log.unwrap_or_else(|error| panic!("no log for NATS: {error}"));
        let mut command = Command::new("sh");
        command
            .args(["-c", KEEPER, "sh"])
            .arg(&self.program)
            .arg("-c")
            .arg(self.dir.path().join("nats.conf"));
        command.envs(self.variables.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        let keeper = command.spawn().unwrap_or_else(|error| panic!("NATS does not start: {error}"));
        self.keeper = Some(keeper);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "NATS takes no connection: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port of 127.0.0.1 that nobody listens on.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.unwrap_or_else(|error| panic!("no free port: {error}")).port()
}

/// Debian puts servers where an ordinary user's PATH does not look.
fn program() -> Option<PathBuf> {
    let find = || {
        let places = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/local/sbin:/sbin";
        std::env::split_paths(&places).map(|place| place.join("nats-server")).find(|path| path.is_file())
    };
    if let Some(program) = find() {
        return Some(program);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|dir| dir.join("Makefile").is_file());
    let root = root.unwrap_or(Path::new("."));
    let _ = Command::new(root.join("scripts/ensure-deb.sh")).arg("nats-server").status();
    let program = find();
    let is_required = std::env::var("CHAPPE_REQUIRE_NATS").is_ok_and(|value| value == "1");
    assert!(program.is_some() || !is_required, "CHAPPE_REQUIRE_NATS=1, and there is no nats-server");
    if program.is_none() {
        // Past what the test harness captures.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: there is no nats-server (scripts/ensure-deb.sh nats-server)"
        );
    }
    program
}
