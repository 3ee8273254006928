//! Each row of the table in snipe.md section 3, what section 4 says of output, and bad input. What happens when something is
//! killed at any instant is in `money_exhaustive`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_node::To;
use chappe_notify::{Attributes, HandlerError, Module, Options, Params, Player, Server};
use chappe_store::Fault;
use chappe_tests::money::bank::{AMOUNT, MONEY};
use chappe_tests::money::cluster::{Cluster, GAME1, GAME2, GAME3, MASTER, Plan, run_with};
use chappe_wire::{Row, Value, value};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

type Log = Rc<RefCell<Vec<String>>>;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The handlers of these tests; each writes down that it ran.
fn probe(server: &Server, log: &Log) {
    let say = {
        let (server, log) = (server.clone(), log.clone());
        move |what: &str, player: &Player| {
            log.borrow_mut().push(format!("{what} {} on {}", player.uid(), server.node().id()));
        }
    };
    let (sender, looping, owner) = (server.clone(), server.clone(), server.clone());
    let [acts, noes, nulls, wins, loses, slow] = [(); 6].map(|()| say.clone());
    let module = Module::new("probe")
        .attributes(Attributes::new(1).default("n", 0).default("list", Value::List(Vec::new())))
        // Sends a notification as the client wants it; names without `_` become the runtime's.
        .request("send", move |player: Player, params: Params| {
            let server = sender.clone();
            async move { send(&server, &player, &params) }
        })
        .request("many", {
            let server = server.clone();
            move |_: Player, params: Params| {
                let server = server.clone();
                async move {
                    let (to, from) = (params.uid("to")?, params.int("from")?);
                    for number in from..from + 10 {
                        let record = value!({"_type": "probe.append", "_durable": true, "number": number});
                        server.notify(to, record)?;
                    }
                    Ok(())
                }
            }
        })
        .request("add", async |player: Player, _| Ok(value!({"n": player.add("n", 1)?})))
        .request("echo", async |_: Player, params: Params| Ok(value!({"fields": params.into_value()})))
        .request("large", async |player: Player, _| {
            player.add("n", 1)?;
            player.set("blob", "x".repeat(2 << 20))?;
            Ok(value!({"errorCode": "ok"}))
        })
        .request("retype", async |player: Player, _| {
            player.add("n", 1)?;
            player.set("n", "many")?;
            Ok(value!({"errorCode": "ok"}))
        })
        .request("deadlock", move |player: Player, _| {
            let server = owner.clone();
            async move {
                let uid = player.uid();
                let waited = server.run(uid, "probe.inner", async |_| Ok(None)).await;
                let text = waited.map_or_else(|error| error.text().to_owned(), |_| String::new());
                Ok(value!({"error": text}))
            }
        })
        .handler("append", async |player: Player, params: Params| {
            let Value::List(mut list) = player.get("list")? else {
                return Err(HandlerError::failed("no list"));
            };
            list.push(Value::Int(params.int("number")?));
            player.set("list", Value::List(list))?;
            Ok(())
        })
        .handler("again", move |_: Player, _| {
            let server = looping.clone();
            async move {
                server.notify(2, value!({"_type": "probe.again", "_durable": true}))?;
                Ok(())
            }
        })
        .handler("act", move |player: Player, params: Params| {
            acts("act", &player);
            async move {
                player.add("n", 1)?;
                player.notify_durable(value!({"from": params.uid("from")?}))?;
                Ok(value!({"shared": "result", "_type": "probe.forged", "_validate": {"func": nil}, "n": 7}))
            }
        })
        .handler("slow", move |player: Player, _| {
            slow("slow", &player);
            async move {
                sleep(ms(40)).await;
                player.add("n", 1)?;
                Ok(())
            }
        })
        .handler("yes", async |_: Player, _| Ok(value!({"errorCode": "ok"})))
        .handler("null", move |player: Player, _| {
            nulls("null", &player);
            async move { Ok(()) }
        })
        .handler("no", move |player: Player, _| {
            noes("no", &player);
            async move {
                player.set("n", 99)?;
                Ok(value!({"errorCode": "no", "why": "because"}))
            }
        })
        .handler("raises", async |player: Player, _| {
            player.set("n", 99)?;
            Err::<(), _>(HandlerError::failed("on purpose"))
        })
        .handler("big", async |player: Player, _| {
            player.set("n", 99)?;
            Ok(value!({"blob": "x".repeat(1 << 20)}))
        })
        .handler("success", move |player: Player, params: Params| {
            wins("success", &player);
            done(player, params)
        })
        .handler("fail", move |player: Player, params: Params| {
            loses("fail", &player);
            done(player, params)
        });
    server.register(module).unwrap();
}

