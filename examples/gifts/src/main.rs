//! The program of every node of the game, and its demo: `cargo run -p gifts -- demo`.

mod demo;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).is_some_and(|word| word == "demo") {
        return demo::main();
    }
    gifts::app().main()
}
