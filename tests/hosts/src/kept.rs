//! Processes that end when we do, however we end: each has a keeper, which ends it when our end of a pipe closes.

use crate::told;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// Log, signal, then the program and its arguments. Says the program's process id; ends as it has ended.
const KEEPER: &str = r#"log=$1; signal=$2; shift 2
"$@" >>"$log" 2>&1 </dev/null & child=$!
echo $child; cat >/dev/null; kill -"$signal" $child 2>/dev/null; wait $child"#;
/// How long a process may take to end in order.
const END: Duration = Duration::from_secs(12);
/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(20);
/// What a shell calls the exit of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// All processes and directories of a run; they go with the last clone, or when this program is interrupted.
#[derive(Clone, Default)]
pub(crate) struct Keepers(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    next: u64,
    /// In the order in which they were started; they end the other way round.
    keepers: BTreeMap<u64, Keeper>,
    dirs: Vec<PathBuf>,
}

struct Keeper {
    process: Child,
    child: Pid,
}

/// One process; it is ended with this value.
pub(crate) struct Kept {
    keepers: Keepers,
    key: u64,
    child: Pid,
}

impl Keepers {
    /// Ends everything and this program at SIGINT, SIGTERM and SIGHUP.
    ///
    /// # Errors
    /// When signals cannot be listened to.
    pub(crate) fn end_when_interrupted(&self) -> Result<(), String> {
        let keepers = self.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(told("signals"))?;
        let wait = async move || -> std::io::Result<()> {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let mut hangup = signal(SignalKind::hangup())?;
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            keepers.end();
            std::process::exit(INTERRUPTED)
        };
        let thread = std::thread::Builder::new().name("signals".into());
        thread.spawn(move || runtime.block_on(wait())).map(drop).map_err(told("signals"))
    }

    /// Starts a process; `end` is the signal that ends it in order. What it says goes to the end of `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(&self, command: &Command, end: Signal, log: &Path) -> Result<Kept, String> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "keeper"]).arg(log).arg(end.as_str().trim_start_matches("SIG"));
        keeper.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => keeper.env(name, value),
                None => keeper.env_remove(name),
            };
        }
        command.get_current_dir().map(|dir| keeper.current_dir(dir));
        // Ctrl-C is for us, who end them in order.
        keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = keeper.spawn().map_err(told(&program))?;
        let mut line = String::new();
        let said = process.stdout.take().map(|said| BufReader::new(said).read_line(&mut line));
        let child = line.trim().parse().ok().filter(|_| matches!(said, Some(Ok(_)))).map(Pid::from_raw);
        let child = child.ok_or_else(|| format!("{program}: cannot be started"))?;
        let mut state = self.lock();
        state.next += 1;
        let key = state.next;
        state.keepers.insert(key, Keeper { process, child });
        Ok(Kept { keepers: self.clone(), key, child })
    }

    /// Has a directory removed in the end.
    pub(crate) fn remove_later(&self, dir: PathBuf) {
        self.lock().dirs.push(dir);
    }

    /// Leaves a directory where it is after all.
    pub(crate) fn leave(&self, dir: &Path) {
        self.lock().dirs.retain(|other| other != dir);
    }

    /// Ends all processes and removes all directories.
    pub(crate) fn end(&self) {
        loop {
            // Not held while one ends: what belongs to it may be asked for meanwhile.
            let last = self.lock().keepers.pop_last();
            let Some((_, keeper)) = last else { break };
            keeper.end();
        }
        let dirs = std::mem::take(&mut self.lock().dirs);
        for dir in dirs {
            let _ = std::fs::remove_dir_all(dir);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Its process id.
    pub(crate) fn id(&self) -> Pid {
        self.child
    }

    /// Whether it runs.
    pub(crate) fn is_alive(&self) -> bool {
        is_alive(self.child)
    }

    /// Ends it in order; whether it ended well and in time.
    pub(crate) fn end(self) -> bool {
        let keeper = self.keepers.lock().keepers.remove(&self.key);
        keeper.is_some_and(Keeper::end)
    }

    /// Ends it by a signal, and waits until it has.
    pub(crate) fn end_by(self, signal: Signal) {
        let _ = kill(self.child, signal);
        self.end();
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(self) {
        self.end_by(Signal::SIGKILL);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let keeper = self.keepers.lock().keepers.remove(&self.key);
        let _ = keeper.map(Keeper::end);
    }
}

impl Keeper {
    fn end(mut self) -> bool {
        drop(self.process.stdin.take());
        let deadline = Instant::now() + END;
        loop {
            match self.process.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
                _ => break,
            }
        }
        let _ = kill(self.child, Signal::SIGKILL);
        let _ = self.process.wait();
        false
    }
}

/// One that has ended and that nobody has waited for yet is not.
pub(crate) fn is_alive(process: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    // `PID (NAME) STATE ...`, and the name may hold anything.
    stat.is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with(['Z', 'X'])))
}
