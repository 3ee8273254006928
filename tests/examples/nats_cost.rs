//! What the nats link costs: nodes in processes of their own over NATS, beside plain async-nats doing the same, in turns
//! against one server.
//!
//!     cargo run --release -p chappe-tests --example nats_cost -- [ROUNDS] [SECONDS]
//!
//! Prints the medians of what each did in a second, and their ratios. Nothing else should run meanwhile.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that cannot go on says so")]

use async_nats::{Client, ConnectOptions, Subject};
use bytes::Bytes;
use chappe_link::nats::{NatsLink, NatsOptions};
use chappe_master::Master;
use chappe_node::system::{ServerSystem, ServiceSystem};
use chappe_node::{Beats, Config, Declared, Node};
use chappe_tests::nats::Server;
use chappe_wire::{NodeId, Role, Value};
use futures_util::StreamExt;
use std::cell::Cell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::unconstrained;

const SIZE: usize = 64;
const IN_FLIGHT: usize = 64;
const NODES: [(i64, Role, &str); 3] =
    [(1, Role::Master, "master"), (20, Role::Lobby, "lobby"), (40, Role::Service, "service_mail")];
const DEADLINE: Duration = Duration::from_secs(30);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("node" | "plain") => serve(&arguments[0], &arguments[1]),
        Some("drive") => {
            println!("{}", drive(&arguments[1], &arguments[2], &arguments[3], seconds(&arguments[4])))
        }
        _ => {
            let number =
                |at: usize, usual: f64| arguments.get(at).map_or(usual, |text| text.parse().unwrap());
            compare(number(0, 5.0) as usize, number(1, 3.0));
        }
    }
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs_f64(text.parse().unwrap())
}

fn compare(rounds: usize, seconds: f64) {
    let server = Server::start("max_pending: 512MB").expect("there is no nats-server");
    for work in ["requests", "events"] {
        let kinds = ["plain", "plain-multi", "node"];
        let mut figures = kinds.map(|_| Vec::new());
        for _ in 0..rounds {
            for (kind, figures) in kinds.iter().zip(&mut figures) {
                let peer = if *kind == "node" { "node" } else { "plain" };
                let mut peer = Process::start(&[peer, &server.url()]);
                let mut driver = Process::start(&["drive", kind, work, &server.url(), &seconds.to_string()]);
                figures.push(driver.line().parse::<f64>().unwrap());
                peer.end();
            }
        }
        let [one, multi, node] = figures.map(|mut figures| {
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        });
        println!(
            "{work}/s: async-nats {one:.0} on one thread, {multi:.0} on several; nodes {node:.0}: ratio {:.2}",
            node / one.max(multi)
        );
    }
}

struct Process {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Process {
    fn start(arguments: &[&str]) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut process = Process { child, lines };
        if arguments[0] != "drive" {
            assert_eq!(process.line(), "ready");
        }
        process
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn ready() {
    println!("ready");
    std::io::stdout().flush().unwrap();
}

fn on_one_thread(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, work);
}

fn serve(kind: &str, url: &str) {
    on_one_thread(async {
        if kind == "plain" {
            let client = connect(url).await;
            let mut messages = client.subscribe("work").await.unwrap().ready_chunks(1024);
            client.flush().await.unwrap();
            ready();
            let answers = async {
                let mut heard = 0u64;
                while let Some(batch) = messages.next().await {
                    for message in batch {
                        heard += 1;
                        match message.reply {
                            Some(reply) if &message.payload[..] == b"count" => {
                                client.publish(reply, heard.to_string().into()).await.unwrap();
                            }
                            Some(reply) => client.publish(reply, message.payload).await.unwrap(),
                            None => {}
                        }
                    }
                }
            };
            return unconstrained(answers).await;
        }
        // The master has a process of its own in a cluster; here it only has a thread.
        let master = url.to_owned();
        std::thread::spawn(move || on_one_thread(run_node(&master, 1, |_| {})));
        run_node(url, 40, |node| {
            let mail = ServiceSystem::new(node, "C", "mail");
            let heard = Rc::new(Cell::new(0u64));
            let counted = heard.clone();
            mail.listen("C", "lobby", "Work", move |_| counted.set(counted.get() + 1));
            mail.register_rpc_method_for_mod("Echo", |call| {
                let _ = call.args::<Value>().map(|data| call.respond(&data));
            });
            mail.register_rpc_method_for_mod("Count", move |call| {
                let _ = call.respond(&heard.get());
            });
            ready();
        })
        .await;
    });
}

async fn run_node(url: &str, id: i64, setup: impl FnOnce(&Node)) {
    let (node, link) = node(url, id);
    let _master = (id == 1).then(|| Master::attach(&node));
    let ended = node.run(link, Beats::Thread, async |node| {
        setup(node);
        Ok(())
    });
    ended.await.unwrap();
}

fn node(url: &str, id: i64) -> (Node, Arc<NatsLink>) {
    let (_, role, name) = NODES.into_iter().find(|(node, ..)| *node == id).unwrap();
    let mut config = Config::new("cost", NodeId(id), role, name);
    config.master = NodeId(1);
    config.incarnation = Config::new_incarnation();
    let nodes = NODES.map(|(id, role, name)| (NodeId(id), role, name.to_owned()));
    config.declared = Declared { nodes: nodes.to_vec(), modules: Vec::new() };
    (Node::new(config), Arc::new(NatsLink::new(NatsOptions::new([url], "cost"))))
}

fn drive(kind: &str, work: &str, url: &str, time: Duration) -> f64 {
    if kind == "node" {
        let result = Rc::new(Cell::new(0.0));
        let into = result.clone();
        let work = work.to_owned();
        on_one_thread(async move {
            let (node, link) = node(url, 20);
            let running = node.run(link, Beats::Thread, async |node| {
                let (node, work) = (node.clone(), work.clone());
                let driven = node.clone();
                node.spawn(async move {
                    let figure = if work == "requests" {
                        node_requests(&driven, time).await
                    } else {
                        node_events(&driven, time).await
                    };
                    into.set(figure);
                    driven.stop();
                });
                Ok(())
            });
            running.await.unwrap();
        });
        return result.get();
    }
    let mut runtime = match kind {
        "plain" => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        let client = connect(url).await;
        if work == "requests" { plain_requests(client, time).await } else { plain_events(client, time).await }
    })
}

