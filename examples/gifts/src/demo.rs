//! A cluster, three players, and a server that dies while they do business.

use chappe::client::{Client, ClientError, ClientEvent, Login, Response};
use chappe::deploy::Deploy;
use chappe::{Value, value};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

const DEPLOY: &str = include_str!("../deploy.json");
const WAIT: Duration = Duration::from_secs(30);

pub(crate) fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    match runtime.block_on(play()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

type Failed = Box<dyn std::error::Error>;

fn fail(error: &Failed) -> ExitCode {
    eprintln!("the demo has failed: {error}");
    ExitCode::FAILURE
}

async fn play() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let cluster = Cluster::start(dir.path())?;
    let mut players = Vec::new();
    for uid in [30, 31, 32] {
        players.push(Bot::login(&cluster.url, uid).await?);
    }
    let [ada, ben, cleo] = &players[..] else { return Err("three players".into()) };

    say("a gift, from one server to another");
    ada.ask("user.giveMoney", value!({"id": ben.uid})).await?;
    ada.ask("user.giveMoney", value!({"id": 404})).await?;

    say("a duel: the stake leaves the challenger at once, and the winner has both");
    ben.ask("duel.challenge", value!({"id": cleo.uid, "hand": "rock", "amount": 1000})).await?;
    ada.ask("duel.challenge", value!({"id": cleo.uid, "hand": "rock", "amount": 10})).await?;
    cleo.ask("duel.accept", value!({"hand": "paper"})).await?;

    say("the bank: the receiver logs out, and hears of the transfer when they are back");
    ben.ask("bank.deposit", value!({"amount": 2000})).await?;
    cleo.client.logout().await?;
    ben.ask("bank.transfer", value!({"to": 32, "amount": 1500})).await?;
    let cleo = &Bot::login(&cluster.url, 32).await?;
    cleo.hear_push().await?;
    cleo.ask("bank.withdraw", value!({"amount": 1500})).await?;

    say("the same while the receiver's server is killed: answered once, done once");
    let gift = ada.client.ask("user.giveMoney", &value!({"id": ben.uid}), WAIT);
    cluster.kill(ben.client.server_id().0)?;
    ada.tell("user.giveMoney", &gift.await?);

    say("and while the master is killed, which alone has the store: it takes up what is under way");
    let gift = ada.client.ask("user.giveMoney", &value!({"id": cleo.uid}), WAIT);
    cluster.kill(1)?;
    ada.tell("user.giveMoney", &gift.await?);

    let mut sum = 0;
    for player in [ada, ben, cleo] {
        let found = player.ask("bank.balance", value!({})).await?;
        let int = |name| found.field(name).and_then(Value::as_int).unwrap_or_default();
        sum += int("money") + int("account");
    }
    say(&format!("together they have {sum}; they began with 30000"));
    if sum == 30_000 { Ok(()) } else { Err("money was made or lost".into()) }
}

/// A player.
struct Bot {
    uid: u64,
    client: Client,
}

impl Bot {
    async fn login(url: &str, uid: u64) -> Result<Bot, Failed> {
        let connect = async {
            loop {
                // The cluster is coming up.
                match Client::connect(url, Login::new(uid)).await {
                    Ok(client) => return client,
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        };
        let client = tokio::time::timeout(WAIT, connect).await?;
        say(&format!("{uid} is on server {}", client.server_id()));
        Ok(Bot { uid, client })
    }

    async fn ask(&self, kind: &str, params: Value) -> Result<Response, ClientError> {
        let answer = self.client.ask(kind, &params, WAIT).await?;
        self.tell(kind, &answer);
        Ok(answer)
    }

    /// Waits for what the server says by itself.
    async fn hear_push(&self) -> Result<(), Failed> {
        loop {
            match tokio::time::timeout(WAIT, self.client.next_event()).await? {
                Some(ClientEvent::Event(event)) => {
                    let response = event.response();
                    if let Some(push) =
                        response.as_ref().and_then(|response| response.server_notify().first())
                    {
                        say(&format!("  {} hears {push}", self.uid));
                        return Ok(());
                    }
                }
                Some(_) => {}
                None => return Err("the session has ended".into()),
            }
        }
    }

    fn tell(&self, kind: &str, answer: &Response) {
        let shown = |(name, value): &(Value, Value)| {
            let name = name.as_str().filter(|name| !name.starts_with('_'))?;
            Some(format!("{name} {value}"))
        };
        let fields: Vec<String> =
            answer.value().as_map().unwrap_or_default().iter().filter_map(shown).collect();
        say(&format!("  {} {kind}: {}", self.uid, fields.join(", ")));
    }
}

fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// `gifts up`, in a directory and on ports of its own; everything ends with it.
struct Cluster {
    up: Child,
    url: String,
    deploy: std::path::PathBuf,
}

impl Cluster {
    fn start(dir: &Path) -> Result<Cluster, Failed> {
        let program = std::env::current_exe()?;
        let ports = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
        let [http, clients] = [ports[0].local_addr()?.port(), ports[1].local_addr()?.port()];
        drop(ports);
        let text = DEPLOY
            .replace("../../target/release/gifts", &program.to_string_lossy())
            .replace("18490", &http.to_string())
            .replace("18491", &clients.to_string());
        let deploy = dir.join("deploy.json");
        std::fs::write(&deploy, text)?;
        let up = Command::new(program).args(["up", "--log", "error"]).arg(&deploy).spawn()?;
        Ok(Cluster { up, url: format!("ws://127.0.0.1:{clients}"), deploy })
    }

    /// Ends a node as kill -9 does.
    fn kill(&self, node: i64) -> Result<(), Failed> {
        say(&format!("  server {node} is killed"));
        let (deploy, _) = Deploy::load(&self.deploy)?;
        let process: i32 =
            std::fs::read_to_string(deploy.run_dir().join(format!("{node}.lock")))?.trim().parse()?;
        kill(Pid::from_raw(process), Signal::SIGKILL)?;
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.up.kill();
        let _ = self.up.wait();
    }
}
