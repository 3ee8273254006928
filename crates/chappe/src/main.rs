//! The command `chappe`: a cluster's command without a game of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    chappe::App::new().main()
}
