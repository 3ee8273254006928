//! `chappe roll`: starts all nodes of a type anew, one after the other, while their players play on.

use super::drain::{How, drain};
use super::{Context, DeployFile};
use crate::exit::CommandError;
use crate::tool;
use chappe_deploy::Deploy;
use chappe_node::State;
use chappe_node::control_tool::{Drained, NodeInfo};
use chappe_wire::{Reason, Role};
use serde_json::json;
use std::time::{Duration, Instant};

/// Start all nodes of a type anew, one by one, while their players play on
///
/// Each is drained as by `chappe drain --restart`, and the next one's turn comes when it is ready again. It stops at the
/// first that cannot be drained or does not come back; those before it stay as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe roll deploy.json lobby")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
    /// The type of the nodes: `lobby`, `bw4`, `service_mail`
    #[arg(value_name = "TYPE")]
    node_type: String,
    #[command(flatten)]
    how: How,
}

/// How long a node may take to be ready again.
const BACK: Duration = Duration::from_secs(60);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let of_type = |node: &NodeInfo| node.node_type == args.node_type && node.role != Role::Master;
    let nodes: Vec<NodeInfo> = nodes(&deploy)?.into_iter().filter(of_type).collect();
    if nodes.is_empty() {
        return Err(CommandError::Usage(format!("no node of type `{}` is up", args.node_type)));
    }
    let mut moved = 0;
    for (at, node) in nodes.iter().enumerate() {
        let began = Instant::now();
        let drained = start_anew(&deploy, node, args.how)?;
        moved += drained.moved;
        let (id, took, count) = (node.id, began.elapsed(), nodes.len());
        context.print(&json!({"event": "restarted", "node": id.0, "moved": drained.moved}), || {
            format!(
                "{} of {count}: node {id} is back after {took:.1?}; {} players moved",
                at + 1,
                drained.moved
            )
        });
    }
    let count = nodes.len();
    context.print(&json!({"ok": true, "nodes": count, "moved": moved}), || {
        format!("all {count} nodes of type `{}` are new; {moved} players moved", args.node_type)
    });
    Ok(())
}

/// Drains a node, and waits until its next life is ready.
pub(super) fn start_anew(deploy: &Deploy, node: &NodeInfo, how: How) -> Result<Drained, CommandError> {
    let drained = drain(deploy, node.id, how, true)?;
    wait_for(deploy, &[node.id.0], |now| now.incarnation != node.incarnation && now.state == State::Ready)?;
    Ok(drained)
}

/// Waits until these nodes are as wanted.
pub(super) fn wait_for(
    deploy: &Deploy,
    ids: &[i64],
    is_wanted: impl Fn(&NodeInfo) -> bool,
) -> Result<(), CommandError> {
    let deadline = Instant::now() + BACK;
    let mut left = ids.to_vec();
    while !left.is_empty() {
        let nodes = nodes(deploy)?;
        left.retain(|id| !nodes.iter().any(|node| node.id.0 == *id && is_wanted(node)));
        if left.is_empty() {
            break;
        }
        if Instant::now() >= deadline {
            let missing = left.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
            let message =
                format!("not ready after {BACK:?}: node {missing}; the others were left as they are");
            return Err(CommandError::Outcome { reason: Reason::NotReady, message });
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

fn nodes(deploy: &Deploy) -> Result<Vec<NodeInfo>, CommandError> {
    tool::ask(deploy, "nodes", &(), super::ASK)
}
