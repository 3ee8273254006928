//! Players whose client runs a mod in Python: a process for each session, which tells at its end what it has counted. When
//! the cluster has ended a session, the player starts the game again, and logs in at the next proxy.

use super::cluster::Cluster;
use super::watch::Watch;
use chappe::client::Counts;
use chappe::{NodeId, Row};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The first one's uid.
const FIRST_UID: u64 = 6_000_000_000;
/// The mod that they run.
const MOD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mods/quest");
/// How long they may take to log out: a client whose proxy is gone waits 10 s for it.
const LEAVE: Duration = Duration::from_secs(20);
/// Between two looks at a client.
const LOOK: Duration = Duration::from_millis(20);
/// How long a player waits that was not let in, as the bots do.
const WAIT: Duration = Duration::from_millis(500);

/// The players; clients that still run are killed with this value.
pub(crate) struct Players {
    /// Says whether they are to log out.
    over: Option<watch::Sender<bool>>,
    players: Vec<JoinHandle<Result<(), String>>>,
}

/// One player: who starts the client again, elsewhere, when its session was ended.
struct Player {
    uid: u64,
    /// Of all proxies, the one where it logs in.
    home: usize,
    proxies: Vec<NodeId>,
    deploy: PathBuf,
    log: File,
    over: watch::Receiver<bool>,
    watch: Watch,
}

/// What has become of one session.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    LoggedOut,
    /// It was ended from outside.
    Closed(String),
    NotLetIn(String),
}

/// Of the lines that a client prints for programs, what is wanted here.
#[derive(Debug, Deserialize)]
struct Line {
    event: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    counts: Told,
    #[serde(default)]
    resumed: bool,
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
    pub(crate) fn start(cluster: &Cluster, watch: &Watch) -> Result<Players, String> {
        let (over, is_over) = watch::channel(false);
        let mut all = Players { over: Some(over), players: Vec::new() };
        if cluster.python_nodes().next().is_none() {
            return Ok(all);
        }
        let log = File::create(cluster.file_beside("players.log")).map_err(|error| error.to_string())?;
        let proxies: Vec<NodeId> = cluster.proxies().collect();
        for (uid, home) in (FIRST_UID..).zip(0..proxies.len()) {
            let player = Player {
                uid,
                home,
                proxies: proxies.clone(),
                deploy: cluster.deploy.path.clone(),
                log: log.try_clone().map_err(|error| error.to_string())?,
                over: is_over.clone(),
                watch: watch.clone(),
            };
            let thread = std::thread::Builder::new().name(format!("player-{uid}"));
            let thread = thread.spawn(move || player.play());
            all.players.push(thread.map_err(|error| format!("a thread for a player: {error}"))?);
        }
        Ok(all)
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.players.len()
    }

    /// Lets them log out, and takes down what they have counted. Answers what went wrong.
    pub(crate) fn end(mut self) -> Vec<String> {
        if let Some(over) = &self.over {
            // An error says that all have ended.
            let _ = over.send(true);
        }
        self.join()
    }

    fn join(&mut self) -> Vec<String> {
        let ended = self.players.drain(..).map(JoinHandle::join);
        let ended = ended.map(|ended| ended.unwrap_or_else(|_| Err("a player's thread panicked".to_owned())));
        ended.filter_map(Result::err).collect()
    }
}

impl Drop for Players {
    fn drop(&mut self) {
        drop(self.over.take());
        self.join();
    }
}

impl Player {
    /// Plays until the demo is over.
    fn play(mut self) -> Result<(), String> {
        while !self.is_over() {
            let why = match self.session()? {
                Outcome::LoggedOut => continue,
                Outcome::NotLetIn(why) => why,
                Outcome::Closed(why) => {
                    self.watch.lose();
                    why
                }
            };
            self.watch.trouble(format!("player {}: {why}", self.uid));
            self.home += 1;
            self.rest();
        }
        Ok(())
    }

    /// One client, from its login to its end.
    fn session(&self) -> Result<Outcome, String> {
        let uid = self.uid;
        let mut client = self.client()?;
        let said = client.stdout.take().ok_or("a client has no output")?;
        let watch = self.watch.clone();
        let said = std::thread::spawn(move || last_of(said, &watch));
        let (status, is_asked) = self.wait(&mut client);
        let said = said.join().ok().flatten();
        if let Some(said) = &said {
            self.watch.took_part_in_python(&said.counts.by_row());
        }
        let status = status.ok_or_else(|| format!("player {uid} did not log out within {LEAVE:?}"))?;
        let outcome = outcome(status.code(), said, is_asked);
        let outcome = outcome.map_err(|why| format!("player {uid} ended with {status}: {why}"))?;
        if !matches!(outcome, Outcome::NotLetIn(_)) {
            self.watch.count("sessions with a mod");
        }
        Ok(outcome)
    }

