//! One gift with a fault at every step that it takes: which step that is, the gift itself has shown in a run without.

use super::cluster::{Cluster, GAME1, GAME2, MASTER, Plan, run_with};
use super::customers::Customers;
use crate::steps::{self, Step};
use chappe_store::Fault;
use chappe_wire::NodeId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Below and above the time after which the master takes a silent node for lost.
const SHORT: Duration = Duration::from_millis(1000);
const LONG: Duration = Duration::from_millis(4500);

/// How long a run may take, in virtual time: far beyond all time-outs together.
const ENDS: Duration = Duration::from_secs(300);

/// Longer than anything may be on its way: the longest time-out of a request to the master.
const LATE: Duration = Duration::from_secs(15);

/// Who gives to whom, and what is special.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Player 1 on server 1, player 2 on server 2.
    TwoServers,
    /// Both on server 1.
    OneServer,
    /// Player 2 has logged out.
    Offline,
    /// Player 2 has received as often as they may.
    Refused,
    /// As the first; the request has no id, so it is sent once.
    AskedOnce,
}

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// A process dies, and what it had written to the network arrives, or is lost with it.
    Kill(NodeId, bool),
    /// Connections between two nodes end, and none comes up for a while.
    Cut(NodeId, NodeId),
    /// Nothing passes between two nodes, for less or more than a node may be silent.
    Hold(NodeId, NodeId, Duration),
    /// A process stops for longer than it may be silent, and then goes on.
    Stop(NodeId),
    /// The flush that is begun goes wrong.
    Flush(Fault),
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Found {
    /// What is wrong.
    pub wrong: Vec<String>,
    /// The steps, until everything had ended.
    pub steps: Vec<Step>,
    /// How many of the faults came about: a run may end before the step of a second one.
    pub struck: usize,
    /// What the giver was told.
    pub code: String,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Scenario; 5] = [
        Scenario::TwoServers,
        Scenario::OneServer,
        Scenario::Offline,
        Scenario::Refused,
        Scenario::AskedOnce,
    ];

    fn receiver(self) -> u64 {
        if self == Scenario::OneServer { 3 } else { 2 }
    }

    /// The faults that can come at a step.
    pub fn strikes(self, step: Step) -> Vec<Strike> {
        let (mut nodes, mut links) = (vec![MASTER, GAME1], vec![(MASTER, GAME1)]);
        if self != Scenario::OneServer {
            nodes.push(GAME2);
            links.extend([(MASTER, GAME2), (GAME1, GAME2)]);
        }
        let mut strikes = Vec::new();
        if self == Scenario::AskedOnce {
            // What may be lost on the way, and what may come late: the rest is as with an id.
            strikes.extend(nodes.iter().map(|node| Strike::Kill(*node, false)));
            strikes.extend(links.iter().map(|(a, b)| Strike::Hold(*a, *b, LONG)));
            return strikes;
        }
        for node in nodes {
            strikes.extend([Strike::Kill(node, false), Strike::Kill(node, true), Strike::Stop(node)]);
        }
        for (a, b) in links {
            strikes.extend([Strike::Cut(a, b), Strike::Hold(a, b, SHORT), Strike::Hold(a, b, LONG)]);
        }
        if step == Step::CommitBegun {
            strikes.extend([Fault::Fail, Fault::LoseAnswer, Fault::LoseWork].map(Strike::Flush));
        }
        strikes
    }
}

/// Runs one gift with faults at those of its steps; the steps rise.
pub fn play(scenario: Scenario, strikes: &[(usize, Strike)]) -> Found {
    play_on(scenario, strikes, |_| ())
}

/// As [`play`]; `prepare` gets the cluster before it starts.
pub fn play_on(
    scenario: Scenario,
    strikes: &[(usize, Strike)],
    prepare: impl Fn(&Cluster) + 'static,
) -> Found {
    let strikes = strikes.to_vec();
    let run = || {
        run_with(Plan::new(7), async move |cluster: Rc<Cluster>| {
            prepare(&cluster);
            let found = timeout(ENDS, one(&cluster, scenario, strikes)).await;
            found.unwrap_or_else(|_| {
                let wrong = vec![format!("it never ends; clients were told {:?}", cluster.told.borrow())];
                Found { wrong, ..Found::default() }
            })
        })
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Found { wrong: vec![text.unwrap_or_else(|| "a panic".to_owned())], ..Found::default() }
    })
}

