//! The promises that hold over every link (design, section 3), and what each call refuses, by name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_node::system::{ServerSystem, ServiceSystem};
use chappe_node::{Receipt, SendError};
use chappe_tests::world::{World, link_if_possible, until};
use chappe_wire::{NodeId, Reason, Role, Value, value};
use serde::{Serialize, Serializer};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(5);

const NODES: [(i64, Role, &str); 11] = [
    (1, Role::Master, "master"),
    (20, Role::Lobby, "lobby"),
    (30, Role::Game, "duel"),
    (6001, Role::Service, "service_mail"),
    (6002, Role::Service, "service_mail"),
    (6003, Role::Service, "service_away"),
    (6004, Role::Service, "service_guild"),
    (6005, Role::Service, "service_guild"),
    (6006, Role::Service, "service_guild"),
    (6007, Role::Service, "service_guild"),
    (6008, Role::Service, "service_guild"),
];

/// Runs a test in a world in which all but 6003 are up.
fn over<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Rc<World>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let dir = tempfile::tempdir().unwrap();
        let Some(link) = link_if_possible(name, dir.path()) else { return };
        let world = World::new(link, &NODES, |id| id != 6003).await.unwrap();
        test(Rc::new(world)).await;
    });
}

/// Each promise over each link: `fn promise(world)` becomes the tests `promise::memory`,
/// `promise::local` and `promise::nats`.
macro_rules! over_every_link {
    ($($promise:ident)*) => {
        $(mod $promise {
            #[test] fn memory() { super::over("memory", super::check::$promise); }
            #[test] fn local() { super::over("local", super::check::$promise); }
            #[test] fn nats() { super::over("nats", super::check::$promise); }
        })*
    };
}

over_every_link! {
    messages_of_all_kinds_keep_their_order
    a_frozen_peer_fills_its_own_queue_and_nobody_elses
    a_broadcast_is_encoded_once
    a_receipt_says_who_has_it_and_who_has_not
    data_over_the_limit_is_refused_at_the_call
    data_that_cannot_be_sent_is_refused_with_its_path
    an_address_that_leads_nowhere_is_refused_by_name
    a_receiver_gets_its_own_copy
}

fn lobby(world: &World) -> ServerSystem {
    ServerSystem::new(world.node(20), "C", "lobby")
}

fn reason<T: std::fmt::Debug>(result: Result<T, SendError>) -> (Reason, String) {
    let error = result.expect_err("it was sent");
    (error.reason(), error.to_string())
}

mod check {
    use super::*;

    pub(super) async fn messages_of_all_kinds_keep_their_order(world: Rc<World>) {
        let (lobby, mail) = (lobby(&world), ServiceSystem::new(world.node(6008), "C", "guild"));
        let seen = Rc::new(RefCell::new(Vec::new()));
        let into = seen.clone();
        mail.listen("C", "lobby", "N", move |event| into.borrow_mut().push(event.data::<u64>().unwrap()));
        let into = seen.clone();
        mail.register_rpc_method("only_here", "N", move |call| {
            into.borrow_mut().push(call.args().unwrap());
            let _ = call.respond(&());
        });
        let serves = || {
            let known = |view: &chappe_node::View| {
                view.members().any(|member| member.modules.iter().any(|name| name == "only_here"))
            };
            world.node(20).with_view(known)
        };
        until("the module is known", serves).await.unwrap();
        for n in 0..3000u64 {
            match n % 3 {
                0 => drop(lobby.notify_to_service_node(NodeId(6008), "N", &n).unwrap()),
                1 => drop(lobby.broadcast_to_service("N", &n).unwrap()),
                _ => lobby.request_to_service_with("only_here", "N", &n, SECOND, |_| {}).unwrap(),
            }
            if n % 100 == 99 {
                tokio::task::yield_now().await;
            }
        }
        until("all have arrived", || seen.borrow().len() == 3000).await.unwrap();
        assert_eq!(*seen.borrow(), (0..3000).collect::<Vec<_>>());
    }

    pub(super) async fn a_frozen_peer_fills_its_own_queue_and_nobody_elses(world: Rc<World>) {
        let lobby = lobby(&world);
        let slow = world.hears(6001, "lobby", "Big");
        world.freeze(6001, true);
        let data = vec![7u8; 16 << 10];
        let (mut accepted, mut refusal) = (0, None);
        for n in 0..2000u64 {
            match lobby.notify_to_service_node(NodeId(6001), "Big", &(n, serde_bytes(&data))) {
                Ok(_) => accepted += 1,
                Err(error) => {
                    refusal = Some(error);
                    break;
                }
            }
            tokio::task::yield_now().await;
        }
        let refusal = refusal.expect("its queue has no bound");
        assert_eq!((refusal.reason(), refusal.reason().is_transient()), (Reason::Overloaded, true));
        // Others do not notice.
        for other in [6002, 6004] {
            let receipt =
                lobby.notify_to_service_node(NodeId(other), "Other", &data).unwrap().receipt().await;
            assert_eq!(receipt.to_string(), "1 of 1");
        }
        let receipt = lobby.broadcast_to_service("Big", &0);
        let missing = receipt.unwrap().missing().iter().map(|at| (at.node, at.reason)).collect::<Vec<_>>();
        assert!(missing.contains(&(Some(NodeId(6001)), Reason::Overloaded)), "{missing:?}");
        // And what was accepted arrives when it goes on, in order.
        world.freeze(6001, false);
        until("all that was accepted is there", || slow.borrow().len() >= accepted).await.unwrap();
        let slow = slow.borrow();
        let numbers = slow.iter().map(|(_, data)| data.as_list().unwrap()[0].as_uint().unwrap());
        assert_eq!(numbers.collect::<Vec<_>>(), (0..accepted as u64).collect::<Vec<_>>());
    }

