//! The faults of a run: what happens to whom, and when.

use super::Cluster;
use chappe_node::NodeError;
use chappe_node::control_tool::DrainNode;
use chappe_wire::{NodeId, Role};
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often the script looks at the cluster.
const STEP: Duration = Duration::from_millis(10);
/// How long a cluster may take to be whole again once nothing troubles it: a loss, a restart, a join.
const HEAL: Duration = Duration::from_secs(30);
/// How long it takes until nothing is under way: the longest time-out, and then the longest delay of an answer.
const QUIET: Duration = Duration::from_secs(5);

/// What is to be done at a time.
#[derive(Clone, Copy)]
enum Due {
    Start(NodeId),
    Thaw(NodeId),
    Heal(NodeId, NodeId),
}

struct Script {
    cluster: Rc<Cluster>,
    due: BTreeMap<(Instant, u64), Due>,
    count: u64,
}

/// Plays a whole run: all nodes start, faults come, they end, the cluster heals, and all is quiet.
pub(super) async fn play(cluster: &Rc<Cluster>) {
    let mut script = Script { cluster: cluster.clone(), due: BTreeMap::new(), count: 0 };
    for (id, ..) in cluster.nodes.iter() {
        let after = Duration::from_millis(cluster.rng.below(200));
        script.at(after, Due::Start(*id));
    }
    script.until_whole("at the start").await;
    cluster.begun.set(true);
    let end = Instant::now() + cluster.plan.length;
    let mut next = Instant::now();
    while Instant::now() < end {
        if Instant::now() >= next {
            if cluster.plan.faults {
                script.fault();
            }
            if cluster.plan.rolls {
                script.roll().await;
            }
            next = Instant::now() + Duration::from_millis(cluster.rng.range(100, 1200));
        }
        script.step().await;
    }
    cluster.oracle.tells("no more faults".into());
    script.heal_all();
    script.until_whole("after the faults").await;
    cluster.oracle.tells("whole again".into());
    cluster.active.set(false);
    let quiet = Instant::now() + QUIET;
    while Instant::now() < quiet {
        script.step().await;
    }
}

impl Script {
    fn at(&mut self, after: Duration, due: Due) {
        self.count += 1;
        self.due.insert((Instant::now() + after, self.count), due);
    }

