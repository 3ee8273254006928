//! Fuzzes every decoder for a while: `cargo run -p chappe-fuzz -- [--seconds N] [--seed N] [--target NAME]`. Ends
//! with 1 on a finding, after it has said how to have it again.

use chappe_fuzz::targets::TARGETS;
use chappe_fuzz::{fuzz, peak_kib};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// More than the corpus and everything that bent inputs can be worth.
const PEAK_KIB: u64 = 256 * 1024;

#[allow(clippy::print_stdout, reason = "it is a program for people to read")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let number = |name: &str| value(name).and_then(|text| text.parse::<u64>().ok());
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64);
    let (seconds, seed) = (number("--seconds").unwrap_or(5), number("--seed").unwrap_or_else(clock));
    let wanted = value("--target");
    let targets = TARGETS.iter().filter(|target| wanted.as_deref().is_none_or(|name| name == target.name));
    let targets: Vec<_> = targets.collect();
    if targets.is_empty() {
        println!("no such target; there are {:?}", TARGETS.iter().map(|at| at.name).collect::<Vec<_>>());
        return ExitCode::from(2);
    }
    println!("seed {seed}");
    let share = Duration::from_secs(seconds) / targets.len() as u32;
    for target in targets {
        let until = Instant::now() + share;
        match fuzz(target, seed, |count| !count.is_multiple_of(64) || Instant::now() < until) {
            Ok(count) => println!("{:>14}  {count:>9} inputs", target.name),
            Err(finding) => {
                println!("{finding}\nseed {seed}");
                return ExitCode::FAILURE;
            }
        }
    }
    match peak_kib() {
        Some(peak) if peak > PEAK_KIB => {
            println!(
                "{peak} KiB of address space for inputs of a few KiB: something allocates what it is promised"
            );
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