fn send(server: &Server, player: &Player, params: &Params) -> Result<(), HandlerError> {
    let mut record = vec![
        ("_type".into(), params.get("type")?.clone()),
        ("from".into(), player.uid().into()),
        ("shared".into(), "message".into()),
    ];
    if params.bool("durable").unwrap_or(false) {
        record.push(("_durable".into(), true.into()));
    }
    if let Ok(func) = params.get("func") {
        let validate = value!({"func": func.clone(), "onSuccess": "probe.success", "onFail": "probe.fail",
                               "id": player.uid()});
        record.push(("_validate".into(), validate));
    }
    player.add("n", 100)?;
    server.notify(params.uid("to")?, Value::Map(record))?;
    Ok(())
}

async fn done(player: Player, params: Params) -> Result<(), HandlerError> {
    player.add("n", 1000)?;
    player.response("probe.done", value!({"record": params.into_value()}))?;
    Ok(())
}

fn test(test: impl AsyncFnOnce(Rc<Cluster>, Log)) {
    test_with(Options::default(), 1, test);
}

/// Players 1 and 4 on server 1, 2 and 3 on server 2.
fn test_with(options: Options, seed: u64, test: impl AsyncFnOnce(Rc<Cluster>, Log)) {
    let log = Log::default();
    let more: Rc<dyn Fn(&Server)> = {
        let log = log.clone();
        Rc::new(move |server| probe(server, &log))
    };
    let plan = Plan { options, more: Some(more), ..Plan::new(seed) };
    run_with(plan, async move |cluster: Rc<Cluster>| {
        cluster.up().await;
        for (uid, server) in [(1, GAME1), (2, GAME2), (3, GAME2), (4, GAME1)] {
            cluster.till().log_in(uid, Some(server)).await.unwrap();
        }
        test(cluster, log).await;
    });
}

fn request(cluster: &Cluster, uid: u64, kind: &str, fields: Value) {
    let mut pairs = vec![("_type".into(), kind.into())];
    pairs.extend(fields.as_map().unwrap_or_default().iter().cloned());
    cluster.till().request(uid, Value::Map(pairs));
}

/// Asks, and waits for the next response of that type.
async fn ask(cluster: &Cluster, uid: u64, kind: &str, fields: Value, answer: &str) -> Value {
    let before = cluster.told_of(uid, answer).len();
    request(cluster, uid, kind, fields);
    cluster.until(answer, || cluster.told_of(uid, answer).len() > before).await;
    cluster.told_of(uid, answer).remove(before)
}

/// Sends a validated notification, and waits for its outcome.
async fn validated(cluster: &Cluster, to: u64, kind: &str, func: Value) -> Value {
    let fields = value!({"to": to, "type": kind, "func": func});
    let answer = ask(cluster, 1, "probe.send", fields, "probe.done").await;
    cluster.settled().await;
    answer.field("record").cloned().unwrap_or_default()
}

fn code(record: &Value) -> Option<&str> {
    record.field("errorCode").and_then(Value::as_str)
}

fn runs(log: &Log) -> Vec<String> {
    log.borrow().clone()
}

async fn list(cluster: &Cluster, uid: u64) -> Vec<i64> {
    let record = cluster.store().unwrap().load(uid).await.unwrap().unwrap();
    let document: Value = chappe_wire::value::decode(&record.document).unwrap();
    let Some(Value::List(list)) = document.field("list") else { return Vec::new() };
    list.iter().filter_map(Value::as_int).collect()
}

// Section 3, row by row.

#[test]
fn player_2_offline_their_record_is_loaded_and_pushes_wait_for_the_next_login() {
    test(async |cluster, log| {
        cluster.till().log_out(2).await;
        let record = validated(&cluster, 2, "probe.act", value!("probe.yes")).await;
        assert_eq!(record.field("shared"), Some(&Value::from("result")));
        assert_eq!(runs(&log), ["act 2 on 30", "success 1 on 30"], "the first game server");
        assert_eq!(cluster.stored(2, "n").await, Some(1));
        assert_eq!(cluster.told_of(2, "server.notify"), Vec::<Value>::new());
        cluster.till().log_in(2, Some(GAME2)).await.unwrap();
        let answer = ask(&cluster, 2, "probe.add", value!({}), "probe.add").await;
        assert_eq!(answer.field("serverNotify"), Some(&value!([{"from": 1}])));
        // Once: it is not there at the next login.
        sleep(ms(100)).await;
        cluster.till().log_out(2).await;
        cluster.till().log_in(2, Some(GAME2)).await.unwrap();
        let answer = ask(&cluster, 2, "probe.add", value!({}), "probe.add").await;
        assert_eq!(answer.field("serverNotify"), None);
    });
}

