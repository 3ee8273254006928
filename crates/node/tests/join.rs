//! Joining: the master's answer and what it tells behind it, in the order in which they were sent.

use chappe_link::Link;
use chappe_link::memory::MemoryLink;
use chappe_node::{Beats, Call, Config, Member, Node, State, ViewChange, control};
use chappe_wire::{NodeId, Role, Row};
use std::sync::Arc;
use std::time::Duration;

const MAIL: NodeId = NodeId(40);

fn config(id: i64, role: Role, node_type: &str) -> Config {
    let mut config = Config::new("test", NodeId(id), role, node_type);
    config.master = NodeId(1);
    config
}

fn mail(state: State) -> Member {
    let modules = vec!["service_mail".to_owned()];
    Member { id: MAIL, role: Role::Service, node_type: modules[0].clone(), modules, state, incarnation: 7 }
}

#[tokio::test(start_paused = true)]
async fn news_that_the_master_tells_behind_its_answer_is_not_undone_by_the_answer() {
    let local = tokio::task::LocalSet::new();
    let run = local.run_until(async {
        let link: Arc<dyn Link + Send + Sync> = Arc::new(MemoryLink::new());
        let master = Node::new(config(1, Role::Master, "master"));
        let at = master.clone();
        master.register(Row::Internal, control::MASTER, "join", move |call: Call<'_>| {
            let from = call.from();
            let join: control::Join = call.args().unwrap();
            let members = vec![at.member(), join.member, mail(State::Starting)];
            call.respond(&ViewChange { full: true, members, gone: vec![] }).unwrap();
            // In the same turn, so that both come in one read.
            let news = ViewChange { members: vec![mail(State::Ready)], ..ViewChange::default() };
            at.tell(from, control::NODE, "view", &news);
        });
        master.register(Row::Internal, control::MASTER, "state", |_| {});
        master.register(Row::Internal, control::MASTER, "pulse", |_| {});
        let lobby = Node::new(config(20, Role::Lobby, "lobby"));
        for node in [&master, &lobby] {
            let (node, link) = (node.clone(), link.clone());
            tokio::task::spawn_local(async move {
                node.run(link, Beats::Task, async |_: &Node| Ok(())).await.unwrap();
            });
        }
        // Ready comes after the join, and what the join has brought is all in force by then.
        while lobby.state() != State::Ready {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let state = lobby.with_view(|view| view.member(MAIL).map(|member| member.state));
        assert_eq!(state, Some(State::Ready));
    });
    run.await;
}
