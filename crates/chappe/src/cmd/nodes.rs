//! `chappe nodes`: who is there.

use super::{Context, DeployFile, table};
use crate::exit::CommandError;
use crate::tool::{self, Standing};
use chappe_deploy::{Deploy, NodeEntry};
use chappe_node::control_tool::NodeInfo;
use serde_json::json;

/// List the nodes that the master knows
///
/// A node of deploy.json that is not there is listed as `absent`. Of two masters it says which one leads.
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
    let masters = if deploy.has_two_masters() { tool::masters(&deploy)? } else { Vec::new() };
    let mut absent = absent(&deploy, &nodes);
    absent.retain(|entry| !masters.contains(&(entry.id, Standing::Standby)));
    let absent_ids: Vec<i64> = absent.iter().map(|entry| entry.id).collect();
    let mut found = json!({"ok": true, "cluster": deploy.cluster, "nodes": nodes, "absent": absent_ids});
    if !masters.is_empty() {
        let line = |(id, standing): &(i64, Standing)| {
            let mut line = json!(standing);
            line["id"] = json!(id);
            line
        };
        found["masters"] = masters.iter().map(line).collect();
    }
    context.print(&found, || {
        let mut rows: Vec<Vec<String>> = nodes.iter().map(row).collect();
        masters.iter().for_each(|(id, standing)| show(&deploy, *id, *standing, &mut rows));
        rows.extend(absent.iter().map(|entry| absent_row(entry)));
        table(&["ID", "ROLE", "TYPE", "STATE", "PLAYERS", "VERSION", "MODULES"], &rows)
    });
    Ok(())
}

/// Says of a master what it is; one that stands by is no member, and has a row of its own.
fn show(deploy: &Deploy, id: i64, standing: Standing, rows: &mut Vec<Vec<String>>) {
    let said = match standing {
        Standing::Leads { term } => format!("leads (term {term})"),
        Standing::Standby => "standby".to_owned(),
        Standing::Absent => return,
    };
    let name = id.to_string();
    match rows.iter_mut().find(|row| row[0] == name) {
        Some(row) => row[3] = said,
        None => rows.extend(deploy.node(id).map(|entry| {
            let mut row = absent_row(entry);
            row[3] = said;
            row
        })),
    }
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