#[test]
fn player_2_moves_or_logs_out_on_the_way_and_the_notification_follows() {
    for after in 0..24 {
        for moves in [false, true] {
            test_with(Options::default(), after, async |cluster, _| {
                request(&cluster, 1, "user.giveMoney", value!({"id": 2}));
                sleep(ms(after)).await;
                if moves {
                    cluster.till().move_to(2, GAME1).await.unwrap();
                } else {
                    cluster.till().log_out(2).await;
                }
                cluster.until("the giver is told", || !cluster.told_of(1, "user.giveMoney").is_empty()).await;
                cluster.settled().await;
                assert_eq!(code(&cluster.told_of(1, "user.giveMoney")[0]), Some("ok"), "after {after} ms");
                assert_eq!(cluster.stored(2, "money").await, Some(MONEY + AMOUNT), "after {after} ms");
                assert_eq!(cluster.stored(2, "moneyReceived").await, Some(1));
                assert_eq!(cluster.stored(1, "told").await, Some(1));
            });
        }
    }
}

#[test]
fn player_2_moves_while_the_master_restarts_and_is_let_in_all_the_same() {
    for after in 0..12 {
        test_with(Options::default(), after, async |cluster, _| {
            cluster.tend(ms(200));
            let till = cluster.till();
            let killed = async {
                sleep(ms(after)).await;
                cluster.kill(MASTER, after % 2 == 0);
            };
            let (moved, ()) = tokio::join!(till.move_to(2, GAME1), killed);
            assert_eq!(moved.map_err(|failure| failure.to_string()), Ok(()), "after {after} ms");
        });
    }
}

#[test]
fn player_1_gone_before_the_outcome_it_runs_on_their_record() {
    for after in 0..24 {
        test_with(Options::default(), after, async |cluster, _| {
            request(&cluster, 1, "user.giveMoney", value!({"id": 2}));
            // The request is there before the log-out: both go the same way.
            sleep(ms(4 + after)).await;
            cluster.till().log_out(1).await;
            sleep(ms(200)).await;
            cluster.settled().await;
            assert_eq!(cluster.stored(1, "told").await, Some(1), "after {after} ms");
            assert_eq!(cluster.stored(1, "money").await, Some(MONEY - AMOUNT));
            assert_eq!(cluster.stored(2, "money").await, Some(MONEY + AMOUNT));
        });
    }
}

#[test]
fn no_such_method_is_told_to_on_fail() {
    test(async |cluster, log| {
        let record = validated(&cluster, 2, "probe.nothing", value!("probe.yes")).await;
        assert_eq!(code(&record), Some("noHandler"));
        let record = validated(&cluster, 2, "nowhere.act", value!(nil)).await;
        assert_eq!(code(&record), Some("noHandler"));
        let record = validated(&cluster, 2, "probe.act", value!("probe.nothing")).await;
        assert_eq!(code(&record), Some("noHandler"));
        assert_eq!(runs(&log), ["fail 1 on 30"; 3]);
        assert_eq!((cluster.stored(1, "n").await, cluster.stored(2, "n").await), (Some(3300), Some(0)));
    });
}

#[test]
fn a_handler_that_raises_is_told_to_on_fail_and_leaves_no_trace() {
    test(async |cluster, _| {
        for (kind, func) in [("probe.raises", "probe.yes"), ("probe.act", "probe.raises")] {
            let record = validated(&cluster, 2, kind, value!(func)).await;
            assert_eq!(code(&record), Some("handlerFailed"), "{kind} {func}");
        }
        assert_eq!(cluster.stored(2, "n").await, Some(0));
        assert_eq!(cluster.dead_letters().await, Vec::<String>::new());
    });
}

