//! What happens at the edges of records and responses: an upgrade that nobody has stored yet, pushes beside a response that
//! cannot leave.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_notify::{Attributes, Module, Player, Server};
use chappe_tests::money::cluster::{Cluster, GAME1, Plan, run_with};
use chappe_wire::{Value, value};
use std::cell::Cell;
use std::rc::Rc;

fn with(more: impl Fn(&Server) + 'static, test: impl AsyncFnOnce(Rc<Cluster>)) {
    let plan = Plan { more: Some(Rc::new(more)), ..Plan::new(5) };
    run_with(plan, async move |cluster: Rc<Cluster>| {
        cluster.up().await;
        cluster.till().log_in(1, Some(GAME1)).await.unwrap();
        test(cluster).await;
    });
}

async fn ask(cluster: &Cluster, kind: &str) -> Value {
    let before = cluster.told_of(1, kind).len();
    cluster.till().request(1, value!({"_type": kind}));
    cluster.until(kind, || cluster.told_of(1, kind).len() > before).await;
    cluster.told_of(1, kind).remove(before)
}

#[test]
fn an_upgrade_that_a_player_has_seen_comes_out_otherwise_after_a_crash() {
    let (version, draws) = (Rc::new(Cell::new(1)), Rc::new(Cell::new(0)));
    let (of, drawn) = (version.clone(), draws.clone());
    let more = move |server: &Server| {
        let drawn = drawn.clone();
        let attributes = Attributes::new(of.get()).default("luck", 0).upgrade(move |_, document| {
            drawn.set(drawn.get() + 1);
            document.insert("luck".into(), Value::Int(drawn.get()));
        });
        let aged = Module::new("aged")
            .attributes(attributes)
            .request("look", async |player: Player, _| Ok(value!({"luck": player.int("luck")?})));
        server.register(aged).unwrap();
    };
    with(more, async move |cluster| {
        assert_eq!(ask(&cluster, "aged.look").await.field("luck"), Some(&Value::Int(0)));
        for _ in 0..2 {
            version.set(2);
            cluster.kill(GAME1, false);
            cluster.start(GAME1);
            cluster.whole().await;
            cluster.till().log_in(1, Some(GAME1)).await.unwrap();
            let seen = ask(&cluster, "aged.look").await;
            assert_eq!(seen.field("luck"), Some(&Value::Int(1)));
            assert_eq!(cluster.stored(1, "luck").await, Some(1), "it is told when it is stored");
        }
        assert_eq!(draws.get(), 1);
    });
}

#[test]
fn pushes_vanish_with_a_response_that_cannot_be_sent() {
    let more = |server: &Server| {
        let module = Module::new("edge").request("huge", async |player: Player, _| {
            player.notify(value!({"n": 1}))?;
            player.notify(value!({"n": 2}))?;
            Ok(value!({"blob": "x".repeat(8 << 20)}))
        });
        server.register(module).unwrap();
    };
    with(more, async |cluster| {
        cluster.till().request(1, value!({"_type": "edge.huge"}));
        cluster
            .until("the pushes go by themselves", || !cluster.told_of(1, "server.notify").is_empty())
            .await;
        let told = cluster.told_of(1, "server.notify").remove(0);
        let pushes = told.field("serverNotify").unwrap().clone();
        assert_eq!(pushes, value!([{"n": 1}, {"n": 2}]));
        assert!(cluster.told_of(1, "edge.huge").is_empty());
    });
}
