//! What a node does by its role: the built-in part, then the game's.

use crate::app::App;
use chappe_deploy::{Deploy, NodeEntry};
use chappe_master::Master;
use chappe_node::Node;
use chappe_wire::Role;
use std::net::SocketAddr;

/// What a node is beside a node.
pub(crate) enum Part {
    /// The master; its HTTP control port opens when it is set up.
    Master(Master),
    /// What the game says, or nothing.
    Game,
}

impl Part {
    /// Registers what must be there before the node runs.
    pub(crate) fn attach(entry: &NodeEntry, node: &Node) -> Part {
        match entry.role {
            Role::Master => Part::Master(Master::attach(node)),
            _ => Part::Game,
        }
    }

    /// Prepares a node that is connected and not routable yet: the game's setup for its type, then its ports.
    ///
    /// # Errors
    /// Why the node cannot start.
    pub(crate) async fn set_up(
        &self,
        app: &App,
        _deploy: &Deploy,
        entry: &NodeEntry,
        node: &Node,
    ) -> Result<(), String> {
        match self {
            Part::Master(master) => {
                app.master_setup().map_or(Ok(()), |setup| setup(master))?;
                if let Some(address) = address(entry).await? {
                    master.serve_http(address).await.map_err(|error| error.to_string())?;
                }
                Ok(())
            }
            Part::Game => app.setup_of(entry.role, &entry.node_type).map_or(Ok(()), |setup| setup(node)),
        }
    }
}

/// Where the node listens, if it does.
async fn address(entry: &NodeEntry) -> Result<Option<SocketAddr>, String> {
    let Some(port) = entry.port else { return Ok(None) };
    let found = tokio::net::lookup_host((entry.ip.as_str(), port)).await;
    let mut found = found.map_err(|error| format!("the address of `{}`: {error}", entry.ip))?;
    found.next().map(Some).ok_or_else(|| format!("`{}` has no address", entry.ip))
}