#[test]
fn a_plain_notification_that_nobody_handles_is_a_dead_letter_with_its_payload() {
    test(async |cluster, _| {
        for (kind, reason) in [("probe.raises", "handlerFailed"), ("probe.nothing", "noHandler")] {
            request(&cluster, 1, "probe.send", value!({"to": 2, "type": kind, "durable": true}));
            sleep(ms(100)).await;
            cluster.settled().await;
            let letters = cluster.store().unwrap().dead_letters(0, 10).await.unwrap();
            let letter = letters.last().unwrap();
            assert_eq!((letter.reason.as_str(), letter.notification.kind.as_str()), (reason, kind));
            let payload = String::from_utf8_lossy(&letter.notification.payload).into_owned();
            assert!(payload.contains("shared") && payload.contains("message"), "{payload}");
            // Not durable: counted, and kept in the master's memory.
            let before = cluster.count(GAME2, "dead_letters");
            request(&cluster, 1, "probe.send", value!({"to": 2, "type": kind}));
            cluster.until("it is counted", || cluster.count(GAME2, "dead_letters") > before).await;
        }
        assert_eq!(cluster.stored(2, "n").await, Some(0));
    });
}

#[test]
fn never_answered_the_deadline_passes_and_nothing_acts_after_it() {
    let options = Options { deadline: ms(500), ..Options::default() };
    test_with(options, 1, async |cluster, log| {
        cluster.net.hold(MASTER, GAME2);
        let record = validated(&cluster, 2, "probe.act", value!("probe.yes")).await;
        assert_eq!(code(&record), Some("deadlineExceeded"));
        cluster.net.heal(MASTER, GAME2);
        sleep(ms(3000)).await;
        cluster.decided().await;
        // It may have been tried there; nothing of it has come to be.
        assert_eq!(cluster.stored(2, "n").await, Some(0));
        assert_eq!(cluster.stored(1, "n").await, Some(1100));
        assert_eq!(runs(&log).iter().filter(|run| run.starts_with("fail")).count(), 1);
        let balance = ask(&cluster, 2, "probe.add", value!({}), "probe.add").await;
        assert_eq!(balance.field("n"), Some(&Value::Int(1)), "the server has forgotten it, too");
        assert_eq!(balance.field("serverNotify"), None);
    });
}

#[test]
fn the_deadline_cannot_beat_an_act_that_is_committed() {
    let options = Options { deadline: ms(500), ..Options::default() };
    test_with(options, 1, async |cluster, log| {
        request(&cluster, 1, "probe.send", value!({"to": 2, "type": "probe.act", "func": "probe.yes"}));
        cluster.until("it is acted on", || !log.borrow().is_empty()).await;
        // The act's commit is on its way; the outcome cannot be told for longer than the deadline.
        cluster.net.hold(MASTER, GAME1);
        sleep(ms(2000)).await;
        assert_eq!(cluster.stored(2, "n").await, Some(1), "it is committed");
        cluster.net.heal(MASTER, GAME1);
        cluster.settled().await;
        assert_eq!(runs(&log), ["act 2 on 31", "success 1 on 30"]);
    });
}

#[test]
fn the_same_key_in_message_and_result_the_result_wins_and_the_runtimes_names_never_change() {
    test(async |cluster, _| {
        let record = validated(&cluster, 2, "probe.act", value!("probe.yes")).await;
        assert_eq!(record.field("shared"), Some(&Value::from("result")));
        assert_eq!(record.field("from"), Some(&Value::Int(1)), "what the result has not stays");
        assert_eq!(record.field("_type"), Some(&Value::from("probe.act")));
        assert_eq!(record.field("_validate"), None);
        let record = validated(&cluster, 2, "probe.act", value!("probe.no")).await;
        assert_eq!((code(&record), record.field("why")), (Some("no"), Some(&Value::from("because"))));
        assert_eq!(record.field("shared"), Some(&Value::from("message")));
        assert_eq!(cluster.stored(2, "n").await, Some(1), "what func changed is discarded when it refuses");
    });
}

#[test]
fn a_func_that_returns_null_counts_as_ok() {
    test(async |cluster, log| {
        validated(&cluster, 2, "probe.act", value!("probe.null")).await;
        assert_eq!(runs(&log), ["null 2 on 31", "act 2 on 31", "success 1 on 30"]);
    });
}

#[test]
fn both_on_one_server_it_is_queued_all_the_same() {
    test(async |cluster, _| {
        // Were the handler run within the caller, it would see what the caller has not finished.
        for to in [1, 4, 2] {
            let before = cluster.stored(to, "n").await.unwrap();
            let record = validated(&cluster, to, "probe.act", value!("probe.yes")).await;
            assert_eq!(code(&record), None);
            let own = if to == 1 { 100 + 1000 } else { 0 };
            assert_eq!(cluster.stored(to, "n").await, Some(before + own + 1));
        }
    });
}

