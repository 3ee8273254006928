//! What is between a host and the rest of the world.
//!
//! Where the machine allows it, each host is a network namespace with two links, one to the servers and one to the
//! players, and all of it is in a namespace of the run's own: nothing of it is seen outside, and all of it goes with the
//! last process. Elsewhere everything is on loopback, and a relay stands between each host and the servers.

use crate::kept::{Keepers, Kept};
use crate::relay::{Gate, relay};
use crate::told;
use nix::sys::signal::Signal;
use nix::unistd::Uid;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `loopback` forces that; the program itself says here that it has entered a namespace, and which one it came from.
const NET: &str = "CHAPPE_HOSTS_NET";
/// Where every host finds the servers.
const SERVERS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// What a machine must allow.
const TRY: &str =
    "ip link set lo up && ip link add chappe0 type veth peer name chappe1 && unshare --net true";
/// How long a namespace may take to be there.
const START: Duration = Duration::from_secs(10);

/// How hosts are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Net {
    /// Each a network namespace.
    Namespaces,
    /// All on loopback, each behind relays of its own.
    Loopback,
}

/// Becomes the same program in a network namespace of its own, where the machine allows it. To be called before
/// anything else.
///
/// # Errors
/// When it should be possible and is not.
pub fn enter() -> Result<Net, String> {
    match std::env::var(NET) {
        Ok(value) if value == "loopback" => return Ok(Net::Loopback),
        Ok(outside) if here().is_some_and(|here| here != outside) => return Ok(Net::Namespaces),
        _ => {}
    }
    let (Some(way), Some(outside)) = (ways().into_iter().find(|way| is_possible(way)), here()) else {
        return Ok(Net::Loopback);
    };
    let program = std::env::current_exe().map_err(told("this program's own file"))?;
    let mut again = Command::new("unshare");
    again.args(way).arg("--").arg(program).args(std::env::args_os().skip(1)).env(NET, outside);
    Err(format!("unshare: {}", again.exec()))
}

impl Net {
    /// In words, for whoever watches.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Net::Namespaces => "network namespaces",
            Net::Loopback => "loopback, with relays",
        }
    }

    /// Where the servers listen for all hosts.
    pub(crate) fn servers(self) -> IpAddr {
        match self {
            Net::Namespaces => SERVERS.into(),
            Net::Loopback => Ipv4Addr::LOCALHOST.into(),
        }
    }

    /// What must be there before the servers start.
    ///
    /// # Errors
    /// What `ip` says.
    pub(crate) fn prepare(self) -> Result<(), String> {
        match self {
            Net::Loopback => Ok(()),
            Net::Namespaces => {
                run("ip", ["link", "set", "lo", "up"])?;
                run("ip", ["address", "add", &format!("{SERVERS}/32"), "dev", "lo"])
            }
        }
    }
}

/// One host's place in the network.
pub(crate) struct Place {
    /// Where it finds the servers that were named.
    pub(crate) servers: Vec<SocketAddr>,
    /// Where players find its proxies.
    pub(crate) ip: IpAddr,
    cut: Cut,
}

enum Cut {
    Link { number: usize, namespace: PathBuf, _holder: Kept },
    Gate(Gate),
}

impl Place {
    /// Makes the host with this number, of 1 to 250.
    ///
    /// # Errors
    /// What could not be done.
    pub(crate) fn new(
        net: Net,
        number: usize,
        servers: &[SocketAddr],
        keepers: &Keepers,
        log: &Path,
    ) -> Result<Place, String> {
        match net {
            Net::Loopback => {
                let gate = Gate::default();
                let servers = servers.iter().map(|server| relay(*server, &gate)).collect::<Result<_, _>>()?;
                Ok(Place { servers, ip: Ipv4Addr::LOCALHOST.into(), cut: Cut::Gate(gate) })
            }
            Net::Namespaces => Place::namespace(number, servers, keepers, log),
        }
    }

