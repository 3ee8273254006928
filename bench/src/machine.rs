//! What the benchmark runs on, in one line.

use std::{fs, thread};

/// Cores, CPU model and kernel.
pub(crate) fn description() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpus.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    let model = model.map_or("unknown CPU", |(_, model)| model.trim());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // A distribution's own suffix tells nothing about speed.
    let kernel = kernel.trim().split('-').next().unwrap_or_default();
    format!("{cores} cores, {model}, Linux {kernel}")
}
