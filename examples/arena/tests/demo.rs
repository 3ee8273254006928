//! The demo, small: real processes, every row of the table, a killed game, and nothing unaccounted.

use std::process::Command;

#[test]
fn a_run_in_which_a_game_is_killed_accounts_for_every_message() {
    let args = ["demo", "--bots", "60", "--seconds", "6", "--least", "1", "--rust-only"];
    let run = Command::new(env!("CARGO_BIN_EXE_arena")).args(args).output().unwrap();
    let shown = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{shown}\n{}", String::from_utf8_lossy(&run.stderr));
    assert!(shown.contains("is gone") && shown.contains("on another server"), "{shown}");
}
