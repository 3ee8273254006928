//! `chappe roll` while players play: no message is lost, and no session.

use crate::support::Cluster;
use chappe_client::{Client, ClientEvent, Login};
use chappe_wire::{NodeId, Row};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::RangeInclusive;
use std::sync::Arc;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const SERVICE: NodeId = NodeId(30);
const PLAYERS: RangeInclusive<u64> = 1..=4;
/// How often a player looks yet, when it has said all.
const REST: u32 = 100;
/// How long the last messages may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn cluster() -> Cluster {
    Cluster::new(
        r#"{"cluster": "rolled", "master": {"serverid": 1, "port": PORT},
            "proxy": [{"serverid": 5, "port": PORT}], "lobby": [{"serverid": 10, "num": 2}],
            "service": [{"serverid": 30, "type": "service_mail"}]}"#,
    )
}

/// A player that sends to its server and to the service, a hundred times a second, until it is over; what went wrong.
async fn play(url: String, uid: u64, begun: Sender<()>, is_over: Arc<AtomicBool>) -> (Client, Vec<String>) {
    let client = Client::connect(url, Login::new(uid)).await.expect("let in");
    let id = client.player_id();
    let _ = begun.send(());
    let (mut wrong, mut n, mut rest) = (Vec::new(), 0, REST);
    while rest > 0 {
        if is_over.load(Relaxed) {
            // What it has said last leaves yet.
            rest -= 1;
        } else {
            n += 1;
            let sent = client.notify_to_service_node(SERVICE, "T", "Client", "ToService", &n);
            wrong.extend(sent.err().map(|error| error.to_string()));
            let sent = client.notify_to_server("T", "Client", "ToServer", &n);
            wrong.extend(sent.err().map(|error| error.to_string()));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        while let Some(event) = client.try_next_event() {
            let is_loss = matches!(
                event,
                ClientEvent::Dropped { .. }
                    | ClientEvent::Closed { .. }
                    | ClientEvent::Reconnected { resumed: false }
            );
            wrong.extend(is_loss.then(|| format!("{event:?}")));
        }
    }
    if client.player_id() != id || client.end().is_some() {
        wrong.push("it has another session, or none".to_owned());
    }
    (client, wrong)
}

/// All players, in a thread of their own.
fn play_all(
    url: String,
    begun: Sender<()>,
    is_over: Arc<AtomicBool>,
) -> JoinHandle<Vec<(Client, Vec<String>)>> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let one = |uid| tokio::spawn(play(url.clone(), uid, begun.clone(), is_over.clone()));
            let all: Vec<_> = PLAYERS.map(one).collect();
            let mut ended = Vec::new();
            for one in all {
                ended.push(one.await.expect("it ends"));
            }
            ended
        })
    })
}

/// The master's page of metrics.
fn metrics(cluster: &Cluster) -> Option<String> {
    let text = std::fs::read_to_string(cluster.deploy()).ok()?;
    let file: Value = serde_json::from_str(&text).ok()?;
    let mut stream = TcpStream::connect(format!("127.0.0.1:{}", file["master"]["port"])).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    Some(page)
}

/// How many messages of a row have reached handlers on nodes that take clients' messages, in all their lives.
fn delivered(cluster: &Cluster, row: Row) -> u64 {
    let code = row.code().to_string();
    let takes = |node: &str| ["10", "11", "30"].contains(&node);
    let now: u64 = metrics(cluster)
        .unwrap_or_default()
        .lines()
        .map(|line| {
            let is_meant = line.starts_with("chappe_messages_total{")
                && line.contains(&format!("row=\"{code}\""))
                && line.contains("direction=\"delivered\"")
                && line.split("node=\"").nth(1).and_then(|rest| rest.split('"').next()).is_some_and(takes);
            let count = line.rsplit(' ').next().and_then(|count| count.parse::<f64>().ok());
            if is_meant { count.unwrap_or_default() as u64 } else { 0 }
        })
        .sum();
    let before = std::fs::read_dir(cluster.last_reports()).into_iter().flatten().flatten();
    let before = before.filter_map(|entry| {
        let report: Value = serde_json::from_slice(&std::fs::read(entry.path()).ok()?).ok()?;
        takes(&report["node"].to_string()).then(|| report["delivered"][&code].as_u64().unwrap_or_default())
    });
    now + before.sum::<u64>()
}

#[test]
fn a_roll_under_load_costs_a_message_or_a_session() {
    let cluster = cluster();
    let mut up = cluster.up(&[]);
    let ready = up.event("ready");
    let url = ready["clients"][0].as_str().expect("a proxy").to_owned();
    let (begun, playing) = channel();
    let is_over = Arc::new(AtomicBool::new(false));
    let players = play_all(url, begun, is_over.clone());
    PLAYERS.for_each(|_| playing.recv_timeout(PATIENCE).expect("a player is let in"));
    for node_type in ["service_mail", "lobby", "proxy", "master", "service_mail"] {
        let before = cluster.processes(match node_type {
            "service_mail" => &[30],
            "lobby" => &[10, 11],
            "proxy" => &[5],
            _ => &[1],
        });
        let rolled = cluster.run("roll", &[node_type, "--json"]);
        let (said, errors) =
            (String::from_utf8_lossy(&rolled.stdout), String::from_utf8_lossy(&rolled.stderr));
        assert_eq!(rolled.status.code(), Some(0), "{node_type}: {said}{errors}");
        before.into_iter().for_each(crate::support::Process::gone);
    }
    is_over.store(true, Relaxed);
    let ended = players.join().expect("they end");
    let wrong: Vec<&String> = ended.iter().flat_map(|(_, wrong)| wrong).collect();
    assert_eq!(wrong, Vec::<&String>::new());
    let clients: Vec<&Client> = ended.iter().map(|(client, _)| client).collect();
    for row in [Row::ClientToService, Row::ClientToServer] {
        let sent: u64 = clients.iter().map(|client| client.counts().sent[row.index()]).sum();
        assert!(sent > 100, "{sent} of row {row}");
        let deadline = Instant::now() + PATIENCE;
        while delivered(&cluster, row) != sent {
            let now = delivered(&cluster, row);
            assert!(Instant::now() < deadline && now <= sent, "row {row}: {sent} sent, {now} delivered");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    up.signal(Signal::SIGTERM);
    assert_eq!(up.end().0.code(), Some(0));
}
