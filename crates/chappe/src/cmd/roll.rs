//! `chappe roll`: starts all nodes of a type anew, one after the other, while their players play on.

use super::drain::{How, drain};
use super::{Context, DeployFile};
use crate::exit::CommandError;
use crate::tool::{self, Standing};
use chappe_deploy::Deploy;
use chappe_node::State;
use chappe_node::control_tool::{Drained, NodeInfo};
use chappe_wire::{NodeId, Reason, Role};
use serde_json::json;
use std::time::{Duration, Instant};

/// Start all nodes of a type anew, one by one, while their players play on
///
/// Each is drained as by `chappe drain --restart`, and the next one's turn comes when it is ready again. It stops at the
/// first that cannot be drained or does not come back; those before it stay as they are. The clients of a proxy come
/// back to it by themselves. Of two masters the one that leads is started anew, and then the other, which leads
/// meanwhile; a single master is away for a second or two, in which logins wait.
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
    if deploy.masters().any(|master| master.node_type == args.node_type) {
        return masters(context, &deploy, args);
    }
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

/// Starts the masters anew, each when it leads.
fn masters(context: &Context, deploy: &Deploy, args: &Args) -> Result<(), CommandError> {
    let count = deploy.masters().count();
    for at in 1..=count {
        let began = Instant::now();
        let known = tool::masters(deploy)?;
        let leads = known.iter().find(|(_, standing)| matches!(standing, Standing::Leads { .. }));
        let Some((leader, _)) = leads.copied() else {
            let message = "no master leads".to_owned();
            return Err(CommandError::Outcome { reason: Reason::NotLeading, message });
        };
        if let Some((id, _)) = known.iter().find(|(_, standing)| *standing == Standing::Absent) {
            let message = format!("node {id} does not stand by: nobody could lead meanwhile");
            return Err(CommandError::Outcome { reason: Reason::NotReady, message });
        }
        let life = life_of(deploy, leader)?;
        let of_others = |node: &NodeInfo| node.role != Role::Master && node.state == State::Ready;
        let others: Vec<NodeInfo> = nodes(deploy)?.into_iter().filter(of_others).collect();
        drain(deploy, NodeId(leader), args.how, true)?;
        until_led(deploy, leader, life, &others)?;
        let took = began.elapsed();
        context.print(&json!({"event": "restarted", "node": leader}), || {
            format!("{at} of {count}: master {leader} is back after {took:.1?}")
        });
    }
    context.print(&json!({"ok": true, "nodes": count, "moved": 0}), || match count {
        1 => "the master is new".to_owned(),
        _ => format!("all {count} masters are new"),
    });
    Ok(())
}

/// Waits until a master leads that is another life, all others stand by, and the nodes are with it.
fn until_led(deploy: &Deploy, before: i64, life: u64, others: &[NodeInfo]) -> Result<(), CommandError> {
    let deadline = Instant::now() + BACK;
    loop {
        let known = tool::masters(deploy)?;
        let leads = known.iter().find(|(_, standing)| matches!(standing, Standing::Leads { .. }));
        let all_there = known.iter().all(|(_, standing)| *standing != Standing::Absent);
        // Of two it is the other one: so each is started anew once.
        let is_new = |id: i64| match known.len() {
            1 => life_of(deploy, id).is_ok_and(|now| now != life),
            _ => id != before,
        };
        let are_with_it = || {
            let known = nodes(deploy).unwrap_or_default();
            let is_back =
                |node: &NodeInfo| known.iter().any(|at| at.id == node.id && at.state == State::Ready);
            others.iter().all(is_back)
        };
        if all_there && leads.is_some_and(|(id, _)| is_new(*id)) && are_with_it() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let message = format!("master {before} is not back after {BACK:?}");
            return Err(CommandError::Outcome { reason: Reason::NotReady, message });
        }
        std::thread::sleep(LOOK);
    }
}

fn life_of(deploy: &Deploy, id: i64) -> Result<u64, CommandError> {
    let found = nodes(deploy)?.into_iter().find(|node| node.id.0 == id);
    Ok(found.map_or(0, |node| node.incarnation))
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
