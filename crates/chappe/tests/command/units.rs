//! The unit for systemd, as systemd would run it.

use crate::support::{Cluster, chappe};
use nix::sys::signal::Signal;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const UNIT: &str = include_str!("../../../../dist/systemd/chappe@.service");

/// The values of a setting, in order.
fn values(name: &str) -> Vec<&'static str> {
    let lines = UNIT.lines().filter_map(|line| line.split_once('='));
    lines.filter(|(setting, _)| *setting == name).map(|(_, value)| value).collect()
}

/// The arguments of its command, for the host `one` and this file.
fn arguments(deploy: &str) -> Vec<String> {
    let line = values("ExecStart")[0];
    let words = line.split(' ').skip(1);
    words.map(|word| word.replace("%i", "one").replace("/etc/chappe/deploy.json", deploy)).collect()
}

#[test]
fn the_unit_starts_what_the_command_does_not_know_or_kills_what_would_have_ended_in_order() {
    let cluster = Cluster::new(
        r#"{"cluster": "unit", "engine": {"nats": ["nats://127.0.0.1:PORT"]},
            "master": {"serverid": 1, "host": "one"}, "lobby": [{"serverid": 10, "host": "one"}]}"#,
    );
    let arguments = arguments(&cluster.deploy().to_string_lossy());
    let told = chappe().args(&arguments).arg("--help").output().expect("it runs");
    assert!(told.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&told.stderr));
    let [name, host, one, file] = &arguments[..] else { panic!("other arguments: {arguments:?}") };
    assert_eq!((name.as_str(), file.as_str()), ("up", &*cluster.deploy().to_string_lossy()));

    // NATS is not there: the nodes wait for it, and leave all the same when they are asked to.
    let mut up = cluster.up(&[host, one]);
    up.event("log");
    let asked = Instant::now();
    up.signal(Signal::SIGTERM);
    let (status, events) = up.end();
    assert_eq!(status.code(), Some(0), "{events:#?}");
    let most: u64 = values("TimeoutStopSec")[0].parse().expect("seconds");
    let stopped = events.iter().find(|event| event["event"] == "stopped").expect("it stops in order");
    assert!(stopped["seconds"].as_f64().is_some_and(|took| took < most as f64), "{stopped}");
    assert!(asked.elapsed() < Duration::from_secs(most), "systemd would have killed it");
    assert_eq!(values("KillMode"), ["mixed"], "nodes would be told to end in no order");
}

#[test]
fn the_unit_is_not_what_systemd_takes() {
    let dir = tempfile::tempdir().expect("a directory");
    let unit = dir.path().join("chappe@one.service");
    let text = UNIT.replace("/usr/local/bin/chappe", env!("CARGO_BIN_EXE_chappe"));
    std::fs::write(&unit, text).expect("written");
    for setting in UNIT.lines().filter(|line| !line.starts_with(['#', '[']) && !line.is_empty()) {
        assert!(setting.contains('='), "{setting}");
    }
    if !Path::new("/usr/bin/systemd-analyze").exists() {
        return eprintln!("SKIPPED: systemd-analyze is not installed, the unit was not verified");
    }
    let told = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output();
    let told = told.expect("it runs");
    let said = String::from_utf8_lossy(&told.stderr);
    // Of other units of this machine it may say what it likes.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("chappe@")).collect();
    assert!(told.status.success() && ours.is_empty(), "{said}");
}
