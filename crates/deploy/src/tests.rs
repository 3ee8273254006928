//! Whole files: what is read, and what is told of one that is wrong.

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use chappe_wire::Role;

use crate::{Deploy, Warning};

/// Reads a file that is right, which stands where there are no mods.
pub(crate) fn read(text: &str) -> (Deploy, Vec<Warning>) {
    read_in(Path::new(""), text)
}

/// Reads a file that is right as the deploy.json of `dir`.
pub(crate) fn read_in(dir: &Path, text: &str) -> (Deploy, Vec<Warning>) {
    Deploy::parse(text, dir.join("deploy.json")).unwrap_or_else(|errors| panic!("{errors}"))
}

/// What is told of a file that is wrong.
pub(crate) fn errors(text: &str) -> String {
    Deploy::parse(text, "deploy.json").expect_err("the file is wrong").to_string()
}

fn warnings(text: &str) -> String {
    let (_, warnings) = read(text);
    warnings.iter().map(Warning::to_string).collect::<Vec<_>>().join("\n")
}

/// A directory with three mods, and a file that uses every key.
fn full() -> (tempfile::TempDir, &'static str) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for name in ["mods/core", "mods/bed wars", "邮件"] {
        std::fs::create_dir_all(dir.path().join(name)).expect("made");
    }
    let text = r#"{
  "cluster": "arena", "data_dir": "data", "engine": {"nats": ["nats://10.0.0.1"]}, "measure": true,
  "heartbeat_seconds": 1, "loss_seconds": 2.5, "resume_seconds": 0, "stuck_seconds": 4,
  "limits": {"message_bytes": 1000, "queue_bytes": 2000, "client_rate": 3, "client_burst": 4, "hold_messages": 0,
             "players": 50},
  "game": [{"serverid": 7000, "type": "bw4", "num": 2, "port": 17000, "http_port": 18000, "max_players": 8,
            "mods": "mods/core, mods/bed wars,", "app_version": "1.24", "host": "east", "module_names": "rank"}],
  "lobby": [{"serverid": 6000, "mods": ["mods/core", null], "host": "east"}],
  "service": [{"serverid": 5000, "type": "service_mail", "mods": ["邮件"], "ip": null, "host": "east"}],
  "proxy": [{"serverid": 4000, "port": 19001, "ip": "::1", "host": "east"}],
  "master": {"serverid": -1, "port": 8080, "mods": "", "host": "east"}
}"#;
    (dir, text)
}

#[test]
fn nothing_of_a_full_file_is_lost() {
    let (dir, text) = full();
    let (deploy, warnings) = read_in(dir.path(), text);
    assert_eq!(warnings, []);
    assert_eq!(deploy.cluster, "arena");
    assert_eq!(deploy.dir, dir.path());
    assert_eq!(deploy.data_dir, dir.path().join("data"));
    assert_eq!(
        deploy.engine.as_ref().map(|engine| engine.nats.as_slice()),
        Some(&["nats://10.0.0.1".to_owned()][..])
    );
    assert_eq!((deploy.hosts(), deploy.is_distributed()), (vec!["east"], false));
    assert!(deploy.measure);
    assert_eq!(deploy.timing.loss, Duration::from_millis(2500));
    assert_eq!(deploy.timing.resume, Duration::ZERO);
    assert_eq!(deploy.limits.hold_messages, 0);

    let ids: Vec<(Role, i64)> = deploy.nodes.iter().map(|node| (node.role, node.id)).collect();
    let service = (Role::Service, 5000);
    let wanted = [
        (Role::Master, -1),
        (Role::Proxy, 4000),
        (Role::Lobby, 6000),
        (Role::Game, 7000),
        (Role::Game, 7001),
    ];
    assert_eq!(ids, [&wanted[..], &[service]].concat());
    assert_eq!(deploy.master().port, Some(8080));
    assert_eq!(deploy.master().node_type, "master");

    let game = deploy.node(7001).expect("counted up");
    assert_eq!((game.port, game.http_port, game.max_players), (Some(17001), Some(18001), Some(8)));
    assert_eq!(game.mods, ["mods/core", "mods/bed wars"].map(|name| dir.path().join(name)));
    assert_eq!((game.place.to_string().as_str(), game.host.as_deref()), ("6:12: game[0]", Some("east")));
    assert_eq!(deploy.max_players(game), Some(8));
    assert_eq!(deploy.max_players(deploy.master()), Some(50));
    let mail = deploy.node(5000).expect("it is there");
    assert_eq!((mail.ip.as_str(), mail.mods.as_slice()), ("127.0.0.1", &[dir.path().join("邮件")][..]));
}

