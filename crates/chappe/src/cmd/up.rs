//! `chappe up`: the whole cluster on this machine.

use super::{Context, DeployFile};
use crate::exit::CommandError;
use crate::supervisor::{self, Launch, Output, Programs, Threads};
use crate::{access, node_process, secrets, tool};
use chappe_deploy::{Deploy, NodeEntry};
use chappe_wire::Role;
use std::collections::BTreeMap;

/// Start all nodes and keep them running
///
/// Each node is a process of its own; what they print is shown with their names in front. A node that dies is
/// started again. Ctrl-C ends the cluster in order, within 5 s; a second one at once. Of a cluster on several machines,
/// `--host` starts those of this one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe up examples/arena/deploy.json")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
    /// Run all nodes as threads of one process, connected through memory
    #[arg(long)]
    one_process: bool,
    /// Start the nodes of this machine: those whose entries have this `host`
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    let deploy = args.file.load()?;
    let nodes = deploy.on_host(args.host.as_deref()).map_err(CommandError::Usage)?;
    let nodes: Vec<NodeEntry> = nodes.into_iter().cloned().collect();
    node_process::check_entries(&context.app, &nodes).map_err(CommandError::Usage)?;
    if args.one_process && deploy.is_distributed() {
        return Err(CommandError::Usage(
            "--one-process: the nodes of this file run on several hosts".to_owned(),
        ));
    }
    if args.one_process {
        // One interpreter cannot keep two nodes' modules apart.
        let with_mods = deploy.nodes.iter().filter(|entry| !entry.mods.is_empty());
        let refused = |entry: &NodeEntry| {
            let (id, kind, place) = (entry.id, &entry.node_type, &entry.place);
            format!(
                "--one-process: node {id} ({kind}, {place}) has `mods`, which need a process of their own"
            )
        };
        let refused: Vec<String> = with_mods.map(refused).collect();
        if !refused.is_empty() {
            return Err(CommandError::Usage(refused.join("\n")));
        }
    }
    deploy.check_programs()?;
    access::check(&deploy, |node| nodes.iter().any(|entry| entry.id == node.id))?;
    crate::store::check_masters(&deploy)?;
    let has_master = nodes.iter().any(|entry| entry.role == Role::Master);
    super::warn_of(&deploy, &secrets::check(&deploy, has_master)?);
    if args.one_process {
        hand_over(context, &deploy)?;
    }
    let masters = nodes.iter().filter(|entry| entry.role == Role::Master);
    if let Some(master) = masters.map(|entry| entry.id).find(|master| tool::listens(&deploy, *master)) {
        let cluster = &deploy.cluster;
        let text = format!("the cluster `{cluster}` runs already: its master, node {master}, answers");
        return Err(CommandError::Usage(text));
    }
    deploy.probe_ports(|node| nodes.iter().any(|entry| entry.id == node.id))?;
    deploy.create_run_dir().map_err(CommandError::io("the directory of the cluster's sockets"))?;
    let output = Output::new(&deploy, context.json).map_err(CommandError::io("cannot start"))?;
    let launch = if args.one_process {
        context.start_logging()?;
        Launch::Threads(Threads::new(context.app.clone(), deploy.clone()))
    } else {
        let programs = Programs::new(&context.app, deploy.path.clone(), context.log.clone());
        Launch::Processes(programs.map_err(CommandError::io("this program's own file"))?)
    };
    supervisor::run(deploy, args.host, nodes, launch, output)
}

/// Becomes the program that the entries name, if they name one; it has the game's code.
fn hand_over(context: &Context, deploy: &Deploy) -> Result<(), CommandError> {
    let mut programs: BTreeMap<&[String], Vec<i64>> = BTreeMap::new();
    for entry in &deploy.nodes {
        if let Some(program) = &entry.program {
            programs.entry(program).or_default().push(entry.id);
        }
    }
    if programs.len() > 1 {
        let name = |(program, nodes): (&&[String], &Vec<i64>)| {
            let nodes: Vec<String> = nodes.iter().map(i64::to_string).collect();
            format!("`{}` (node {})", program.join(" "), nodes.join(", "))
        };
        let names: Vec<String> = programs.iter().map(name).collect();
        let text = format!("--one-process needs entries of one program; there are {}", names.join(", "));
        return Err(CommandError::Usage(text));
    }
    match programs.keys().next() {
        Some(program) => {
            context.become_program(program, &["up".into(), deploy.path.clone(), "--one-process".into()])
        }
        None => Ok(()),
    }
}
