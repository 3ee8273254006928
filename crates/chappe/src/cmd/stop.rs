//! `chappe stop`: lets one node leave.

use super::{Context, DeployFile};
use crate::exit::CommandError;
use crate::tool;
use chappe_node::control_tool::StopNode;
use chappe_wire::{NodeId, Value};
use serde_json::json;

/// Let one node leave the cluster
///
/// It takes nothing new, answers what it has, and ends; its players go to the emptiest lobby. `chappe up` does not
/// start it again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe stop deploy.json 6001")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
    /// The node's serverid
    #[arg(allow_negative_numbers = true)]
    id: i64,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let stop = StopNode { id: NodeId(args.id) };
    let _: Value = tool::ask(&deploy, "stop_node", &stop, super::ASK)?;
    context.print(&json!({"ok": true, "node": args.id}), || format!("node {} was told to leave", args.id));
    Ok(())
}