#[test]
fn one_error_does_not_hide_the_others() {
    insta::assert_snapshot!(errors(r#"{
  "lobby": [{"serverid": 6001, "num": 0}, {"type": "lobby"}, 7],
  "lobbby": [{"serverid": 1}],
  "arenas": [{"serverid": 1}],
  "proxy": [{"serverid": 2}, {"serverid": 3, "port": 99999}, {"serverid": 13, "port": 0}],
  "game": [
    {"serverid": "6002", "type": "bed wars", "mods": "nowhere, gone", "ip": "300.1.1.1"},
    {"serverid": 6003, "num": 10001, "mods": 5, "program": "arena", "http_port": true},
    {"serverid": 6001, "mods": ["nowhere"], "program": ["./a"], "module_names": [1], "max_players": -1},
    {"serverid": 6.5, "program": [], "type": ""},
    {"serverid": 99999999999999999999, "program": ["", 4]},
    {"serverid": 9223372036854775807, "num": 2, "port": 65535}
  ],
  "service": {"serverid": 8},
  "limits": {"message_bytes": 2000, "queue_bytes": 1000, "client_rate": 0},
  "heartbeat_seconds": 3, "loss_seconds": 2, "stuck_seconds": "x",
  "cluster": " ", "measure": 1
}"#).replace(&here(), "HERE"), @r#"
    deploy.json:1:1: master: missing: a cluster has one `master`, an object with a `serverid`
    deploy.json:2:39: lobby[0].num: 0 is out of range: must be from 1 to 10000
    deploy.json:2:43: lobby[1].serverid: missing: every node needs an integer `serverid`
    deploy.json:2:62: lobby[2]: must be an object, found the number 7
    deploy.json:3:3: lobbby: unknown role `lobbby`; did you mean `lobby`?
    deploy.json:4:3: arenas: unknown role `arenas`; the roles are `master`, `proxy`, `lobby`, `game` and `service`
    deploy.json:5:13: proxy[0].port: missing: a proxy needs a `port` for its clients (WebSocket)
    deploy.json:5:54: proxy[1].port: 99999 is out of range: must be from 1 to 65535
    deploy.json:5:62: proxy[2].port: missing: a proxy needs a `port` for its clients (WebSocket)
    deploy.json:7:18: game[0].serverid: must be an integer, found the string "6002"
    deploy.json:7:34: game[0].type: `bed wars` is not a type name: letters (a-z, A-Z), digits and underscores only
    deploy.json:7:54: game[0].mods: missing mod `nowhere`: no directory HERE/nowhere
    deploy.json:7:54: game[0].mods: missing mod `gone`: no directory HERE/gone
    deploy.json:7:77: game[0].ip: `300.1.1.1` is neither an IP address nor a host name
    deploy.json:8:31: game[1].num: 10001 is out of range: must be from 1 to 10000
    deploy.json:8:46: game[1].mods: must be a string or a list of strings, found the number 5
    deploy.json:8:60: game[1].program: must be a list of strings: the program and its leading arguments, found the string "arena"
    deploy.json:8:82: game[1].http_port: must be an integer, found true
    deploy.json:9:18: game[2].serverid: 6001 is already used by lobby[0] (line 2)
    deploy.json:9:33: game[2].mods[0]: missing mod `nowhere`: no directory HERE/nowhere
    deploy.json:9:56: game[2].program: both `program` and `mods`: an entry is either a program of its own or a Python node
    deploy.json:9:82: game[2].module_names[0]: must be a string, found the number 1
    deploy.json:9:101: game[2].max_players: -1 is out of range: must be from 0 to 4294967295
    deploy.json:10:18: game[3].serverid: must be an integer, found the number 6.5
    deploy.json:10:34: game[3].program: must not be empty
    deploy.json:10:46: game[3].type: must not be empty
    deploy.json:11:18: game[4].serverid: 99999999999999999999 is out of range: must be from -9223372036854775808 to 9223372036854775807
    deploy.json:11:56: game[4].program[1]: must be a string, found the number 4
    deploy.json:12:46: game[5].num: counting 2 up from 65535 goes past 65535
    deploy.json:12:46: game[5].num: counting 2 up from 9223372036854775807 goes past 9223372036854775807
    deploy.json:14:14: service: must be a list of objects, one a node, found an object
    deploy.json:15:52: limits.queue_bytes: `queue_bytes` (1000) must be at least `message_bytes` (2000)
    deploy.json:15:73: limits.client_rate: 0 is out of range: must be from 1 to 4294967295
    deploy.json:16:43: loss_seconds: `loss_seconds` (2) must be larger than `heartbeat_seconds` (3)
    deploy.json:16:63: stuck_seconds: must be a number, found the string "x"
    deploy.json:17:14: cluster: must not be empty
    deploy.json:17:30: measure: must be true or false, found the number 1
    "#);
}

#[test]
fn broken_json_is_not_told_without_its_place() {
    let broken = [
        "",
        "{",
        "{\n  \"master\": {\"serverid\": 1}\n  \"game\": []\n}",
        "{\"master\": {\"serverid\": 0x10}}",
        "{'master': 1}",
        "[] []",
        "\u{feff}{\"信\": \"\\q\"}",
        "[1]",
        "null",
    ];
    let told: Vec<String> = broken.iter().map(|text| errors(text)).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    deploy.json:1:1: broken JSON: the file is empty
    deploy.json:1:1: broken JSON: unterminated object
    deploy.json:2:28: broken JSON: expected comma
    deploy.json:1:25: broken JSON: hexadecimal numbers are not allowed
    deploy.json:1:2: broken JSON: single-quoted strings are not allowed
    deploy.json:1:4: broken JSON: text cannot contain more than one JSON value
    deploy.json:1:8: broken JSON: invalid escape
    deploy.json:1:1: must be an object, found a list
    deploy.json:1:1: must be an object, found null
    "#);
    let deep = errors(&"[".repeat(1_000_000));
    assert!(deep.ends_with("broken JSON: maximum nesting depth exceeded"), "{deep}");
}

#[test]
fn a_file_of_the_field_is_not_refused_for_its_habits() {
    insta::assert_snapshot!(warnings("\u{feff}// ours
{
  \"master\": {\"serverid\": 1, \"serverid\": 2, \"prot\": 80, \"a b\\n\": {}, \"type\": null}, /* one */
  \"games\": [], \"limits\": {\"message_byte\": 1},
  \"proxy\": [{\"serverid\": 3, \"port\": 1,},],
}"), @r#"
    1:1: JSON has no comments (2 here): other programs will refuse this file
    3:29: master.serverid: stands twice in this object (first on line 3); the last one counts
    3:44: master.prot: unknown key; did you mean `port`?
    3:56: master["a b\n"]: unknown key
    4:3: games: unknown key; did you mean `game`?
    4:27: limits.message_byte: unknown key; did you mean `message_bytes`?
    5:13: proxy[0]: no lobby or game has the type `lobby`: logins are refused unless a login strategy names a server
    5:38: JSON has no trailing commas (3 here): other programs will refuse this file
    "#);
}

#[test]
fn the_last_of_two_equal_keys_counts_and_unknown_ones_are_kept() {
    let (deploy, _) =
        read(r#"{"master": {"serverid": 1, "serverid": 2, "x": {"y": [1e999, 1.5, null]}}, "z": 1}"#);
    assert_eq!(deploy.master().id, 2);
    assert_eq!(deploy.master().extra["x"], serde_json::json!({"y": ["1e999", 1.5, null]}));
    assert_eq!(deploy.extra["z"], 1);
}

#[test]
fn what_mods_ask_for_is_not_taken_for_a_mistake() {
    let (deploy, warnings) = read(
        r#"{"master": {"serverid": 1}, "proxy": [], "lobby": [{"serverid": 2}], "mysql": {"host": "db"}, "extra_redis": {},
            "game_key": "k", "review_stage": 0, "log_debug_level": true}"#,
    );
    assert_eq!(deploy.extra["mysql"]["host"], "db");
    assert!(warnings.iter().all(|warning| !warning.to_string().contains("unknown key")), "{warnings:?}");
}

#[test]
fn a_short_file_cannot_ask_for_more_memory_than_there_is() {
    let group = vec![r#"{"num": 10000, "serverid": 1}"#; 500].join(",");
    let told = errors(&format!(r#"{{"master": {{"serverid": 0}}, "game": [{group}]}}"#));
    assert!(told.contains("more than 10000 nodes in all"), "{told}");
}

#[test]
fn a_name_from_the_file_cannot_break_the_line_or_the_terminal() {
    let told = errors("{\"master\": {\"serverid\": 1, \"type\": \"\\u001b[2J\\nok\"}}");
    assert_eq!(told.lines().count(), 1);
    assert!(told.chars().all(|c| !c.is_control()), "{told:?}");
}

#[test]
fn a_program_can_read_the_errors_too() {
    let errors =
        Deploy::parse(r#"{"game": [{"serverid": 1, "y": 0}]}"#, "deploy.json").expect_err("no master");
    let json = serde_json::to_string_pretty(&errors).expect("plain data");
    insta::assert_snapshot!(json, @r#"
    {
      "file": "deploy.json",
      "errors": [
        {
          "line": 1,
          "column": 1,
          "path": "master",
          "code": "missing",
          "message": "missing: a cluster has one `master`, an object with a `serverid`"
        }
      ],
      "warnings": [
        {
          "line": 1,
          "column": 27,
          "path": "game[0].y",
          "code": "unknown_key",
          "message": "unknown key"
        }
      ]
    }
    "#);
}

#[test]
fn a_cluster_without_a_name_is_not_named_deploy() {
    let name = |path| Deploy::parse(r#"{"master": {"serverid": 1}}"#, path).expect("right").0.cluster;
    assert_eq!(name("/srv/arena/deploy.json"), "arena");
    assert_eq!(name("/srv/arena/east.json"), "east");
    assert_eq!(name("/deploy.json"), "deploy");
}

#[test]
fn a_file_that_cannot_be_read_is_told_by_its_name() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("deploy.json");
    let told = || {
        let errors = Deploy::load(&path).expect_err("unreadable").to_string();
        errors.replace(&*dir.path().to_string_lossy(), "DIR")
    };
    let missing = told();
    std::fs::write(&path, b"{\n  \"master\": \"\xd6\xf7\"}").expect("written");
    insta::assert_snapshot!(format!("{missing}\n{}", told()), @r#"
    DIR/deploy.json: cannot read the file: No such file or directory (os error 2)
    DIR/deploy.json:2:14: not UTF-8 text from here on; save the file as UTF-8
    "#);
}

#[test]
fn two_ways_to_one_file_are_one_cluster() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (file, link) = (dir.path().join("deploy.json"), dir.path().join("link.json"));
    std::fs::write(&file, r#"{"master": {"serverid": 1}}"#).expect("written");
    std::os::unix::fs::symlink(&file, &link).expect("linked");
    let run_dir = |path: PathBuf| Deploy::load(path).expect("right").0.run_dir();
    assert_eq!(run_dir(file.clone()), run_dir(link));
    assert_eq!(run_dir(file), run_dir(dir.path().join("./deploy.json")));
}

fn here() -> String {
    std::env::current_dir().expect("there is one").display().to_string()
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(Deploy::parse(&String::from_utf8_lossy(&bytes), "deploy.json"));
    }

    #[test]
    fn no_change_of_a_file_makes_the_reader_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 0..4_usize, "[{}\\[\\],:\"\\\\0-9a-z\n/*信-]{0,3}"), 1..6),
    ) {
        let mut text: Vec<char> = full().1.chars().collect();
        for (at, cut, new) in changes {
            let at = at.index(text.len());
            let end = (at + cut).min(text.len());
            text.splice(at..end, new.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(errors) = Deploy::parse(&text, "deploy.json") {
            prop_assert!(!errors.errors.is_empty());
            prop_assert!(errors.errors.is_sorted_by_key(|error| &error.place));
            prop_assert_eq!(errors.to_string().lines().count(), errors.errors.len());
        }
    }
}
