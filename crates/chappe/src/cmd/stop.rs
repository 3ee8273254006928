//! `chappe stop`: lets one node leave.

use super::{Context, DeployFile};
use crate::exit::CommandError;
use crate::supervisor::{self, Ask};
use crate::tool::{self, Standing};
use chappe_deploy::Deploy;
use chappe_node::control_tool::StopNode;
use chappe_wire::{NodeId, Value};
use serde_json::json;

/// Let one node leave the cluster
///
/// It takes nothing new, answers what it has, and ends; its players go to the emptiest lobby. `chappe up` does not
/// start it again. A master that stands by is stopped on its own machine.
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
    if is_standby(&deploy, args.id)? {
        // It is no member, and who leads does not know it: what keeps it on its machine ends it.
        let host = deploy.node(args.id).and_then(|entry| entry.host.as_deref());
        supervisor::ask(&deploy, host, &Ask::Leave(args.id))?;
        context.print(&json!({"ok": true, "node": args.id}), || {
            format!("node {} stood by, and has left", args.id)
        });
        return Ok(());
    }
    let stop = StopNode { id: NodeId(args.id) };
    let _: Value = tool::ask(&deploy, "stop_node", &stop, super::ASK)?;
    context.print(&json!({"ok": true, "node": args.id}), || format!("node {} was told to leave", args.id));
    Ok(())
}

/// Whether it is a master that another one leads for.
pub(super) fn is_standby(deploy: &Deploy, id: i64) -> Result<bool, CommandError> {
    if !deploy.has_two_masters() || deploy.masters().all(|master| master.id != id) {
        return Ok(false);
    }
    Ok(tool::masters(deploy)?.contains(&(id, Standing::Standby)))
}
