//! A cluster over NATS as its operators meet it: the generated configuration of the servers, what each role's
//! credentials let it do, two clusters of one name, and what `chappe check` sees of engines.

use crate::nats::{Server, free_port};
use crate::support::Cluster;
use chappe_link::Link;
use chappe_link::nats::{Credentials, NatsLink, NatsOptions};
use chappe_wire::NodeId;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

const ROLES: [&str; 4] = ["master", "lobby", "service", "tool"];

fn password(role: &str) -> String {
    format!("secret-of-{role}")
}

fn cluster(port: u16, id: &str) -> Cluster {
    let cluster = Cluster::new(&format!(
        r#"{{"cluster": "arena", "cluster_id": "{id}",
            "engine": {{"nats": ["nats://127.0.0.1:{port}"],
                        "credentials": {{"user": "arena-{{role}}", "password_file": "nats-{{role}}.password"}}}},
            "master": {{"serverid": 1, "host": "east"}},
            "lobby": [{{"serverid": 20, "host": "west"}}],
            "service": [{{"serverid": 40, "type": "service_mail", "host": "west"}}]}}"#
    ));
    for role in ROLES {
        put(cluster.dir(), &format!("nats-{role}.password"), &password(role));
    }
    cluster
}

fn put(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).expect("written");
}

fn findings(found: &Value, level: &str) -> Vec<String> {
    let all = found["findings"].as_array().cloned().unwrap_or_default();
    let of_level = all.into_iter().filter(|finding| finding["level"] == level);
    of_level.map(|finding| finding["message"].as_str().unwrap_or_default().to_owned()).collect()
}

