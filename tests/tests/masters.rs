//! Two masters: one leads, the other takes over, and neither sessions nor what is under way notice more than a pause.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_tests::money::bank::{AMOUNT, MONEY};
use chappe_tests::money::cluster::{Cluster, GAME1, GAME2, MASTER, MASTER2, PROXY, Plan, run_with};
use chappe_wire::{NodeId, Reason, Value, value};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

fn run(seed: u64, test: impl AsyncFnOnce(Rc<Cluster>)) {
    run_with(Plan { masters: 2, ..Plan::new(seed) }, async move |cluster: Rc<Cluster>| {
        cluster.up().await;
        cluster.until("one leads", || cluster.leader().is_some()).await;
        cluster.till().log_in(1, Some(GAME1)).await.unwrap();
        cluster.till().log_in(2, Some(GAME2)).await.unwrap();
        test(cluster).await;
    });
}

fn other(master: NodeId) -> NodeId {
    if master == MASTER { MASTER2 } else { MASTER }
}

/// Asks for a gift; how many answers there were before.
fn ask(cluster: &Cluster) -> usize {
    let before = cluster.told_of(1, "user.giveMoney").len();
    cluster.till().request(1, value!({"_type": "user.giveMoney", "id": 2}));
    before
}

/// Waits for the answer to it: its code.
async fn answer(cluster: &Cluster, before: usize) -> String {
    cluster.until("the giver is told", || cluster.told_of(1, "user.giveMoney").len() > before).await;
    let told = cluster.told_of(1, "user.giveMoney").pop().unwrap();
    told.field("errorCode").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// One gift, from the question to the end of it.
async fn give(cluster: &Cluster) {
    let before = ask(cluster);
    assert_eq!(answer(cluster, before).await, "ok");
}

async fn has_given(cluster: &Cluster, gifts: i64) {
    cluster.settled().await;
    cluster.decided().await;
    let found = [cluster.stored(1, "money").await, cluster.stored(2, "money").await];
    assert_eq!(found, [Some(MONEY - gifts * AMOUNT), Some(MONEY + gifts * AMOUNT)]);
}

fn online(cluster: &Cluster) -> [bool; 2] {
    [1, 2].map(|uid| cluster.till().is_online(uid))
}

#[test]
fn a_leader_that_is_killed_leaves_the_cluster_without_a_master() {
    run(1, async |cluster: Rc<Cluster>| {
        give(&cluster).await;
        let (leader, term) = (cluster.leader().unwrap(), cluster.term_at(PROXY));
        let asked = ask(&cluster);
        sleep(Duration::from_millis(3)).await;
        cluster.kill(leader, false);
        let killed = Instant::now();
        cluster.until("the other leads", || cluster.leader() == Some(other(leader))).await;
        let all = [PROXY, GAME1, GAME2];
        let joined = || all.iter().all(|node| cluster.master_of(*node) == Some(other(leader)));
        cluster.until("all have joined it", joined).await;
        assert!(killed.elapsed() < 5 * SECOND, "{:?}", killed.elapsed());
        assert_eq!(cluster.term_at(GAME1), term + 1);
        assert_eq!(online(&cluster), [true, true], "sessions go on");
        assert_eq!(answer(&cluster, asked).await, "ok");
        has_given(&cluster, 2).await;
        give(&cluster).await;
        has_given(&cluster, 3).await;
    });
}

#[test]
fn a_leader_that_wakes_up_again_rules_beside_the_new_one() {
    run(2, async |cluster: Rc<Cluster>| {
        let leader = cluster.leader().unwrap();
        cluster.freeze(leader, true);
        let asked = ask(&cluster);
        let all = [PROXY, GAME1, GAME2];
        let joined = || all.iter().all(|node| cluster.master_of(*node) == Some(other(leader)));
        cluster.until("all have left the frozen one", joined).await;
        assert_eq!(answer(&cluster, asked).await, "ok");
        has_given(&cluster, 1).await;
        cluster.tend(SECOND);
        cluster.freeze(leader, false);
        cluster.whole().await;
        assert_eq!(cluster.leader(), Some(other(leader)), "it stands by");
        assert_eq!(online(&cluster), [true, true]);
        give(&cluster).await;
        has_given(&cluster, 2).await;
    });
}

#[test]
fn a_leader_that_is_cut_off_from_the_store_goes_on_ruling() {
    run(3, async |cluster: Rc<Cluster>| {
        let leader = cluster.leader().unwrap();
        cluster.tend(SECOND);
        cluster.cut_store(leader, 600 * SECOND);
        let joined =
            || [PROXY, GAME1, GAME2].iter().all(|node| cluster.master_of(*node) == Some(other(leader)));
        cluster.until("all have left it", joined).await;
        assert_eq!(online(&cluster), [true, true]);
        give(&cluster).await;
        has_given(&cluster, 1).await;
        cluster.heal();
        cluster.whole().await;
        assert_eq!(cluster.leader(), Some(other(leader)));
        has_given(&cluster, 1).await;
    });
}

#[test]
fn without_the_store_logins_are_granted_that_nobody_can_keep() {
    run(4, async |cluster: Rc<Cluster>| {
        let (leader, term) = (cluster.leader().unwrap(), cluster.term_at(PROXY));
        cluster.lose_store(600 * SECOND);
        sleep(3 * SECOND).await;
        let refused = cluster.till().log_in(3, Some(GAME1)).await.unwrap_err();
        assert_eq!(refused.reason, Reason::StoreUnavailable, "{refused:?}");
        let asked = ask(&cluster);
        assert_eq!(answer(&cluster, asked).await, "StoreUnavailable");
        assert_eq!(online(&cluster), [true, true], "sessions go on");
        cluster.heal();
        sleep(2 * SECOND).await;
        assert_eq!((cluster.leader(), cluster.term_at(PROXY)), (Some(leader), term), "nobody took it");
        give(&cluster).await;
        has_given(&cluster, 1).await;
        cluster.till().log_in(3, Some(GAME1)).await.unwrap();
    });
}

#[test]
fn a_leader_that_nodes_cannot_reach_leads_nobody_into_a_wrong_state() {
    run(5, async |cluster: Rc<Cluster>| {
        let leader = cluster.leader().unwrap();
        cluster.tend(SECOND);
        for node in [PROXY, GAME1, GAME2] {
            cluster.hold(leader, node, SECOND);
        }
        let asked = ask(&cluster);
        assert_eq!(answer(&cluster, asked).await, "ok");
        cluster.whole().await;
        has_given(&cluster, 1).await;
        assert_eq!(cluster.leader(), Some(leader));
    });
}
