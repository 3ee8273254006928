//! What an owner is told of a deploy.json that is wrong, or that cannot be run.

use crate::support::{self, Cluster};
use std::net::TcpListener;
use std::path::Path;

/// What `chappe ARGS` says in the directory of the fixtures, without this machine's paths.
fn said(args: &[&str]) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let output = support::chappe().args(args).current_dir(&dir).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&*dir.to_string_lossy(), "DIR");
    let code = output.status.code().unwrap_or(-1);
    format!("{}{}exit code {code}", text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_file_that_is_right_is_said_to_be() {
    insta::assert_snapshot!(said(&["check", "right.json"]));
    insta::assert_snapshot!(said(&["check", "right.json", "--json"]));
}

#[test]
fn all_errors_come_together_each_with_its_place() {
    insta::assert_snapshot!(said(&["check", "all_wrong.json"]));
    insta::assert_snapshot!(said(&["check", "all_wrong.json", "--json"]));
}

#[test]
fn broken_json_is_told_by_its_line() {
    insta::assert_snapshot!(said(&["check", "broken.json"]));
    insta::assert_snapshot!(said(&["check", "no_such_file.json"]));
}

#[test]
fn an_unbuilt_program_is_told_before_anything_starts() {
    insta::assert_snapshot!(said(&["check", "no_program.json"]));
    assert_eq!(said(&["up", "no_program.json"]), said(&["check", "no_program.json"]));
}

#[test]
fn python_nodes_are_refused_by_name() {
    insta::assert_snapshot!(said(&["up", "mods.json"]));
    insta::assert_snapshot!(said(&["node", "mods.json", "2"]));
}

#[test]
fn what_needs_the_package_says_so() {
    insta::assert_snapshot!(said(&["mod", "check", "mods/bank"]));
    insta::assert_snapshot!(said(&["client", "proxies.json", "--uid", "7", "--mods", "mods/bank"]));
}

#[test]
fn a_client_without_a_proxy_is_told_which_there_are() {
    insta::assert_snapshot!(said(&["client", "mods.json", "--uid", "7", "--mods", "mods/bank"]));
    insta::assert_snapshot!(said(&[
        "client",
        "proxies.json",
        "--uid",
        "7",
        "--mods",
        "mods/bank",
        "--proxy",
        "6"
    ]));
}

#[test]
fn several_programs_do_not_fit_in_one_process() {
    insta::assert_snapshot!(said(&["up", "two_programs.json", "--one-process"]));
}

#[test]
fn a_node_that_is_not_in_the_file_is_named_with_those_that_are() {
    insta::assert_snapshot!(said(&["node", "right.json", "7"]));
}

#[test]
fn a_cluster_that_does_not_run_is_told_apart_from_one_that_says_no() {
    insta::assert_snapshot!(said(&["call", "right.json", "mail", "Count"]));
    insta::assert_snapshot!(said(&["nodes", "right.json", "--json"]));
}

#[test]
fn data_that_cannot_be_sent_is_refused_at_the_call() {
    insta::assert_snapshot!(said(&["call", "right.json", "mail", "Count", r#"{"a": [1, {"$int": "x"}]}"#]));
}

#[test]
fn a_taken_port_is_told_before_anything_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let cluster =
        Cluster::new(&format!(r#"{{"cluster": "taken", "master": {{"serverid": 1, "port": {port}}}}}"#));
    for command in ["check", "up"] {
        let (code, found) = cluster.ask(command, &[]);
        assert_eq!(
            (code, &found["deploy"]["errors"][0]["code"]),
            (Some(2), &"port_in_use".into()),
            "{found}"
        );
    }
}
