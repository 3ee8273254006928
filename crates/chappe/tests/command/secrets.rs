//! Secrets with real processes: who is refused, what listens, and that none of them is ever printed.

use crate::support::{Cluster, Process};
use crate::{nats, postgres};
use nix::sys::signal::Signal;
use std::collections::{BTreeSet, HashSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SECRET: &str = "knock-knock-who-is-there-0001";
const NEXT: &str = "knock-knock-who-is-there-0002";
const TOKEN: &str = "the-token-of-the-control-port-0003";
const NATS_PASSWORD: &str = "the-password-of-nats-0004";
const STORE_PASSWORD: &str = "the-password-of-postgres-0005";

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
}

/// One of each role, with a secret and a token in files.
fn protected() -> Cluster {
    let cluster = Cluster::new(
        r#"{"cluster": "kept", "secret_file": "secret", "control_token_file": "token",
            "master": {"serverid": 1, "port": PORT},
            "proxy": [{"serverid": 5, "port": PORT}], "lobby": [{"serverid": 10}],
            "service": [{"serverid": 30, "type": "service_mail"}]}"#,
    );
    write(&cluster.dir().join("secret"), SECRET, 0o600);
    write(&cluster.dir().join("token"), TOKEN, 0o600);
    cluster
}

/// What a command ends with, by the secret that the environment has.
fn with_secret(cluster: &Cluster, secret: &str) -> (Option<i32>, String) {
    let output = cluster.command("nodes", &[]).env("CHAPPE_SECRET", secret).output().expect("it runs");
    (output.status.code(), said(&output))
}

fn said(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

/// The status of a GET at the master's port, which stands in deploy.json.
fn get(cluster: &Cluster, path: &str, header: &str) -> u16 {
    let text = std::fs::read_to_string(cluster.deploy()).expect("it is there");
    let port =
        text.split("\"port\": ").nth(1).and_then(|rest| rest.split([',', '}']).next()).expect("a port");
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{header}\r\n").expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

#[test]
fn a_tool_with_another_secret_rules_the_cluster() {
    let cluster = protected();
    let mut up = cluster.up(&[]);
    up.event("ready");
    assert_eq!(cluster.run("nodes", &[]).status.code(), Some(0));
    let (code, text) = with_secret(&cluster, NEXT);
    assert_eq!(code, Some(1));
    assert!(text.contains("WrongSecret") && text.contains("CHAPPE_SECRET_FILE"), "{text}");
    let (code, text) = with_secret(&cluster, "hunter2");
    assert!(code == Some(2) && text.contains("CHAPPE_SECRET: line 1") && !text.contains("hunter2"), "{text}");

    assert_eq!(get(&cluster, "/nodes", ""), 401);
    assert_eq!(get(&cluster, "/nodes", &format!("authorization: Bearer {SECRET}\r\n")), 403);
    assert_eq!(get(&cluster, "/nodes", &format!("authorization: Bearer {TOKEN}\r\n")), 200);
    assert_eq!(get(&cluster, "/healthz", ""), 200);
}

#[test]
fn a_secret_cannot_be_changed_while_players_are_on() {
    let cluster = protected();
    let mut up = cluster.up(&[]);
    up.event("ready");
    for text in [format!("{NEXT}\n{SECRET}"), NEXT.to_owned()] {
        write(&cluster.dir().join("secret"), &text, 0o600);
        // Each by itself starts anew with what the file says by now; the master first, then the last one last.
        for node in [1, 30, 5, 10] {
            cluster.process(node).signal(Signal::SIGKILL);
            while up.event("node_ready")["node"] != node {}
        }
        let (code, found) = cluster.ask("nodes", &[]);
        assert_eq!((code, &found["absent"]), (Some(0), &serde_json::json!([])), "{found}");
    }
    assert_eq!(with_secret(&cluster, SECRET).0, Some(1), "the old one is of no use any more");
}

#[test]
fn a_port_of_a_fresh_cluster_is_open_to_the_network() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&[]);
    up.event("ready");
    let mut processes = cluster.processes(&[1, 5, 10, 20, 21, 30]);
    processes.push(up.process());
    let sockets: HashSet<String> = processes.into_iter().flat_map(open_sockets).collect();
    let listening: BTreeSet<String> =
        ["tcp", "tcp6"].iter().flat_map(|table| sockets_of(table, &sockets)).collect();
    // The master's and the proxy's, as /proc writes 127.0.0.1.
    assert_eq!(listening.len(), 2, "{listening:?}");
    assert!(listening.iter().all(|address| address.starts_with("0100007F:")), "{listening:?}");
    let datagrams: Vec<String> =
        ["udp", "udp6", "raw", "raw6"].iter().flat_map(|table| sockets_of(table, &sockets)).collect();
    assert_eq!(datagrams, [] as [String; 0]);
}

/// The inodes of the sockets that a process has open.
fn open_sockets(process: Process) -> Vec<String> {
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).expect("it lives").flatten();
    let targets = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    let inode = |path: PathBuf| Some(path.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
    targets.filter_map(inode).collect()
}

