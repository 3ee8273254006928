//! Two nodes and a stand-in for the master, over real links, on virtual time where the link allows it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_link::Link;
use chappe_link::memory::MemoryLink;
use chappe_node::system::{ServerSystem, ServiceSystem};
use chappe_node::{Beats, Call, Config, Declared, Failure, Member, Node, State, ViewChange, control};
use chappe_wire::{NodeId, Reason, Role, Row};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn config(id: i64, role: Role, node_type: &str) -> Config {
    let mut config = Config::new("test", NodeId(id), role, node_type);
    config.master = NodeId(1);
    config.declared = Declared {
        nodes: vec![
            (NodeId(1), Role::Master, "master".into()),
            (NodeId(20), Role::Lobby, "lobby".into()),
            (NodeId(40), Role::Service, "service_mail".into()),
        ],
        modules: vec![],
    };
    config
}

/// Tells every node of every other, and nothing more.
fn stand_in_master(link: &Arc<dyn Link + Send + Sync>) -> Node {
    let master = Node::new(config(1, Role::Master, "master"));
    let members: Rc<RefCell<BTreeMap<NodeId, Member>>> = Rc::default();
    let tell = {
        let (master, members) = (master.clone(), members.clone());
        move || {
            let mut all: Vec<Member> = members.borrow().values().cloned().collect();
            all.push(master.member());
            let change = ViewChange { full: true, members: all, gone: vec![] };
            master.apply_view(change.clone());
            let ids: Vec<NodeId> = members.borrow().keys().copied().collect();
            for id in ids {
                master.tell(id, control::NODE, "view", &change);
            }
            change
        }
    };
    let (known, told) = (members.clone(), tell.clone());
    master.register(Row::Internal, control::MASTER, "join", move |call: Call<'_>| {
        let join: control::Join = call.args().unwrap();
        known.borrow_mut().insert(join.member.id, join.member);
        call.respond(&told()).unwrap();
    });
    let (known, told) = (members.clone(), tell.clone());
    master.register(Row::Internal, control::MASTER, "state", move |call: Call<'_>| {
        let change: control::StateChange = call.args().unwrap();
        if let Some(member) = known.borrow_mut().get_mut(&call.from()) {
            member.state = change.state;
            member.modules = change.modules;
        }
        told();
    });
    master.register(Row::Internal, control::MASTER, "pulse", |_| {});
    let lost = members;
    master.on_peer_lost(move |id, _| {
        lost.borrow_mut().remove(&id);
        tell();
    });
    start(&master, link, |_| {});
    master
}

fn start(node: &Node, link: &Arc<dyn Link + Send + Sync>, setup: impl FnOnce(&Node) + 'static) {
    let (node, link) = (node.clone(), link.clone());
    tokio::task::spawn_local(async move {
        let setup = async |node: &Node| {
            setup(node);
            Ok(())
        };
        node.run(link, Beats::Task, setup).await.unwrap();
    });
}

async fn until(what: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never came to be");
}

/// A lobby and a mail service, connected and ready.
async fn pair(test: impl AsyncFnOnce(ServerSystem, ServiceSystem)) {
    let local = tokio::task::LocalSet::new();
    let run = local.run_until(async {
        let link: Arc<dyn Link + Send + Sync> = Arc::new(MemoryLink::new());
        let _master = stand_in_master(&link);
        let lobby = Node::new(config(20, Role::Lobby, "lobby"));
        let service = Node::new(config(40, Role::Service, "service_mail"));
        start(&lobby, &link, |_| {});
        start(&service, &link, |_| {});
        let ready = |node: &Node, id: i64| {
            node.with_view(|view| view.member(NodeId(id)).is_some_and(|member| member.state == State::Ready))
        };
        until(|| ready(&lobby, 40) && ready(&service, 20)).await;
        test(ServerSystem::new(&lobby, "t", "lobby"), ServiceSystem::new(&service, "t", "mail")).await;
    });
    run.await;
}

#[tokio::test(start_paused = true)]
async fn an_event_and_an_answer_arrive() {
    pair(async |lobby, mail| {
        let heard = Rc::new(RefCell::new(Vec::new()));
        let into = heard.clone();
        mail.listen("t", "lobby", "Hello", move |event| into.borrow_mut().push(event.data::<u64>().unwrap()));
        for n in 0..100u64 {
            lobby.notify_to_service_node(NodeId(40), "Hello", &n).unwrap();
        }
        until(|| heard.borrow().len() == 100).await;
        assert_eq!(*heard.borrow(), (0..100).collect::<Vec<u64>>());
        mail.register_rpc_method_for_mod("Count", |call| {
            let n: i64 = call.args().unwrap();
            call.respond(&(n + 1)).unwrap();
        });
        let answer: i64 = lobby.request_to_service_mod("service_mail", "Count", &41, SECOND).await.unwrap();
        assert_eq!(answer, 42);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_receipt_names_who_has_it_and_who_has_not() {
    pair(async |lobby, mail| {
        let receipt = lobby.broadcast_to_service("Any", &1).unwrap().receipt().await;
        assert_eq!(receipt.to_string(), "1 of 1");
        mail.stop();
        until(|| lobby.with_view(|view| view.member(NodeId(40)).is_none())).await;
        let receipt = lobby.broadcast_to_service("Any", &1).unwrap().receipt().await;
        assert_eq!(receipt.to_string(), "0 of 1; missing 40: Disconnected");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_request_ends_once_with_its_reason() {
    pair(async |lobby, mail| {
        let ask = |module: &'static str, method: &'static str| {
            let answer = lobby.request_to_service::<_, i64>(module, method, &(), SECOND);
            async move { answer.await.map_err(|failure: Failure| failure.reason) }
        };
        assert_eq!(ask("nobody", "M").await, Err(Reason::NoProvider));
        assert_eq!(ask("service_mail", "M").await, Err(Reason::NoProvider));
        let kept = Rc::new(RefCell::new(Vec::new()));
        let keep = kept.clone();
        mail.register_rpc_method("service_mail", "Keep", move |call| {
            keep.borrow_mut().push(call.into_responder())
        });
        mail.register_rpc_method("service_mail", "Drop", |_| {});
        mail.register_rpc_method("service_mail", "Panic", |_| panic!("as the test wants"));
        assert_eq!(ask("service_mail", "None").await, Err(Reason::NoMethod));
        assert_eq!(ask("service_mail", "Drop").await, Err(Reason::HandlerFailed));
        assert_eq!(ask("service_mail", "Panic").await, Err(Reason::HandlerFailed));
        assert_eq!(ask("service_mail", "Keep").await, Err(Reason::DeadlineExceeded));
        let late = kept.borrow_mut().pop().unwrap();
        late.respond(&1).unwrap();
        until(|| lobby.stats().named("late_answers") == 1).await;
        let lost = ask("service_mail", "Keep");
        until(|| !kept.borrow().is_empty()).await;
        mail.stop();
        assert_eq!(lost.await, Err(Reason::NodeLost));
        // Declared and away: waited for within the deadline.
        assert_eq!(ask("service_mail", "Keep").await, Err(Reason::DeadlineExceeded));
    })
    .await;
}
