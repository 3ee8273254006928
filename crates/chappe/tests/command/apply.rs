//! `chappe apply`: deploy.json changes while the cluster runs.

use crate::support::*;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Changes the cluster's deploy.json.
fn edit(cluster: &Cluster, change: impl FnOnce(&mut Value)) {
    let text = std::fs::read_to_string(cluster.deploy()).expect("it is there");
    let mut file: Value = serde_json::from_str(&text).expect("JSON");
    change(&mut file);
    std::fs::write(cluster.deploy(), file.to_string()).expect("written");
}

/// Runs `chappe apply`; its last line.
fn apply(cluster: &Cluster, args: &[&str]) -> (Option<i32>, Value) {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    let output = cluster.run("apply", &args);
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().last().and_then(|line| serde_json::from_str(line).ok());
    (output.status.code(), last.unwrap_or(Value::Null))
}

#[test]
fn a_larger_cluster_needs_a_restart_of_all_of_it() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&[]);
    up.event("ready");
    let before = cluster.processes(&[1, 5, 10, 21, 30]);
    edit(&cluster, |file| {
        file["game"] = json!([{"serverid": 21, "type": "bw4", "num": 3}]);
        file["service"][0]["module_names"] = json!(["mail"]);
    });

    let (code, plan) = apply(&cluster, &["--dry-run"]);
    assert_eq!((code, &plan["added"], &plan["removed"]), (Some(0), &json!([22, 23]), &json!([20])), "{plan}");
    assert_eq!(plan["changed"], json!([30]));
    assert!(cluster.process(20).is_alive(), "it was only asked");

    let (code, done) = apply(&cluster, &[]);
    assert_eq!((code, &done["ok"]), (Some(0), &true.into()), "{done}");
    assert_eq!((&done["added"], &done["removed"]), (&json!([22, 23]), &json!([20])));
    let (_, nodes) = cluster.ask("nodes", &[]);
    let ready = |node: &Value| (node["state"] == "ready").then(|| node["id"].as_i64());
    let ready: Vec<i64> =
        nodes["nodes"].as_array().into_iter().flatten().filter_map(ready).flatten().collect();
    assert_eq!(ready, [1, 5, 10, 21, 22, 23, 30]);
    assert_eq!(nodes["absent"], json!([]));
    let mail = nodes["nodes"].as_array().and_then(|nodes| nodes.iter().find(|node| node["id"] == 30));
    assert_eq!(mail.map(|mail| &mail["modules"]), Some(&json!(["mail", "service_mail"])), "it is new");
    let [master, proxy, lobby, game, service] = &before[..] else { panic!("five") };
    assert!([master, proxy, lobby, game].iter().all(|process| process.is_alive()), "these played on");
    assert!(!service.is_alive());

    let (code, done) = apply(&cluster, &[]);
    let nothing = (&json!([]), &json!([]), &json!([]));
    assert_eq!((code, (&done["added"], &done["removed"], &done["restarted"])), (Some(0), nothing), "{done}");
    // What the file no longer has is not started again, what is new is kept running.
    cluster.process(23).signal(Signal::SIGKILL);
    for event in ["node_died", "node_ready"] {
        // Node 30 has been started anew before.
        while up.event(event)["node"] != 23 {}
    }
}

#[test]
fn a_drained_node_never_comes_back() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&[]);
    up.event("ready");
    assert_eq!(cluster.ask("drain", &["21"]).0, Some(0));
    assert_eq!(up.event("node_left")["node"], 21);
    let (code, done) = apply(&cluster, &[]);
    assert_eq!((code, &done["added"]), (Some(0), &json!([21])), "the file has it: {done}");
}

#[test]
fn a_running_cluster_is_half_changed_by_a_file_that_is_wrong() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&[]);
    up.event("ready");
    edit(&cluster, |file| {
        file["game"] = json!([]);
        file["store"] = json!("other.sqlite");
    });
    let (code, refused) = apply(&cluster, &[]);
    let said = refused["message"].to_string();
    assert_eq!(code, Some(2), "{refused}");
    assert!(said.contains("`store` cannot change while the cluster runs"), "{said}");
    edit(&cluster, |file| {
        file["store"].take();
        file["master"]["serverid"] = json!("one");
    });
    assert_eq!(apply(&cluster, &[]).0, Some(2), "an error of the file");
    assert!(cluster.processes(&[20, 21]).into_iter().all(Process::is_alive), "nothing was done");
    drop(up);
}

#[test]
fn two_supervisors_keep_the_same_nodes() {
    let cluster = Cluster::small();
    let mut up = cluster.up(&[]);
    up.event("ready");
    let second = cluster.run("up", &["--json"]);
    assert_eq!(second.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&second.stdout).contains("runs already"));
    drop(up);
    let (code, found) = cluster.ask("apply", &[]);
    assert_eq!((code, &found["error"]), (Some(5), &"unreachable".into()), "{found}");
}
