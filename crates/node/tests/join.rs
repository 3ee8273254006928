//! Joining a master that restarts, on virtual time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_link::Link;
use chappe_link::memory::MemoryLink;
use chappe_node::control::Session;
use chappe_node::{Beats, Call, Config, Node, State, ViewChange, control};
use chappe_wire::{NodeId, Role, Row};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

const DELAY: Duration = Duration::from_millis(600);

/// A stand-in master that takes its time to answer a join, and keeps what it was told of the node's state.
fn slow_master(life: u64, delay: Duration, told: &Rc<RefCell<Vec<State>>>) -> Node {
    let mut config = Config::new("test", NodeId(1), Role::Master, "master");
    config.incarnation = life;
    let master = Node::new(config);
    let node = master.clone();
    master.register(Row::Internal, control::MASTER, "join", move |call: Call<'_>| {
        let join: control::Join = call.args().unwrap();
        let (responder, node) = (call.into_responder(), node.clone());
        node.clone().spawn(async move {
            sleep(delay).await;
            let members = vec![node.member(), join.member];
            responder.respond(&ViewChange { full: true, members, gone: vec![] }).unwrap();
        });
    });
    let told = told.clone();
    master.register(Row::Internal, control::MASTER, "state", move |call: Call<'_>| {
        told.borrow_mut().push(call.args::<control::StateChange>().unwrap().state);
    });
    master.register(Row::Internal, control::MASTER, "pulse", |_| {});
    master
}

#[tokio::test(start_paused = true)]
async fn a_node_that_becomes_ready_while_it_joins_again_is_not_starting_for_ever() {
    let local = tokio::task::LocalSet::new();
    let run = local.run_until(async {
        let link: Arc<dyn Link + Send + Sync> = Arc::new(MemoryLink::new());
        let told = Rc::new(RefCell::new(Vec::new()));
        let first = slow_master(1, DELAY, &told);
        let run_first = tokio::task::spawn_local({
            let (first, link) = (first.clone(), link.clone());
            async move { first.run(link, Beats::Task, async |_: &Node| Ok(())).await }
        });
        let mut config = Config::new("test", NodeId(20), Role::Lobby, "lobby");
        config.master = NodeId(1);
        let (node, loaded) = (Node::new(config), Rc::new(tokio::sync::Notify::new()));
        let (lobby, to_lobby, mods) = (node.clone(), link.clone(), loaded.clone());
        tokio::task::spawn_local(async move {
            let setup = async |_: &Node| {
                mods.notified().await;
                Ok(())
            };
            lobby.run(to_lobby, Beats::Task, setup).await.unwrap();
        });
        while node.with_view(|view| view.master().is_none()) {
            sleep(Duration::from_millis(5)).await;
        }
        first.stop();
        run_first.await.unwrap().unwrap();
        drop(first);
        let second = slow_master(2, DELAY, &told);
        tokio::task::spawn_local({
            let (second, link) = (second.clone(), link.clone());
            async move { second.run(link, Beats::Task, async |_: &Node| Ok(())).await }
        });
        // The join to the second one is on its way, and says "starting".
        while second.report().pairs.is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_millis(50)).await;
        loaded.notify_one();
        while node.with_view(|view| view.master().is_none()) {
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_millis(50)).await;
        assert_eq!(told.borrow().last(), Some(&State::Ready));
    });
    tokio::time::timeout(Duration::from_secs(60), run).await.expect("it never came to be");
}

fn run(node: &Node, link: &Arc<dyn Link + Send + Sync>) {
    let (node, link) = (node.clone(), link.clone());
    tokio::task::spawn_local(async move {
        node.run(link, Beats::Task, async |_: &Node| Ok(())).await.unwrap();
    });
}

/// A proxy that holds `sessions` and joins `master`; in time, on virtual time.
async fn joining(master: Node, sessions: &Rc<RefCell<Vec<Session>>>, meanwhile: impl AsyncFnOnce(&Node)) {
    let local = tokio::task::LocalSet::new();
    let test = local.run_until(async {
        let link: Arc<dyn Link + Send + Sync> = Arc::new(MemoryLink::new());
        run(&master, &link);
        let mut config = Config::new("test", NodeId(10), Role::Proxy, "proxy");
        config.master = NodeId(1);
        let (proxy, held) = (Node::new(config), sessions.clone());
        proxy.on_join(move || held.borrow().clone());
        run(&proxy, &link);
        meanwhile(&proxy).await;
        while proxy.with_view(|view| view.master().is_none()) {
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_millis(50)).await;
    });
    tokio::time::timeout(Duration::from_secs(60), test).await.expect("it never came to be");
}

fn session(uid: u64, server: Option<i64>) -> Session {
    Session { uid, epoch: uid << 40, proxy: NodeId(10), server: server.map(NodeId) }
}

type Told<T> = Rc<RefCell<Vec<T>>>;

/// What a master is told of sessions behind a join.
fn watch_sessions(master: &Node) -> (Told<u64>, Told<Session>) {
    let (left, told) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(Vec::new())));
    let into = left.clone();
    master.register(Row::Internal, control::MASTER, "left", move |call| {
        into.borrow_mut().push(call.args::<control::Left>().unwrap().uid);
    });
    let into = told.clone();
    master.register(Row::Internal, control::MASTER, "sessions", move |call| {
        into.borrow_mut().extend(call.args::<Vec<Session>>().unwrap());
    });
    (left, told)
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_or_moves_while_its_proxy_joins_is_not_taken_for_what_it_was() {
    let master = slow_master(1, DELAY, &Rc::default());
    let (left, told) = watch_sessions(&master);
    let sessions = Rc::new(RefCell::new((1..=3).map(|uid| session(uid, Some(20))).collect()));
    joining(master, &sessions, async |_: &Node| {
        sleep(DELAY / 2).await;
        *sessions.borrow_mut() = vec![session(2, Some(20)), session(3, Some(30)), session(4, None)];
    })
    .await;
    assert_eq!(*left.borrow(), [1]);
    assert_eq!(*told.borrow(), [session(3, Some(30)), session(4, None)]);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_with_more_sessions_than_fit_into_a_message_joins() {
    let master = slow_master(1, DELAY, &Rc::default());
    let (left, told) = watch_sessions(&master);
    let sessions = Rc::new(RefCell::new((1..=60_000).map(|uid| session(uid, Some(20))).collect()));
    joining(master, &sessions, async |_: &Node| {}).await;
    assert!(left.borrow().is_empty());
    let told = told.borrow();
    let (first, last) = (told.first().unwrap().uid, told.last().unwrap().uid);
    assert_eq!((told.len() as u64, last), (60_000 - first + 1, 60_000), "the rest, without a hole");
}

#[tokio::test(start_paused = true)]
async fn a_master_that_answers_late_is_joined_all_the_same() {
    let master = slow_master(1, Duration::from_secs(8), &Rc::default());
    watch_sessions(&master);
    joining(master, &Rc::default(), async |_: &Node| {}).await;
}
