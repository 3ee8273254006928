//! The brokers' servers: our own instances, on free ports or sockets, in a temporary directory, as whoever runs the
//! benchmark. Each is watched over by a process of its own, which ends it when this one is gone, however that went.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    net::{TcpListener, TcpStream},
    os::unix::{net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::{harness::say, job::Broker};

/// A server that we can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Server {
    /// nats-server.
    Nats,
    /// redis-server.
    Redis,
}

/// A server that runs until this is dropped.
pub(crate) struct Running {
    /// Where it is.
    pub(crate) broker: Broker,
    keeper: Child,
    // The keeper lives as long as this is open.
    input: Option<ChildStdin>,
}

impl Running {
    /// Starts a server under a keeper, and waits until it takes connections.
    pub(crate) fn start(server: Server) -> Result<Self> {
        let role = server.to_possible_value().context("a server without a name")?;
        let mut keeper = Command::new(env::current_exe()?)
            .args(["keep", role.get_name()])
            // Out of reach of Ctrl-C, so that it lives long enough to clean up.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = keeper.stdin.take();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().context("no pipe from the keeper")?).read_line(&mut line)?;
        if line.is_empty() {
            let _ = keeper.wait();
            bail!("{} did not start", role.get_name());
        }
        Ok(Self { broker: serde_json::from_str(&line)?, keeper, input })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.keeper.wait();
    }
}

/// The keeper: runs the server until our standard input is closed, then ends it and removes what it wrote.
pub(crate) fn keep(server: Server) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (mut child, url, socket) = match server {
        Server::Nats => start_nats(dir.path())?,
        Server::Redis => start_redis(dir.path())?,
    };
    let begun = wait_for(&mut child, &socket);
    if begun.is_ok() {
        let told = serde_json::to_string(&Broker { url, pid: child.id() }).map_err(Into::into);
        if told.and_then(|told| say(&told)).is_ok() {
            std::io::stdin().lines().for_each(drop);
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    begun
}

enum Address {
    Tcp(u16),
    Unix(PathBuf),
}

fn start_nats(dir: &Path) -> Result<(Child, String, Address)> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let config = dir.join("nats.conf");
    // A subscriber may fall far behind before the server gives it up: a lost message would be a lost figure.
    fs::write(
        &config,
        format!(
            "listen: \"127.0.0.1:{port}\"\nmax_pending: 512MB\nwrite_deadline: \"10s\"\nping_interval: \"5s\"\n"
        ),
    )?;
    let child = spawn("nats-server", dir, &["-c".as_ref(), config.as_os_str()])?;
    Ok((child, format!("nats://127.0.0.1:{port}"), Address::Tcp(port)))
}

fn start_redis(dir: &Path) -> Result<(Child, String, Address)> {
    let socket = dir.join("redis.sock");
    let config = dir.join("redis.conf");
    let path = socket.display();
    // Nothing is kept on disk, and no subscriber is cut off for falling behind.
    let lines = [
        "port 0".to_owned(),
        format!("unixsocket {path}"),
        "save \"\"".to_owned(),
        "appendonly no".to_owned(),
        "client-output-buffer-limit pubsub 0 0 0".to_owned(),
    ];
    fs::write(&config, lines.join("\n"))?;
    let child = spawn("redis-server", dir, &[config.as_os_str()])?;
    Ok((child, format!("redis+unix://{path}"), Address::Unix(socket)))
}

fn spawn(program: &str, dir: &Path, arguments: &[&std::ffi::OsStr]) -> Result<Child> {
    // Debian puts servers where an ordinary user's PATH does not look.
    let places = env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let log = fs::File::create(dir.join("log"))?;
    let found = env::split_paths(&places).map(|place| place.join(program)).find(|path| path.is_file());
    let found =
        found.with_context(|| format!("{program} is not installed; scripts/ensure-deb.sh {program}"))?;
    Command::new(found)
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("{program} does not start"))
}

fn wait_for(child: &mut Child, address: &Address) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        let answers = match address {
            Address::Tcp(port) => TcpStream::connect(("127.0.0.1", *port)).is_ok(),
            Address::Unix(path) => UnixStream::connect(path).is_ok(),
        };
        if answers {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            bail!("the server ended at its start: {status}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    bail!("the server took no connection within 10 s")
}
