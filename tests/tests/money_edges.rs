//! What happens at the edges of records and responses: an upgrade that nobody has stored yet, pushes beside a response that
//! cannot leave.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_notify::{Attributes, Module, Player, Server};
use chappe_tests::money::cluster::{Cluster, GAME1, Plan, run_with};
use chappe_wire::{Value, value};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

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

#[test]
fn a_login_that_is_given_up_while_the_record_is_let_go_bars_every_later_one() {
    let more = |server: &Server| {
        let sender = server.clone();
        let module = Module::new("edge")
            .attributes(Attributes::new(1).default("n", 0))
            .request("send", move |_: Player, _| {
                let server = sender.clone();
                async move {
                    server.notify(2, value!({"_type": "edge.slow", "_durable": true}))?;
                    Ok(value!({}))
                }
            })
            .handler("slow", async |player: Player, _| {
                sleep(Duration::from_secs(2)).await;
                player.add("n", 1)?;
                Ok(())
            });
        server.register(module).unwrap();
    };
    with(more, async |cluster| {
        cluster.till().log_in(2, Some(GAME1)).await.unwrap();
        cluster.till().log_out(2).await;
        ask(&cluster, "edge.send").await;
        sleep(Duration::from_millis(500)).await;
        // The handler has the record of the offline player, so the login waits for it; the second one takes its place.
        let till = cluster.till();
        let again = async {
            sleep(Duration::from_millis(200)).await;
            till.log_in(2, Some(GAME1)).await
        };
        let (first, second) = tokio::join!(till.log_in(2, Some(GAME1)), again);
        assert!(first.is_err(), "a newer one has come");
        assert_eq!(second.map_err(|failure| failure.to_string()), Ok(GAME1));
        cluster.decided().await;
        assert_eq!(cluster.stored(2, "n").await, Some(1), "what was begun is done");
    });
}
