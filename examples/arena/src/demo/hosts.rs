//! The demo on three hosts: NATS, PostgreSQL, hosts and nodes go away and come back while the bots play.

use super::cluster::Cluster;
use super::progress::Progress;
use super::watch::Watch;
use super::{Args, Faults, LOOK, on, say};
use chappe_hosts::{Fault, Game, Ground, Logins, draw, enter, shortcomings, strike};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Events that must come to bots between two faults.
const LEAST: u64 = 500;
/// What a short run does; that of the players who give each other money does the rest.
const SHORT: [Fault; 6] =
    [Fault::Nats, Fault::CutShort, Fault::Freeze, Fault::PostgresStopped, Fault::Roll, Fault::Master];
/// Between two lines about how it goes.
const SHOW: Duration = Duration::from_secs(5);

/// Runs it.
///
/// # Errors
/// What could not be done.
pub(crate) fn run(args: &Args) -> Result<Vec<String>, String> {
    let since = Instant::now();
    let ground = Arc::new(Ground::new(enter()?, 3)?);
    let (seed, dir) = (args.seed, ground.dir().to_owned());
    say(&format!("seed {seed}: three hosts as {}; logs: {}", ground.net().as_str(), dir.display()));
    let cluster = Cluster::start_on(ground.clone(), args.rust_only);
    let done =
        cluster.and_then(|cluster| on(args, cluster, since, |watch, cluster| harm(args, watch, cluster)));
    if args.keep || done.as_ref().map_or(true, |faults| !faults.is_empty()) {
        ground.keep_files();
        say(&format!("the logs are in {}", dir.display()));
    }
    done
}

/// Does every fault while the bots play.
fn harm(args: &Args, watch: &Watch, cluster: &Cluster) -> Result<Faults, String> {
    let hosts = cluster.hosts().ok_or("there are no hosts")?.clone();
    let (wanted, started) = (faults(args), Instant::now());
    let (until, seed) = (started + Duration::from_secs_f64(args.minutes.max(0.0) * 60.0), args.seed);
    let (to_do, game) = (wanted.clone(), Playing(watch.clone()));
    let striking = std::thread::spawn(move || strike(&hosts, &to_do, seed, until, LEAST, &game));
    let (mut progress, mut shown) = (Progress::new(started), started);
    while !striking.is_finished() {
        sleep(LOOK);
        if shown.elapsed() >= SHOW {
            shown += SHOW;
            progress.show(cluster, watch);
        }
    }
    let struck = striking.join().map_err(|_| "the thread that does harm panicked".to_owned())?;
    say("       no more faults");
    Ok(Box::new(move || match struck {
        Err(why) => vec![why],
        Ok(struck) => {
            say("");
            draw(&struck).iter().for_each(|line| say(line));
            shortcomings(&struck, &wanted)
        }
    }))
}

fn faults(args: &Args) -> Vec<Fault> {
    if args.short && args.only.is_empty() {
        return SHORT.to_vec();
    }
    let is_wanted = |fault: &Fault| {
        args.only.is_empty() || args.only.iter().any(|word| fault.as_str().contains(word.as_str()))
    };
    // Every message is to be accounted for.
    Fault::ALL.into_iter().filter(|fault| is_wanted(fault) && !fault.kills_proxies()).collect()
}

/// The bots, as the thread sees them that does harm.
struct Playing(Watch);

impl Game for Playing {
    fn work(&self) -> u64 {
        self.0.events()
    }

    fn sessions_lost(&self) -> u64 {
        self.0.lost()
    }

    fn logins(&self) -> &Logins {
        self.0.logins()
    }

    fn say(&self, line: &str) {
        say(line);
    }
}
