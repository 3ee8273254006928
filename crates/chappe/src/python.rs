//! The Python package beside this program: what runs the nodes that have `mods`.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Names the interpreter that has the package; `python3` when not set.
const INTERPRETER: &str = "CHAPPE_PYTHON";
/// Ends with 0 when the package is there, without loading it.
const LOOK: &str =
    "import importlib.util as u, sys; sys.exit(not u.find_spec('chappe') or not u.find_spec('chappe._core'))";

/// The interpreter that has the package, and the arguments with which it is the command `chappe`; `None` when there
/// is none. Looked for once.
pub(crate) fn program() -> Option<&'static [String]> {
    static FOUND: OnceLock<Option<Vec<String>>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let named = std::env::var(INTERPRETER).ok().filter(|name| !name.is_empty());
            let interpreter = named.unwrap_or_else(|| "python3".to_owned());
            let mut look = Command::new(&interpreter);
            look.args(["-c", LOOK]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let has_package = look.status().is_ok_and(|status| status.success());
            has_package.then(|| vec![interpreter, "-m".to_owned(), "chappe".to_owned()])
        })
        .as_deref()
}
