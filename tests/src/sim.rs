//! A whole cluster in one thread, on virtual time, under faults that a seed decides.
//!
//! Each node is a [`LocalSet`] of its own: killing it is dropping the set, freezing it is not polling it. One
//! driver polls the script of faults and then every set, in the order of their ids, so that a seed always gives
//! the same run.

mod script;

use crate::fault::{Net, Trick};
use crate::load::{MASTER_MODULE, Part};
use crate::oracle::{Entry, Life, Oracle, accounts};
use crate::rng::Rng;
use crate::sessions::Door;
use chappe_master::Master;
use chappe_node::{Beats, Config, Declared, Node, NodeError, Report, State, Timing};
use chappe_wire::{NodeId, Reason, Role};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::sleep;

/// What a run is to be like.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// For how long faults and load go on, in virtual time.
    pub length: Duration,
    /// Whether there are faults at all.
    pub faults: bool,
    /// Whether nodes are replaced all the time, as `chappe roll` does: nothing at all may be lost then.
    pub rolls: bool,
    /// A sabotage of the link.
    pub trick: Option<Trick>,
}

impl Plan {
    /// A run of eight seconds with faults.
    pub fn new(seed: u64) -> Plan {
        Plan { seed, length: Duration::from_secs(8), faults: true, rolls: false, trick: None }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Decides everything.
    pub seed: u64,
    /// The promises that were broken; empty is what is wanted.
    pub violations: Vec<String>,
    /// The faults, in order.
    pub story: Vec<String>,
    /// Every step, the same for the same seed.
    pub trace: Vec<Entry>,
    /// How often a message was dropped, or a request ended, for each reason.
    pub reasons: BTreeMap<Reason, u64>,
    /// Messages that were sent.
    pub messages: usize,
    /// How often the link's trick was played.
    pub tricks: u64,
}

impl Outcome {
    /// Panics with everything that helps, unless all promises were kept.
    pub fn assert_clean(&self) {
        assert!(self.violations.is_empty(), "{self}");
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "SEED={} ({} messages); what happened:", self.seed, self.messages)?;
        self.story.iter().try_for_each(|line| writeln!(f, "    {line}"))?;
        writeln!(f, "promises broken:")?;
        self.violations.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

/// Runs one seeded schedule.
pub fn run(plan: Plan) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    runtime.block_on(async move {
        let cluster = Cluster::new(plan);
        cluster.drive(script::play(&cluster)).await;
        cluster.outcome()
    })
}

/// The cluster of a run.
pub(crate) struct Cluster {
    pub(crate) plan: Plan,
    pub(crate) rng: Rng,
    pub(crate) net: Net,
    pub(crate) oracle: Oracle,
    pub(crate) active: Rc<Cell<bool>>,
    pub(crate) begun: Rc<Cell<bool>>,
    pub(crate) nodes: Rc<Vec<(NodeId, Role, String)>>,
    pub(crate) up: RefCell<BTreeMap<NodeId, Up>>,
    sets: RefCell<BTreeMap<NodeId, LocalSet>>,
    pub(crate) frozen: RefCell<BTreeSet<NodeId>>,
    lives: RefCell<BTreeMap<NodeId, u64>>,
    /// What dead lives had counted when they died.
    books: RefCell<BTreeMap<Life, Report>>,
    dead: RefCell<BTreeSet<Life>>,
}

/// A life that runs.
pub(crate) struct Up {
    pub(crate) node: Node,
    pub(crate) life: Life,
    pub(crate) ended: Rc<RefCell<Option<Result<(), NodeError>>>>,
    pub(crate) master: Option<Master>,
}

impl Cluster {
    fn new(plan: Plan) -> Rc<Cluster> {
        let nodes = [
            (1, Role::Master, "master"),
            (10, Role::Proxy, "proxy"),
            (11, Role::Proxy, "proxy"),
            (20, Role::Lobby, "lobby"),
            (30, Role::Game, "duel"),
            (31, Role::Game, "duel"),
            (40, Role::Service, "service_mail"),
            (41, Role::Service, "service_guild"),
            (42, Role::Service, "service_mail"),
        ];
        let nodes = nodes.map(|(id, role, name)| (NodeId(id), role, name.to_owned()));
        Rc::new(Cluster {
            plan,
            rng: Rng::part(plan.seed, &[0]),
            net: Net::new(Rng::part(plan.seed, &[1]).next(), plan.trick),
            oracle: Oracle::new(plan.rolls),
            active: Rc::new(Cell::new(true)),
            // What is sent before a node is there is lost, and that is no roll's fault.
            begun: Rc::new(Cell::new(!plan.rolls)),
            nodes: Rc::new(nodes.to_vec()),
            up: RefCell::default(),
            sets: RefCell::default(),
            frozen: RefCell::default(),
            lives: RefCell::default(),
            books: RefCell::default(),
            dead: RefCell::default(),
        })
    }

    /// Polls `script` and all nodes that are not frozen, until the script ends.
    async fn drive(&self, script: impl Future<Output = ()>) {
        let mut script = pin!(script);
        poll_fn(|cx| {
            if script.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            for (id, set) in self.sets.borrow_mut().iter_mut() {
                if !self.frozen.borrow().contains(id) {
                    let _ = pin!(set).poll(cx);
                }
            }
            Poll::Pending
        })
        .await;
    }

