//! Seeded schedules: many players who give, ask, log out, move and come back, while everything dies and the store fails.

use super::books::Books;
use super::cluster::{Cluster, GAME1, GAME2, GAME3, MASTER, MASTER2, Plan, run_with};
use super::customers::Customers;
use crate::rng::Rng;
use crate::steps::{self, Step};
use chappe_store::Fault;
use chappe_wire::NodeId;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How many players there are.
const PLAYERS: u64 = 8;
/// A uid that never was.
const NOBODY: u64 = 99;
/// How often one may receive: some gifts are refused in every schedule.
const MOST: i64 = 5;
/// For how long faults come and players begin something new.
const PLAY: Duration = Duration::from_millis(2500);
/// How long a run may take, in virtual time.
const ENDS: Duration = Duration::from_secs(600);
const GAMES: [NodeId; 3] = [GAME1, GAME2, GAME3];

/// What came of a schedule.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Which.
    pub seed: u64,
    /// What is wrong.
    pub wrong: Vec<String>,
    /// The faults, in order, each with its time in milliseconds.
    pub story: Vec<String>,
    /// Every step, with its time in milliseconds: the same for the same seed.
    pub trace: Vec<(u64, Step)>,
    /// How many gifts ended with each code.
    pub gifts: BTreeMap<String, u64>,
    /// How many faults there were of each kind.
    pub faults: BTreeMap<&'static str, u64>,
}

struct Script {
    cluster: Rc<Cluster>,
    has_two: bool,
    rng: Rng,
    begun: Instant,
    story: RefCell<Vec<String>>,
    faults: RefCell<BTreeMap<&'static str, u64>>,
}

/// Plays a schedule.
pub fn play(seed: u64) -> Outcome {
    play_on(seed, |_| ())
}

/// As [`play`], with two masters, of which one leads.
pub fn play_with_two_masters(seed: u64) -> Outcome {
    play_in(seed, 2, |_| ())
}

/// As [`play`]; `prepare` gets the cluster before it starts.
pub fn play_on(seed: u64, prepare: impl Fn(&Cluster) + 'static) -> Outcome {
    play_in(seed, 1, prepare)
}

fn play_in(seed: u64, masters: usize, prepare: impl Fn(&Cluster) + 'static) -> Outcome {
    let network = Rng::part(seed, &[1]).next();
    let plan = Plan { games: 3, masters, most: MOST, ..Plan::new(network) };
    let run = || {
        run_with(plan, async move |cluster: Rc<Cluster>| {
            prepare(&cluster);
            let script = Script {
                cluster,
                has_two: masters > 1,
                rng: Rng::part(seed, &[2]),
                begun: Instant::now(),
                story: RefCell::default(),
                faults: RefCell::default(),
            };
            let mut outcome = match timeout(ENDS, script.play(seed)).await {
                Ok(outcome) => outcome,
                Err(_) => Outcome { wrong: vec!["it never ends".to_owned()], ..Outcome::default() },
            };
            (outcome.seed, outcome.story) = (seed, script.story.take());
            outcome.faults = script.faults.take();
            outcome
        })
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let wrong = vec![text.unwrap_or_else(|| "a panic".to_owned())];
        Outcome { seed, wrong, ..Outcome::default() }
    })
}

impl Script {
    async fn play(&self, seed: u64) -> Outcome {
        let cluster = &self.cluster;
        let trace: Rc<RefCell<Vec<(u64, Step)>>> = Rc::default();
        let (writes, begun) = (trace.clone(), self.begun);
        let watch = steps::watch(move |step| {
            let at = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            writes.borrow_mut().push((at, step));
        });
        cluster.up().await;
        let homes: Vec<(u64, NodeId)> = (1..=PLAYERS).map(|uid| (uid, GAMES[(uid % 3) as usize])).collect();
        let customers = Customers::new(cluster, &homes);
        for (uid, _) in &homes {
            customers.online(*uid).await;
        }
        for uid in (1..=PLAYERS).filter(|uid| uid % 4 == 0) {
            // Who has little soon has too little.
            customers.ask(uid, "user.squander", Vec::new(), "squander".to_owned()).await;
        }
        customers.begin().await;
        cluster.tend(Duration::from_millis(self.rng.range(50, 1500)));
        let (playing, idle) = (Rc::new(Cell::new(true)), Rc::new(Cell::new(0)));
        for uid in 1..=PLAYERS {
            let rng = Rng::part(seed, &[3, uid as i64]);
            let (customers, cluster) = (customers.clone(), cluster.clone());
            let (playing, idle) = (playing.clone(), idle.clone());
            tokio::task::spawn_local(async move {
                while playing.get() {
                    live(&customers, &cluster, uid, &rng).await;
                }
                idle.set(idle.get() + 1);
            });
        }
        let end = Instant::now() + PLAY;
        while Instant::now() < end {
            sleep(Duration::from_millis(self.rng.range(20, 400))).await;
            self.fault();
        }
        playing.set(false);
        self.tell("no more faults", String::new());
        cluster.heal();
        cluster.whole().await;
        while idle.get() < PLAYERS {
            sleep(Duration::from_millis(20)).await;
        }
        self.quiet().await;
        let mut balances = Vec::new();
        for (uid, _) in &homes {
            balances.push((*uid, customers.balance(*uid).await));
        }
        self.quiet().await;
        drop(watch);
        let books = customers.books().await;
        let mut wrong = books.judge();
        wrong.extend(differences(&books, balances));
        let letters = cluster.dead_letters().await;
        wrong.extend(letters.into_iter().map(|letter| format!("a dead letter: {letter}")));
        Outcome { wrong, trace: trace.take(), gifts: books.tally(), ..Outcome::default() }
    }

