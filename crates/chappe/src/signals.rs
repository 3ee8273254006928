//! Ctrl-C and SIGTERM, heard on a thread of their own: a node whose handler blocks its thread still ends.

use crate::exit;
use std::io;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How long a process may take to leave before it is ended.
const LEAVE: Duration = Duration::from_millis(4_800);

/// The signals that ask a process to leave.
pub(crate) struct Signals([Signal; 3]);

impl Signals {
    /// From now on they no longer end the process.
    pub(crate) fn new() -> io::Result<Signals> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Signals([interrupt?, terminate?, hangup?]))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            biased;
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Becomes true at the first signal. A second one ends the process at once, and so does time.
///
/// # Errors
/// What the system says when there can be no thread or no handler.
pub(crate) fn asked_to_leave() -> io::Result<watch::Receiver<bool>> {
    let (asked, heard) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _context = runtime.enter();
        Signals::new()?
    };
    let listen = move || {
        runtime.block_on(async {
            signals.next().await;
            let _ = asked.send(true);
            let _ = tokio::time::timeout(LEAVE, signals.next()).await;
            std::process::exit(i32::from(exit::FAILED));
        });
    };
    std::thread::Builder::new().name("chappe-signals".into()).stack_size(256 * 1024).spawn(listen)?;
    Ok(heard)
}