    fn config(&self, id: NodeId, life: u64) -> Option<Config> {
        let (_, role, name) = self.nodes.iter().find(|(node, ..)| *node == id)?;
        let mut config = Config::new("sim", id, *role, name.clone());
        config.master = NodeId(1);
        config.incarnation = life;
        config.declared = Declared { nodes: self.nodes.to_vec(), modules: vec![MASTER_MODULE.to_owned()] };
        config.timing = Timing {
            heartbeat: Duration::from_secs(1),
            loss: Duration::from_secs(3),
            stuck: Duration::from_secs(2),
            resume: Duration::from_secs(5),
        };
        Some(config)
    }

    /// Starts the next life of a node.
    pub(crate) fn start(&self, id: NodeId) {
        let life = {
            let mut lives = self.lives.borrow_mut();
            let life = lives.entry(id).or_default();
            *life += 1;
            *life
        };
        let Some(config) = self.config(id, life) else { return };
        let node = Node::new(config);
        let rng = Rc::new(Rng::part(self.plan.seed, &[2, id.0, life as i64]));
        let part = Part {
            node: node.clone(),
            life: Life { node: id, life },
            oracle: self.oracle.clone(),
            rng: rng.clone(),
            active: self.active.clone(),
            begun: self.begun.clone(),
            nodes: self.nodes.clone(),
            gone: Rc::default(),
        };
        let link = self.net.link(id, life);
        let ended = Rc::new(RefCell::new(None));
        let set = LocalSet::new();
        let master = {
            let _inside = set.enter();
            (node.config().role == Role::Master).then(|| Master::attach(&node))
        };
        let up = Up { node: node.clone(), life: part.life, ended: ended.clone(), master };
        set.spawn_local(async move {
            let gone = part.gone.clone();
            let setup = async |node: &Node| {
                let door = (node.config().role == Role::Proxy).then(|| Door::listen(part.clone()));
                part.listen();
                // Mods take their time to load; nobody may send here meanwhile.
                sleep(Duration::from_millis(part.rng.below(300))).await;
                part.oracle.ready(part.life);
                match door {
                    Some(door) => drop(node.spawn(door.run())),
                    None => drop(node.spawn(part.clone().run())),
                }
                Ok(())
            };
            let result = node.run(link, Beats::Task, setup).await;
            gone.set(true);
            *ended.borrow_mut() = Some(result);
        });
        self.up.borrow_mut().insert(id, up);
        self.sets.borrow_mut().insert(id, set);
    }

    /// Ends a life at once, as kill -9 does.
    pub(crate) fn kill(&self, id: NodeId, drains: bool) {
        let Some(up) = self.up.borrow_mut().remove(&id) else { return };
        self.books.borrow_mut().insert(up.life, up.node.report());
        self.dead.borrow_mut().insert(up.life);
        self.oracle.died(up.life);
        self.net.kill(id, up.life.life, drains);
        self.frozen.borrow_mut().remove(&id);
        let set = self.sets.borrow_mut().remove(&id);
        drop(set);
    }

    /// Whether every node is up, ready, and known as such to all others.
    pub(crate) fn is_whole(&self) -> bool {
        let up = self.up.borrow();
        let knows = |at: &Up| {
            up.values().all(|other| {
                at.node.with_view(|view| {
                    view.member(other.life.node).is_some_and(|member| {
                        member.state == State::Ready && member.incarnation == other.life.life
                    })
                })
            })
        };
        up.len() == self.nodes.len()
            && up
                .values()
                .all(|at| at.node.state() == State::Ready && at.ended.borrow().is_none() && knows(at))
    }

    /// Who keeps the cluster from being whole.
    pub(crate) fn holes(&self) -> String {
        let up = self.up.borrow();
        let of = |at: &Up| {
            let knows = at.node.with_view(|view| {
                let members = view.members();
                members
                    .map(|at| format!("{}.{} {}", at.id, at.incarnation, at.state.as_str()))
                    .collect::<Vec<_>>()
            });
            format!("{} is {} and knows {}", at.life, at.node.state().as_str(), knows.join(", "))
        };
        up.values().map(of).collect::<Vec<_>>().join("\n        ")
    }

    fn outcome(&self) -> Outcome {
        let mut books = self.books.take();
        books.extend(self.up.borrow().values().map(|up| (up.life, up.node.report())));
        let dead = self.dead.borrow();
        for wrong in accounts::audit(&books, |life| dead.contains(&life)) {
            self.oracle.wrong(wrong);
        }
        if self.plan.rolls {
            accounts::lost(&books).into_iter().for_each(|wrong| self.oracle.wrong(wrong));
        }
        let late = accounts::late_answers(&books);
        let left = self.oracle.answers_left();
        if late > left {
            self.oracle.wrong(format!("{late} answers came late, and only {left} can have"));
        }
        let mut reasons = self.oracle.reasons();
        for (_, reason, count) in books.values().flat_map(|book| &book.dropped) {
            *reasons.entry(*reason).or_default() += count;
        }
        let (violations, story, trace) = self.oracle.judge();
        let (messages, tricks) = (self.oracle.sent(), self.net.tricks());
        Outcome { seed: self.plan.seed, violations, story, trace, reasons, messages, tricks }
    }
}
