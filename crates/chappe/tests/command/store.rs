//! The store of a cluster of real processes: when there is one, who may open it, and what operators do with it.

use crate::support::Cluster;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// A master and a lobby, with `more` in the file.
fn cluster(more: &str) -> Cluster {
    let text =
        format!(r#"{{"cluster": "kept", "master": {{"serverid": 1}}, "lobby": [{{"serverid": 10}}]{more}}}"#);
    Cluster::new(&text)
}

fn document(cluster: &Cluster, uid: &str) -> Value {
    cluster.ask("record show", &[uid]).1["document"].clone()
}

#[test]
fn a_cluster_that_keeps_nothing_would_leave_a_file_behind() {
    let cluster = cluster("");
    let mut up = cluster.up(&[]);
    up.event("ready");
    let (code, found) = cluster.ask("record show", &["7"]);
    assert_eq!((code, &found["reason"]), (Some(1), &"UserNotFound".into()), "{found}");
    assert_eq!(
        cluster.ask("deadletters list", &[]),
        (Some(0), json!({"ok": true, "letters": [], "more": false}))
    );
    let none = json!({"ok": true, "sent": 0, "decided": 0, "notifications": [], "more": false});
    assert_eq!(cluster.ask("notifications", &[]), (Some(0), none));
    assert_eq!(cluster.ask("store backup", &["copy.sqlite"]).0, Some(1));
    up.signal(Signal::SIGTERM);
    assert_eq!(up.end().0.code(), Some(0));
    assert!(!cluster.dir().join("data").exists());
}

#[test]
fn a_record_that_an_operator_has_changed_is_lost_with_the_master() {
    let cluster = cluster("");
    let mut up = cluster.up(&[]);
    up.event("ready");
    let (code, found) = cluster.ask("record set", &["7", r#"{"money": 5}"#]);
    assert_eq!((code, &found["reason"]), (Some(1), &"UserNotFound".into()), "{found}");
    let (code, found) = cluster.ask("record set", &["7", r#"{"money": 5, "name": "Ada"}"#, "--create"]);
    assert_eq!(code, Some(0), "{found}");
    assert_eq!(cluster.ask("record set", &["7", r#"{"money": 6}"#]).0, Some(0));
    let (code, found) = cluster.ask("record set", &["7", r#"{"money": 7}"#, "--version", "1"]);
    assert_eq!((code, &found["reason"]), (Some(1), &"Refused".into()), "{found}");

    cluster.process(1).signal(Signal::SIGKILL);
    assert_eq!(up.event("node_ready")["node"], 1);
    assert_eq!(document(&cluster, "7"), json!({"money": 6, "name": "Ada"}));
    let (_, found) = cluster.ask("record history", &["7"]);
    let by: Vec<&str> = found["versions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|line| line["handler"].as_str())
        .collect();
    assert_eq!(by, ["operator", "operator", "created"]);
    let exported = cluster.run("record export", &[]);
    assert_eq!(String::from_utf8_lossy(&exported.stdout).lines().count(), 1);
    assert_eq!(cluster.ask("record delete", &["7"]).0, Some(0));
    assert_eq!(cluster.ask("record show", &["7"]).0, Some(1));
}

#[test]
fn a_store_that_is_not_ours_or_newer_would_be_written_to() {
    let theirs = cluster(r#", "store": "store.sqlite""#);
    let mut up = theirs.up(&[]);
    up.event("ready");
    up.signal(Signal::SIGTERM);
    up.end();
    let file = theirs.dir().join("store.sqlite");
    assert!(file.exists(), "one that is named is made at once");

    let refused = |cluster: &Cluster| {
        let output = cluster.command("node", &["1"]).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let text = r#"{"cluster": "other", "master": {"serverid": 1}, "store": "store.sqlite"}"#;
    let ours = Cluster::new(text);
    std::fs::copy(&file, ours.dir().join("store.sqlite")).expect("copied");
    let (code, why) = refused(&ours);
    assert_eq!(code, Some(2), "{why}");
    assert!(why.contains(r#"belongs to the cluster "kept", not to "other""#), "{why}");

    // The version of the schema stands at byte 60 of an SQLite file.
    let mut bytes = std::fs::read(&file).expect("read");
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&file, bytes).expect("written");
    let (code, why) = refused(&theirs);
    assert_eq!(code, Some(2), "{why}");
    assert!(why.contains("has schema 99") && why.contains("start a newer one"), "{why}");

    let nowhere = cluster(r#", "store": "nowhere/store.sqlite""#);
    let (code, why) = refused(&nowhere);
    assert_eq!(code, Some(2), "{why}");
    assert!(why.contains("nowhere/store.sqlite"), "{why}");
    let told = nowhere.run("check", &[]);
    assert_eq!(told.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&told.stderr).contains("there is no directory"), "{told:?}");
    let variable =
        nowhere.command("node", &["1"]).env("CHAPPE_STORE", "redis://db").output().expect("it runs");
    assert_eq!(variable.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&variable.stderr).contains("`redis://` is no store"), "{variable:?}");
}

#[test]
fn a_damaged_store_would_be_served() {
    let cluster = cluster("");
    let mut up = cluster.up(&[]);
    up.event("ready");
    assert_eq!(cluster.ask("record set", &["7", r#"{"money": 5}"#, "--create"]).0, Some(0));
    up.signal(Signal::SIGTERM);
    up.end();
    let file = cluster.dir().join("data/store.sqlite");
    let mut bytes = std::fs::read(&file).expect("read");
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..].fill(0x5a);
    std::fs::write(&file, bytes).expect("written");
    let output = cluster.command("node", &["1"]).output().expect("it runs");
    let why = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{why}");
    assert!(why.contains("corrupt"), "{why}");
}

#[test]
fn a_backup_of_a_running_cluster_cannot_be_restored() {
    let cluster = cluster("");
    let mut up = cluster.up(&[]);
    up.event("ready");
    let set = |money: i64| {
        let attributes = format!(r#"{{"money": {money}}}"#);
        cluster.ask("record set", &["7", &attributes, "--create"])
    };
    assert_eq!(set(1).0, Some(0));
    let copy = cluster.dir().join("monday.sqlite").to_string_lossy().into_owned();
    let (code, found) = cluster.ask("store backup", &[&copy]);
    assert_eq!((code, &found["file"]), (Some(0), &copy.as_str().into()), "{found}");
    let (code, found) = cluster.ask("store backup", &[&copy]);
    assert_eq!((code, &found["reason"]), (Some(1), &"Refused".into()), "written over: {found}");
    assert_eq!(set(2).0, Some(0));
    let (code, found) = cluster.ask("store restore", &[&copy]);
    assert_eq!(code, Some(2), "under a running master: {found}");
    up.signal(Signal::SIGTERM);
    up.end();

    let (code, found) = cluster.ask("store restore", &[&copy]);
    assert_eq!((code, &found["players"]), (Some(0), &1.into()), "{found}");
    let aside = found["aside"].as_str().expect("moved aside");
    assert!(std::path::Path::new(aside).exists());

    let mut up = cluster.up(&[]);
    up.event("ready");
    assert_eq!(document(&cluster, "7"), json!({"money": 1}));
    assert_eq!(set(3).0, Some(0));
    assert_eq!(document(&cluster, "7"), json!({"money": 3}));
    up.signal(Signal::SIGTERM);
    up.end();
    // The one that was moved aside can be restored as well.
    assert_eq!(cluster.ask("store restore", &[aside]).0, Some(0));
    let mut up = cluster.up(&[]);
    up.event("ready");
    assert_eq!(document(&cluster, "7"), json!({"money": 2}));
}
