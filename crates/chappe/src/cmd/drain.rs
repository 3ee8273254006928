//! `chappe drain`: takes one node out of service.

use super::{Context, DeployFile};
use crate::exit::CommandError;
use crate::tool;
use chappe_deploy::Deploy;
use chappe_node::control_tool::{DrainNode, Drained};
use chappe_wire::{NodeId, Reason};
use serde_json::json;
use std::time::Duration;

/// Take one node out of service while its players play on
///
/// It takes no new players and requests; its players go to another node of its type, else to a lobby, with their
/// records; what it has accepted is finished; then it ends. `chappe up` does not start it again. When players remain
/// after the time, because no node can take them, it serves on and the command fails.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe drain deploy.json 6001")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
    /// The node's serverid
    #[arg(allow_negative_numbers = true)]
    id: i64,
    #[command(flatten)]
    how: How,
    /// Start it again when it has ended: with the new version of its program, or fresh
    #[arg(long)]
    restart: bool,
}

/// How patient draining is.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct How {
    /// How many seconds moving the players of a node may take
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// End it also when players remain; their proxies find them a lobby
    #[arg(long)]
    force: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    if super::stop::is_standby(&deploy, args.id)? {
        let id = args.id;
        let message =
            format!("node {id} stands by: `chappe stop` ends it, and `chappe roll` starts masters anew");
        return Err(CommandError::Outcome { reason: Reason::NotLeading, message });
    }
    let drained = drain(&deploy, NodeId(args.id), args.how, args.restart)?;
    context
        .print(&json!({"ok": true, "node": args.id, "moved": drained.moved, "left": drained.left}), || {
            format!("node {} leaves; {}", args.id, players(drained))
        });
    Ok(())
}

/// Takes a node out of service.
pub(super) fn drain(deploy: &Deploy, id: NodeId, how: How, restart: bool) -> Result<Drained, CommandError> {
    let asked = DrainNode { id, timeout_ms: how.seconds * 1000, restart, force: how.force };
    let within = Duration::from_secs(how.seconds) + super::ASK;
    let drained: Drained = tool::ask(deploy, "drain_node", &asked, within)?;
    if drained.leaves {
        return Ok(drained);
    }
    let message = format!("node {id} serves on: {}; is there another node for them?", players(drained));
    Err(CommandError::Outcome { reason: Reason::NoRoute, message })
}

fn players(drained: Drained) -> String {
    match drained.left {
        0 => format!("{} players were moved", drained.moved),
        left => format!("{} players were moved, {left} remain", drained.moved),
    }
}
