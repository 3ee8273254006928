//! The Python package beside this program: what runs the nodes that have `mods`.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Names the interpreter that has the package; `python3` when not set.
const INTERPRETER: &str = "CHAPPE_PYTHON";
/// Ends with 0 when the package is there, without loading it.
const LOOK: &str =
    "import importlib.util as u, sys; sys.exit(not u.find_spec('chappe') or not u.find_spec('chappe._core'))";

/// What came of looking for the package.
struct Found {
    interpreter: String,
    /// How to run the command there; or why it cannot be run.
    program: Result<Vec<String>, String>,
}

/// The interpreter that has the package, and the arguments with which it is the command `chappe`; `None` when there
/// is none. Looked for once.
pub(crate) fn program() -> Option<&'static [String]> {
    found().program.as_deref().ok()
}

/// What to say, and to do, when there is none: goes on after "X ".
pub(crate) fn needed() -> String {
    let Found { interpreter, program } = found();
    let why = program.as_ref().err().map_or("is not used here", String::as_str);
    format!(
        "needs the Python package `chappe`, and `{interpreter}` {why}: run `pip install .` in Chappe's repository, and \
         name the interpreter that has it if it is not `python3`: {INTERPRETER}=/path/to/venv/bin/python"
    )
}

fn found() -> &'static Found {
    static FOUND: OnceLock<Found> = OnceLock::new();
    FOUND.get_or_init(|| {
        let named = std::env::var(INTERPRETER).ok().filter(|name| !name.is_empty());
        let interpreter = named.unwrap_or_else(|| "python3".to_owned());
        let mut look = Command::new(&interpreter);
        look.args(["-c", LOOK]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let program = match look.status() {
            Ok(status) if status.success() => {
                Ok(vec![interpreter.clone(), "-m".to_owned(), "chappe".to_owned()])
            }
            Ok(_) => Err("does not have it".to_owned()),
            Err(error) => Err(format!("cannot be run ({error})")),
        };
        Found { interpreter, program }
    })
}
