//! What a node does by its role: the built-in part, then the game's.

use crate::app::App;
use chappe_deploy::{Deploy, NodeEntry};
use chappe_node::Node;

/// Prepares a node: the built-in part of its role, then the game's setup for its type.
///
/// # Errors
/// Why the node cannot start.
pub(crate) async fn set_up(
    app: &App,
    _deploy: &Deploy,
    entry: &NodeEntry,
    node: &Node,
) -> Result<(), String> {
    match app.setup_of(entry.role, &entry.node_type) {
        Some(setup) => setup(node),
        None => Ok(()),
    }
}
