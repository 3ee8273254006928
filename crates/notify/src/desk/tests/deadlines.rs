//! What nobody acts on in time.

use super::world::*;
use crate::protocol::*;
use chappe_store::{Commit, Fault, Sender, Step};
use chappe_wire::{Value, value};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

const GIVER: Sender = Sender::Player(5);

fn sealed(validate: Option<Validate>) -> Vec<u8> {
    let kind = "user.giveMoney2".to_owned();
    value::encode(&Sealed { kind, id: None, record: vec![0x80], validate, request: None }).unwrap()
}

fn with_handler(on_fail: Option<&str>) -> Option<Validate> {
    Some(Validate { func: None, on_success: None, on_fail: on_fail.map(str::to_owned) })
}

fn timed(world: &World, number: u64, validate: Option<Validate>, in_ms: u64) -> Commit {
    let mut commit = world.sending(GIVER, 7, &[number]);
    (commit.sent[0].payload, commit.sent[0].deadline_in_ms) = (sealed(validate), Some(in_ms));
    commit
}

#[test]
fn a_notification_that_nobody_answers_hangs_for_ever() {
    run(async |world| {
        world.up().await;
        world.enter(5, LOBBY).await;
        world.committed(LOBBY, timed(world, 1, with_handler(Some("user.giveMoneyFail")), 30_000)).await;
        world.gets(GAME, 1).await;
        sleep(Duration::from_millis(29_900)).await;
        assert_eq!(world.server(LOBBY).numbers(), []);
        assert_eq!(world.gets(LOBBY, 1).await, [(1, Step::Decided)]);
        let told = world.server(LOBBY).got.borrow()[0].1.outcome.clone().unwrap();
        let told: Outcome = value::decode(&told).unwrap();
        let result: Value = value::decode(&told.result).unwrap();
        assert!(!told.success);
        assert_eq!(result, value!({"errorCode": "deadlineExceeded"}));
        // The receiver comes too late.
        let late = world.commit(GAME, world.moving(1, Step::Sent, Some(b"yes"))).await.unwrap();
        assert!(matches!(late, CommitReply::Moved), "{late:?}");
        assert_eq!(world.counted("deadlines_exceeded"), 1);
    });
}

#[test]
fn an_end_that_nobody_wants_to_hear_of_is_delivered() {
    run(async |world| {
        world.up().await;
        world.committed(LOBBY, timed(world, 1, with_handler(None), 1000)).await;
        world.gets(GAME, 1).await;
        sleep(Duration::from_secs(2)).await;
        assert_eq!((world.counted("notifications_sent"), world.counted("notifications_decided")), (0, 0));
        assert_eq!(world.store().dead_letters(0, 10).await.unwrap(), []);
    });
}

#[test]
fn a_plain_durable_notification_vanishes_at_its_deadline() {
    run(async |world| {
        world.up().await;
        world.committed(LOBBY, timed(world, 1, None, 1000)).await;
        sleep(Duration::from_secs(2)).await;
        let letters = world.store().dead_letters(0, 10).await.unwrap();
        assert_eq!((letters.len(), letters[0].reason.as_str()), (1, "deadlineExceeded"));
        assert_eq!(letters[0].notification.deadline_in_ms, Some(1000));
    });
}

#[test]
fn an_act_in_time_is_ended_by_the_deadline_all_the_same() {
    run(async |world| {
        world.up().await;
        world.committed(LOBBY, timed(world, 1, with_handler(Some("a.b")), 1000)).await;
        world.gets(GAME, 1).await;
        sleep(Duration::from_millis(900)).await;
        world.committed(GAME, world.moving(1, Step::Sent, Some(b"yes"))).await;
        sleep(Duration::from_secs(2)).await;
        assert_eq!(world.counted("deadlines_exceeded"), 0);
        let got = world.server(GAME).got.borrow().last().unwrap().1.clone();
        assert_eq!((got.step, got.outcome), (Step::Decided, Some(b"yes".to_vec())));
    });
}

#[test]
fn a_deadline_passes_while_the_master_is_down_or_the_store_is_lost() {
    run(async |world| {
        world.up().await;
        world.enter(5, LOBBY).await;
        for number in 1..=3 {
            world.committed(LOBBY, timed(world, number, with_handler(Some("a.b")), 5000)).await;
        }
        world.kill(MASTER);
        sleep(Duration::from_secs(6)).await;
        world.faults.lost(true);
        world.start_master();
        world.is_ready(LOBBY).await;
        sleep(Duration::from_secs(6)).await;
        world.faults.lost(false);
        world.faults.at(0, Fault::LoseWork);
        world.faults.at(2, Fault::LoseAnswer);
        sleep(Duration::from_secs(10)).await;
        assert_eq!((world.counted("notifications_sent"), world.counted("notifications_decided")), (0, 3));
        let decided = |id| world.server(id).numbers().into_iter().filter(|(_, step)| *step == Step::Decided);
        let mut got: Vec<_> = [LOBBY, GAME, GAME2].into_iter().flat_map(decided).collect();
        got.sort_unstable_by_key(|(id, _)| *id);
        got.dedup();
        assert_eq!(got.len(), 3, "{got:?}");
    });
}

#[test]
fn a_thousand_deadlines_at_once_take_a_thousand_flushes() {
    run(async |world| {
        world.up().await;
        let mut commit = world.empty();
        for number in 1..=1000 {
            commit.sent.extend(timed(world, number, with_handler(None), 2000).sent);
        }
        world.committed(LOBBY, commit).await;
        let before = world.faults.flushes();
        sleep(Duration::from_secs(4)).await;
        assert_eq!(world.counted("notifications_sent"), 0);
        let flushes = world.faults.flushes() - before;
        assert!(flushes < 20, "{flushes} flushes");
    });
}

#[test]
fn old_commits_fill_the_store() {
    run(async |world| {
        world.up().await;
        for _ in 0..10 {
            world.committed(LOBBY, world.empty()).await;
        }
        sleep(Duration::from_secs(120)).await;
        assert_eq!(world.counted("pruned"), 0);
        world.ahead_ms.store(25 * 3600 * 1000, Ordering::Relaxed);
        sleep(Duration::from_secs(120)).await;
        assert!(world.counted("pruned") >= 10);
    });
}

#[test]
fn a_clock_that_is_set_back_ends_notifications_early_or_keeps_the_master_busy() {
    run(async |world| {
        world.ahead_ms.store(20_000, Ordering::Relaxed);
        world.up().await;
        world.committed(LOBBY, timed(world, 1, with_handler(Some("a.b")), 5000)).await;
        world.ahead_ms.store(0, Ordering::Relaxed);
        let before = world.faults.flushes();
        sleep(Duration::from_secs(20)).await;
        assert_eq!(world.counted("deadlines_exceeded"), 0, "20 s are to be lived again");
        assert!(world.faults.flushes() - before < 10);
        sleep(Duration::from_secs(6)).await;
        assert_eq!(world.counted("deadlines_exceeded"), 1);
    });
}
