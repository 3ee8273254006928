//! A node that a supervisor has started ends when the supervisor does, however that ended.

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getppid};
use std::time::Duration;

/// Names the supervisor's process id to the nodes that it starts.
pub(crate) const SUPERVISOR: &str = "CHAPPE_SUPERVISOR";

/// How often a node that is not the supervisor's own child looks whether it is still there.
const LOOK: Duration = Duration::from_secs(1);

/// Whether a supervisor has started this process.
pub(crate) fn is_supervised() -> bool {
    supervisor().is_some()
}

/// Ties this process's life to its supervisor's, if it has one. `false` when that is gone already.
pub(crate) fn tie() -> bool {
    let Some(supervisor) = supervisor() else { return true };
    // The system's own tie: it works on a stopped process too, and on one that is busy.
    let tied = set_pdeathsig(Signal::SIGKILL);
    if getppid() == supervisor {
        return tied.is_ok() || watch(supervisor);
    }
    // Either it ended before the tie stood, or a wrapper (a shell script) stands between the two.
    is_alive(supervisor) && watch(supervisor)
}

fn supervisor() -> Option<Pid> {
    std::env::var(SUPERVISOR).ok()?.parse().ok().map(Pid::from_raw)
}

/// One that has ended and that nobody has waited for yet is not.
fn is_alive(process: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"));
    // `PID (NAME) STATE ...`, and the name may hold anything.
    stat.is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with(['Z', 'X'])))
}

fn watch(supervisor: Pid) -> bool {
    let look = move || {
        while is_alive(supervisor) {
            std::thread::sleep(LOOK);
        }
        std::process::exit(i32::from(crate::exit::FAILED));
    };
    std::thread::Builder::new().name("chappe-orphan".into()).stack_size(64 * 1024).spawn(look).is_ok()
}