#[test]
fn what_a_handler_changed_sent_and_answered_is_committed_together_before_anything_leaves() {
    test(async |cluster, _| {
        cluster.faults.lost(true);
        let answer = ask(&cluster, 1, "probe.add", value!({}), "probe.add").await;
        assert_eq!(code(&answer), Some("StoreUnavailable"));
        request(&cluster, 1, "probe.send", value!({"to": 2, "type": "probe.act", "func": "probe.yes"}));
        request(&cluster, 1, "probe.send", value!({"to": 4, "type": "probe.act", "func": "probe.yes"}));
        sleep(ms(500)).await;
        assert_eq!(cluster.told_of(1, "probe.done"), Vec::<Value>::new());
        assert_eq!(cluster.told_of(1, "probe.send").len(), 2, "both are told that it was not done");
        cluster.faults.lost(false);
        sleep(ms(2000)).await;
        cluster.settled().await;
        assert_eq!(cluster.stored(1, "n").await, Some(0));
        assert_eq!((cluster.stored(2, "n").await, cluster.stored(4, "n").await), (Some(0), Some(0)));
        assert_eq!(cluster.told_of(1, "probe.done"), Vec::<Value>::new());
        let answer = ask(&cluster, 1, "probe.add", value!({}), "probe.add").await;
        assert_eq!(answer.field("n"), Some(&Value::Int(1)), "it recovers by itself, from what is durable");
    });
}

#[test]
fn two_servers_hold_one_player_the_stale_one_is_refused_and_its_neighbours_are_not() {
    test(async |cluster, _| {
        cluster.till().log_out(2).await;
        // Server 1 has the record of player 2, who is offline.
        validated(&cluster, 2, "probe.act", value!("probe.yes")).await;
        let server = cluster.server(GAME1).unwrap();
        cluster.net.hold(MASTER, GAME1);
        let add = |uid| {
            server.run(uid, "probe.test", async |player: Player| {
                player.add("n", 10)?;
                Ok(None)
            })
        };
        let (stale, neighbour) = (tokio::task::spawn_local(add(2)), tokio::task::spawn_local(add(4)));
        let till = cluster.till();
        let login = tokio::task::spawn_local(async move { till.log_in(2, Some(GAME2)).await });
        // The master waits 2 s for a server that does not let go, and then takes the record.
        sleep(ms(2400)).await;
        login.await.unwrap().unwrap();
        let taken = ask(&cluster, 2, "probe.add", value!({}), "probe.add").await;
        assert_eq!(taken.field("n"), Some(&Value::Int(2)));
        cluster.net.heal(MASTER, GAME1);
        assert!(stale.await.unwrap().is_err(), "that server is told");
        assert!(neighbour.await.unwrap().is_ok(), "the same flush");
        assert_eq!((cluster.stored(2, "n").await, cluster.stored(4, "n").await), (Some(2), Some(10)));
        assert!(cluster.count(GAME1, "records_lost") > 0);
    });
}

#[test]
fn a_request_that_is_sent_again_runs_once_and_gets_the_same_response() {
    test(async |cluster, _| {
        let fields = || value!({"_request": "r1"});
        let first = ask(&cluster, 1, "probe.add", fields(), "probe.add").await;
        assert_eq!(first, value!({"_type": "probe.add", "_request": "r1", "n": 1}));
        // Over the same session, over a new one, and on another server.
        assert_eq!(ask(&cluster, 1, "probe.add", fields(), "probe.add").await, first);
        cluster.till().log_out(1).await;
        cluster.till().log_in(1, Some(GAME2)).await.unwrap();
        assert_eq!(ask(&cluster, 1, "probe.add", fields(), "probe.add").await, first);
        assert_eq!(cluster.stored(1, "n").await, Some(1));
        // Two at once, and the response of a request that a later handler gives.
        for _ in 0..2 {
            request(&cluster, 1, "user.giveMoney", value!({"id": 2, "_request": "r2"}));
        }
        cluster.until("both are told", || !cluster.told_of(1, "user.giveMoney").is_empty()).await;
        cluster.settled().await;
        let again =
            ask(&cluster, 1, "user.giveMoney", value!({"id": 2, "_request": "r2"}), "user.giveMoney").await;
        let told = cluster.told_of(1, "user.giveMoney");
        assert!(told.iter().all(|one| *one == again), "{told:?}");
        assert_eq!(code(&again), Some("ok"));
        assert_eq!(cluster.stored(1, "money").await, Some(MONEY - AMOUNT));
        // Another's request of the same id is another request.
        let others = ask(&cluster, 4, "probe.add", fields(), "probe.add").await;
        assert_eq!(others.field("n"), Some(&Value::Int(1)));
    });
}

