//! What a node takes: CPU time of the thread while it is polled, and nothing of what others take. And what the process has allocated.

use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::time::Duration;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What was taken so far.
#[derive(Debug, Default)]
pub struct Meter {
    cpu: Cell<Duration>,
    longest: Cell<Duration>,
}

impl Meter {
    /// Counts what `run` takes.
    pub fn of<T>(&self, run: impl FnOnce() -> T) -> T {
        let cpu = cpu_time();
        let result = run();
        let took = cpu_time().saturating_sub(cpu);
        self.cpu.set(self.cpu.get() + took);
        self.longest.set(self.longest.get().max(took));
        result
    }

    /// CPU time, user and system.
    pub fn cpu(&self) -> Duration {
        self.cpu.get()
    }

    /// The longest time without letting others run since this was last asked.
    pub fn take_longest(&self) -> Duration {
        self.longest.take()
    }
}

/// CPU time of this thread.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Bytes that are allocated now, in the whole process.
pub fn allocated() -> usize {
    MEMORY.current_usage()
}