    fn namespace(
        number: usize,
        servers: &[SocketAddr],
        keepers: &Keepers,
        log: &Path,
    ) -> Result<Place, String> {
        let mut hold = Command::new("unshare");
        hold.args(["--net", "--", "sleep", "infinity"]);
        let holder = keepers.start(&hold, Signal::SIGTERM, log)?;
        let namespace = PathBuf::from(format!("/proc/{}/ns/net", holder.id()));
        let (outside, deadline) = (here(), Instant::now() + START);
        while link_of(&namespace).is_none_or(|inside| Some(inside) == outside) {
            if Instant::now() > deadline {
                return Err("a network namespace: it does not come".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let holder_id = holder.id().to_string();
        for (net, device) in [(77, "core"), (78, "players")] {
            let (here, there) = (format!("10.{net}.{number}.1/24"), format!("10.{net}.{number}.2/24"));
            let name = format!("{device}{number}");
            run("ip", ["link", "add", &name, "type", "veth", "peer", "name", device, "netns", &holder_id])?;
            run("ip", ["address", "add", &here, "dev", &name])?;
            run("ip", ["link", "set", &name, "up"])?;
            inside(&namespace, "ip", ["address", "add", &there, "dev", device])?;
            inside(&namespace, "ip", ["link", "set", device, "up"])?;
        }
        inside(&namespace, "ip", ["link", "set", "lo", "up"])?;
        let gateway = format!("10.77.{number}.1");
        inside(&namespace, "ip", ["route", "add", &SERVERS.to_string(), "via", &gateway])?;
        let last = u8::try_from(number).map_err(told("so many hosts"))?;
        Ok(Place {
            servers: servers.to_vec(),
            ip: Ipv4Addr::new(10, 78, last, 2).into(),
            cut: Cut::Link { number, namespace, _holder: holder },
        })
    }

    /// A command that runs there.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match &self.cut {
            Cut::Gate(_) => Command::new(program),
            Cut::Link { namespace, .. } => within(namespace, program),
        }
    }

    /// Cuts it off from the servers, or takes that back. Players reach it all the same.
    ///
    /// # Errors
    /// What `ip` says.
    pub(crate) fn cut(&self, is_cut: bool) -> Result<(), String> {
        match &self.cut {
            Cut::Gate(gate) => gate.shut(is_cut),
            Cut::Link { number, .. } => {
                run("ip", ["link", "set", &format!("core{number}"), if is_cut { "down" } else { "up" }])?;
            }
        }
        Ok(())
    }

    /// A port that nothing listens on.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn free_port(&self, nth: u16) -> Result<(u16, Option<TcpListener>), String> {
        match &self.cut {
            // Nobody else is there.
            Cut::Link { .. } => Ok((9000 + nth, None)),
            Cut::Gate(_) => {
                let listener = TcpListener::bind("127.0.0.1:0").map_err(told("a free port"))?;
                let port = listener.local_addr().map_err(told("a free port"))?.port();
                Ok((port, Some(listener)))
            }
        }
    }
}

/// Ways to get a namespace: as root, or as a user who is allowed user namespaces.
fn ways() -> Vec<Vec<&'static str>> {
    let own = vec!["--user", "--map-current-user", "--keep-caps", "--net"];
    if Uid::effective().is_root() { vec![vec!["--net"]] } else { vec![own] }
}

fn is_possible(way: &[&str]) -> bool {
    let mut attempt = Command::new("unshare");
    attempt.args(way).args(["--", "sh", "-c", TRY]);
    attempt.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    attempt.status().is_ok_and(|status| status.success())
}

/// The namespace that this process is in.
fn here() -> Option<String> {
    link_of(Path::new("/proc/self/ns/net"))
}

fn link_of(namespace: &Path) -> Option<String> {
    std::fs::read_link(namespace).ok().map(|name| name.to_string_lossy().into_owned())
}

fn within(namespace: &Path, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", namespace.display())).arg("--").arg(program);
    command
}

fn inside<const N: usize>(namespace: &Path, program: &str, args: [&str; N]) -> Result<(), String> {
    finish(within(namespace, program).args(args))
}

fn run<const N: usize>(program: &str, args: [&str; N]) -> Result<(), String> {
    finish(Command::new(program).args(args))
}

/// Runs a command to its end.
///
/// # Errors
/// What it says, when it fails.
pub(crate) fn finish(command: &mut Command) -> Result<(), String> {
    let name = format!("{command:?}");
    let told_by = command.stdin(Stdio::null()).output().map_err(told(&name))?;
    match told_by.status.success() {
        true => Ok(()),
        false => Err(format!("{name}: {}", String::from_utf8_lossy(&told_by.stderr).trim())),
    }
}
