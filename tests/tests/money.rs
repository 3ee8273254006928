//! `giveMoney`, the acceptance case of snipe.md, without faults.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_tests::money::bank::{AMOUNT, MONEY, MOST};
use chappe_tests::money::cluster::{Cluster, GAME1, GAME2, run};
use chappe_wire::{Value, value};
use std::rc::Rc;

async fn give(cluster: &Cluster, from: u64, to: u64) -> Value {
    let before = cluster.told_of(from, "user.giveMoney").len();
    cluster.till().request(from, value!({"_type": "user.giveMoney", "id": to}));
    cluster.until("the giver is told", || cluster.told_of(from, "user.giveMoney").len() > before).await;
    cluster.told_of(from, "user.giveMoney").pop().unwrap()
}

async fn balances(cluster: &Cluster, uids: &[u64]) -> Vec<Option<i64>> {
    let mut found = Vec::new();
    for uid in uids {
        found.push(cluster.stored(*uid, "money").await);
    }
    found
}

async fn up(cluster: &Cluster) {
    cluster.up().await;
    cluster.till().log_in(1, Some(GAME1)).await.unwrap();
    cluster.till().log_in(2, Some(GAME2)).await.unwrap();
    cluster.till().log_in(3, Some(GAME1)).await.unwrap();
}

#[test]
fn money_given_across_two_servers_arrives_once_and_both_are_told() {
    run(1, async |cluster: Rc<Cluster>| {
        up(&cluster).await;
        let answer = give(&cluster, 1, 2).await;
        assert_eq!(answer, value!({"_type": "user.giveMoney", "errorCode": "ok"}));
        cluster.settled().await;
        assert_eq!(balances(&cluster, &[1, 2]).await, [Some(MONEY - AMOUNT), Some(MONEY + AMOUNT)]);
        let told = cluster.told_of(2, "user.receiveMoney");
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].field("amount"), Some(&Value::Int(AMOUNT)));
    });
}

#[test]
fn money_given_on_one_server_arrives_once_and_both_are_told() {
    run(2, async |cluster: Rc<Cluster>| {
        up(&cluster).await;
        assert_eq!(give(&cluster, 1, 3).await.field("errorCode"), Some(&Value::from("ok")));
        cluster.settled().await;
        assert_eq!(balances(&cluster, &[1, 3]).await, [Some(MONEY - AMOUNT), Some(MONEY + AMOUNT)]);
        assert_eq!(cluster.told_of(3, "user.receiveMoney").len(), 1);
    });
}

#[test]
fn money_that_is_refused_goes_back() {
    run(3, async |cluster: Rc<Cluster>| {
        up(&cluster).await;
        for _ in 0..MOST {
            assert_eq!(give(&cluster, 1, 2).await.field("errorCode"), Some(&Value::from("ok")));
        }
        let refused = give(&cluster, 1, 2).await;
        assert_eq!(refused.field("errorCode"), Some(&Value::from("moneyReceivedMax")));
        cluster.settled().await;
        let given = AMOUNT * MOST;
        assert_eq!(balances(&cluster, &[1, 2]).await, [Some(MONEY - given), Some(MONEY + given)]);
    });
}

#[test]
fn an_offline_player_is_given_money_all_the_same() {
    run(4, async |cluster: Rc<Cluster>| {
        up(&cluster).await;
        cluster.till().log_out(2).await;
        assert_eq!(give(&cluster, 1, 2).await.field("errorCode"), Some(&Value::from("ok")));
        cluster.settled().await;
        assert_eq!(balances(&cluster, &[1, 2]).await, [Some(MONEY - AMOUNT), Some(MONEY + AMOUNT)]);
    });
}

#[test]
fn a_player_who_never_was_gets_nothing() {
    run(5, async |cluster: Rc<Cluster>| {
        up(&cluster).await;
        assert_eq!(give(&cluster, 1, 99).await.field("errorCode"), Some(&Value::from("userNotFound")));
        assert_eq!(balances(&cluster, &[1]).await, [Some(MONEY)]);
    });
}
