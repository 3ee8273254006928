//! Records and their owners.

use super::world::*;
use crate::protocol::*;
use chappe_wire::{Reason, Role};

#[test]
fn two_servers_hold_one_player() {
    run(async |world| {
        world.up().await;
        let first = world.own(GAME, 5).await;
        assert_eq!(first.document, b"new");
        world.enter(5, LOBBY).await;
        let second = world.own(LOBBY, 5).await;
        assert!(second.epoch > first.epoch);
        let released = world.server(GAME).released.take();
        assert_eq!((released[0].uid, released[0].epoch), (5, first.epoch), "the owner before is asked first");
        let stale = world.commit(GAME, world.writing(5, &first, b"old")).await.unwrap();
        assert!(matches!(stale, CommitReply::Stale { uid: 5 }), "{stale:?}");
        world.committed(LOBBY, world.writing(5, &second, b"x")).await;
        assert_eq!((world.counted("commits_stale"), world.counted("commits")), (1, 1));
    });
}

#[test]
fn a_server_takes_the_record_of_a_player_who_is_not_there() {
    run(async |world| {
        world.up().await;
        let reply = world.claim(LOBBY, 5).await;
        assert!(matches!(reply, ClaimReply::Elsewhere(GAME)), "offline: the first game server, {reply:?}");
        world.enter(5, GAME2).await;
        let reply = world.claim(GAME, 5).await;
        assert!(matches!(reply, ClaimReply::Elsewhere(GAME2)), "{reply:?}");
        assert!(matches!(world.claim(GAME2, 5).await, ClaimReply::Owned(_)));
    });
}

#[test]
fn a_player_who_never_logged_in_is_made_up() {
    run(async |world| {
        world.up().await;
        let reply: ClaimReply = world.ask(GAME, "claim", &Claim { uid: 6, create: None }).await.unwrap();
        assert!(matches!(reply, ClaimReply::NoSuchPlayer), "{reply:?}");
        assert!(!world.ask::<_, bool>(GAME, "exists", &Exists { uid: 6 }).await.unwrap());
        world.own(GAME, 6).await;
        assert!(world.ask::<_, bool>(GAME, "exists", &Exists { uid: 6 }).await.unwrap());
        assert!(!world.ask::<_, bool>(GAME, "exists", &Exists { uid: 0 }).await.unwrap());
        assert!(!world.ask::<_, bool>(GAME, "exists", &Exists { uid: 7 }).await.unwrap());
    });
}

#[test]
fn a_server_that_does_not_let_go_keeps_a_player_from_logging_in() {
    run(async |world| {
        world.up().await;
        let first = world.own(GAME, 5).await;
        world.server(GAME).is_mute.set(true);
        world.enter(5, LOBBY).await;
        let before = tokio::time::Instant::now();
        let second = world.own(LOBBY, 5).await;
        assert!(before.elapsed().as_secs() < 3 && second.epoch > first.epoch);
        assert_eq!(world.counted("records_taken"), 1);
    });
}

#[test]
fn a_record_of_a_server_that_is_gone_is_nobodys() {
    run(async |world| {
        world.up().await;
        world.enter(5, GAME2).await;
        let first = world.own(GAME2, 5).await;
        world.kill(GAME2);
        world.settle().await;
        let second = world.own(GAME, 5).await;
        assert!(second.epoch > first.epoch);
        assert!(world.server(GAME2).released.borrow().is_empty());
    });
}

#[test]
fn a_released_record_is_asked_for_again() {
    run(async |world| {
        world.up().await;
        let first = world.own(GAME, 5).await;
        world.tell(GAME, "release", &Release { uid: 5, epoch: first.epoch });
        world.settle().await;
        world.enter(5, LOBBY).await;
        world.own(LOBBY, 5).await;
        assert!(world.server(GAME).released.borrow().is_empty(), "nobody owned it");
    });
}

#[test]
fn claims_of_one_record_meet() {
    run(async |world| {
        world.up().await;
        let claim = Claim { uid: 5, create: Some(b"new".to_vec()) };
        let ask = || world.ask::<_, ClaimReply>(GAME, "claim", &claim);
        let epoch = |reply: Result<ClaimReply, _>| match reply.unwrap() {
            ClaimReply::Owned(owned) => owned.epoch,
            other => panic!("{other:?}"),
        };
        let (first, second, third) = tokio::join!(ask(), ask(), ask());
        let (first, second, third) = (epoch(first), epoch(second), epoch(third));
        assert!(first < second && second < third);
    });
}

#[test]
fn a_corrupt_record_is_served() {
    run(async |world| {
        world.up().await;
        let owned = world.own(GAME, 5).await;
        world.tell(GAME, "release", &Release { uid: 5, epoch: owned.epoch });
        world.settle().await;
        world.disk.damage(5);
        let failure = world.ask::<_, ClaimReply>(GAME, "claim", &Claim { uid: 5, create: None }).await;
        assert_eq!(failure.unwrap_err().reason, Reason::BadData);
    });
}

#[test]
fn someone_who_is_no_member_asks_the_store() {
    run(async |world| {
        world.up().await;
        world.start(TOOL, Role::Tool, "tool");
        world.settle().await;
        let refused = world.ask::<_, ClaimReply>(TOOL, "claim", &Claim { uid: 5, create: None }).await;
        assert_eq!(refused.unwrap_err().reason, Reason::Refused);
        let node = world.node(GAME);
        let ask = chappe_node::DEFAULT_TIMEOUT;
        let to = chappe_node::To::Master;
        let asked = Exists { uid: 5 };
        let row = chappe_wire::Row::RequestToService;
        let refused = node.ask::<_, bool>(row, to, (STORE, "exists"), &asked, ask).await;
        assert_eq!(refused.unwrap_err().reason, Reason::Refused, "a mod speaks for the runtime");
    });
}

#[test]
fn a_claim_while_the_store_is_lost_is_granted() {
    run(async |world| {
        world.up().await;
        world.faults.lost(true);
        let failure = world.ask::<_, ClaimReply>(GAME, "claim", &Claim { uid: 5, create: None }).await;
        assert_eq!(failure.unwrap_err().reason, Reason::StoreUnavailable);
        assert_eq!(world.counted("store_degraded"), 1);
        world.faults.lost(false);
        world.own(GAME, 5).await;
        assert_eq!(world.counted("store_degraded"), 0);
    });
}
