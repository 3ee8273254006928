//! `chappe up` with real processes: how they come, die, come back and go.

use crate::support::{Cluster, Process};
use nix::sys::signal::Signal;

const NODES: [i64; 6] = [1, 5, 10, 20, 21, 30];

#[test]
fn a_cluster_comes_up_answers_and_leaves_nothing_behind() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&[]);
    let ready = up.event("ready");
    assert_eq!((&ready["nodes"], &ready["cluster"]), (&6.into(), &"small".into()));
    assert!(ready["clients"][0].as_str().is_some_and(|url| url.starts_with("ws://127.0.0.1:")), "{ready}");

    let (code, found) = cluster.ask("nodes", &[]);
    assert_eq!((code, &found["absent"]), (Some(0), &serde_json::json!([])));
    let states: Vec<(i64, &str)> = found["nodes"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|node| Some((node["id"].as_i64()?, node["state"].as_str()?)))
        .collect();
    assert_eq!(states, NODES.map(|id| (id, "ready")));

    let (code, found) = cluster.ask("call", &["no_such_module", "Count", r#"{"uid": 7}"#]);
    assert_eq!((code, &found["reason"]), (Some(1), &"NoProvider".into()), "{found}");
    let (code, found) = cluster.ask("send", &["type:bw4", "arena", "match", "Cancel"]);
    assert_eq!((code, &found["reached"]), (Some(0), &serde_json::json!([20, 21])), "{found}");
    let (code, found) = cluster.ask("send", &["99", "arena", "match", "Cancel"]);
    assert_eq!((code, &found["reason"]), (Some(1), &"NoRoute".into()), "{found}");
    let (code, found) = cluster.ask("send", &["5", "arena", "match", "Cancel"]);
    assert_eq!((code, &found["reason"]), (Some(1), &"WrongRole".into()), "{found}");
    let (code, found) = cluster.ask("kick", &["7"]);
    assert_eq!((code, &found["reason"]), (Some(1), &"PlayerOffline".into()), "{found}");
    let (code, found) = cluster.ask("players", &[]);
    assert_eq!((code, &found["online"]), (Some(0), &0.into()), "{found}");
    let (code, found) = cluster.ask("announce", &["hello"]);
    assert_eq!((code, &found["proxies"]), (Some(0), &1.into()), "{found}");

    let processes = cluster.processes(&NODES);
    up.signal(Signal::SIGINT);
    let (status, said) = up.end();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert!(said.iter().all(|event| event["event"] != "killing"), "{said:#?}");
    processes.into_iter().for_each(Process::gone);
    assert_eq!(cluster.ask("nodes", &[]).0, Some(5));
}

#[test]
fn a_killed_node_is_named_and_comes_back() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&[]);
    up.event("ready");
    for node in [21, 30, 5, 1] {
        let before = cluster.process(node);
        before.signal(Signal::SIGKILL);
        let died = up.event("node_died");
        assert_eq!((&died["node"], &died["how"]), (&node.into(), &"signal SIGKILL".into()));
        assert_eq!(up.event("node_ready")["node"], node);
        assert_ne!(cluster.process(node), before);
    }
    up.signal(Signal::SIGTERM);
    assert_eq!(up.end().0.code(), Some(0));
}

#[test]
fn a_killed_supervisor_leaves_no_orphan_not_even_a_frozen_one() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&[]);
    up.event("ready");
    let processes = cluster.processes(&NODES);
    cluster.process(20).signal(Signal::SIGSTOP);
    up.signal(Signal::SIGKILL);
    processes.into_iter().for_each(Process::gone);
}

#[test]
fn a_node_behind_a_script_is_no_orphan_either() {
    let chappe = env!("CARGO_BIN_EXE_chappe");
    let text = r#"{"cluster": "script", "master": {"serverid": 1},
        "service": [{"serverid": 2, "program": ["sh", "-c", "CHAPPE \"$@\"; true", "sh"]}]}"#;
    let cluster = Cluster::new(&text.replace("CHAPPE", chappe));
    let mut up = cluster.up(&[]);
    up.event("ready");
    let processes = cluster.processes(&[1, 2]);
    up.signal(Signal::SIGKILL);
    processes.into_iter().for_each(Process::gone);
}

