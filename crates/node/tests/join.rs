//! Joining a master that restarts, on virtual time.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_link::Link;
use chappe_link::memory::MemoryLink;
use chappe_node::{Beats, Call, Config, Node, State, ViewChange, control};
use chappe_wire::{NodeId, Role, Row};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// A stand-in master that takes its time to answer a join, and keeps what it was told of the node's state.
fn slow_master(life: u64, told: &Rc<RefCell<Vec<State>>>) -> Node {
    let mut config = Config::new("test", NodeId(1), Role::Master, "master");
    config.incarnation = life;
    let master = Node::new(config);
    let node = master.clone();
    master.register(Row::Internal, control::MASTER, "join", move |call: Call<'_>| {
        let join: control::Join = call.args().unwrap();
        let (responder, node) = (call.into_responder(), node.clone());
        node.clone().spawn(async move {
            sleep(Duration::from_millis(600)).await;
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
        let first = slow_master(1, &told);
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
        let second = slow_master(2, &told);
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
