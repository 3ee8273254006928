//! Where steps go, in which order, and what happens when a server does not do them.

use super::world::*;
use crate::protocol::*;
use chappe_store::{Sender, Step};
use chappe_wire::Role;
use std::time::Duration;
use tokio::time::sleep;

const GIVER: Sender = Sender::Player(5);

#[test]
fn a_notification_does_not_find_its_receiver_or_the_outcome_its_sender() {
    run(async |world| {
        world.up().await;
        world.enter(5, LOBBY).await;
        world.enter(7, GAME2).await;
        world.committed(LOBBY, world.sending(GIVER, 7, &[1])).await;
        assert_eq!(world.gets(GAME2, 1).await, [(1, Step::Sent)]);
        let (uid, step) = world.server(GAME2).got.borrow()[0].clone();
        assert_eq!((uid, step.sender, step.receiver), (Some(7), GIVER, 7));
        assert_eq!((step.payload, step.outcome), (vec![1; 8], None));
        world.committed(GAME2, world.moving(1, Step::Sent, Some(b"yes"))).await;
        assert_eq!(world.gets(LOBBY, 1).await, [(1, Step::Decided)]);
        let (uid, step) = world.server(LOBBY).got.borrow()[0].clone();
        assert_eq!((uid, step.payload, step.outcome), (Some(5), vec![1; 8], Some(b"yes".to_vec())));
        assert_eq!((world.counted("notifications_sent"), world.counted("notifications_decided")), (0, 1));
        world.committed(LOBBY, world.moving(1, Step::Decided, None)).await;
        world.settle().await;
        assert_eq!(world.counted("notifications_decided"), 0);
        assert_eq!(world.server(GAME).numbers(), []);
    });
}

#[test]
fn an_outcome_for_a_node_is_given_to_another() {
    run(async |world| {
        world.up().await;
        world.start(SERVICE, Role::Service, "service_mail");
        world.is_ready(SERVICE).await;
        world.committed(SERVICE, world.sending(Sender::Node(SERVICE), 7, &[1])).await;
        world.gets(GAME, 1).await;
        world.kill(SERVICE);
        world.settle().await;
        world.committed(GAME, world.moving(1, Step::Sent, Some(b"no"))).await;
        world.settle().await;
        world.start(SERVICE, Role::Service, "service_mail");
        assert_eq!(world.gets(SERVICE, 1).await, [(1, Step::Decided)]);
        assert_eq!(world.server(SERVICE).got.borrow()[0].0, None);
    });
}

#[test]
fn what_a_server_keeps_for_itself_is_delivered_to_it() {
    run(async |world| {
        world.up().await;
        world.commit_keeping(GAME, world.sending(GIVER, 7, &[1]), vec![id(1)]).await.unwrap();
        world.committed(GAME, world.sending(GIVER, 7, &[2])).await;
        assert_eq!(world.gets(GAME, 1).await, [(2, Step::Sent)]);
        let decided = world.moving(1, Step::Sent, Some(b"yes"));
        world.commit_keeping(GAME, decided, vec![id(1)]).await.unwrap();
        world.settle().await;
        assert_eq!(world.server(GAME).numbers().len(), 1);
        world.kill(GAME);
        // What it had kept is somebody else's now.
        assert_eq!(world.gets(GAME2, 2).await.len(), 2);
        let mut got = world.server(GAME2).numbers();
        got.sort_unstable_by_key(|(id, _)| *id);
        assert_eq!(got, [(1, Step::Decided), (2, Step::Sent)]);
    });
}

#[test]
fn a_lost_node_takes_notifications_with_it() {
    run(async |world| {
        world.up().await;
        world.enter(7, GAME2).await;
        let numbers: Vec<u64> = (1..=20).collect();
        world.committed(LOBBY, world.sending(GIVER, 7, &numbers)).await;
        world.gets(GAME2, 20).await;
        world.kill(GAME2);
        let got = world.gets(GAME, 20).await;
        let wanted: Vec<_> = numbers.iter().map(|number| (u128::from(*number), Step::Sent)).collect();
        assert_eq!(got, wanted, "and in order");
        assert_eq!(world.server(GAME).got.borrow()[3].1.payload, [4; 8], "read again");
    });
}