#[test]
fn a_frozen_node_does_not_hold_up_the_end() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&[]);
    up.event("ready");
    let processes = cluster.processes(&NODES);
    cluster.process(30).signal(Signal::SIGSTOP);
    up.signal(Signal::SIGINT);
    let killing = up.event("killing");
    assert_eq!((&killing["nodes"], &killing["asked"]), (&serde_json::json!([30]), &false.into()));
    assert_eq!(up.end().0.code(), Some(0));
    processes.into_iter().for_each(Process::gone);
}

#[test]
fn a_second_ctrl_c_does_not_wait_for_anyone() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&[]);
    up.event("ready");
    let processes = cluster.processes(&NODES);
    cluster.process(5).signal(Signal::SIGSTOP);
    up.signal(Signal::SIGINT);
    up.event("stopping");
    up.signal(Signal::SIGINT);
    assert_eq!(up.event("killing")["asked"], true);
    assert_eq!(up.end().0.code(), Some(0));
    processes.into_iter().for_each(Process::gone);
}

#[test]
fn a_second_process_with_the_same_id_is_turned_away() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&[]);
    up.event("ready");
    let output = cluster.run("node", &["20"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("id 20 is taken"), "{said}");

    let (code, said) = cluster.ask("up", &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said["message"].as_str().is_some_and(|text| text.contains("runs already")), "{said}");
    // Nobody else noticed.
    assert_eq!(cluster.ask("nodes", &[]).1["nodes"].as_array().map(Vec::len), Some(NODES.len()));
}

#[test]
fn one_process_is_the_same_cluster() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&["--one-process"]);
    up.event("ready");
    let (code, found) = cluster.ask("nodes", &[]);
    assert_eq!((code, found["nodes"].as_array().map(Vec::len)), (Some(0), Some(NODES.len())));
    let (code, found) = cluster.ask("send", &["services", "arena", "admin", "Reload"]);
    assert_eq!((code, &found["reached"]), (Some(0), &serde_json::json!([30])), "{found}");
    let (code, found) = cluster.ask("call", &["service_mail", "NoSuchMethod"]);
    assert_eq!(code, Some(1), "{found}");
    let master = cluster.process(1);
    up.signal(Signal::SIGINT);
    let (status, said) = up.end();
    assert_eq!(status.code(), Some(0));
    assert!(said.iter().all(|event| event["event"] != "killing"), "{said:#?}");
    master.gone();
}

#[test]
fn one_process_is_that_of_the_game() {
    let program = env!("CARGO_BIN_EXE_chappe");
    let cluster = Cluster::new(&format!(
        r#"{{"cluster": "game", "master": {{"serverid": 1}},
             "lobby": [{{"serverid": 2, "num": 2, "program": ["{program}"]}}]}}"#
    ));
    let mut up = cluster.up(&["--one-process", "--log", "warn"]);
    assert_eq!(up.event("ready")["nodes"], 3);
    up.signal(Signal::SIGINT);
    assert_eq!(up.end().0.code(), Some(0));
}

#[test]
fn a_node_by_hand_has_the_code_of_its_game() {
    // A program that says what it was asked to run: without it the node would join and answer nothing.
    let cluster = Cluster::new(
        r#"{"cluster": "game", "master": {"serverid": 1},
            "lobby": [{"serverid": 2, "program": ["/bin/echo", "game"]}]}"#,
    );
    let output = cluster.run("node", &["2"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), format!("game node {} 2", cluster.deploy().canonicalize().unwrap().display()));
}

#[test]
fn a_node_that_was_told_to_leave_does_not_come_back() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&[]);
    up.event("ready");
    assert_eq!(cluster.ask("stop", &["21"]).0, Some(0));
    assert_eq!(up.event("node_left")["node"], 21);
    assert_eq!(cluster.ask("nodes", &[]).1["absent"], serde_json::json!([21]));
    let (code, found) = cluster.ask("stop", &["99"]);
    assert_eq!((code, &found["ok"]), (Some(1), &false.into()), "{found}");
    up.signal(Signal::SIGINT);
    assert_eq!(up.end().0.code(), Some(0));
}

