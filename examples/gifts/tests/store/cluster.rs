//! The gifts, as real processes in a directory of their own.

use chappe::client::{Client, Login};
use chappe::deploy::Deploy;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long anything is waited for before the test says that it does not come.
pub(crate) const WAIT: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);
const NODES: usize = 5;

pub(crate) struct Cluster {
    dir: tempfile::TempDir,
    deploy: Value,
    url: String,
    up: Option<Child>,
}

impl Cluster {
    /// With this `store`.
    pub(crate) fn new(store: &str) -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let program = env!("CARGO_BIN_EXE_gifts");
        let deploy = json!({
            "cluster": "gifts", "store": store,
            "master": {"serverid": 1, "program": [program]},
            "proxy": [{"serverid": 10, "port": port}],
            "game": [{"serverid": 30, "num": 3, "type": "lobby", "program": [program]}],
            // A frozen server is to be nothing but slow, and no gift ends by its deadline.
            "loss_seconds": 600, "stuck_seconds": 600,
            "notifications": {"deadline_seconds": 600, "handler_seconds": 600},
        });
        let cluster = Cluster { dir, deploy, url: format!("ws://127.0.0.1:{port}"), up: None };
        cluster.write();
        cluster
    }

    /// Names another store from the next start on.
    pub(crate) fn keep_in(&mut self, store: &str) {
        self.deploy["store"] = json!(store);
        self.write();
    }

    fn write(&self) {
        std::fs::write(self.file(), self.deploy.to_string()).unwrap();
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("deploy.json")
    }

    /// Starts it. All servers are ready then, so that players are spread over them.
    pub(crate) async fn up(&mut self) {
        let mut command = self.command(&["up"], &["--log", "error"]);
        self.up = Some(command.stdout(Stdio::null()).spawn().unwrap());
        let is_ready = |found: &Value| {
            let nodes = found["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
            nodes.len() == NODES && nodes.iter().all(|node| node["state"] == "ready")
        };
        self.until(&["nodes"], &[], is_ready).await;
    }

    /// Ends it as systemd does.
    pub(crate) fn stop(&mut self) {
        let mut up = self.up.take().unwrap();
        kill(Pid::from_raw(up.id().cast_signed()), Signal::SIGTERM).unwrap();
        assert!(up.wait().unwrap().success());
    }

    pub(crate) fn signal(&self, node: i64, signal: Signal) {
        let (deploy, _) = Deploy::load(self.file()).unwrap();
        let process = std::fs::read_to_string(deploy.run_dir().join(format!("{node}.lock"))).unwrap();
        kill(Pid::from_raw(process.trim().parse().unwrap()), signal).unwrap();
    }

    /// Logs a player in, once the cluster is there.
    pub(crate) async fn login(&self, uid: u64) -> Client {
        let connect = async {
            loop {
                match Client::connect(&self.url, Login::new(uid)).await {
                    Ok(client) => return client,
                    Err(_) => tokio::time::sleep(LOOK).await,
                }
            }
        };
        tokio::time::timeout(WAIT, connect).await.unwrap()
    }

    /// Waits until so many notifications are under way in either step.
    pub(crate) async fn under_way(&self, sent: u64, decided: u64) {
        self.until(&["notifications"], &[], |found| found["sent"] == sent && found["decided"] == decided)
            .await;
    }

    /// The same, while something goes on that does not end by itself.
    pub(crate) async fn under_way_while(&self, sent: u64, decided: u64, goes_on: impl Future) {
        tokio::select! {
            biased;
            () = self.under_way(sent, decided) => {}
            _ = goes_on => panic!("it has ended"),
        }
    }

    /// Forgets a player, once their server has let them go.
    pub(crate) async fn deleted(&self, uid: u64) {
        let uid = uid.to_string();
        self.until(&["record", "delete"], &[&uid], |found| found["ok"] == true).await;
    }

    /// The first dead letter, once there is one.
    pub(crate) async fn letter(&self) -> String {
        let found = self.until(&["deadletters", "list"], &[], |found| !found["letters"][0].is_null()).await;
        found["letters"][0]["letter"].as_str().unwrap().to_owned()
    }

    pub(crate) fn document(&self, uid: u64) -> Value {
        let uid = uid.to_string();
        self.ask(&["record", "show"], &[&uid])["document"].clone()
    }

    pub(crate) fn documents(&self, uids: &[u64]) -> Vec<Value> {
        uids.iter().map(|uid| self.document(*uid)).collect()
    }

    async fn until(&self, name: &[&str], args: &[&str], is_there: impl Fn(&Value) -> bool) -> Value {
        let patience = Instant::now() + WAIT;
        loop {
            let found = self.ask(name, args);
            if is_there(&found) {
                return found;
            }
            assert!(Instant::now() < patience, "{name:?} {args:?}: {found}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// `gifts NAME deploy.json ARGS --json`: what it prints, nothing when it fails.
    pub(crate) fn ask(&self, name: &[&str], args: &[&str]) -> Value {
        let output = self.command(name, args).arg("--json").output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// The same; it must not fail.
    pub(crate) fn run(&self, name: &[&str], args: &[&str]) -> Output {
        let output = self.command(name, args).output().unwrap();
        assert!(output.status.success(), "{name:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn command(&self, name: &[&str], args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gifts"));
        command.args(name).arg(self.file()).args(args).env_remove("CHAPPE_STORE").stdin(Stdio::null());
        command
    }
}

/// Gives a player what a gift takes: what the giver is told.
pub(crate) async fn gift(from: &Client, to: u64) -> Option<String> {
    let answer = from.ask("user.giveMoney", &chappe::value!({"id": to}), WAIT).await.unwrap();
    answer.field("errorCode").and_then(chappe::Value::as_str).map(str::to_owned)
}

pub(crate) fn ok() -> Option<String> {
    Some("ok".to_owned())
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(up) = &mut self.up {
            let _ = up.kill();
            let _ = up.wait();
        }
    }
}