/// What the server says to a client of that user that sends `lines`.
fn said(port: u16, user: &str, lines: &[&str]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a deadline");
    let hello = format!(r#"CONNECT {{"user":"arena-{user}","pass":"{}","verbose":false}}"#, password(user));
    let text = [&[hello.as_str()], lines, &["PING", ""]].concat().join("\r\n");
    stream.write_all(text.as_bytes()).expect("sent");
    let (mut said, mut bytes) = (String::new(), [0; 4096]);
    while !said.contains("PONG") {
        let count = stream.read(&mut bytes).expect("an answer in time");
        assert!(count > 0, "it hung up: {said}");
        said.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    said
}

#[test]
fn a_cluster_runs_with_the_generated_permissions_and_a_role_cannot_pass_for_another() {
    let port = free_port();
    let ours = cluster(port, "one");
    let config = ours.run("nats-config", &[]);
    let config = String::from_utf8(config.stdout).expect("text");
    assert!(ROLES.iter().all(|role| !config.contains(&password(role))), "{config}");
    let variables =
        ROLES.map(|role| (format!("CHAPPE_NATS_PASSWORD_{}", role.to_uppercase()), password(role)));
    let Some(_server) = Server::start_at(port, &config, &variables) else { return };

    let (code, found) = ours.ask("check", &[]);
    assert_eq!((code, findings(&found, "error").len()), (Some(0), 0), "{found}");
    let notes = findings(&found, "note").join("\n");
    assert!(notes.contains("NATS 2.") && notes.contains("(as master, lobby, service)"), "{notes}");

    let (mut east, mut west) = (ours.up(&["--host", "east"]), ours.up(&["--host", "west"]));
    east.event("ready");
    west.event("ready");
    // From a third machine, which has no socket of theirs: over NATS.
    let far = tempfile::tempdir().expect("a directory");
    let nodes =
        ours.command("nodes", &["--json"]).env("XDG_RUNTIME_DIR", far.path()).output().expect("it runs");
    let nodes: Value = serde_json::from_slice(&nodes.stdout).expect("JSON");
    let versions: Vec<&Value> =
        nodes["nodes"].as_array().expect("a list").iter().map(|node| &node["version"]).collect();
    assert_eq!(versions, [env!("CARGO_PKG_VERSION"); 3], "{nodes}");
    let (code, found) = ours.ask("check", &["--host", "west"]);
    assert_eq!((code, findings(&found, "warning").len()), (Some(0), 0), "{found}");
    assert!(findings(&found, "note").join("\n").contains("the cluster runs: 3 nodes"), "{found}");

    // A lobby's credentials hear nothing that is for others, and claim no id but its own.
    let forbidden = [
        "SUB chappe.arena.at.1.> 1",
        "SUB chappe.arena.> 2",
        "SUB chappe.arena.inbox.40.> 3",
        "SUB chappe.arena.node.1.* 4",
        "PUB chappe.arena.node.1.claim 0\r\n",
        "PUB chappe.other.node.1.dial 0\r\n",
    ];
    for line in forbidden {
        let text = said(port, "lobby", &[line]);
        assert!(text.contains("Permissions Violation"), "{line}: {text}");
    }
    let allowed = ["SUB chappe.arena.at.20.x.* 1", "PUB chappe.arena.node.1.dial 0\r\n"];
    assert!(!said(port, "lobby", &allowed).contains("Violation"));
    let mut options = NatsOptions::new([format!("nats://127.0.0.1:{port}")], "arena");
    options.credentials = Credentials::Password { user: "arena-lobby".into(), password: password("lobby") };
    options.scope = "20".into();
    let refused = NatsLink::new(options).listen(NodeId(1)).map(drop);
    let text = refused.expect_err("it is the master's id").to_string();
    assert!(text.contains("Publish to \"chappe.arena.node.1.claim\""), "{text}");

    // Another team with a copy of the file, in which they have changed the id.
    let theirs = cluster(port, "two");
    let (code, found) = theirs.ask("check", &[]);
    let errors = findings(&found, "error").join("\n");
    assert_eq!((code, &found["ok"]), (Some(1), &Value::Bool(false)), "{found}");
    let node = theirs.run("node", &["20"]);
    let told = String::from_utf8_lossy(&node.stderr).into_owned();
    assert_eq!(node.status.code(), Some(3), "{told}");
    for text in [errors, told] {
        for part in ["\"arena\" is another cluster's", "cluster_id \"one\"", "cluster_id \"two\"", "of host"]
        {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
    for up in [&mut west, &mut east] {
        up.signal(Signal::SIGTERM);
        up.end();
    }
}

#[test]
fn engines_that_would_refuse_the_nodes_are_found_before_they_start() {
    let port = free_port();
    let Some(_server) = Server::start_at(port, "authorization { user: arena-lobby, password: x }", &[])
    else {
        return;
    };
    let ours = cluster(port, "one");
    let (code, found) = ours.ask("check", &["--host", "west"]);
    let errors = findings(&found, "error").join("\n");
    assert_eq!(code, Some(1), "{found}");
    assert!(errors.contains("refuses these credentials") && errors.contains("arena-lobby"), "{errors}");
    assert!(!errors.contains("secret-of"), "{errors}");
    assert_eq!(ours.ask("check", &["--offline"]).0, Some(0));
    assert_eq!(ours.ask("check", &["--host", "north"]).0, Some(2));

    let deploy = std::fs::read_to_string(ours.deploy()).expect("there");
    put(ours.dir(), "deploy.json", &deploy.replace(&format!(":{port}"), ":1"));
    let (code, found) = ours.ask("check", &[]);
    let errors = findings(&found, "error").join("\n");
    assert!(
        code == Some(1) && errors.contains("nats://127.0.0.1:1") && errors.contains("refused"),
        "{found}"
    );

    let store = Cluster::new(
        r#"{"cluster": "c", "master": {"serverid": 1}, "store": "postgres://me:hush@127.0.0.1:1/game"}"#,
    );
    let (code, found) = store.ask("check", &[]);
    let errors = findings(&found, "error").join("\n");
    assert!(code == Some(1) && errors.contains("postgres 127.0.0.1 game"), "{found}");
    assert!(errors.contains("refused") && !errors.contains("hush"), "{errors}");
}

#[test]
fn a_renamed_cluster_would_lose_its_store_or_take_anothers_unasked() {
    let kept = Cluster::new(r#"{"cluster": "old", "master": {"serverid": 1}, "store": "a.sqlite"}"#);
    let create = |name: &str| kept.ask("store adopt", &[name]);
    assert_eq!(create("old").0, Some(2), "there is no store to take over");
    let options = chappe_store::Options::new("old");
    let file = kept.dir().join("a.sqlite").to_string_lossy().into_owned();
    drop(chappe_store::open(&file, options).expect("made"));
    put(kept.dir(), "deploy.json", r#"{"cluster": "new", "master": {"serverid": 1}, "store": "a.sqlite"}"#);
    let (code, found) = kept.ask("check", &[]);
    let errors = findings(&found, "error").join("\n");
    assert!(code == Some(1) && errors.contains("chappe store adopt"), "{found}");
    assert!(errors.contains("\"old\"") && errors.contains("\"new\""), "{errors}");
    assert_eq!(kept.ask("store adopt", &["another"]).0, Some(2));
    assert_eq!(kept.ask("store adopt", &["old"]).0, Some(0));
    assert_eq!(kept.ask("check", &[]).0, Some(0));
    // The url may stand in a file of its own.
    put(kept.dir(), "place", "mysql://nowhere\n");
    let told = kept.command("check", &[]).env("CHAPPE_STORE_FILE", kept.dir().join("place")).output();
    let told = String::from_utf8_lossy(&told.expect("it runs").stdout).into_owned();
    assert!(told.contains("CHAPPE_STORE_FILE: `mysql://` is no store"), "{told}");
}