#[test]
fn data_over_the_limit_is_refused_at_the_call() {
    let cluster =
        Cluster::new(r#"{"cluster": "tiny", "master": {"serverid": 1}, "limits": {"message_bytes": 100}}"#);
    let (code, found) = cluster.ask("call", &["mail", "Count", &format!("{:?}", "x".repeat(200))]);
    assert_eq!((code, &found["reason"]), (Some(1), &"TooLarge".into()), "{found}");
}

#[test]
fn a_node_that_cannot_start_is_not_tried_for_ever() {
    let cluster = Cluster::new(
        r#"{"cluster": "bad", "master": {"serverid": 1},
            "service": [{"serverid": 2, "program": ["sh", "-c", "echo no luck; exit 2"]}]}"#,
    );
    let mut up = cluster.up(&[]);
    let given_up = up.event("node_given_up");
    assert_eq!((&given_up["node"], &given_up["tries"]), (&2.into(), &3.into()));
    assert_eq!(up.event("ready")["without"], serde_json::json!([2]));
    up.signal(Signal::SIGINT);
    let (status, said) = up.end();
    assert_eq!(status.code(), Some(2), "its own code, so that a script sees it");
    assert!(said.iter().any(|event| event["line"] == "no luck"), "{said:#?}");
}

#[test]
fn a_node_with_a_wrong_mod_is_tried_once_and_its_last_line_is_the_last_of_all() {
    let cluster = Cluster::new(
        r#"{"cluster": "mod", "master": {"serverid": 1},
            "lobby": [{"serverid": 2, "program": ["sh", "-c", "echo traceback >&2; echo bank.py:3: slip >&2; exit 6"]}]}"#,
    );
    let mut up = cluster.up(&[]);
    let given_up = up.event("node_given_up");
    assert_eq!((&given_up["node"], &given_up["tries"]), (&2.into(), &1.into()));
    assert_eq!(given_up["how"], "bank.py:3: slip");
    assert_eq!(up.event("ready")["without"], serde_json::json!([2]));
    up.signal(Signal::SIGINT);
    let (status, said) = up.end();
    assert_eq!(status.code(), Some(6), "{said:#?}");
    let last = said.last().map(|event| &event["message"]);
    assert_eq!(last, Some(&"could not be started: node 2 (lobby): bank.py:3: slip".into()), "{said:#?}");
}

#[test]
fn a_cluster_without_a_master_ends_with_its_code() {
    let cluster = Cluster::new(
        r#"{"cluster": "headless", "master": {"serverid": 1, "program": ["sh", "-c", "exit 3"]},
            "lobby": [{"serverid": 2}]}"#,
    );
    let mut up = cluster.up(&[]);
    let (status, said) = up.end();
    assert_eq!(status.code(), Some(3), "{said:#?}");
}

#[test]
fn a_rolled_type_runs_the_old_processes_on() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&[]);
    up.event("ready");
    let before = cluster.processes(&[20, 21]);
    let rolled = cluster.run("roll", &["bw4", "--json"]);
    let said = String::from_utf8_lossy(&rolled.stdout);
    assert_eq!(rolled.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&rolled.stderr));
    let last: serde_json::Value = serde_json::from_str(said.lines().last().expect("lines")).expect("JSON");
    assert_eq!(last, serde_json::json!({"ok": true, "nodes": 2, "moved": 0}));
    before.into_iter().for_each(Process::gone);
    assert_eq!(cluster.ask("roll", &["no_such_type"]).0, Some(2));
}

#[test]
fn a_drained_node_is_started_again_against_the_operators_will() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&[]);
    up.event("ready");
    let (code, found) = cluster.ask("drain", &["21"]);
    assert_eq!((code, &found["moved"], &found["left"]), (Some(0), &0.into(), &0.into()), "{found}");
    assert_eq!(up.event("node_left")["node"], 21);
    let (code, found) = cluster.ask("drain", &["1"]);
    assert_eq!((code, &found["reason"]), (Some(1), &"WrongRole".into()), "{found}");
}

#[test]
fn a_node_that_ran_where_the_clock_is_hours_ahead_is_refused_for_ever() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&[]);
    up.event("ready");
    let ahead = std::time::SystemTime::now() + std::time::Duration::from_secs(5 * 3600);
    let ahead = ahead.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos();
    std::fs::write(cluster.run_dir().join("20.life"), ahead.to_string()).expect("written");
    cluster.process(20).signal(Signal::SIGKILL);
    assert_eq!(up.event("node_ready")["node"], 20);
    // The next life is on another machine: it knows nothing of that one, and its clock shows less.
    std::fs::remove_file(cluster.run_dir().join("20.life")).expect("removed");
    cluster.process(20).signal(Signal::SIGKILL);
    assert_eq!(up.event("node_ready")["node"], 20);
}