    pub(super) async fn a_broadcast_is_encoded_once(world: Rc<World>) {
        let heard: Vec<_> = [6001, 6002, 6004].map(|id| world.hears(id, "lobby", "Once")).into();
        let count = Rc::new(Cell::new(0));
        lobby(&world).broadcast_to_service("Once", &Counted(count.clone())).unwrap();
        until("all have it", || heard.iter().all(|heard| heard.borrow().len() == 1)).await.unwrap();
        assert_eq!(count.get(), 1);
    }

    pub(super) async fn a_receipt_says_who_has_it_and_who_has_not(world: Rc<World>) {
        let receipt: Receipt = lobby(&world).broadcast_to_service("Any", &1).unwrap().receipt().await;
        assert_eq!(receipt.to_string(), "7 of 8; missing 6003: Disconnected");
    }

    pub(super) async fn data_over_the_limit_is_refused_at_the_call(world: Rc<World>) {
        let limit = world.node(20).config().limits.message_bytes;
        let data = "x".repeat(limit + 1);
        let sent = lobby(&world).notify_to_service_node(NodeId(6001), "Big", &data);
        let (reason, text) = reason(sent);
        assert_eq!(reason, Reason::TooLarge);
        let size = (limit + 6).to_string();
        assert!(text.contains(&limit.to_string()) && text.contains(&size), "{text}");
        let asked = lobby(&world).request_to_service::<_, ()>("service_mail", "M", &data, SECOND).await;
        let failure = asked.unwrap_err();
        assert_eq!(failure.reason, Reason::TooLarge);
        assert!(failure.message.contains(&limit.to_string()), "{failure}");
    }

    pub(super) async fn data_that_cannot_be_sent_is_refused_with_its_path(world: Rc<World>) {
        // A list is no key.
        let bad = BTreeMap::from([("items", vec![BTreeMap::from([(vec![1], 2)])])]);
        let (reason, text) = reason(lobby(&world).notify_to_service_node(NodeId(6001), "Bad", &bad));
        assert_eq!(reason, Reason::BadData);
        assert!(text.starts_with("NotifyToServiceNode: ") && text.contains("data['items'][0]"), "{text}");
    }

    pub(super) async fn an_address_that_leads_nowhere_is_refused_by_name(world: Rc<World>) {
        let (lobby, mail) = (lobby(&world), ServiceSystem::new(world.node(6001), "C", "mail"));
        let cases = [
            (reason(lobby.notify_to_service_node(NodeId(99), "E", &1)), Reason::NoRoute, "node 99"),
            (reason(lobby.notify_to_service_node(NodeId(30), "E", &1)), Reason::WrongRole, "node 30"),
            (reason(lobby.notify_to_service_node(NodeId(6003), "E", &1)), Reason::Disconnected, "node 6003"),
            (reason(mail.notify_to_server_node(NodeId(6002), "E", &1)), Reason::WrongRole, "node 6002"),
            (reason(mail.remote_notify_to_client(7, NodeId(20), "E", &1)), Reason::WrongRole, "proxy 20"),
            (reason(mail.broadcast_to_server_by_type("nothing", "E", &1)), Reason::NoRoute, "\"nothing\""),
        ];
        for ((reason, text), wanted, named) in cases {
            assert_eq!(reason, wanted, "{text}");
            assert!(text.contains(named), "{text:?} does not name {named}");
        }
        let nobody = lobby.request_to_service::<_, Value>("nobodys", "M", &1, SECOND).await.unwrap_err();
        assert_eq!(nobody.reason, Reason::NoProvider);
        assert!(nobody.message.contains("nobodys"), "{nobody}");
        let method = lobby.request_to_service_mod::<_, Value>("service_mail", "None", &1, SECOND).await;
        let method = method.unwrap_err();
        // The module's nodes serve nothing else of that name.
        assert!(matches!(method.reason, Reason::NoProvider | Reason::NoMethod), "{method}");
        assert!(method.message.contains("\"None\"") && method.message.contains("service_mail"), "{method}");
        // Declared, and away: it waits within its deadline.
        let short = Duration::from_millis(50);
        let away = lobby.request_to_service_mod::<_, Value>("service_away", "M", &1, short).await;
        assert_eq!(away.unwrap_err().reason, Reason::DeadlineExceeded);
    }

    pub(super) async fn a_receiver_gets_its_own_copy(world: Rc<World>) {
        let mail = ServiceSystem::new(world.node(6001), "C", "mail");
        let (own, other) = (world.hears(6001, "mail", "Copy"), world.hears(6002, "mail", "Copy"));
        let mut data = vec![value!({"a": 1})];
        mail.broadcast_to_service("Copy", &data).unwrap();
        data[0] = value!({"a": 2});
        until("both have it", || own.borrow().len() + other.borrow().len() == 2).await.unwrap();
        assert_eq!(
            (own.borrow()[0].1.clone(), other.borrow()[0].1.clone()),
            (value!([{"a": 1}]), value!([{"a": 1}]))
        );
    }
}

/// Bytes as bytes and not as a list of numbers.
fn serde_bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.to_vec())
}

/// Counts how often it is encoded.
struct Counted(Rc<Cell<u32>>);

impl Serialize for Counted {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.set(self.0.get() + 1);
        to.serialize_str("counted")
    }
}
