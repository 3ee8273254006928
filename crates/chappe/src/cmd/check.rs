//! `chappe check`: all that is wrong with a deploy.json, and nothing started.

use super::{Context, DeployFile};
use crate::exit::CommandError;
use crate::{access, secrets, tool};
use chappe_deploy::{Deploy, DeployErrors, StorePlace};
use serde_json::json;

/// Tell everything that is wrong with a deploy.json
///
/// Each error with its line and column. Nothing is started. Beside the file itself, the programs that it names
/// are looked for, certificates and login keys are read, and its ports are tried, unless the cluster is running.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe check deploy.json --json")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let (deploy, mut warnings) = match Deploy::load(&args.file.deploy) {
        Ok(read) => read,
        Err(errors) => {
            if !context.json {
                let shown: Vec<String> = errors
                    .warnings
                    .iter()
                    .map(|warning| format!("warning: {}:{warning}", errors.file))
                    .collect();
                shown.iter().for_each(|warning| super::complain(warning));
            }
            return Err(errors.into());
        }
    };
    let ports = if tool::is_running(&deploy) { Ok(()) } else { deploy.probe_ports(|_| true) };
    let at = |place: &StorePlace| {
        chappe_store::check_place(&place.with_secrets()).map_err(|error| error.to_string())
    };
    let secrets = secrets::check(&deploy, true).map(|found| warnings.extend(found));
    let programs = together(deploy.check_programs(), deploy.check_store(at));
    let files = together(programs, access::check(&deploy, |_| true));
    together(together(files, secrets), ports).map_err(|mut errors| {
        errors.warnings.clone_from(&warnings);
        errors
    })?;
    let nodes: Vec<_> = deploy
        .nodes
        .iter()
        .map(|entry| json!({"id": entry.id, "role": entry.role, "type": entry.node_type, "port": entry.port}))
        .collect();
    let found = json!({"ok": true, "cluster": deploy.cluster, "nodes": nodes, "warnings": warnings});
    context.print(&found, || {
        let mut lines: Vec<String> =
            warnings.iter().map(|warning| format!("warning: {}:{warning}", deploy.file)).collect();
        lines.push(format!("{}: no errors; cluster `{}`, {}", deploy.file, deploy.cluster, counts(&deploy)));
        lines.join("\n")
    });
    Ok(())
}

fn together(one: Result<(), DeployErrors>, other: Result<(), DeployErrors>) -> Result<(), DeployErrors> {
    match (one, other) {
        (Err(mut one), Err(other)) => {
            one.errors.extend(other.errors);
            one.errors.sort_by(|a, b| a.place.cmp(&b.place));
            Err(one)
        }
        (one, other) => one.and(other),
    }
}

/// `11 nodes: 1 master, 2 proxy, 3 game`.
fn counts(deploy: &Deploy) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for entry in &deploy.nodes {
        match counts.last_mut() {
            Some((role, count)) if *role == entry.role.as_str() => *count += 1,
            _ => counts.push((entry.role.as_str(), 1)),
        }
    }
    let parts: Vec<String> = counts.iter().map(|(role, count)| format!("{count} {role}")).collect();
    format!("{} nodes: {}", deploy.nodes.len(), parts.join(", "))
}
