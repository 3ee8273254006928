//! What a node had counted when it ended, for whoever accounts for messages: a life's counters go with it.

use chappe_node::Node;
use std::path::PathBuf;

/// Names a directory in which each node that ends, and is not killed, leaves its counters.
const DIRECTORY: &str = "CHAPPE_LAST_REPORTS";

/// Writes the counters to `ID-INCARNATION.json` in that directory, if there is one.
pub(crate) fn leave(node: &Node) {
    let Some(dir) = std::env::var_os(DIRECTORY).filter(|dir| !dir.is_empty()) else { return };
    let report = node.report();
    let file = PathBuf::from(dir).join(format!("{}-{}.json", report.node, report.incarnation));
    // Whole or not there: somebody may read meanwhile.
    let made = file.with_extension("new");
    let written = serde_json::to_vec(&report).map_err(std::io::Error::other);
    let written = written.and_then(|bytes| std::fs::write(&made, bytes));
    if let Err(error) = written.and_then(|()| std::fs::rename(&made, &file)) {
        tracing::warn!(file = %file.display(), %error, "the last counters could not be written");
    }
}
