//! Players whose client runs a mod in Python: each a process, which tells at its end what it has counted.

use super::cluster::Cluster;
use super::watch::Watch;
use chappe::Row;
use chappe::client::Counts;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

/// The first one's uid.
const FIRST_UID: u64 = 6_000_000_000;
/// The mod that they run.
const MOD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mods/quest");
/// How long they may take to log out.
const LEAVE: Duration = Duration::from_secs(10);
/// Between two looks whether they have.
const LOOK: Duration = Duration::from_millis(20);

/// The players; those that still run are killed with this value.
pub(crate) struct Players(Vec<Player>);

struct Player {
    uid: u64,
    process: Child,
    said: JoinHandle<Option<Ended>>,
}

/// The last of the lines that a client prints for programs.
#[derive(Debug, Deserialize)]
struct Ended {
    event: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    counts: Told,
}

/// Counts by a row's code.
#[derive(Debug, Default, Deserialize)]
struct Told {
    sent: BTreeMap<String, u64>,
    lost: BTreeMap<String, u64>,
    received: BTreeMap<String, u64>,
}

impl Players {
    /// Starts one at each proxy of a cluster that has mods.
    pub(crate) fn start(cluster: &Cluster) -> Result<Players, String> {
        let mut players = Players(Vec::new());
        if cluster.python_nodes().next().is_none() {
            return Ok(players);
        }
        let log = File::create(cluster.file_beside("players.log")).map_err(|error| error.to_string())?;
        for (uid, proxy) in (FIRST_UID..).zip(cluster.proxies()) {
            let log = log.try_clone().map_err(|error| error.to_string())?;
            let mut command = Command::new(std::env::current_exe().map_err(|error| error.to_string())?);
            command.arg("client").arg(&cluster.deploy.path).args(["--mods", MOD, "--json"]);
            command.args(["--uid", &uid.to_string(), "--proxy", &proxy.to_string()]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
            let mut process = command.spawn().map_err(|error| format!("a client with a mod: {error}"))?;
            let said = process.stdout.take().ok_or("a client has no output")?;
            let said = std::thread::spawn(move || last_of(said));
            players.0.push(Player { uid, process, said });
        }
        Ok(players)
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Lets them log out, and takes down what they have counted. Answers what went wrong.
    pub(crate) fn end(mut self, watch: &Watch) -> Vec<String> {
        for player in &self.0 {
            if let Ok(process) = i32::try_from(player.process.id()) {
                let _ = kill(Pid::from_raw(process), Signal::SIGINT);
            }
        }
        let deadline = Instant::now() + LEAVE;
        let ended =
            std::mem::take(&mut self.0).into_iter().filter_map(|player| player.end(deadline, watch).err());
        ended.collect()
    }
}

impl Drop for Players {
    fn drop(&mut self) {
        for player in &mut self.0 {
            let _ = player.process.kill();
            let _ = player.process.wait();
        }
    }
}

impl Player {
    fn end(mut self, deadline: Instant, watch: &Watch) -> Result<(), String> {
        let (uid, status) = (self.uid, self.wait(deadline));
        let said = self.said.join().ok().flatten();
        let status = status.ok_or_else(|| format!("player {uid} did not log out within {LEAVE:?}"))?;
        let Some(ended) = said else {
            return Err(format!("player {uid} ended with {status}, and said nothing"));
        };
        watch.took_part_in_python(&ended.counts.by_row());
        if !status.success() || ended.event != "ended" {
            return Err(format!("player {uid} ended with {status}: {} {}", ended.event, ended.message));
        }
        watch.count("sessions with a mod");
        Ok(())
    }

    /// `None` when it had to be killed.
    fn wait(&mut self, deadline: Instant) -> Option<ExitStatus> {
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Some(status);
            }
            sleep(LOOK);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        None
    }
}

impl Told {
    fn by_row(&self) -> Counts {
        let mut counts = Counts::default();
        let rows = [
            (&self.sent, &mut counts.sent),
            (&self.lost, &mut counts.lost),
            (&self.received, &mut counts.received),
        ];
        for (of, to) in rows {
            for (code, count) in of {
                if let Some(row) = code.parse().ok().and_then(Row::from_code) {
                    to[row.index()] += count;
                }
            }
        }
        counts
    }
}

/// The last line for programs; between them stands what the mod prints.
fn last_of(said: impl Read) -> Option<Ended> {
    let lines = BufReader::new(said).lines().map_while(Result::ok);
    lines.filter_map(|line| serde_json::from_str(&line).ok()).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mod_prints_is_not_taken_for_what_its_client_counted() {
        let said = "{\"event\":\"ready\",\"uid\":7}\n任务 {\n\
                    {\"event\":\"ended\",\"counts\":{\"sent\":{\"2\":5},\"lost\":{},\"received\":{\"1\":3,\"99\":1}}}\n7\n";
        let ended = last_of(said.as_bytes()).unwrap();
        let counts = ended.counts.by_row();
        assert_eq!(ended.event, "ended");
        assert_eq!(counts.sent[Row::ClientToServer.index()], 5);
        assert_eq!((counts.received[Row::ServerToClient.index()], counts.received_events()), (3, 3));
    }
}