#[test]
fn notifications_of_one_sender_to_one_receiver_arrive_in_the_order_sent() {
    for seed in 0..12 {
        test_with(Options::default(), seed, async |cluster, _| {
            cluster.tend(ms(200));
            for round in 0..6 {
                request(&cluster, 1, "probe.many", value!({"to": 2, "from": round * 10}));
                match (seed + round as u64) % 6 {
                    0 => cluster.cut(MASTER, GAME2, ms(300)),
                    1 => cluster.hold(MASTER, GAME1, ms(300)),
                    2 => cluster.kill(GAME2, seed % 2 == 0),
                    3 => drop(cluster.till().move_to(2, GAME1).await),
                    4 => cluster.kill(MASTER, seed % 2 == 0),
                    _ => {}
                }
                sleep(ms(30)).await;
            }
            cluster.whole().await;
            sleep(ms(1000)).await;
            cluster.settled().await;
            cluster.decided().await;
            cluster.settled().await;
            let list = list(&cluster, 2).await;
            let sorted: Vec<i64> = {
                let mut sorted = list.clone();
                sorted.sort_unstable();
                sorted.dedup();
                sorted
            };
            assert_eq!(list, sorted, "seed {seed}");
            assert!(list.len() >= 10, "seed {seed}: only {list:?}");
        });
    }
}

// Section 4.

#[test]
fn waiting_inside_a_handler_for_ones_own_player_fails_at_once() {
    test(async |cluster, _| {
        let answer = ask(&cluster, 1, "probe.deadlock", value!({}), "probe.deadlock").await;
        let text = answer.field("error").and_then(Value::as_str).unwrap_or_default();
        assert!(text.contains("player 1 is owned by the handler that waits"), "{answer:?}");
    });
}

#[test]
fn output_waits_for_pending_commits_and_later_output_to_the_same_receiver_queues_behind() {
    test(async |cluster, _| {
        cluster.net.hold(MASTER, GAME1);
        request(&cluster, 1, "probe.add", value!({}));
        sleep(ms(20)).await;
        // Touches no record, but must not overtake.
        request(&cluster, 1, "probe.echo", value!({}));
        // Nobody's record, nobody behind whom it would queue.
        let echo = ask(&cluster, 4, "probe.echo", value!({}), "probe.echo").await;
        assert_eq!(code(&echo), None);
        sleep(ms(300)).await;
        let told: Vec<(u64, Value)> =
            cluster.told.borrow().iter().filter(|(uid, _)| *uid == 1).cloned().collect();
        assert_eq!(told, Vec::new());
        // A handler that only reads what is not durable waits as well.
        request(&cluster, 1, "user.balance", value!({}));
        sleep(ms(300)).await;
        assert_eq!(cluster.told_of(1, "user.balance"), Vec::<Value>::new());
        cluster.net.heal(MASTER, GAME1);
        cluster.until("all are told", || !cluster.told_of(1, "user.balance").is_empty()).await;
        let kinds: Vec<String> = {
            let told = cluster.told.borrow();
            let of = told.iter().filter(|(uid, _)| *uid == 1);
            of.filter_map(|(_, told)| told.field("_type")?.as_str().map(str::to_owned)).collect()
        };
        assert_eq!(kinds, ["probe.add", "probe.echo", "user.balance"]);
    });
}

#[test]
fn handlers_that_touched_no_record_wait_for_nothing() {
    test(async |cluster, _| {
        cluster.faults.lost(true);
        cluster.net.hold(MASTER, GAME1);
        let echo = ask(&cluster, 1, "probe.echo", value!({"a": 1}), "probe.echo").await;
        assert_eq!(echo.field("fields").and_then(|fields| fields.field("a")), Some(&Value::Int(1)));
    });
}