    /// Does what is due, and starts nodes again that have ended by themselves.
    async fn step(&mut self) {
        sleep(STEP).await;
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= Instant::now()) {
            let due = entry.remove();
            self.do_it(due);
        }
        let ended: Vec<(NodeId, String)> = {
            let up = self.cluster.up.borrow();
            let ended = up.iter().filter_map(|(id, up)| {
                let ended = up.ended.borrow();
                let text = match ended.as_ref()? {
                    Err(error @ NodeError::Evicted { .. }) => error.to_string(),
                    Err(error) => {
                        self.cluster.oracle.wrong(format!("node {id} has ended: {error}"));
                        error.to_string()
                    }
                    Ok(()) => "it left".to_owned(),
                };
                Some((*id, text))
            });
            ended.collect()
        };
        for (id, why) in ended {
            self.cluster.oracle.tells(format!("{id} ends: {why}"));
            self.cluster.kill(id, true);
            self.restart(id);
        }
    }

    fn restart(&mut self, id: NodeId) {
        let after = Duration::from_millis(self.cluster.rng.range(20, 1500));
        self.at(after, Due::Start(id));
    }

    fn do_it(&mut self, due: Due) {
        let cluster = self.cluster.clone();
        match due {
            Due::Start(id) => {
                if !cluster.up.borrow().contains_key(&id) {
                    cluster.oracle.tells(format!("{id} starts"));
                    cluster.start(id);
                }
            }
            Due::Thaw(id) => {
                cluster.frozen.borrow_mut().remove(&id);
            }
            Due::Heal(a, b) => cluster.net.heal(a, b),
        }
    }

    /// Replaces a node, as one step of `chappe roll` does, and waits until it is back.
    async fn roll(&mut self) {
        let cluster = self.cluster.clone();
        let others: Vec<NodeId> =
            cluster.nodes.iter().filter(|(_, role, _)| *role != Role::Master).map(|(id, ..)| *id).collect();
        let id = *cluster.rng.pick(&others);
        let Some(master) = cluster.up.borrow().values().find_map(|up| up.master.clone()) else { return };
        cluster.oracle.tells(format!("{id} is rolled"));
        let asked = DrainNode { id, timeout_ms: 50, restart: true, force: true };
        let drained = {
            // What it asks is sent from the master's own set.
            let mut draining = pin!(master.drain_node(asked));
            loop {
                tokio::select! {
                    biased;
                    drained = &mut draining => break drained,
                    () = self.step() => {}
                }
            }
        };
        if let Err(failure) = drained {
            cluster.oracle.wrong(format!("{id} cannot be drained: {failure}"));
        }
        while cluster.up.borrow().get(&id).is_some_and(|up| up.ended.borrow().is_none()) {
            self.step().await;
        }
        self.until_whole("after a roll").await;
    }

    fn fault(&mut self) {
        let cluster = self.cluster.clone();
        let rng = &cluster.rng;
        let node = rng.pick(&cluster.nodes).0;
        let other = loop {
            let other = rng.pick(&cluster.nodes).0;
            if other != node {
                break other;
            }
        };
        let ms = Duration::from_millis;
        match rng.below(11) {
            10 => {
                cluster.oracle.tells(format!("{node} is asked to leave"));
                if let Some(up) = cluster.up.borrow().get(&node) {
                    up.node.stop();
                }
            }
            0 | 1 => {
                let drains = rng.percent(50);
                cluster.oracle.tells(format!("{node} is killed (what it wrote arrives: {drains})"));
                cluster.kill(node, drains);
                self.restart(node);
            }
            2..=4 => {
                let delay = ms(rng.below(400));
                cluster.oracle.tells(format!("{node} to {other} takes {delay:?}"));
                cluster.net.delay(node, other, delay);
            }
            5 | 6 => {
                let length = ms(rng.range(20, 2000));
                cluster.oracle.tells(format!("{node} and {other} are cut for {length:?}"));
                cluster.oracle.parts(node, other);
                cluster.net.cut(node, other, rng.percent(50));
                self.at(length, Due::Heal(node, other));
            }
            7 => {
                let length = ms(rng.range(50, 4500));
                cluster.oracle.tells(format!("nothing passes between {node} and {other} for {length:?}"));
                cluster.oracle.silences(node, other, length);
                cluster.net.hold(node, other);
                self.at(length, Due::Heal(node, other));
            }
            _ => {
                let length = ms(rng.range(50, 4500));
                if cluster.up.borrow().contains_key(&node) {
                    cluster.oracle.tells(format!("{node} freezes for {length:?}"));
                    cluster.oracle.freezes(node, length + STEP * 2);
                    cluster.frozen.borrow_mut().insert(node);
                    self.at(length, Due::Thaw(node));
                }
            }
        }
    }

    fn heal_all(&mut self) {
        let cluster = self.cluster.clone();
        self.due.retain(|_, due| matches!(due, Due::Start(_)));
        cluster.frozen.borrow_mut().clear();
        for (a, ..) in cluster.nodes.iter() {
            for (b, ..) in cluster.nodes.iter() {
                cluster.net.heal(*a, *b);
                cluster.net.delay(*a, *b, Duration::ZERO);
            }
        }
    }

    async fn until_whole(&mut self, when: &str) {
        let until = Instant::now() + HEAL;
        while !self.cluster.is_whole() {
            if Instant::now() >= until {
                return self.cluster.oracle.wrong(format!(
                    "{when} the cluster was not whole in {HEAL:?}:\n        {}",
                    self.cluster.holes()
                ));
            }
            self.step().await;
        }
    }
}
