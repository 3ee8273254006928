//! One fuzz target per decoder: whatever bytes come, it answers with a value or an error, what it has read it can
//! write and read again, and its memory stays in proportion to its input.
//!
//! Runs on stable Rust: [`mutate`] bends the seeds of [`corpus`] by a stream of numbers that a seed decides, so
//! every finding can be had again. `cargo run -p chappe-fuzz -- --seconds 5`.

pub mod corpus;
pub mod mutate;
pub mod targets;

use mutate::Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use targets::Target;

/// An input that broke a target.
#[derive(Debug)]
pub struct Finding {
    /// The target.
    pub target: &'static str,
    /// The bytes.
    pub input: Vec<u8>,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hex: String = self.input.iter().map(|byte| format!("{byte:02x}")).collect();
        write!(f, "{} broke on {} bytes: {hex}", self.target, self.input.len())
    }
}

/// Runs one target on bent seeds for as long as `goes_on` says so; how many inputs that were.
///
/// # Errors
/// The first [`Finding`].
pub fn fuzz(target: &Target, seed: u64, goes_on: impl Fn(u64) -> bool) -> Result<u64, Finding> {
    let corpus = (target.corpus)();
    let rng = Rng::new(seed ^ target.name.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte)));
    let mut count = 0;
    for input in &corpus {
        check(target, input)?;
    }
    while goes_on(count) {
        check(target, &mutate::bend(&rng, &corpus))?;
        count += 1;
    }
    Ok(count)
}

/// Runs one target on one input.
///
/// # Errors
/// The [`Finding`] when it panics.
pub fn check(target: &Target, input: &[u8]) -> Result<(), Finding> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input)))
        .map_err(|_| Finding { target: target.name, input: input.to_vec() })
}

/// The most address space that this process ever had, in KiB, where the system tells.
pub fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmPeak:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use targets::TARGETS;

    /// What no input of a few kilobytes can be worth.
    const SANE_KIB: u64 = 128 * 1024;

    fn short(name: &str) {
        let target = TARGETS.iter().find(|target| target.name == name).expect("it is in the list");
        let before = peak_kib().unwrap_or(0);
        let done = fuzz(target, 1, |count| count < 20_000);
        if let Err(finding) = done {
            panic!("{finding}");
        }
        // Tests run beside each other in one process: the bound is for all of them.
        let grown = peak_kib().unwrap_or(0).saturating_sub(before);
        assert!(grown < SANE_KIB * TARGETS.len() as u64, "{name}: {grown} KiB for small inputs");
    }

    macro_rules! short_runs {
        ($($name:ident)*) => {
            $(#[test] fn $name() { short(stringify!($name)); })*

            #[test]
            fn every_target_has_a_short_run() {
                let short = [$(stringify!($name)),*];
                assert!(TARGETS.iter().all(|target| short.contains(&target.name)), "{short:?}");
            }
        };
    }

    short_runs! {
        frame envelope greeting value skip sanitize json client_frame proxy_frame deploy key_set login_token
    }
}
