//! Two masters as real processes, with a real PostgreSQL between them.

use crate::postgres::Server;
use crate::support::Cluster;
use chappe_client::{Client, ClientEvent, Login};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a change may take before the test says that it does not come.
const PATIENCE: Duration = Duration::from_secs(60);

fn cluster(server: &Server) -> Cluster {
    let host = server.dir().display().to_string().replace('/', "%2F");
    let store = format!("postgres://chappe@{host}/postgres");
    Cluster::new(&format!(
        r#"{{"cluster": "two", "lease_seconds": 2, "store": "{store}",
            "master": [{{"serverid": 1, "port": PORT}}, {{"serverid": 2, "port": PORT}}],
            "proxy": [{{"serverid": 5, "port": PORT}}], "lobby": [{{"serverid": 10}}]}}"#
    ))
}

/// What each of the masters is: the one that leads, with its term, and the others' states.
fn masters(cluster: &Cluster) -> (Option<(i64, u64)>, Vec<String>) {
    let (_, found) = cluster.ask("nodes", &[]);
    let masters = found["masters"].as_array().cloned().unwrap_or_default();
    let leads = masters.iter().find(|master| master["state"] == "leads");
    let leads = leads.and_then(|master| Some((master["id"].as_i64()?, master["term"].as_u64()?)));
    let others = masters.iter().filter(|master| master["state"] != "leads");
    (leads, others.map(|master| master["state"].as_str().unwrap_or_default().to_owned()).collect())
}

fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "never came to be: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn two_masters_without_a_judge_between_them_would_be_started() {
    let cluster = Cluster::new(r#"{"cluster": "two", "master": [{"serverid": 1}, {"serverid": 2}]}"#);
    for command in ["check", "up"] {
        let told = cluster.run(command, &[]);
        let text = String::from_utf8_lossy(&told.stderr).into_owned();
        assert_eq!(told.status.code(), Some(2), "{text}");
        assert!(
            text.contains("deploy.json:1:48: master[1]: two masters need a PostgreSQL database"),
            "{text}"
        );
    }
}

#[test]
fn a_leader_that_is_killed_takes_sessions_and_records_with_it() {
    let Some(server) = Server::start() else { return };
    let cluster = cluster(&server);
    let mut up = cluster.up(&[]);
    let ready = up.event("ready");
    let url = ready["clients"][0].as_str().expect("a proxy").to_owned();
    let ((leader, term), others) =
        until("one leads", || Some(masters(&cluster)).and_then(|(leads, others)| Some((leads?, others))));
    assert_eq!(others, ["standby"]);
    let (code, found) = cluster.ask("record set", &["7", r#"{"money": 1}"#, "--create"]);
    assert_eq!(code, Some(0), "{found}");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = runtime.block_on(Client::connect(url, Login::new(8))).expect("let in");
    let session = |cluster: &Cluster| -> Value { cluster.ask("players", &[]).1["players"][0].clone() };
    let before =
        until("the session is known", || Some(session(&cluster)).filter(|found| found["server"] == 10));

    // A commit under way: whether it was done is not known, and that it is not done twice.
    let mut under_way = cluster.command("record set", &["7", r#"{"money": 2}"#]);
    let mut under_way =
        under_way.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn();
    let under_way = under_way.as_mut().expect("it starts");
    cluster.process(leader).signal(Signal::SIGKILL);
    let was_told = under_way.wait().expect("ours").success();
    // Its next life, or the other one: whichever was sooner.
    let (leader, term) = until("one leads again", || masters(&cluster).0.filter(|(_, now)| *now > term));
    until("the other stands by", || (masters(&cluster).1 == ["standby"]).then_some(()));
    let frozen = cluster.process(leader);
    frozen.signal(Signal::SIGSTOP);
    let (next, later) = until("the other leads", || masters(&cluster).0.filter(|(_, now)| *now > term));
    assert_ne!(next, leader);
    frozen.signal(Signal::SIGCONT);
    let after =
        until("the session is known again", || Some(session(&cluster)).filter(|found| found["server"] == 10));
    assert_eq!(before, after, "the same session");

    assert_eq!(cluster.ask("announce", &["still here"]).0, Some(0));
    let heard = async {
        loop {
            match client.next_event().await {
                Some(ClientEvent::Announce(text)) => return text,
                Some(ClientEvent::Closed { .. }) | None => panic!("the session has ended"),
                Some(_) => {}
            }
        }
    };
    let heard = runtime.block_on(async { tokio::time::timeout(PATIENCE, heard).await });
    assert_eq!(heard.expect("it comes"), "still here");

    let money = cluster.ask("record show", &["7"]).1["document"]["money"].clone();
    let versions = cluster.ask("record history", &["7"]).1["versions"].as_array().map_or(0, Vec::len);
    assert!(!was_told || money == 2, "what was told is kept");
    assert_eq!(versions, if money == 2 { 3 } else { 2 }, "once, or not at all");
    assert_eq!(cluster.ask("record set", &["7", r#"{"money": 3}"#]).0, Some(0));

    until("the one that was frozen stands by", || (masters(&cluster).1 == ["standby"]).then_some(()));
    // Asked to leave, a leader does not keep the other waiting for the end of its lease.
    cluster.process(next).signal(Signal::SIGTERM);
    let (last, _) = until("it leads again", || masters(&cluster).0.filter(|(_, now)| *now > later));
    assert_ne!(last, next);
    assert_eq!(cluster.ask("record show", &["7"]).1["document"], json!({"money": 3}));
    assert!(client.end().is_none());
    up.signal(Signal::SIGTERM);
    assert_eq!(up.end().0.code(), Some(0));
}

#[test]
fn masters_are_rolled_and_a_standby_is_stopped_only_by_killing_them() {
    let Some(server) = Server::start() else { return };
    let cluster = cluster(&server);
    let mut up = cluster.up(&[]);
    let ready = up.event("ready");
    let url = ready["clients"][0].as_str().expect("a proxy").to_owned();
    let (leader, _) = until("one leads", || masters(&cluster).0);
    until("the other stands by", || (masters(&cluster).1 == ["standby"]).then_some(()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let client = runtime.block_on(Client::connect(url, Login::new(8))).expect("let in");
    let before = cluster.processes(&[1, 2]);
    let rolled = cluster.run("roll", &["master", "--json"]);
    let said = String::from_utf8_lossy(&rolled.stdout);
    assert_eq!(rolled.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&rolled.stderr));
    before.into_iter().for_each(crate::support::Process::gone);
    assert_eq!(masters(&cluster).0.map(|(id, _)| id), Some(leader), "each has led");
    // What came for it meanwhile is read now.
    runtime.block_on(async { tokio::time::sleep(Duration::from_millis(300)).await });
    assert!(client.end().is_none(), "nobody is disconnected");

    let standby = 3 - leader;
    let id = standby.to_string();
    let (code, found) = cluster.ask("drain", &[&id]);
    assert_eq!((code, &found["reason"]), (Some(1), &"NotLeading".into()), "{found}");
    let process = cluster.process(standby);
    assert_eq!(cluster.ask("stop", &[&id]).0, Some(0));
    process.gone();
    let said = loop {
        let left = up.event("node_left");
        if left["node"] == standby {
            break left;
        }
    };
    assert_eq!(said["node"], standby);
    let (code, found) = cluster.ask("roll", &["master"]);
    assert_eq!((code, &found["reason"]), (Some(1), &"NotReady".into()), "nobody could take over: {found}");
    up.signal(Signal::SIGTERM);
    assert_eq!(up.end().0.code(), Some(0));
}