/// The local addresses of those sockets in a table of the kernel's: of TCP, those that listen.
fn sockets_of(table: &str, inodes: &HashSet<String>) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
    let lines = text.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = lines.filter(|line| line.len() > 9 && inodes.contains(line[9]));
    let listens = ours.filter(|line| !table.starts_with("tcp") || line[3] == "0A");
    listens.map(|line| line[1].to_owned()).collect()
}

#[test]
fn a_control_port_for_the_world_starts_without_a_token() {
    let cluster =
        Cluster::new(r#"{"cluster": "open", "master": {"serverid": 1, "port": PORT, "ip": "0.0.0.0"}}"#);
    for (name, args) in [("check", &[][..]), ("up", &[]), ("node", &["1"])] {
        let output = cluster.run(name, args);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(
            said(&output).contains("master.ip: the control port would be open on 0.0.0.0"),
            "{}",
            said(&output)
        );
    }
    let checked = cluster.command("check", &[]).env("CHAPPE_CONTROL_TOKEN", TOKEN).output().expect("it runs");
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
}

#[test]
fn a_secret_is_printed_when_everything_is_logged() {
    let postgres = postgres::Server::start();
    let nats =
        nats::Server::start(&format!("authorization {{ user: chappe, password: \"{NATS_PASSWORD}\" }}"));
    let engine = nats.as_ref().map_or_else(String::new, |nats| {
        format!(
            r#""engine": {{"nats": ["{}"], "credentials": {{"user": "chappe", "password_file": "nats"}}}},"#,
            nats.url()
        )
    });
    let other = if nats.is_some() { "west" } else { "east" };
    let cluster = Cluster::new(&format!(
        r#"{{"cluster": "kept", "secret_file": "secret", "control_token_file": "token", {engine}
            "master": {{"serverid": 1, "port": PORT, "host": "east"}},
            "proxy": [{{"serverid": 5, "port": PORT, "host": "east"}}],
            "lobby": [{{"serverid": 10, "host": "east"}}],
            "service": [{{"serverid": 30, "type": "service_mail", "host": "{other}"}}]}}"#
    ));
    write(&cluster.dir().join("secret"), &format!("{SECRET}\n{NEXT}"), 0o600);
    write(&cluster.dir().join("token"), TOKEN, 0o600);
    write(&cluster.dir().join("nats"), NATS_PASSWORD, 0o600);
    // Where there is no server, the master logs that it cannot be reached.
    let at = postgres.as_ref().map_or("/nowhere".into(), |server| server.dir().display().to_string());
    let store =
        format!("postgres://chappe:{STORE_PASSWORD}@localhost/postgres?host={}", at.replace('/', "%2F"));

    let mut printed = Vec::new();
    let mut hosts: Vec<Logged> = ["east", "west"][..if nats.is_some() { 2 } else { 1 }]
        .iter()
        .map(|host| {
            let mut command = cluster.command("up", &["--host", host, "--log", "trace"]);
            Logged::start(command.env("CHAPPE_STORE", &store))
        })
        .collect();
    while !cluster.ask("nodes", &[]).1["nodes"]
        .as_array()
        .is_some_and(|nodes| nodes.len() == 4 && nodes.iter().all(|node| node["state"] == "ready"))
    {
        assert!(
            hosts.iter_mut().all(Logged::runs),
            "{}",
            hosts.iter_mut().map(Logged::end).collect::<String>()
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    for secret in [NEXT, TOKEN] {
        printed.push(with_secret(&cluster, secret).1);
    }
    for token in [TOKEN, SECRET] {
        get(&cluster, "/metrics", &format!("authorization: Bearer {token}\r\n"));
    }
    for (name, args) in
        [("nodes", &["--log", "trace"][..]), ("record", &["7", "--log", "trace"]), ("check", &[])]
    {
        let output = cluster.command(name, args).env("CHAPPE_STORE", &store).output().expect("it runs");
        printed.push(said(&output));
    }
    let stranger = cluster.command("node", &["99", "--log", "trace"]).output().expect("it runs");
    printed.push(said(&stranger));
    printed.extend(hosts.iter_mut().map(Logged::end));
    let all = printed.concat();
    assert!(all.contains("TRACE") && all.contains("HTTP control port"), "everything is logged: {all:.2000}");
    for secret in [SECRET, NEXT, TOKEN, NATS_PASSWORD, STORE_PASSWORD] {
        let line = all.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is printed");
    }
}

/// A `chappe up` whose output is kept.
struct Logged {
    child: std::process::Child,
    readers: Vec<std::thread::JoinHandle<String>>,
}

impl Logged {
    fn start(command: &mut Command) -> Logged {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let pipes: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        let read = |mut pipe: Box<dyn Read + Send>| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = pipe.read_to_end(&mut bytes);
                String::from_utf8_lossy(&bytes).into_owned()
            })
        };
        Logged { child, readers: pipes.map(read).into() }
    }

    fn runs(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Ends it: everything that it has printed.
    fn end(&mut self) -> String {
        let id = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        let _ = nix::sys::signal::kill(id, Signal::SIGTERM);
        let _ = self.child.wait();
        self.readers.drain(..).map(|reader| reader.join().unwrap_or_default()).collect()
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