#[test]
fn the_order_for_a_receiver_is_lost_when_deliveries_fail() {
    run(async |world| {
        world.up().await;
        world.server(GAME).refuses.set(4);
        let mut wanted = Vec::new();
        for round in 0..30 {
            let numbers = [round * 2 + 1, round * 2 + 2];
            wanted.extend(numbers.map(|number| (u128::from(number), Step::Sent)));
            world.committed(LOBBY, world.sending(GIVER, 7, &numbers)).await;
            sleep(Duration::from_millis(round % 7)).await;
        }
        assert_eq!(world.gets(GAME, 60).await, wanted);
        world.settle().await;
        assert_eq!(world.server(GAME).numbers().len(), 60, "each once");
        assert_eq!(world.counted("deliveries_failed"), 4);
    });
}

#[test]
fn a_large_backlog_does_not_fit_into_a_message() {
    run(async |world| {
        world.up().await;
        world.server(GAME).refuses.set(1);
        for number in 1..=20 {
            let mut commit = world.sending(GIVER, 7, &[number]);
            commit.sent[0].payload = vec![number as u8; 200 << 10];
            world.committed(LOBBY, commit).await;
        }
        assert_eq!(world.gets(GAME, 20).await.len(), 20);
        world.kill(GAME);
        let wanted: Vec<_> = (1..=20).map(|number| (number, Step::Sent)).collect();
        assert_eq!(world.gets(GAME2, 20).await, wanted, "read again, piece by piece");
    });
}

#[test]
fn a_player_who_moves_leaves_notifications_behind() {
    run(async |world| {
        world.up().await;
        let epoch = world.enter(7, GAME).await;
        world.committed(LOBBY, world.sending(GIVER, 7, &[1, 2])).await;
        world.gets(GAME, 2).await;
        world.entered(7, epoch, GAME2);
        world.settle().await;
        world.committed(LOBBY, world.sending(GIVER, 7, &[3])).await;
        world.settle().await;
        assert_eq!(world.server(GAME2).numbers(), [], "not before those that the first server still has");
        world.own(GAME2, 7).await;
        world.tell(GAME, "returned", &Returned { steps: vec![(id(2), Step::Sent)] });
        world.settle().await;
        assert_eq!(world.server(GAME2).numbers(), []);
        world.tell(GAME, "returned", &Returned { steps: vec![(id(1), Step::Sent)] });
        let wanted = [(1, Step::Sent), (2, Step::Sent), (3, Step::Sent)];
        assert_eq!(world.gets(GAME2, 3).await, wanted);
    });
}

#[test]
fn a_claim_does_not_say_what_is_still_to_come() {
    run(async |world| {
        world.up().await;
        world.enter(7, GAME).await;
        world.committed(LOBBY, world.sending(GIVER, 7, &[1, 2])).await;
        world.gets(GAME, 2).await;
        assert_eq!(world.own(GAME, 7).await.outstanding.len(), 0, "it has them");
        let epoch = world.master().players(&Default::default()).players[0].epoch;
        world.entered(7, epoch, GAME2);
        world.settle().await;
        assert_eq!(world.own(GAME2, 7).await.outstanding.len(), 2);
    });
}

#[test]
fn a_server_that_gives_back_again_and_again_is_asked_in_a_tight_loop() {
    run(async |world| {
        world.up().await;
        world.committed(LOBBY, world.sending(GIVER, 7, &[1])).await;
        let server = world.server(GAME);
        for round in 1..=6 {
            world.gets(GAME, round).await;
            world.tell(GAME, "returned", &Returned { steps: vec![(id(1), Step::Sent)] });
        }
        let count = server.numbers().len();
        sleep(Duration::from_millis(300)).await;
        assert_eq!(server.numbers().len(), count, "the sixth time it waits for over half a second");
        world.gets(GAME, count + 1).await;
    });
}

