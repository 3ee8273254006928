//! Two nodes and a stand-in for the master, on virtual time.

#![allow(dead_code, clippy::unwrap_used, reason = "each test uses a part; one that cannot go on says so")]

pub(crate) mod raw;

use chappe_link::Link;
use chappe_link::memory::MemoryLink;
use chappe_node::system::{ServerSystem, ServiceSystem};
use chappe_node::{Beats, Call, Config, Declared, Member, Node, State, ViewChange, control};
use chappe_wire::{NodeId, Role, Row};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn config(id: i64, role: Role, node_type: &str) -> Config {
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
pub(crate) fn stand_in_master(link: &Arc<dyn Link + Send + Sync>) -> Node {
    master_of(Node::new(config(1, Role::Master, "master")), link)
}

/// As [`stand_in_master`], on a node that is there.
pub(crate) fn master_of(master: Node, link: &Arc<dyn Link + Send + Sync>) -> Node {
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

pub(crate) fn start(node: &Node, link: &Arc<dyn Link + Send + Sync>, setup: impl FnOnce(&Node) + 'static) {
    let (node, link) = (node.clone(), link.clone());
    tokio::task::spawn_local(async move {
        let setup = async |node: &Node| {
            setup(node);
            Ok(())
        };
        node.run(link, Beats::Task, setup).await.unwrap();
    });
}

pub(crate) async fn until(what: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it never came to be");
}

/// A lobby and a mail service, connected and ready.
pub(crate) async fn pair(test: impl AsyncFnOnce(ServerSystem, ServiceSystem)) {
    pair_over(async |_, lobby, mail| test(lobby, mail).await).await;
}

/// What joins nodes of one process.
pub(crate) type AnyLink = Arc<dyn Link + Send + Sync>;

/// As [`pair`], with the link, for tests that bring a peer of their own.
pub(crate) async fn pair_over(test: impl AsyncFnOnce(AnyLink, ServerSystem, ServiceSystem)) {
    let local = tokio::task::LocalSet::new();
    let run = local.run_until(async {
        let link: AnyLink = Arc::new(MemoryLink::new());
        let _master = stand_in_master(&link);
        let lobby = Node::new(config(20, Role::Lobby, "lobby"));
        let service = Node::new(config(40, Role::Service, "service_mail"));
        start(&lobby, &link, |_| {});
        start(&service, &link, |_| {});
        let ready = |node: &Node, id: i64| {
            node.with_view(|view| view.member(NodeId(id)).is_some_and(|member| member.state == State::Ready))
        };
        until(|| ready(&lobby, 40) && ready(&service, 20)).await;
        let systems = (ServerSystem::new(&lobby, "t", "lobby"), ServiceSystem::new(&service, "t", "mail"));
        test(link, systems.0, systems.1).await;
    });
    run.await;
}
