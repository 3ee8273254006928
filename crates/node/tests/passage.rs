//! Players who come and go where that takes time: nobody is let in half loaded, and nobody goes on half stored.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use chappe_link::memory::MemoryLink;
use chappe_node::control::{self, Enter, Leave};
use chappe_node::{Failure, Node, To};
use chappe_wire::{NodeId, Reason, Role, Row};
use common::{SECOND, config, start, until};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

const LOBBY: NodeId = NodeId(20);

type Log = Rc<RefCell<Vec<String>>>;

/// A lobby that writes down what happens, and the proxy that its players come through.
struct Stage {
    lobby: Node,
    proxy: Node,
    log: Log,
    /// What lets a hook go on.
    go: Rc<Semaphore>,
}

async fn stage(test: impl AsyncFnOnce(Stage)) {
    let local = tokio::task::LocalSet::new();
    let run = local.run_until(async {
        let link: common::AnyLink = Arc::new(MemoryLink::new());
        let _master = common::stand_in_master(&link);
        let lobby = Node::new(config(20, Role::Lobby, "lobby"));
        let proxy = Node::new(config(30, Role::Proxy, "proxy"));
        start(&lobby, &link, |_| {});
        start(&proxy, &link, |_| {});
        let sees = |node: &Node, id| node.with_view(|view| view.reachable(NodeId(id), |_| true).is_ok());
        until(|| sees(&lobby, 30) && sees(&proxy, 20)).await;
        let log = Log::default();
        for event in ["AddServerPlayerEvent", "DelServerPlayerEvent"] {
            let (list, here) = (log.clone(), lobby.clone());
            lobby.listen(chappe_node::ENGINE_NAMESPACE, chappe_node::ENGINE_SYSTEM, event, 0, move |event| {
                list.borrow_mut().push(format!("{} {}", event.name(), here.player_count()));
            });
        }
        test(Stage { lobby, proxy, log, go: Rc::new(Semaphore::new(0)) }).await;
    });
    run.await;
}

impl Stage {
    /// Lets players in one by one, as `go` has it.
    fn guard_entrance(&self) {
        let (log, go, lobby) = (self.log.clone(), self.go.clone(), self.lobby.clone());
        self.lobby.on_enter(move |entering| {
            let (log, go, lobby) = (log.clone(), go.clone(), lobby.clone());
            Box::pin(async move {
                log.borrow_mut().push(format!("enter {} {}", entering.epoch, lobby.player_count()));
                let permit = go.acquire().await.map_err(|_| Failure::new(Reason::StoreUnavailable, "no"))?;
                permit.forget();
                Ok(())
            })
        });
    }

    fn guard_exit(&self) {
        let (log, go) = (self.log.clone(), self.go.clone());
        self.lobby.on_player_leave(move |leaving| {
            let (log, go) = (log.clone(), go.clone());
            Box::pin(async move {
                log.borrow_mut().push(format!("leave {} {}", leaving.epoch, leaving.is_transfer));
                go.acquire().await.unwrap().forget();
                log.borrow_mut().push(format!("left {}", leaving.epoch));
            })
        });
    }

    fn ask<T: serde::Serialize + 'static>(&self, method: &str, args: &T) -> JoinHandle<Result<(), Failure>> {
        let target = (control::SERVER, method);
        tokio::task::spawn_local(self.proxy.ask(Row::Internal, To::Node(LOBBY), target, args, 5 * SECOND))
    }

    fn enter(&self, uid: u64, epoch: u64) -> JoinHandle<Result<(), Failure>> {
        let (nickname, transfer_param) = (String::new(), String::new());
        let enter = Enter { uid, epoch, nickname, is_transfer: false, is_reconnect: false, transfer_param };
        self.ask("enter", &enter)
    }

    fn leave(&self, epoch: u64) -> JoinHandle<Result<(), Failure>> {
        self.ask("leave", &Leave { epoch, is_transfer: true })
    }

    async fn logged(&self, count: usize) -> Vec<String> {
        until(|| self.log.borrow().len() >= count).await;
        self.log.borrow().clone()
    }
}

fn reason(outcome: Result<Result<(), Failure>, tokio::task::JoinError>) -> Reason {
    outcome.unwrap().unwrap_err().reason
}

