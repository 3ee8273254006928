//! `chappe node`: one node in the foreground.

use super::{Context, DeployFile};
use crate::exit::{self, CommandError};
use crate::links::{self, Hosts};
use crate::supervisor::READY_LINE;
use crate::{access, node_process, orphan, python, secrets, signals};
use chappe_deploy::NodeEntry;
use chappe_link::local::LocalLink;
use chappe_wire::Role;

/// Run one node in the foreground
///
/// It joins the cluster of the same deploy.json on this machine, and waits for the master if it is not up yet.
/// Ctrl-C lets it leave in order, within 5 s; a second one ends it at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe node deploy.json 6001 --log debug")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
    /// The node's serverid
    #[arg(allow_negative_numbers = true)]
    id: i64,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    if !orphan::tie() {
        return Err(CommandError::Ended { code: exit::FAILED, message: "the supervisor is gone".to_owned() });
    }
    let is_supervised = orphan::is_supervised();
    let deploy = if is_supervised { args.file.load_quietly() } else { args.file.load() }?;
    let Some(entry) = deploy.node(args.id) else {
        let known: Vec<String> = deploy.nodes.iter().map(|entry| entry.id.to_string()).collect();
        let text = format!("{} has no node {}; it has {}", deploy.file, args.id, known.join(", "));
        return Err(CommandError::Usage(text));
    };
    let oddities = secrets::check(&deploy, entry.role == Role::Master)?;
    super::warn_of(&deploy, if is_supervised { &[] } else { &oddities });
    node_process::check_entries(&context.app, std::slice::from_ref(entry)).map_err(CommandError::Usage)?;
    if let Some(program) = entry.program.as_ref().filter(|_| !orphan::is_supervised()) {
        // The game's code is in there; a node without it would join and answer nothing.
        context
            .become_program(program, &["node".into(), deploy.path.clone(), entry.id.to_string().into()])?;
    }
    if !entry.mods.is_empty()
        && context.app.mod_host().is_none()
        && let Some(program) = python::program()
    {
        context
            .become_program(program, &["node".into(), deploy.path.clone(), entry.id.to_string().into()])?;
    }
    access::check(&deploy, |node| node.id == entry.id)?;
    context.start_logging()?;
    let run_dir =
        deploy.create_run_dir().map_err(CommandError::io("the directory of the cluster's sockets"))?;
    let stop = signals::asked_to_leave().map_err(CommandError::io("cannot listen to signals"))?;
    let ready = ready_line(context, entry);
    let hosts = Hosts::of(&deploy);
    let link =
        links::of_node(&deploy, entry, LocalLink::new(run_dir), &hosts).map_err(CommandError::Usage)?;
    let life = node_process::Life { link, hosts, stop };
    node_process::run(&context.app, &deploy, entry, life, move || super::say(&ready))
}

fn ready_line(context: &Context, entry: &NodeEntry) -> String {
    let NodeEntry { id, role, node_type, .. } = entry;
    if orphan::is_supervised() {
        return READY_LINE.to_owned();
    }
    if context.json {
        return serde_json::json!({"event": "ready", "node": id, "role": role, "node_type": node_type})
            .to_string();
    }
    format!("node {id} ({role}, {node_type}) is ready")
}
