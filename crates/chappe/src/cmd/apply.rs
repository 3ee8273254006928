//! `chappe apply`: the running cluster becomes what deploy.json says now.

use super::drain::{How, drain};
use super::roll::start_anew;
use super::{Context, DeployFile};
use crate::exit::CommandError;
use crate::supervisor::{self, Answer, Ask, unchangeable};
use crate::{node_process, tool};
use chappe_deploy::{Change, Deploy};
use chappe_node::control_tool::NodeInfo;
use chappe_wire::{NodeId, Role};
use serde_json::json;

/// Add and remove nodes of the running cluster, by its changed deploy.json
///
/// Nodes that are new in the file are started; those that it no longer has are drained as by `chappe drain`, and not
/// started again; those whose entries have changed are started anew as by `chappe roll`. All others play on. What a
/// cluster cannot change while it runs (its name, engine, store and masters) is refused, and then nothing is done. Of a
/// cluster on several machines: copy the file to each, and run this there with `--host`; first where nodes leave.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe apply deploy.json --dry-run")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
    /// The machine, for a file that names several
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    how: How,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let deploy = args.file.load()?;
    context.hand_to_mods(&deploy)?;
    deploy.on_host(args.host.as_deref()).map_err(CommandError::Usage)?;
    deploy.check_programs()?;
    let host = args.host.as_deref();
    let Answer::Plan(change) = supervisor::ask(&deploy, host, &Ask::Plan)? else { return Err(strange()) };
    if !change.fixed.is_empty() {
        return Err(CommandError::Usage(unchangeable(&change)));
    }
    tell_plan(context, &change, args.dry_run);
    if args.dry_run {
        return Ok(());
    }
    // First: whoever calls a node that is about to come waits for it.
    let declare = node_process::declare(&context.app, &deploy)
        .map_err(|error| CommandError::Usage(error.to_string()))?;
    let told: usize = tool::ask(&deploy, "declare", &declare, super::ASK)?;
    supervisor::ask(&deploy, host, &Ask::Start)?;
    wait_until_ready(&deploy, &change.added)?;
    for id in &change.removed {
        remove(context, &deploy, *id, args)?;
    }
    supervisor::ask(&deploy, host, &Ask::Forget(change.removed.clone()))?;
    let mut moved = 0;
    for node in running(&deploy, &change.changed)? {
        moved += start_anew(&deploy, &node, args.how)?.moved;
        context
            .print(&json!({"event": "restarted", "node": node.id.0}), || format!("node {} is new", node.id));
    }
    let done = json!({
        "ok": true, "added": change.added, "removed": change.removed, "restarted": change.changed,
        "moved": moved, "told": told,
    });
    context.print(&done, || format!("`{}` is as {} says", deploy.cluster, deploy.file));
    Ok(())
}

fn tell_plan(context: &Context, change: &Change, is_dry: bool) {
    let settings = &change.settings;
    let plan = json!({
        "event": "plan", "ok": true, "dry_run": is_dry,
        "added": change.added, "removed": change.removed, "changed": change.changed, "settings": settings,
    });
    context.print(&plan, || {
        let parts = [("add", &change.added), ("remove", &change.removed), ("start anew", &change.changed)];
        let named = |ids: &[i64]| ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        let parts = parts.iter().filter(|(_, ids)| !ids.is_empty());
        let mut lines: Vec<String> = parts.map(|(what, ids)| format!("{what}: {}", named(ids))).collect();
        if lines.is_empty() {
            lines.push("no node is new, gone or changed".to_owned());
        }
        if !settings.is_empty() {
            lines.push(format!(
                "in force on each node when it starts anew (`chappe roll`): {}",
                settings.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
            ));
        }
        lines.join("\n")
    });
}

fn remove(context: &Context, deploy: &Deploy, id: i64, args: &Args) -> Result<(), CommandError> {
    if running(deploy, &[id])?.is_empty() {
        return Ok(());
    }
    let drained = drain(deploy, NodeId(id), args.how, false)?;
    context.print(&json!({"event": "removed", "node": id, "moved": drained.moved}), || {
        format!("node {id} leaves; {} players were moved", drained.moved)
    });
    Ok(())
}

/// Those of these nodes that are members and no master: a master reads the file when it starts anew by itself.
fn running(deploy: &Deploy, ids: &[i64]) -> Result<Vec<NodeInfo>, CommandError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let nodes: Vec<NodeInfo> = tool::ask(deploy, "nodes", &(), super::ASK)?;
    let is_meant = |node: &NodeInfo| ids.contains(&node.id.0) && node.role != Role::Master;
    Ok(nodes.into_iter().filter(is_meant).collect())
}

fn wait_until_ready(deploy: &Deploy, ids: &[i64]) -> Result<(), CommandError> {
    super::roll::wait_for(deploy, ids, |node| node.state == chappe_node::State::Ready)
}

fn strange() -> CommandError {
    CommandError::Usage("`chappe up` answers something else; is it of another version?".to_owned())
}
