//! Who is killed or frozen, and when. The seed decides; real time decides what they are at just then.

use crate::cluster::Cluster;
use crate::database::Database;
use crate::report::say;
use chappe::Role;
use chappe_hosts::Rng;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::{JoinError, spawn_local};
use tokio::time::{Instant, sleep};

/// Between two faults, in ms.
const PAUSE: (u64, u64) = (1_500, 4_500);
/// How long a process is frozen, in ms: beyond the gifts' deadline, below and above the time of loss.
const FREEZE: (u64, u64) = (3_500, 7_500);
/// How long the database is away, in ms.
const AWAY: (u64, u64) = (500, 4_000);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill(Role),
    /// The master and a game at once.
    KillPair,
    Freeze(Role),
    CrashDatabase,
}

/// What comes first, so that the shortest run has a bit of everything, and a crash of the database where there is one.
const FIRST: [Fault; 4] =
    [Fault::Kill(Role::Game), Fault::Kill(Role::Proxy), Fault::Kill(Role::Master), Fault::Freeze(Role::Game)];

/// What each later deck of faults has, and three crashes of the database; they come in an order that the seed decides.
const DECK: [Fault; 12] = [
    Fault::Kill(Role::Game),
    Fault::Kill(Role::Game),
    Fault::Kill(Role::Game),
    Fault::Kill(Role::Game),
    Fault::Kill(Role::Proxy),
    Fault::Kill(Role::Proxy),
    Fault::Kill(Role::Master),
    Fault::KillPair,
    Fault::Freeze(Role::Game),
    Fault::Freeze(Role::Game),
    Fault::Freeze(Role::Master),
    Fault::Freeze(Role::Proxy),
];

/// What was done, by what and to whom: `kill -9`, `freeze`, `crash`; a role, `database`.
pub(crate) type Done = BTreeMap<(&'static str, &'static str), u64>;

/// Does harm until `until`; everything runs again, or is about to be restarted, when it returns.
///
/// # Errors
/// When the database does not come up again.
pub(crate) async fn strike(
    cluster: &Cluster,
    mut database: Option<&mut Database>,
    seed: u64,
    until: Instant,
) -> Result<Done, String> {
    let rng = Rng::part(seed, 0);
    let crashes = |count| database.iter().flat_map(move |_| (0..count).map(|_| Fault::CrashDatabase));
    let mut deck: Vec<Fault> = FIRST.into_iter().chain(crashes(1)).collect();
    let all: Vec<Fault> = DECK.into_iter().chain(crashes(3)).collect();
    rng.shuffle(&mut deck);
    let (mut done, mut frozen) = (Done::new(), Vec::new());
    loop {
        let pause = Duration::from_millis(rng.range(PAUSE.0, PAUSE.1));
        if Instant::now() + pause >= until {
            // A task that only sleeps does not fail.
            for thaw in frozen {
                let _: Result<(), JoinError> = thaw.await;
            }
            return Ok(done);
        }
        sleep(pause).await;
        if deck.is_empty() {
            deck.extend(all.iter().copied());
            rng.shuffle(&mut deck);
        }
        match deck.pop() {
            Some(Fault::Kill(role)) => drop(signal_one(cluster, role, Signal::SIGKILL, &rng, &mut done)),
            Some(Fault::KillPair) => {
                signal_one(cluster, Role::Master, Signal::SIGKILL, &rng, &mut done);
                signal_one(cluster, Role::Game, Signal::SIGKILL, &rng, &mut done);
            }
            Some(Fault::Freeze(role)) => {
                let freeze = Duration::from_millis(rng.range(FREEZE.0, FREEZE.1));
                let Some(process) = signal_one(cluster, role, Signal::SIGSTOP, &rng, &mut done) else {
                    continue;
                };
                // Other harm goes on meanwhile.
                frozen.push(spawn_local(async move {
                    sleep(freeze).await;
                    let _ = kill(process, Signal::SIGCONT);
                }));
            }
            Some(Fault::CrashDatabase) => {
                let Some(database) = &mut database else { continue };
                crash(database, &rng, &mut done).await?;
            }
            None => {}
        }
    }
}

/// Kills or freezes a node of a role, if one is up; its process.
fn signal_one(cluster: &Cluster, role: Role, signal: Signal, rng: &Rng, done: &mut Done) -> Option<Pid> {
    let nodes = cluster.nodes_of(role).into_iter();
    let up: Vec<(i64, Pid)> = nodes.filter_map(|node| Some((node, cluster.process_of(node)?))).collect();
    // Drawn from one range always: who is up now must not move what is drawn later.
    let drawn = usize::try_from(rng.range(0, 1 << 16)).unwrap_or_default();
    let (node, process) = *up.get(drawn.checked_rem(up.len())?)?;
    kill(process, signal).ok()?;
    let name = if signal == Signal::SIGKILL { "kill -9" } else { "freeze" };
    say(&format!("        {name} {role} {node}"));
    *done.entry((name, role.as_str())).or_default() += 1;
    Some(process)
}

async fn crash(database: &mut Database, rng: &Rng, done: &mut Done) -> Result<(), String> {
    let signal = if rng.percent(50) { Signal::SIGKILL } else { Signal::SIGQUIT };
    let away = Duration::from_millis(rng.range(AWAY.0, AWAY.1));
    say(&format!("        {signal} database, for {away:.1?}"));
    database.crash(signal).await?;
    *done.entry(("crash", "database")).or_default() += 1;
    sleep(away).await;
    database.run().await
}