#[tokio::test(start_paused = true)]
async fn a_player_is_not_here_before_the_hook_has_ended() {
    stage(async |at| {
        at.guard_entrance();
        let entered = at.enter(7, 1);
        // The proxy asks again, because an answer was lost: one arrival all the same.
        let again = at.enter(7, 1);
        assert_eq!(at.logged(1).await, ["enter 1 0"]);
        assert!(at.lobby.player_by_uid(7).is_none());
        at.go.add_permits(1);
        entered.await.unwrap().unwrap();
        again.await.unwrap().unwrap();
        assert_eq!(at.logged(2).await, ["enter 1 0", "AddServerPlayerEvent 1"]);
        // Who is here already comes back without the hook.
        at.enter(7, 1).await.unwrap().unwrap();
        assert_eq!(at.log.borrow().len(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_or_hangs_or_panics_refuses_the_player_and_the_next_try_is_free() {
    stage(async |at| {
        at.guard_entrance();
        assert_eq!(reason(at.enter(7, 1).await), Reason::DeadlineExceeded);
        at.go.close();
        assert_eq!(reason(at.enter(7, 1).await), Reason::StoreUnavailable);
        at.lobby.on_enter(|_| Box::pin(async { panic!("a hook's") }));
        assert_eq!(reason(at.enter(7, 1).await), Reason::HandlerFailed);
        at.lobby.on_enter(|_| Box::pin(async { Ok(()) }));
        at.enter(7, 1).await.unwrap().unwrap();
        assert_eq!(at.lobby.player_count(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_while_it_waits_is_not_let_in_afterwards() {
    stage(async |at| {
        at.guard_entrance();
        let first = at.enter(7, 1);
        at.logged(1).await;
        at.leave(1).await.unwrap().unwrap();
        assert_eq!(reason(first.await), Reason::StaleSession);
        let second = at.enter(7, 2);
        at.logged(2).await;
        let third = at.enter(7, 3);
        assert_eq!(reason(second.await), Reason::StaleSession);
        assert_eq!(reason(at.enter(7, 2).await), Reason::StaleSession);
        at.go.add_permits(1);
        third.await.unwrap().unwrap();
        let here: Vec<u64> = at.lobby.players().iter().map(|player| player.id.0).collect();
        assert_eq!(here, [3]);
        assert_eq!(at.go.available_permits(), 0, "one hook only went on");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_next_server_does_not_have_a_player_before_this_one_has_stored_them() {
    stage(async |at| {
        at.guard_exit();
        at.enter(7, 1).await.unwrap().unwrap();
        let left = at.leave(1);
        at.logged(3).await;
        let repeat = at.leave(1);
        tokio::time::sleep(SECOND).await;
        assert!(!left.is_finished() && !repeat.is_finished());
        at.go.add_permits(1);
        left.await.unwrap().unwrap();
        repeat.await.unwrap().unwrap();
        let log = ["AddServerPlayerEvent 1", "DelServerPlayerEvent 0", "leave 1 true", "left 1"];
        assert_eq!(at.log.borrow().clone(), log);
        // Nobody waits for ever.
        at.enter(7, 2).await.unwrap().unwrap();
        at.leave(2).await.unwrap().unwrap();
        assert_eq!(at.log.borrow().last().unwrap(), "leave 2 true");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_session_waits_for_what_is_done_for_the_older() {
    stage(async |at| {
        at.guard_exit();
        at.enter(7, 1).await.unwrap().unwrap();
        let newer = at.enter(7, 2);
        at.logged(3).await;
        tokio::time::sleep(SECOND).await;
        assert!(!newer.is_finished() && at.lobby.player_count() == 0);
        at.go.add_permits(1);
        newer.await.unwrap().unwrap();
        assert_eq!(at.logged(5).await[2..], ["leave 1 false", "left 1", "AddServerPlayerEvent 1"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn players_of_a_lost_proxy_are_seen_off_and_those_on_their_way_in_are_not_let_in() {
    stage(async |at| {
        at.guard_exit();
        at.enter(7, 1).await.unwrap().unwrap();
        at.guard_entrance();
        let _waits = at.enter(8, 2);
        at.logged(2).await;
        at.proxy.stop();
        at.logged(4).await;
        at.go.add_permits(2);
        let log = at.logged(5).await;
        assert_eq!(log[2..], ["DelServerPlayerEvent 0", "leave 1 false", "left 1"]);
        tokio::time::sleep(SECOND).await;
        assert_eq!((at.lobby.player_count(), at.go.available_permits()), (0, 1));
    })
    .await;
}
