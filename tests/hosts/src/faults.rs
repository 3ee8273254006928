//! What goes wrong, one thing after the other, and what must hold after each: every node is ready again, and the game
//! goes on. The seed decides the order and who is hit; real time decides what they are at just then.

use crate::hosts::{Hosts, has_ended};
use crate::logins::Logins;
use crate::rng::Rng;
use chappe_wire::Role;
use nix::sys::signal::{Signal, kill};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// Between two faults, in ms.
const PAUSE: (u64, u64) = (500, 1_500);
/// How long a server is away, in ms.
const AWAY: (u64, u64) = (1_000, 2_500);
/// After a fault: how long the nodes may take to be ready, and the game to go on.
const WHOLE: Duration = Duration::from_secs(60);
const GO_ON: Duration = Duration::from_secs(30);
/// How long `drain` and `roll` may take.
const OPERATE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Something that goes wrong, or that an operator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// NATS is killed and comes back.
    Nats,
    /// A host is cut off for longer than the loss time: all its nodes are lost, and start anew.
    CutLong,
    /// A host is cut off for less than that: nothing is lost.
    CutShort,
    /// A node is stopped for less than the loss time.
    Freeze,
    /// A node with siblings is stopped for longer than that.
    FreezeLong,
    /// PostgreSQL is stopped in order and comes back.
    PostgresStopped,
    /// PostgreSQL is killed and comes back.
    PostgresKilled,
    /// The master that leads is killed.
    Master,
    /// The host of the master that leads is cut off, for longer than the loss time and the lease.
    CutLeader,
    /// All of that host is killed, and nothing on it comes back before the other master leads.
    HostOff,
    /// `chappe roll`, of all nodes of a type.
    Roll,
    /// `chappe drain`, of one node.
    Drain,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 12] = [
        Fault::Nats,
        Fault::CutLong,
        Fault::CutShort,
        Fault::Freeze,
        Fault::FreezeLong,
        Fault::PostgresStopped,
        Fault::PostgresKilled,
        Fault::Master,
        Fault::CutLeader,
        Fault::HostOff,
        Fault::Roll,
        Fault::Drain,
    ];

    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::Nats => "NATS killed and started again",
            Fault::CutLong => "host cut off for longer than the loss time",
            Fault::CutShort => "host cut off for less than the loss time",
            Fault::Freeze => "node frozen for less than the loss time",
            Fault::FreezeLong => "node frozen for longer than the loss time",
            Fault::PostgresStopped => "PostgreSQL stopped and started again",
            Fault::PostgresKilled => "PostgreSQL killed and started again",
            Fault::Master => "master killed",
            Fault::CutLeader => "host of the leading master cut off",
            Fault::HostOff => "host of the leading master switched off",
            Fault::Roll => "chappe roll",
            Fault::Drain => "chappe drain",
        }
    }

    /// Whether proxies are killed by it: then nobody knows of every message of their players what has become of it.
    #[must_use]
    pub fn kills_proxies(self) -> bool {
        self == Fault::HostOff
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who plays on the cluster meanwhile.
pub trait Game {
    /// How much has gone well so far, between hosts; it only grows.
    fn work(&self) -> u64;
    /// How many sessions were lost so far.
    fn sessions_lost(&self) -> u64;
    /// When players were let in.
    fn logins(&self) -> &Logins;
    /// Tells whoever watches.
    fn say(&self, line: &str);
}

/// One fault, and what came of it.
#[derive(Debug, Clone)]
pub struct Struck {
    /// What was done.
    pub fault: Fault,
    /// To whom.
    pub whom: String,
    /// From its end until every node was ready and the game went on.
    pub took: Duration,
    /// The longest time without a login, from its beginning until the game went on.
    pub standstill: Duration,
    /// What went well from its beginning until the next one.
    pub work: u64,
    /// Sessions that were lost meanwhile.
    pub lost: u64,
    /// Whether some may be.
    pub may_lose: bool,
}

/// Does each of `faults` once, in an order that the seed decides, and again until `until`; between two of them the game
/// must get at least `least` done.
///
/// # Errors
/// What could not be done, or did not come back.
pub fn strike(
    hosts: &Hosts,
    faults: &[Fault],
    seed: u64,
    until: Instant,
    least: u64,
    game: &dyn Game,
) -> Result<Vec<Struck>, String> {
    let rng = Rng::part(seed, 0);
    let (mut deck, mut struck) = (Vec::new(), Vec::new());
    let mut rounds = 0;
    loop {
        if deck.is_empty() {
            rounds += 1;
            deck = faults.to_vec();
            rng.shuffle(&mut deck);
        }
        if rounds > 1 && Instant::now() > until {
            return Ok(struck);
        }
        std::thread::sleep(Duration::from_millis(rng.range(PAUSE.0, PAUSE.1)));
        let Some(fault) = deck.pop() else { continue };
        let (work, lost, began) = (game.work(), game.sessions_lost(), Instant::now());
        let (whom, may_lose) = one(hosts, fault, &rng, game).map_err(|why| format!("{fault}: {why}"))?;
        let since = Instant::now();
        hosts.whole(WHOLE).map_err(|why| format!("after {fault} ({whom}): {why}"))?;
        let (base, deadline) = (game.work(), Instant::now() + GO_ON);
        while game.work() < base + least {
            if Instant::now() > deadline {
                let got = game.work() - base;
                return Err(format!("after {fault} ({whom}): only {got} of {least} within {GO_ON:?}"));
            }
            std::thread::sleep(LOOK);
        }
        let (took, standstill) = (since.elapsed(), game.logins().standstill(began));
        game.say(&format!(
            "        all is well after {took:.1?}; nobody was let in for {standstill:.1?} at most"
        ));
        let (work, lost) = (game.work() - work, game.sessions_lost() - lost);
        struck.push(Struck { fault, whom, took, standstill, work, lost, may_lose });
    }
}

/// Does one thing; to whom, and whether sessions may be lost by it.
fn one(hosts: &Hosts, fault: Fault, rng: &Rng, game: &dyn Game) -> Result<(String, bool), String> {
    let ground = hosts.ground();
    let away = Duration::from_millis(rng.range(AWAY.0, AWAY.1));
    let loss = hosts.deploy().timing.loss;
    let say = |whom: &str| game.say(&format!("        {fault}: {whom}"));
    match fault {
        Fault::Nats => {
            say(&format!("for {away:.1?}"));
            ground.kill_nats();
            std::thread::sleep(away);
            ground.start_nats()?;
            Ok(("NATS".to_owned(), false))
        }
        Fault::PostgresStopped | Fault::PostgresKilled => {
            say(&format!("for {away:.1?}"));
            let is_kill = fault == Fault::PostgresKilled;
            ground.end_postgres(if is_kill { Signal::SIGKILL } else { Signal::SIGINT })?;
            std::thread::sleep(away);
            ground.start_postgres()?;
            Ok(("PostgreSQL".to_owned(), false))
        }
        Fault::CutShort => {
            let all: Vec<usize> = (0..hosts.count()).collect();
            let host = *rng.pick(&all).ok_or("there is no host to cut off")?;
            let (name, length) = (hosts.name(host).to_owned(), loss.mul_f64(0.4));
            say(&format!("{name}, for {length:.1?}"));
            cut(hosts, host, length)?;
            Ok((name, false))
        }
        Fault::CutLong | Fault::CutLeader => {
            let (leader, at) = hosts.leader()?;
            let others: Vec<usize> = (0..hosts.count()).filter(|host| *host != at).collect();
            let (host, length) = match fault {
                Fault::CutLeader => (at, loss * 2 + hosts.deploy().timing.lease),
                _ => (*rng.pick(&others).ok_or("there is no host to cut off")?, loss * 2),
            };
            let name = hosts.name(host).to_owned();
            say(&format!("{name}, for {length:.1?}"));
            let before = hosts.lives()?;
            cut(hosts, host, length)?;
            wait_for_new_lives(hosts, host, &before)?;
            if fault == Fault::CutLeader {
                let now = hosts.leader()?.0;
                if now == leader {
                    return Err(format!(
                        "master {leader} leads still, though it was cut off for {length:.1?}"
                    ));
                }
                say(&format!("master {now} leads"));
            }
            Ok((name, has_proxy(hosts, host)))
        }
        Fault::HostOff => {
            let (leader, host) = hosts.leader()?;
            let (name, before) = (hosts.name(host).to_owned(), hosts.lives()?);
            say(&name);
            hosts.switch_off(host)?;
            let other = || hosts.leader().ok().filter(|(now, _)| *now != leader);
            wait("another leader", || other().is_some())?;
            hosts.switch_on(host)?;
            wait_for_new_lives(hosts, host, &before)?;
            Ok((name, has_proxy(hosts, host)))
        }
        Fault::Freeze | Fault::FreezeLong => {
            let is_long = fault == Fault::FreezeLong;
            let roles: &[Role] = match is_long {
                // Their players have somewhere to go.
                true => &[Role::Lobby, Role::Game],
                false => &[Role::Lobby, Role::Game, Role::Proxy, Role::Service],
            };
            let node = pick(hosts, roles, rng).ok_or("there is no node to freeze")?;
            let length = if is_long { loss.mul_f64(1.5) } else { loss.mul_f64(0.5) };
            say(&format!("node {node}, for {length:.1?}"));
            let process = hosts.signal(node, Signal::SIGSTOP)?;
            std::thread::sleep(length);
            let thawed = kill(process, Signal::SIGCONT);
            thawed.map_err(|error| format!("node {node} died while it was frozen: {error}"))?;
            if is_long {
                wait("its end", || has_ended(process))?;
            }
            Ok((format!("node {node}"), false))
        }
        Fault::Master => {
            let master = hosts.leader()?.0;
            say(&format!("node {master}"));
            let process = hosts.signal(master, Signal::SIGKILL)?;
            wait("its end", || has_ended(process))?;
            Ok((format!("node {master}"), false))
        }
        Fault::Roll => {
            let kind = with_siblings(hosts, &[Role::Lobby, Role::Game]);
            let kind = rng.pick(&kind).ok_or("no type has two nodes")?.1.clone();
            say(&format!("type {kind}"));
            let said = hosts.commands().lines_within(&["roll"], &[&kind, "--seconds", "20"], OPERATE)?;
            let last = said.last().ok_or("it says nothing")?;
            say(&format!("{} nodes are new, {} players moved", last["nodes"], last["moved"]));
            Ok((format!("type {kind}"), false))
        }
        Fault::Drain => {
            let mut open = with_siblings(hosts, &[Role::Lobby, Role::Game]);
            open.retain(|(node, _)| !hosts.is_stray(*node));
            let node = rng.pick(&open).ok_or("no type has two nodes")?.0;
            let process = hosts.process_of(node).ok_or_else(|| format!("node {node} has no process"))?;
            say(&format!("node {node}"));
            let id = node.to_string();
            let said = hosts.commands().lines_within(&["drain"], &[&id, "--seconds", "20"], OPERATE)?;
            let said = said.last().ok_or("it says nothing")?;
            say(&format!("{} players moved, {} remained", said["moved"], said["left"]));
            wait("its end", || has_ended(process))?;
            hosts.start_node(node)?;
            Ok((format!("node {node}"), false))
        }
    }
}

fn cut(hosts: &Hosts, host: usize, length: Duration) -> Result<(), String> {
    hosts.ground().cut(host, true)?;
    std::thread::sleep(length);
    hosts.ground().cut(host, false)
}

fn wait_for_new_lives(hosts: &Hosts, host: usize, before: &BTreeMap<i64, u64>) -> Result<(), String> {
    let is_new =
        |id| hosts.lives().is_ok_and(|now| now.get(&id).is_some_and(|life| before.get(&id) != Some(life)));
    // A master that comes back stands by, and is no member.
    let nodes = || hosts.nodes_of(host).filter(|entry| entry.role != Role::Master);
    wait("a new life of each of its nodes", || nodes().all(|entry| is_new(entry.id)))
}

fn has_proxy(hosts: &Hosts, host: usize) -> bool {
    hosts.nodes_of(host).any(|entry| entry.role == Role::Proxy)
}

fn pick(hosts: &Hosts, roles: &[Role], rng: &Rng) -> Option<i64> {
    let nodes = hosts.deploy().nodes.iter().filter(|entry| roles.contains(&entry.role));
    rng.pick(&nodes.map(|entry| entry.id).collect::<Vec<_>>()).copied()
}

/// Nodes that are not the only ones of their type, with it.
fn with_siblings(hosts: &Hosts, roles: &[Role]) -> Vec<(i64, String)> {
    let nodes = || hosts.deploy().nodes.iter().filter(|entry| roles.contains(&entry.role));
    let count = |kind: &str| nodes().filter(|entry| entry.node_type == kind).count();
    nodes()
        .filter(|entry| count(&entry.node_type) > 1)
        .map(|entry| (entry.id, entry.node_type.clone()))
        .collect()
}

fn wait(what: &str, is_there: impl Fn() -> bool) -> Result<(), String> {
    let deadline = Instant::now() + GO_ON;
    while !is_there() {
        if Instant::now() > deadline {
            return Err(format!("{what} did not come within {GO_ON:?}"));
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}
