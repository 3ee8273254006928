//! Broadcasts sent `unordered`, over a network that publishes to many and can lose what it is told to: who gets them, how
//! often, and what is counted.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod common;

use chappe_link::memory::MemoryLink;
use chappe_link::{
    Buffer, Conn, Dialing, Group, Hearing, Link, ListenError, Listener, Opening, Publication, Spread,
    Subscribing,
};
use chappe_node::system::ServiceSystem;
use chappe_node::{Config, Declared, Node, State, ViewChange};
use chappe_wire::{NodeId, Reason, Role, Row};
use common::{AnyLink, SECOND, config, stand_in_master, start, until};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::sync::mpsc;

#[tokio::test(start_paused = true)]
async fn ten_nodes_are_not_sent_ten_frames_and_none_hears_a_broadcast_twice() {
    cluster(10, async |net, mail, lobbies| {
        let heard: Vec<_> = lobbies.iter().map(hears).collect();
        let mut sent = 0;
        sent += until_published(&mail, 10, sent).await;
        let before = net.published();
        for n in sent..sent + 100 {
            assert_eq!(broadcast(&mail, n).published(), 10);
        }
        sent += 100;
        assert_eq!(net.published() - before, 100, "one for each broadcast");
        until(|| heard.iter().all(|heard| heard.borrow().len() as u64 >= sent)).await;
        for heard in heard {
            assert!(heard.borrow().iter().copied().eq(0..sent));
        }
        let report = mail.report();
        let pairs = report.pairs.iter().filter(|pair| (20..30).contains(&pair.peer.0));
        assert!(pairs.map(|pair| pair.sent[&Row::ServiceToType.code()]).all(|frames| frames < sent - 100));
        let receipt = broadcast(&mail, sent).receipt().await;
        assert_eq!(receipt.to_string(), "0 of 0; published to 10 more");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_is_counted_also_when_nothing_comes_after_it() {
    cluster(3, async |net, mail, lobbies| {
        let heard: Vec<_> = lobbies.iter().map(hears).collect();
        until_published(&mail, 3, 0).await;
        let lost = |lobby: &Node| {
            let dropped = lobby.report().dropped;
            let lost = dropped.iter().find(|(_, reason, _)| *reason == Reason::Lost);
            lost.map_or(0, |(row, _, count)| {
                assert_eq!(*row, Row::ServiceToType.code());
                *count
            })
        };
        net.lose(2);
        (0..3).for_each(|n| drop(broadcast(&mail, 1000 + n)));
        until(|| heard.iter().all(|heard| heard.borrow().last() == Some(&1002))).await;
        assert!(lobbies.iter().all(|lobby| lost(lobby) == 2), "the third shows that two are missing");
        net.lose(5);
        (0..5).for_each(|n| drop(broadcast(&mail, 2000 + n)));
        until(|| lobbies.iter().all(|lobby| lost(lobby) == 7)).await;
        assert!(heard.iter().all(|heard| heard.borrow().last() == Some(&1002)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_cannot_hear_publications_is_sent_frames() {
    cluster_with(
        4,
        |id| id != 22,
        async |_, mail, lobbies| {
            let heard: Vec<_> = lobbies.iter().map(hears).collect();
            let mut sent = until_published(&mail, 3, 0).await;
            assert_eq!(broadcast(&mail, sent).targets(), 4);
            sent += 1;
            until(|| heard.iter().all(|heard| heard.borrow().len() as u64 == sent)).await;
            tokio::time::sleep(SECOND).await;
            for heard in heard {
                assert!(heard.borrow().iter().copied().eq(0..sent));
            }
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_not_meant_hears_nothing_of_what_the_others_get() {
    cluster(4, async |_, mail, lobbies| {
        let heard: Vec<_> = lobbies.iter().map(hears).collect();
        until_published(&mail, 4, 0).await;
        let mut stuck = mail.with_view(|view| view.member(NodeId(21)).unwrap().clone());
        stuck.state = State::Stuck;
        mail.apply_view(ViewChange { members: vec![stuck], ..ViewChange::default() });
        for n in 5000..5010u64 {
            let sent = broadcast(&mail, n);
            assert_eq!((sent.missing().len(), sent.targets()), (1, 3));
            tokio::time::sleep(SECOND).await;
        }
        until(|| [0, 2, 3].iter().all(|at: &usize| heard[*at].borrow().last() == Some(&5009))).await;
        assert!(heard[1].borrow().iter().all(|n| *n < 5000), "{:?}", heard[1].borrow());
        assert_eq!(broadcast(&mail, 6000).published(), 3, "the other three have a stream of their own");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_new_life_takes_nothing_that_was_published_to_the_one_before() {
    cluster(3, async |net, mail, lobbies| {
        until_published(&mail, 3, 0).await;
        let stream = net.last().stream;
        let before = hears(&lobbies[2]);
        lobbies[2].stop();
        until(|| mail.with_view(|view| view.member(NodeId(22)).is_none())).await;
        let mut again = lobby(22);
        again.incarnation = 2;
        let again = Node::new(again);
        let link: AnyLink = Arc::new(net.clone());
        let after = hears(&again);
        start(&again, &link, |_| {});
        until(|| mail.with_view(|view| view.member(NodeId(22)).is_some_and(|m| m.state == State::Ready)))
            .await;
        let sent = until_published(&mail, 3, 7000).await;
        until(|| after.borrow().len() as u64 == sent).await;
        assert_ne!(net.last().stream, stream, "the stream of the life before is not used again");
        let late = Publication { stream, seq: 1 << 20, ..net.last() };
        net.send(&Group::Servers("lobby".into()), late);
        until(|| again.stats().named("unordered_ignored") > 0).await;
        assert!(after.borrow().iter().copied().eq(7000..7000 + sent));
        assert!(before.borrow().iter().all(|n| *n < 7000));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_anyone_publishes_who_was_not_let_in_is_not_taken() {
    cluster(3, async |net, mail, lobbies| {
        let heard: Vec<_> = lobbies.iter().map(hears).collect();
        let sent = until_published(&mail, 3, 0).await;
        let group = Group::Servers("lobby".into());
        let stream = net.last().stream;
        net.send(&group, Publication { stream: stream ^ 1, seq: 1, ..net.last() });
        // A stream's own number again, and what is no broadcast.
        net.send(&group, net.last());
        net.send(&group, Publication { seq: net.last().seq + 1, message: b"garbage"[..].into(), stream });
        until(|| lobbies.iter().all(|lobby| lobby.stats().named("protocol_errors") == 1)).await;
        for (lobby, heard) in lobbies.iter().zip(heard) {
            assert_eq!(heard.borrow().len() as u64, sent);
            assert_eq!(
                (lobby.stats().named("unordered_ignored"), lobby.stats().named("unordered_late")),
                (1, 1)
            );
        }
    })
    .await;
}

type Numbers = Rc<RefCell<Vec<u64>>>;

fn hears(node: &Node) -> Numbers {
    let heard = Numbers::default();
    let into = heard.clone();
    node.listen("t", "mail", "N", 0, move |event| into.borrow_mut().push(event.data().unwrap()));
    heard
}

fn broadcast(mail: &ServiceSystem, n: u64) -> chappe_node::Sent {
    mail.broadcast_to_server_by_type_unordered("lobby", "N", &n).unwrap()
}

/// Broadcasts numbers from `from` on until one goes to so many nodes at once; how many it took.
async fn until_published(mail: &ServiceSystem, nodes: usize, from: u64) -> u64 {
    for n in from..from + 1000 {
        if broadcast(mail, n).published() == nodes {
            return n + 1 - from;
        }
        tokio::time::sleep(SECOND / 10).await;
    }
    panic!("it is never published to {nodes}");
}

fn lobby(id: i64) -> Config {
    let mut config = config(id, Role::Lobby, "lobby");
    config.declared = Declared::default();
    config
}

async fn cluster(lobbies: i64, test: impl AsyncFnOnce(Net, ServiceSystem, Vec<Node>)) {
    cluster_with(lobbies, |_| true, test).await;
}

/// A service and lobbies from 20 on, of which those of `hear` know of publications.
async fn cluster_with(
    lobbies: i64,
    hear: impl Fn(i64) -> bool,
    test: impl AsyncFnOnce(Net, ServiceSystem, Vec<Node>),
) {
    let local = tokio::task::LocalSet::new();
    let run = local.run_until(async {
        let net = Net::default();
        let link: AnyLink = Arc::new(net.clone());
        let _master = stand_in_master(&link);
        let mut mail = config(40, Role::Service, "service_mail");
        mail.declared = Declared::default();
        let mail = Node::new(mail);
        let lobbies: Vec<Node> = (20..20 + lobbies).map(|id| Node::new(lobby(id))).collect();
        start(&mail, &link, |_| {});
        for lobby in &lobbies {
            let link: AnyLink = if hear(lobby.id().0) { link.clone() } else { Arc::new(net.memory.clone()) };
            start(lobby, &link, |_| {});
        }
        let ready = |id: NodeId| {
            mail.with_view(|view| view.member(id).is_some_and(|member| member.state == State::Ready))
        };
        until(|| lobbies.iter().all(|lobby| ready(lobby.id()))).await;
        test(net, ServiceSystem::new(&mail, "t", "mail"), lobbies).await;
    });
    run.await;
}

/// The memory link with publications.
#[derive(Clone, Default)]
struct Net {
    memory: MemoryLink,
    air: Arc<Mutex<Air>>,
}

#[derive(Default)]
struct Air {
    hearers: Vec<(Group, mpsc::UnboundedSender<Publication>)>,
    streams: u64,
    published: u64,
    lose: u64,
    last: Option<Publication>,
}

impl Net {
    fn published(&self) -> u64 {
        self.air.lock().unwrap().published
    }

    fn last(&self) -> Publication {
        self.air.lock().unwrap().last.clone().unwrap()
    }

    /// The next so many are lost.
    fn lose(&self, count: u64) {
        self.air.lock().unwrap().lose = count;
    }

    fn send(&self, to: &Group, publication: Publication) {
        let air = self.air.lock().unwrap();
        for (_, hearer) in air.hearers.iter().filter(|(group, _)| group == to) {
            let _ = hearer.send(publication.clone());
        }
    }
}

impl Link for Net {
    fn name(&self) -> &'static str {
        "air"
    }

    fn listen(&self, me: NodeId) -> Result<Box<dyn Listener>, ListenError> {
        Ok(Box::new(Ear(self.memory.listen(me)?)))
    }

    fn spread(&self) -> Option<&dyn Spread> {
        Some(self)
    }

    fn dial(&self, to: NodeId) -> Dialing {
        let dialled = self.memory.dial(to);
        Box::pin(async move { Ok(Box::new(Wire(dialled.await?)) as Box<dyn Conn>) })
    }
}

impl Spread for Net {
    fn open(&self, _: &Group) -> Opening {
        let mut air = self.air.lock().unwrap();
        air.streams += 2;
        Box::pin(std::future::ready(Ok(air.streams)))
    }

    fn publish(&self, group: &Group, stream: u64, seq: u64, message: &[u8]) -> bool {
        let publication = Publication { stream, seq, message: message.to_vec().into() };
        let mut air = self.air.lock().unwrap();
        air.published += 1;
        air.last = Some(publication.clone());
        let is_lost = air.lose > 0;
        air.lose = air.lose.saturating_sub(1);
        drop(air);
        if !is_lost {
            self.send(group, publication);
        }
        true
    }

    fn hear(&self, group: &Group) -> Subscribing {
        let (hearer, heard) = mpsc::unbounded_channel();
        self.air.lock().unwrap().hearers.push((group.clone(), hearer));
        Box::pin(std::future::ready(Ok(Box::new(Heard(heard)) as Box<dyn Hearing>)))
    }
}

struct Heard(mpsc::UnboundedReceiver<Publication>);

impl Hearing for Heard {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Publication>> {
        self.0.poll_recv(cx)
    }
}

struct Ear(Box<dyn Listener>);

impl Listener for Ear {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Conn>>> {
        self.0.poll_accept(cx).map_ok(|conn| Box::new(Wire(conn)) as Box<dyn Conn>)
    }
}

struct Wire(Box<dyn Conn>);

impl Conn for Wire {
    fn poll_read(&self, cx: &mut Context<'_>, into: &mut Buffer) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, into)
    }

    fn try_write(&self, from: &mut Buffer) -> io::Result<()> {
        self.0.try_write(from)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_writable(cx)
    }

    fn close(&self) {
        self.0.close();
    }

    fn is_spread_to(&self) -> bool {
        true
    }

    fn is_within_process(&self) -> bool {
        self.0.is_within_process()
    }
}
