//! `chappe nodes`: who is there.

use super::{Context, DeployFile, table};
use crate::exit::CommandError;
use crate::tool;
use chappe_deploy::{Deploy, NodeEntry};
use chappe_node::control_tool::NodeInfo;
use serde_json::json;

/// List the nodes that the master knows
///
/// A node of deploy.json that is not there is listed as `absent`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe nodes deploy.json --json")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let nodes: Vec<NodeInfo> = tool::ask(&deploy, "nodes", &(), super::ASK)?;
    let absent = absent(&deploy, &nodes);
    let absent_ids: Vec<i64> = absent.iter().map(|entry| entry.id).collect();
    let found = json!({"ok": true, "cluster": deploy.cluster, "nodes": nodes, "absent": absent_ids});
    context.print(&found, || {
        let mut rows: Vec<Vec<String>> = nodes.iter().map(row).collect();
        rows.extend(absent.iter().map(|entry| absent_row(entry)));
        table(&["ID", "ROLE", "TYPE", "STATE", "PLAYERS", "VERSION", "MODULES"], &rows)
    });
    Ok(())
}

fn absent<'d>(deploy: &'d Deploy, nodes: &[NodeInfo]) -> Vec<&'d NodeEntry> {
    deploy.nodes.iter().filter(|entry| nodes.iter().all(|node| node.id.0 != entry.id)).collect()
}

fn row(node: &NodeInfo) -> Vec<String> {
    let holds_players = node.role.is_server() || node.role == chappe_wire::Role::Proxy;
    let players = if holds_players { node.players.to_string() } else { "-".to_owned() };
    let modules =
        if node.role == chappe_wire::Role::Service { node.modules.join(", ") } else { "-".to_owned() };
    vec![
        node.id.to_string(),
        node.role.to_string(),
        node.node_type.clone(),
        node.state.as_str().to_owned(),
        players,
        if node.version.is_empty() { "?".to_owned() } else { node.version.clone() },
        modules,
    ]
}

fn absent_row(entry: &NodeEntry) -> Vec<String> {
    let unknown = || "-".to_owned();
    let (id, role) = (entry.id.to_string(), entry.role.to_string());
    vec![id, role, entry.node_type.clone(), "absent".to_owned(), unknown(), unknown(), unknown()]
}