#[test]
fn a_commit_that_fails_discards_later_runs_that_read_what_it_wrote_and_they_run_again() {
    let mut partly = 0;
    for seed in 0..30 {
        test_with(Options::default(), seed, async |cluster, _| {
            cluster.faults.at(0, if seed % 2 == 0 { Fault::Fail } else { Fault::LoseWork });
            for after in [seed % 4, 1, 1, 0] {
                request(&cluster, 1, "probe.add", value!({}));
                sleep(ms(after)).await;
            }
            cluster.until("all are told", || cluster.told_of(1, "probe.add").len() == 4).await;
            let told = cluster.told_of(1, "probe.add");
            let seen: Vec<i64> = told.iter().filter_map(|told| told.field("n")?.as_int()).collect();
            // Each tells what is then true, and no two the same.
            assert_eq!(seen, Vec::from_iter(1..=seen.len() as i64), "seed {seed}: {told:?}");
            assert_eq!(cluster.stored(1, "n").await, Some(seen.len() as i64), "seed {seed}");
            partly += u32::from(seed % 2 == 0 && (1..4).contains(&seen.len()));
        });
    }
    assert!(partly > 0, "never did one fail and another stand");
}

// Bad input.

#[test]
fn the_runtimes_own_names_are_stripped_from_what_a_player_sends() {
    test(async |cluster, _| {
        let forged = value!({"_validate": {"func": "probe.yes"}, "_durable": true, "_id": 2, "a": 1});
        let echo = ask(&cluster, 1, "probe.echo", forged, "probe.echo").await;
        assert_eq!(echo.field("fields"), Some(&value!({"_type": "probe.echo", "a": 1})));
    });
}

#[test]
fn a_uid_that_never_existed_fails_validation_and_the_sender_learns_it() {
    test(async |cluster, log| {
        let record = validated(&cluster, 99, "probe.act", value!("probe.yes")).await;
        assert_eq!(code(&record), Some("userNotFound"));
        assert_eq!(runs(&log), ["fail 1 on 30"]);
        assert!(cluster.store().unwrap().load(99).await.unwrap().is_none());
    });
}

#[test]
fn a_record_over_its_limit_is_an_error_and_nothing_is_half_done() {
    test(async |cluster, _| {
        let answer = ask(&cluster, 1, "probe.large", value!({}), "probe.large").await;
        assert_eq!(code(&answer), Some("handlerFailed"));
        let answer = ask(&cluster, 1, "probe.add", value!({}), "probe.add").await;
        assert_eq!(answer.field("n"), Some(&Value::Int(1)));
    });
}

#[test]
fn a_type_change_of_a_declared_attribute_is_an_error_and_nothing_is_half_done() {
    test(async |cluster, _| {
        let answer = ask(&cluster, 1, "probe.retype", value!({}), "probe.retype").await;
        assert_eq!(code(&answer), Some("handlerFailed"));
        let answer = ask(&cluster, 1, "probe.add", value!({}), "probe.add").await;
        assert_eq!(answer.field("n"), Some(&Value::Int(1)));
    });
}

#[test]
fn notifications_that_chase_each_other_end_at_the_limit_of_depth() {
    test(async |cluster, _| {
        request(&cluster, 1, "probe.send", value!({"to": 2, "type": "probe.again", "durable": true}));
        cluster.until("the chain ends", || cluster.count(GAME2, "handlers_failed") > 0).await;
        cluster.settled().await;
        assert_eq!(cluster.dead_letters().await, ["handlerFailed probe.again"]);
    });
}

#[test]
fn a_result_that_cannot_be_stored_fails_the_step_and_its_sender_learns_it() {
    test(async |cluster, _| {
        let record = validated(&cluster, 2, "probe.big", value!("probe.yes")).await;
        assert_eq!(code(&record), Some("handlerFailed"));
        let record = validated(&cluster, 2, "probe.act", value!("probe.big")).await;
        assert_eq!(code(&record), None, "func is content; what it returns goes nowhere");
        assert_eq!(cluster.stored(2, "n").await, Some(100));
        assert_eq!(cluster.unsettled().await, 0);
    });
}

#[test]
fn a_node_cannot_be_asked_for_the_runtimes_own_methods_by_a_mod() {
    test(async |cluster, _| {
        let server = cluster.server(GAME1).unwrap();
        let answer = server
            .node()
            .ask::<_, Value>(
                chappe_wire::Row::RpcMethod,
                To::Node(GAME2),
                ("$notify", "deliver"),
                &1,
                ms(1000),
            )
            .await;
        assert!(answer.is_err());
    });
}