#[test]
fn nobody_is_ready_for_an_offline_players_notification() {
    run(async |world| {
        world.start_master();
        world.start(SERVICE, Role::Service, "service_mail");
        world.is_ready(SERVICE).await;
        world.committed(SERVICE, world.sending(Sender::Node(SERVICE), 7, &[1])).await;
        world.settle().await;
        world.start(LOBBY, Role::Lobby, "lobby");
        assert_eq!(world.gets(LOBBY, 1).await, [(1, Step::Sent)]);
    });
}

#[test]
fn an_offline_players_notification_goes_past_the_owner_of_the_record() {
    run(async |world| {
        world.up().await;
        let epoch = world.enter(7, GAME2).await;
        world.own(GAME2, 7).await;
        world.leave(7, epoch).await;
        world.committed(LOBBY, world.sending(GIVER, 7, &[1])).await;
        assert_eq!(world.gets(GAME2, 1).await, [(1, Step::Sent)]);
        // Also a master that has not given it the record itself knows.
        world.kill(MASTER);
        world.start_master();
        world.is_ready(GAME2).await;
        world.is_ready(LOBBY).await;
        world.gets(GAME2, 2).await;
        world.committed(LOBBY, world.sending(GIVER, 7, &[2])).await;
        assert_eq!(world.gets(GAME2, 3).await.last(), Some(&(2, Step::Sent)));
        assert_eq!(world.server(GAME).numbers(), []);
    });
}

#[test]
fn a_master_that_is_killed_forgets_what_is_under_way() {
    run(async |world| {
        world.up().await;
        world.enter(7, GAME2).await;
        world.committed(LOBBY, world.sending(GIVER, 7, &[1, 2, 3])).await;
        world.gets(GAME2, 3).await;
        world.committed(GAME2, world.moving(1, Step::Sent, Some(b"yes"))).await;
        world.committed(GAME2, world.moving(2, Step::Sent, None)).await;
        world.kill(MASTER);
        world.settle().await;
        world.start_master();
        for id in [PROXY, LOBBY, GAME, GAME2] {
            world.is_ready(id).await;
        }
        world.settle().await;
        // The test's proxy does not tell its sessions: player 7 is offline.
        let epoch = world.master().session_of(7);
        assert_eq!(epoch, None);
        let got: Vec<_> = [LOBBY, GAME, GAME2].iter().flat_map(|id| world.server(*id).numbers()).collect();
        assert!(got.iter().filter(|step| **step == (1, Step::Decided)).count() >= 1, "{got:?}");
        assert_eq!(got.iter().filter(|step| **step == (3, Step::Sent)).count(), 2, "{got:?}");
        assert_eq!(got.iter().filter(|step| **step == (2, Step::Sent)).count(), 1, "settled: {got:?}");
        assert_eq!((world.counted("notifications_sent"), world.counted("notifications_decided")), (1, 1));
    });
}

#[test]
fn a_store_that_is_lost_at_the_start_keeps_notifications_for_ever() {
    run(async |world| {
        world.up().await;
        world.committed(LOBBY, world.sending(GIVER, 7, &[1])).await;
        world.gets(GAME, 1).await;
        world.kill(MASTER);
        world.kill(GAME);
        world.faults.lost(true);
        world.start_master();
        world.is_ready(GAME2).await;
        sleep(Duration::from_secs(30)).await;
        assert_eq!(world.server(GAME2).numbers(), []);
        world.faults.lost(false);
        assert_eq!(world.gets(GAME2, 1).await, [(1, Step::Sent)]);
    });
}

#[test]
fn a_frozen_server_gets_a_step_that_another_has_done() {
    run(async |world| {
        world.up().await;
        world.enter(7, GAME2).await;
        world.freeze(GAME2, true);
        world.committed(LOBBY, world.sending(GIVER, 7, &[1])).await;
        // Lost after 10 s of silence.
        assert_eq!(world.gets(GAME, 1).await, [(1, Step::Sent)]);
        assert_eq!(world.server(GAME2).numbers(), []);
    });
}
