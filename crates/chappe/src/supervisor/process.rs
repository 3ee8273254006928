//! A node as a process of its own.

use super::output::has_colors;
use super::{End, Order, Output, tries_for};
use crate::app::App;
use crate::orphan;
use crate::python;
use chappe_deploy::NodeEntry;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::cell::RefCell;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// The line by which a node that is supervised says that it is ready; the record separator in front keeps it apart
/// from what games print.
pub(crate) const READY_LINE: &str = "\u{1e}chappe ready";

/// A longer line is cut into several.
const LONGEST_LINE: usize = 16 * 1024;
/// How long the last lines of a process that is gone may take: a process that it left behind may hold the pipe.
const LAST_LINES: Duration = Duration::from_millis(200);

/// How to start the processes of one cluster.
pub(crate) struct Programs {
    /// What runs the entries that name no program.
    own: Vec<OsString>,
    /// What runs the entries that have mods.
    mods: Vec<OsString>,
    deploy: PathBuf,
    log: Option<String>,
}

impl Programs {
    /// For the nodes of the file `deploy`; `log` is their log filter.
    ///
    /// # Errors
    /// When this program's own file is not known.
    pub(crate) fn new(app: &App, deploy: PathBuf, log: Option<String>) -> io::Result<Programs> {
        let own = match app.mod_host() {
            Some(host) => host.program(),
            None => vec![std::env::current_exe()?.into()],
        };
        let mods = match app.mod_host() {
            Some(_) => own.clone(),
            None => python::program().unwrap_or_default().iter().map(OsString::from).collect(),
        };
        Ok(Programs { own, mods, deploy, log })
    }

    /// Runs one life of a node.
    pub(super) async fn run(
        &self,
        entry: &NodeEntry,
        mut orders: watch::Receiver<Order>,
        output: &Output,
        on_ready: &dyn Fn(),
    ) -> End {
        let (mut child, group) = match self.start(entry) {
            Ok(started) => started,
            Err(error) => return End::NotStarted(error.to_string()),
        };
        let last = RefCell::new(String::new());
        let on_line = |line: &str| match line == READY_LINE {
            true => on_ready(),
            false => output.line(entry.id, line),
        };
        let on_error_line = |line: &str| {
            on_line(line);
            line.clone_into(&mut last.borrow_mut());
        };
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let lines = async { tokio::join!(relay(stdout, &on_line), relay(stderr, &on_error_line)) };
        let mut lines = std::pin::pin!(lines);
        let mut all_read = false;
        let status = loop {
            tokio::select! {
                biased;
                status = child.wait() => break status,
                _ = orders.changed() => signal(group, *orders.borrow_and_update()),
                _ = &mut lines, if !all_read => all_read = true,
            }
        };
        if *orders.borrow() == Order::Run {
            // What it may have started must not hold its id, its port or its pipe.
            signal(group, Order::Kill);
        }
        if !all_read {
            let _ = timeout(LAST_LINES, lines).await;
        }
        match status.map_or_else(|error| End::NotStarted(error.to_string()), end_of) {
            // The last line of its errors is why.
            end @ End::Exit(code, None) if tries_for(&end).is_some() => {
                End::Exit(code, Some(last.take()).filter(|why| !why.is_empty()))
            }
            end => end,
        }
    }

    fn start(&self, entry: &NodeEntry) -> io::Result<(Child, Pid)> {
        let named: Vec<OsString> = entry.program.iter().flatten().map(OsString::from).collect();
        let words = match (named.is_empty(), entry.mods.is_empty()) {
            (false, _) => &named,
            (true, true) => &self.own,
            (true, false) => &self.mods,
        };
        let [program, args @ ..] = &words[..] else {
            return Err(io::Error::other("no program runs this node"));
        };
        let mut command = Command::new(program);
        command.args(args);
        command.arg("node").arg(&self.deploy).arg("--").arg(entry.id.to_string());
        command.env(orphan::SUPERVISOR, std::process::id().to_string());
        if let Some(log) = &self.log {
            command.env("RUST_LOG", log);
        }
        if has_colors() {
            command.env("CLICOLOR_FORCE", "1");
        }
        // A group of its own: the terminal's Ctrl-C is the supervisor's alone, so that nodes leave in order.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let group = id.map(Pid::from_raw).ok_or_else(|| io::Error::other("it was gone at once"))?;
        Ok((child, group))
    }
}

/// Passes an order on to a process and what it has started.
fn signal(group: Pid, order: Order) {
    let signal = match order {
        Order::Run => return,
        Order::Leave => Signal::SIGTERM,
        Order::Kill => Signal::SIGKILL,
    };
    // An error says that nobody is left.
    let _ = killpg(group, signal);
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exit(u8::try_from(code).unwrap_or(u8::MAX), None),
        (None, Some(number)) => {
            let name =
                Signal::try_from(number).map_or_else(|_| number.to_string(), |known| known.to_string());
            End::Killed(format!("signal {name}"))
        }
        (None, None) => End::Killed(status.to_string()),
    }
}

/// Hands each line of a pipe to `on_line`, until the pipe ends.
async fn relay(pipe: Option<impl AsyncRead + Unpin>, on_line: &dyn Fn(&str)) {
    let Some(mut pipe) = pipe else { return };
    let mut bytes = Vec::with_capacity(1024);
    let tell = |line: &[u8]| on_line(String::from_utf8_lossy(line).trim_end_matches('\r'));
    while let Ok(1..) = pipe.read_buf(&mut bytes).await {
        let mut rest = &bytes[..];
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            tell(&rest[..end]);
            rest = &rest[end + 1..];
        }
        if rest.len() >= LONGEST_LINE {
            tell(rest);
            rest = &[];
        }
        let taken = bytes.len() - rest.len();
        bytes.drain(..taken);
    }
    if !bytes.is_empty() {
        tell(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_line_without_an_end_does_not_fill_the_memory_nor_get_lost() {
        let text = [&b"one\r\ntwo \xff\n"[..], &[b'x'; 40_000], b"\nlast"].concat();
        let lines = RefCell::new(Vec::new());
        relay(Some(&text[..]), &|line| lines.borrow_mut().push(line.to_owned())).await;
        let lines = lines.into_inner();
        assert_eq!(lines[..2], ["one", "two \u{fffd}"]);
        assert_eq!(lines.last().map(String::as_str), Some("last"));
        assert_eq!(lines.iter().map(|line| line.matches('x').count()).sum::<usize>(), 40_000);
        assert!(lines.iter().all(|line| line.len() <= 2 * LONGEST_LINE));
    }
}
