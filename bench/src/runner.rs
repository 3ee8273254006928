//! Runs one system once: a process that prints one figure, whoever it is.

use std::{
    env,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    brokers::{Running, Server},
    job::{Engine, Job, Kind, Runtime},
    measure::Figure,
    rows::{Row, System},
};

/// All that runs need.
pub(crate) struct Runner {
    nats: Option<Running>,
    redis: Option<Running>,
    chappe: PathBuf,
    size: usize,
}

/// What an idle part of a cluster costs, as `chappe bench idle --json` prints it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Idle {
    /// Resident memory of a node with nothing to do, in bytes.
    pub(crate) node_rss_bytes: Option<f64>,
    /// What each of 10,000 idle clients costs at the proxy, in bytes.
    pub(crate) client_bytes: Option<f64>,
}

/// How long a run lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    /// Measured, in seconds.
    pub(crate) seconds: f64,
    /// Before that, in seconds.
    pub(crate) warmup: f64,
}

impl Runner {
    /// Starts the servers that the systems need.
    pub(crate) fn start(systems: &[System], chappe: PathBuf, size: usize) -> Result<Self> {
        let wants = |engines: &[Engine]| {
            systems
                .iter()
                .any(|system| matches!(system, System::Baseline(engine) if engines.contains(engine)))
        };
        let start = |wanted: bool, server| wanted.then(|| Running::start(server)).transpose();
        Ok(Self {
            nats: start(wants(&[Engine::NatsRequest, Engine::NatsInbox]), Server::Nats)?,
            redis: start(wants(&[Engine::Redis]), Server::Redis)?,
            chappe,
            size,
        })
    }

    /// Runs one system once.
    pub(crate) fn run(&self, system: System, row: Row, runtime: Runtime, length: Length) -> Result<Figure> {
        match system {
            System::Baseline(engine) => self.baseline(engine, row, runtime, length),
            System::Chappe => self.chappe_bench(row, "local", length),
            System::ChappeMemory => self.chappe_bench(row, "memory", length),
        }
    }

    /// What Chappe costs when it is idle.
    pub(crate) fn idle(&self) -> Result<Idle> {
        let mut command = Command::new(&self.chappe);
        command.args(["bench", "idle", "--json"]);
        last_json(&output(command, Duration::from_secs(180))?)
    }

    fn baseline(&self, engine: Engine, row: Row, runtime: Runtime, length: Length) -> Result<Figure> {
        // Gone when the run is over, and with it the run's sockets.
        let dir = tempfile::tempdir()?;
        let running = match engine {
            Engine::NatsRequest | Engine::NatsInbox => &self.nats,
            Engine::Redis => &self.redis,
            Engine::Raw | Engine::Bare | Engine::Tonic | Engine::Relay => &None,
        };
        let job = Job {
            engine,
            kind: row.kind(),
            runtime,
            size: self.size,
            in_flight: row.in_flight(),
            seconds: length.seconds,
            warmup: length.warmup,
            broker: running.as_ref().map(|running| running.broker.clone()),
            dir: dir.path().to_owned(),
        };
        let mut command = Command::new(env::current_exe()?);
        command.args(["drive", &serde_json::to_string(&job)?]);
        last_json(&output(command, job.patience())?)
    }

    fn chappe_bench(&self, row: Row, link: &str, length: Length) -> Result<Figure> {
        let kind = serde_json::to_value(row.kind())?;
        let mut command = Command::new(&self.chappe);
        command.args(["bench", kind.as_str().unwrap_or_default(), "--link", link, "--json"]);
        command.args(["--size", &self.size.to_string(), "--seconds", &length.seconds.to_string()]);
        if matches!(row.kind(), Kind::Rpc | Kind::Client) {
            command.args(["--in-flight", &row.in_flight().to_string()]);
        }
        last_json(&output(command, Duration::from_secs_f64(length.seconds) + Duration::from_secs(60))?)
    }
}

/// Where `chappe` is built: beside this crate's directory, from wherever it is run.
pub(crate) fn default_chappe() -> PathBuf {
    repository().join("target/release/chappe")
}

/// The repository's root: above this crate when cargo runs it, otherwise the current directory.
pub(crate) fn repository() -> PathBuf {
    let own = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    own.as_deref().and_then(Path::parent).unwrap_or(Path::new(".")).to_owned()
}

/// The last line that is an object: whatever was said before it is not for us.
fn last_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    let line = text.lines().rev().find(|line| line.trim_start().starts_with('{'));
    Ok(serde_json::from_str(line.context("it printed no figure")?)?)
}

/// What a command prints, within its time; an error when it fails or takes longer.
fn output(mut command: Command, patience: Duration) -> Result<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let status = wait(&mut child, patience)?;
    let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
    if !status.success() {
        let said = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("nothing");
        bail!("it ended with {status} and said: {said}");
    }
    Ok(stdout)
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut pipe) = pipe {
            // What cannot be read is as good as not said: the figure will be missing.
            let _ = pipe.read_to_string(&mut text);
        }
        text
    })
}

fn wait(child: &mut Child, patience: Duration) -> Result<std::process::ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if started.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            bail!("it did not end within {} s", patience.as_secs());
        }
        thread::sleep(Duration::from_millis(10));
    }
}