async fn one(cluster: &Rc<Cluster>, scenario: Scenario, strikes: Vec<(usize, Strike)>) -> Found {
    let receiver = scenario.receiver();
    cluster.up().await;
    cluster.tend(Duration::from_millis(200));
    let home = if scenario == Scenario::OneServer { GAME1 } else { GAME2 };
    let customers = Customers::new(cluster, &[(1, GAME1), (receiver, home)]);
    customers.online(1).await;
    customers.online(receiver).await;
    if scenario == Scenario::Refused {
        customers.ask(receiver, "user.fill", Vec::new(), "fill".to_owned()).await;
    }
    if scenario == Scenario::Offline {
        cluster.till().log_out(receiver).await;
    } else {
        customers.keep_online(receiver);
    }
    // What the logins have left to do is none of the gift's steps.
    sleep(Duration::from_millis(100)).await;
    cluster.decided().await;
    customers.begin().await;

    let steps: Rc<RefCell<Vec<Step>>> = Rc::default();
    let (seen, struck, at) = (steps.clone(), cluster.clone(), strikes.clone());
    let watch = steps::watch(move |step| {
        let number = {
            let mut seen = seen.borrow_mut();
            seen.push(step);
            seen.len() - 1
        };
        at.iter().filter(|(at, _)| *at == number).for_each(|(_, strike)| strike.inflict(&struck));
    });
    let mut code = String::new();
    match scenario {
        Scenario::AskedOnce => customers.give_once(1, receiver).await,
        _ => code = customers.give(1, receiver).await,
    }
    cluster.settled().await;
    cluster.decided().await;
    drop(watch);

    cluster.heal();
    cluster.whole().await;
    if scenario == Scenario::AskedOnce {
        // The request may have waited where nobody sees it.
        sleep(LATE).await;
    }
    cluster.decided().await;
    cluster.settled().await;
    let balances = [customers.balance(1).await, customers.balance(receiver).await];
    cluster.settled().await;
    let books = customers.books().await;
    let mut wrong = books.judge();
    for (uid, balance) in [1, receiver].into_iter().zip(balances) {
        if balance.as_ref() != books.end.get(&uid) {
            wrong
                .push(format!("player {uid}'s server says {balance:?}, the store {:?}", books.end.get(&uid)));
        }
    }
    wrong.extend(cluster.dead_letters().await.into_iter().map(|letter| format!("a dead letter: {letter}")));
    let steps = steps.borrow().clone();
    let struck = strikes.iter().filter(|(at, _)| *at < steps.len()).count();
    Found { wrong, steps, struck, code }
}

impl Strike {
    /// Has the fault come now.
    pub fn inflict(self, cluster: &Cluster) {
        match self {
            Strike::Kill(node, drains) => cluster.kill(node, drains),
            Strike::Cut(a, b) => cluster.cut(a, b, SHORT),
            Strike::Hold(a, b, lasts) => cluster.hold(a, b, lasts),
            Strike::Stop(node) => cluster.stop(node, LONG),
            Strike::Flush(fault) => cluster.faults.at(0, fault),
        }
    }
}

/// How many steps of each kind there are.
pub fn count(steps: &[Step]) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for step in steps {
        let kind = match step {
            Step::Sent(..) => "sends",
            Step::Received(..) => "receives",
            Step::CommitBegun => "commits begun",
            Step::CommitDurable => "commits durable",
            Step::CommitAnswered => "answers given",
        };
        *kinds.entry(kind).or_default() += 1;
    }
    let kinds: Vec<String> = kinds.into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    format!("{} steps: {}", steps.len(), kinds.join(", "))
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