    async fn quiet(&self) {
        self.cluster.settled().await;
        self.cluster.decided().await;
        self.cluster.settled().await;
    }

    /// Whatever may go wrong now.
    fn fault(&self) {
        let (cluster, rng) = (&self.cluster, &self.rng);
        if self.has_two && rng.below(3) == 0 {
            return self.fault_of_masters();
        }
        let node = match rng.below(5) {
            0 => MASTER,
            _ => *rng.pick(&GAMES),
        };
        let others = [MASTER, GAME1, GAME2, GAME3];
        let other =
            others[(others.iter().position(|id| *id == node).unwrap_or(0) + 1 + rng.below(3) as usize)
                % others.len()];
        let lasts = Duration::from_millis(*rng.pick(&[50, 300, 1000, 2500, 4500]));
        match rng.below(12) {
            0..=3 => {
                let drains = rng.percent(50);
                self.tell("kill", format!("{node}, drains: {drains}"));
                cluster.kill(node, drains);
            }
            4 | 5 => {
                self.tell("stop", format!("{node} for {lasts:?}"));
                cluster.stop(node, lasts);
            }
            6 => {
                self.tell("cut", format!("{node} and {other} for {lasts:?}"));
                cluster.cut(node, other, lasts);
            }
            7 => {
                self.tell("hold", format!("{node} and {other} for {lasts:?}"));
                cluster.hold(node, other, lasts);
            }
            8 => {
                self.tell("store lost", format!("for {lasts:?}"));
                cluster.lose_store(lasts);
            }
            9 => {
                self.tell("disk full", format!("for {lasts:?}"));
                cluster.fill_disk(lasts);
            }
            _ => {
                let fault = *rng.pick(&[Fault::Fail, Fault::LoseAnswer, Fault::LoseWork]);
                let ahead = rng.below(4);
                self.tell("flush", format!("{fault:?} after {ahead}"));
                cluster.faults.at(ahead, fault);
            }
        }
    }

    /// What may go wrong between two masters.
    fn fault_of_masters(&self) {
        let (cluster, rng) = (&self.cluster, &self.rng);
        let leader = cluster.leader().unwrap_or(MASTER);
        let lasts = Duration::from_millis(*rng.pick(&[300, 1000, 2500, 4500, 7000]));
        match rng.below(8) {
            0 | 1 => {
                self.tell("kill leader", format!("{leader}"));
                cluster.kill(leader, rng.percent(50));
            }
            2 | 3 => {
                self.tell("stop leader", format!("{leader} for {lasts:?}"));
                cluster.stop(leader, lasts);
            }
            4 | 5 => {
                self.tell("cut store", format!("{leader} for {lasts:?}"));
                cluster.cut_store(leader, lasts);
            }
            6 => {
                let game = *rng.pick(&GAMES);
                self.tell("hold leader", format!("{leader} and {game} for {lasts:?}"));
                cluster.hold(leader, game, lasts);
            }
            _ => {
                let other = if leader == MASTER { MASTER2 } else { MASTER };
                self.tell("kill standby", format!("{other}"));
                cluster.kill(other, rng.percent(50));
            }
        }
    }

    fn tell(&self, kind: &'static str, what: String) {
        let at = self.begun.elapsed().as_millis();
        self.story.borrow_mut().push(format!("{at} {kind} {what}"));
        *self.faults.borrow_mut().entry(kind).or_default() += 1;
    }
}

/// A player does something.
async fn live(customers: &Rc<Customers>, cluster: &Rc<Cluster>, uid: u64, rng: &Rng) {
    sleep(Duration::from_millis(rng.below(120))).await;
    match rng.below(20) {
        0..=11 => {
            let to = if rng.percent(3) { NOBODY } else { 1 + (uid + rng.below(PLAYERS - 1)) % PLAYERS };
            customers.give(uid, to).await;
        }
        12..=14 => drop(customers.balance(uid).await),
        15 | 16 => {
            cluster.till().log_out(uid).await;
            sleep(Duration::from_millis(rng.below(800))).await;
        }
        17 => {
            // Out, and in elsewhere.
            cluster.till().log_out(uid).await;
            customers.settle_at(uid, *rng.pick(&GAMES));
        }
        _ => {
            let server = *rng.pick(&GAMES);
            customers.settle_at(uid, server);
            // One who is not let in logs in again when they next ask for something.
            let _ = cluster.till().move_to(uid, server).await;
        }
    }
}

fn differences(books: &Books, balances: Vec<(u64, Option<super::books::Account>)>) -> Vec<String> {
    let differ = |(uid, balance): &(u64, Option<super::books::Account>)| {
        balance.is_none() || balance.as_ref() != books.end.get(uid)
    };
    let say = |(uid, balance): (u64, Option<super::books::Account>)| {
        format!("player {uid}'s server says {balance:?}, the store {:?}", books.end.get(&uid))
    };
    balances.into_iter().filter(differ).map(say).collect()
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "SEED={}; what happened:", self.seed)?;
        self.story.iter().try_for_each(|line| writeln!(f, "    {line}"))?;
        writeln!(f, "what is wrong:")?;
        self.wrong.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}