#[test]
fn plain_notifications_keep_their_order_and_follow_a_player_who_moves() {
    let more: Rc<dyn Fn(&Server)> = Rc::new(|server| probe(server, &Log::default()));
    let plan = Plan { games: 3, more: Some(more), ..Plan::new(7) };
    run_with(plan, async move |cluster: Rc<Cluster>| {
        cluster.up().await;
        cluster.till().log_in(2, Some(GAME2)).await.unwrap();
        let send = |numbers: std::ops::Range<i64>| {
            let sender = cluster.server(GAME1).unwrap();
            for number in numbers {
                sender.notify(2, value!({"_type": "probe.append", "number": number})).unwrap();
            }
        };
        let arrived = async |count: usize| {
            while list(&cluster, 2).await.len() < count {
                sleep(ms(5)).await;
            }
        };
        // The first ones wait until it is known where the player is; the others need not.
        send(0..40);
        arrived(40).await;
        send(40..80);
        arrived(80).await;
        assert_eq!(list(&cluster, 2).await, (0..80).collect::<Vec<_>>());
        cluster.till().move_to(2, GAME3).await.unwrap();
        send(80..120);
        arrived(120).await;
        cluster.till().log_out(2).await;
        send(120..160);
        arrived(160).await;
        let mut all = list(&cluster, 2).await;
        all.sort_unstable();
        assert_eq!(all, (0..160).collect::<Vec<_>>(), "each once");
    });
}

/// Gifts to two players in one request; each outcome answers it.
fn pair(server: &Server) {
    let (sender, cacher) = (server.clone(), server.clone());
    let module = Module::new("pair")
        .attributes(Attributes::new(1).default("done", 0).default("got", 0))
        .request("twice", move |player: Player, _| {
            let server = sender.clone();
            async move {
                for uid in [2, 3] {
                    let validate = value!({"func": nil, "onSuccess": "pair.done", "id": player.uid()});
                    server.notify(uid, value!({"_type": "pair.act", "_validate": validate}))?;
                }
                Ok(())
            }
        })
        .request("cached", move |player: Player, _| {
            let server = cacher.clone();
            async move {
                server.cache_notify(value!({"_type": "news.heard"}))?;
                player.add("done", 1)?;
                Err::<(), _>(HandlerError::refuse("no"))
            }
        })
        .handler("act", async |player: Player, _| player.add("got", 1).map(drop))
        .handler("done", async |player: Player, _| {
            player.add("done", 1)?;
            player.response("pair.twice", value!({"errorCode": "ok"}))?;
            Ok(())
        });
    server.register(module).unwrap();
}

fn pairs(test: impl AsyncFnOnce(Rc<Cluster>)) {
    let plan = Plan { more: Some(Rc::new(pair)), ..Plan::new(11) };
    run_with(plan, async move |cluster: Rc<Cluster>| {
        cluster.up().await;
        for (uid, server) in [(1, GAME1), (2, GAME2), (3, GAME1)] {
            cluster.till().log_in(uid, Some(server)).await.unwrap();
        }
        test(cluster).await;
    });
}

#[test]
fn the_second_outcome_of_one_request_is_lost_with_its_answer() {
    pairs(async |cluster| {
        request(&cluster, 1, "pair.twice", value!({"_request": "r1"}));
        sleep(ms(500)).await;
        cluster.settled().await;
        assert_eq!(cluster.stored(1, "done").await, Some(2));
        assert_eq!((cluster.stored(2, "got").await, cluster.stored(3, "got").await), (Some(1), Some(1)));
    });
}

#[test]
fn a_notification_from_outside_a_handler_is_lost_when_its_commit_is_in_doubt() {
    pairs(async |cluster| {
        cluster.faults.at(0, Fault::LoseWork);
        let server = cluster.server(GAME1).unwrap();
        server.notify(2, value!({"_type": "pair.act", "_durable": true})).unwrap();
        sleep(ms(3000)).await;
        cluster.settled().await;
        assert_eq!(cluster.stored(2, "got").await, Some(1));
    });
}

#[test]
fn a_handler_that_refuses_has_told_the_master_all_the_same() {
    pairs(async |cluster| {
        let server = cluster.server(GAME1).unwrap();
        let told = || server.node().report().sent.get(&Row::CacheNotify.code()).copied().unwrap_or(0);
        request(&cluster, 1, "pair.cached", value!({}));
        sleep(ms(3000)).await;
        assert_eq!(told(), 0);
        server.cache_notify(value!({"_type": "news.heard"})).unwrap();
        sleep(ms(3000)).await;
        assert_eq!(told(), 1, "outside of a handler it goes by itself");
        assert_eq!(cluster.stored(1, "done").await, Some(0));
    });
}