    fn client(&self) -> Result<Child, String> {
        let told = |error: io::Error| format!("a client with a mod: {error}");
        let mut command = Command::new(std::env::current_exe().map_err(told)?);
        command.arg("client").arg(&self.deploy).args(["--mods", MOD, "--json"]);
        let proxy = self.proxies[self.home % self.proxies.len()];
        command.args(["--uid", &self.uid.to_string(), "--proxy", &proxy.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(self.log.try_clone().map_err(told)?);
        command.spawn().map_err(told)
    }

    /// Waits for a client's end, and asks for it when the demo is over: how it ended, `None` when it had to be killed, and
    /// whether it was asked.
    fn wait(&self, client: &mut Child) -> (Option<ExitStatus>, bool) {
        let mut deadline = None;
        loop {
            if let Ok(Some(status)) = client.try_wait() {
                return (Some(status), deadline.is_some());
            }
            if deadline.is_none() && self.is_over() {
                if let Ok(process) = i32::try_from(client.id()) {
                    let _ = kill(Pid::from_raw(process), Signal::SIGINT);
                }
                deadline = Some(Instant::now() + LEAVE);
            }
            if self.is_abandoned() || deadline.is_some_and(|deadline| Instant::now() > deadline) {
                let _ = client.kill();
                let _ = client.wait();
                return (None, true);
            }
            sleep(LOOK);
        }
    }

    fn rest(&self) {
        let until = Instant::now() + WAIT;
        while !self.is_over() && Instant::now() < until {
            sleep(LOOK);
        }
    }

    fn is_over(&self) -> bool {
        *self.over.borrow() || self.is_abandoned()
    }

    /// Nobody is there any more who would ask them to log out.
    fn is_abandoned(&self) -> bool {
        self.over.has_changed().is_err()
    }
}

/// What has become of a session, by its client's exit code and the last that it said; `is_asked`: it was to log out.
fn outcome(code: Option<i32>, said: Option<Line>, is_asked: bool) -> Result<Outcome, String> {
    match (code, said) {
        (Some(0), Some(Line { event, .. })) if event == "ended" && is_asked => Ok(Outcome::LoggedOut),
        (Some(1), Some(Line { event, message, .. })) if event == "closed" => Ok(Outcome::Closed(message)),
        (Some(5), Some(Line { event, message, .. })) if event == "failed" => Ok(Outcome::NotLetIn(message)),
        // It was still to log in.
        (_, None) if is_asked => Ok(Outcome::NotLetIn("the demo was over".to_owned())),
        (_, Some(line)) => Err(format!("{} {}", line.event, line.message)),
        (_, None) => Err("it said nothing".to_owned()),
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

/// The last line for programs; between them stands what the mod prints. Sessions that were lost are counted meanwhile.
fn last_of(said: impl Read, watch: &Watch) -> Option<Line> {
    let lines = BufReader::new(said).lines().map_while(Result::ok);
    let lines = lines.filter_map(|line| serde_json::from_str(&line).ok());
    lines.inspect(|line: &Line| count_lost(line, watch)).last()
}

fn count_lost(line: &Line, watch: &Watch) {
    if line.event == "reconnected" {
        watch.count(if line.resumed { "resumed" } else { "not resumed" });
        if !line.resumed {
            watch.lose();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Option<Line> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn what_a_mod_prints_is_not_taken_for_what_its_client_counted() {
        let said = "{\"event\":\"ready\",\"uid\":7}\n任务 {\n\
                    {\"event\":\"reconnected\",\"uid\":7,\"resumed\":false}\n\
                    {\"event\":\"ended\",\"counts\":{\"sent\":{\"2\":5},\"lost\":{},\"received\":{\"1\":3,\"99\":1}}}\n7\n";
        let (watch, _end) = Watch::new();
        let ended = last_of(said.as_bytes(), &watch).unwrap();
        let counts = ended.counts.by_row();
        assert_eq!((ended.event.as_str(), watch.lost()), ("ended", 1));
        assert_eq!(counts.sent[Row::ClientToServer.index()], 5);
        assert_eq!((counts.received[Row::ServerToClient.index()], counts.received_events()), (3, 3));
    }

    #[test]
    fn a_player_whose_proxy_is_gone_logs_in_again_and_one_whose_client_broke_does_not() {
        let closed = r#"{"event":"closed","message":"the proxy shuts down"}"#;
        let refused = r#"{"event":"failed","code":5,"message":"not there"}"#;
        let (ended, ready) = (r#"{"event":"ended"}"#, r#"{"event":"ready"}"#);
        let is_closed = Ok(Outcome::Closed("the proxy shuts down".to_owned()));
        assert_eq!(outcome(Some(1), line(closed), false), is_closed);
        assert_eq!(outcome(Some(1), line(closed), true), is_closed);
        assert_eq!(outcome(Some(5), line(refused), false), Ok(Outcome::NotLetIn("not there".to_owned())));
        assert_eq!(outcome(Some(0), line(ended), true), Ok(Outcome::LoggedOut));
        assert!(matches!(outcome(None, None, true), Ok(Outcome::NotLetIn(_))));
        for broken in [
            outcome(Some(0), line(ended), false),
            outcome(Some(1), line(ready), true),
            outcome(Some(2), line(r#"{"event":"failed","code":2}"#), false),
            outcome(None, None, false),
        ] {
            assert!(broken.is_err(), "{broken:?}");
        }
    }
}