async fn node_requests(node: &Node, time: Duration) -> f64 {
    let lobby = Rc::new(ServerSystem::new(node, "C", "lobby"));
    let data = "x".repeat(SIZE);
    let begun = Instant::now();
    let done = Rc::new(Cell::new(0u64));
    let mut callers = Vec::new();
    for _ in 0..IN_FLIGHT {
        let (lobby, data, done) = (lobby.clone(), data.clone(), done.clone());
        callers.push(tokio::task::spawn_local(async move {
            while begun.elapsed() < time {
                lobby
                    .request_to_service_mod::<_, Value>("service_mail", "Echo", &data, DEADLINE)
                    .await
                    .unwrap();
                done.set(done.get() + 1);
            }
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
    done.get() as f64 / begun.elapsed().as_secs_f64()
}

async fn node_events(node: &Node, time: Duration) -> f64 {
    let lobby = ServerSystem::new(node, "C", "lobby");
    let data = "x".repeat(SIZE);
    let begun = Instant::now();
    let mut sent = 0u64;
    while begun.elapsed() < time {
        for _ in 0..256 {
            if lobby.notify_to_service_node(NodeId(40), "Work", &data).is_err() {
                tokio::time::sleep(Duration::from_micros(100)).await;
                break;
            }
            sent += 1;
        }
        tokio::task::yield_now().await;
    }
    // Behind all events, and so answered when all have been handled.
    let heard: u64 = lobby.request_to_service_mod("service_mail", "Count", &(), DEADLINE).await.unwrap();
    assert_eq!(heard, sent);
    heard as f64 / begun.elapsed().as_secs_f64()
}

async fn connect(url: &str) -> Client {
    let options = ConnectOptions::new().subscription_capacity(4_000_000).client_capacity(64 * 1024);
    options.request_timeout(None).connect(url).await.unwrap()
}

async fn plain_requests(client: Client, time: Duration) -> f64 {
    let (begun, done) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut callers = Vec::new();
    for _ in 0..IN_FLIGHT {
        let (client, done) = (client.clone(), done.clone());
        callers.push(tokio::spawn(async move {
            let data = Bytes::from("x".repeat(SIZE));
            while begun.elapsed() < time {
                client.request(Subject::from_static("work"), data.clone()).await.unwrap();
                done.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
    done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64()
}

async fn plain_events(client: Client, time: Duration) -> f64 {
    let data = Bytes::from("x".repeat(SIZE));
    let begun = Instant::now();
    while begun.elapsed() < time {
        for _ in 0..64 {
            client.publish(Subject::from_static("work"), data.clone()).await.unwrap();
        }
    }
    // Behind all events, and so answered when all have been handled.
    let answer = client.request(Subject::from_static("work"), Bytes::from_static(b"count")).await.unwrap();
    let heard: f64 = std::str::from_utf8(&answer.payload).unwrap().parse().unwrap();
    heard / begun.elapsed().as_secs_f64()
}
