//! A demo that is interrupted takes its cluster with it.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// How long the cluster may take to end.
const LEAVE: Duration = Duration::from_secs(6);
/// What a shell calls the exit of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// At Ctrl-C or SIGTERM: asks the supervisor to end, waits until it has, removes `dir` and ends this process.
pub(crate) fn end_with_us(supervisor: u32, dir: &Path) -> Result<(), String> {
    let supervisor = Pid::from_raw(i32::try_from(supervisor).map_err(|error| error.to_string())?);
    let dir = dir.to_owned();
    let wait = async move || -> std::io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        let _ = kill(supervisor, Signal::SIGINT);
        let ended = async {
            while !is_over(supervisor) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(LEAVE, ended).await;
        let _ = std::fs::remove_dir_all(&dir);
        std::process::exit(INTERRUPTED)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("signals: {error}"))?;
    let thread = std::thread::Builder::new().name("signals".into());
    let thread = thread.spawn(move || runtime.block_on(wait()));
    thread.map(drop).map_err(|error| format!("signals: {error}"))
}

/// Whether the process has ended; it may be waiting to be asked how.
fn is_over(process: Pid) -> bool {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    match waitpid(process, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::StillAlive) => false,
        Ok(_) | Err(Errno::ECHILD) => true,
        Err(_) => matches!(kill(process, None), Err(Errno::ESRCH)),
    }
}
