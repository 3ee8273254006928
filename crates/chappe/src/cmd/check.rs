//! `chappe check`: all that is wrong with a deploy.json, and nothing started.

use super::{Context, DeployFile};
use crate::engines::{self, Finding, Level};
use crate::exit::{self, CommandError};
use crate::{access, secrets, tool};
use chappe_deploy::{Deploy, DeployErrors, NodeEntry, StorePlace};
use serde_json::json;

/// Tell everything that is wrong with a deploy.json
///
/// Each error with its line and column. Nothing is started. Beside the file itself, the programs that it names
/// are looked for, certificates and login keys are read, the ports of nodes that do not run are tried, and then
/// its engines: NATS with the nodes' credentials and permissions, the store with its owner, and the nodes that run.
/// Only errors make it fail.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe check deploy.json --host east")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
    /// Look at what this machine's nodes need: those whose entries have this `host`
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Leave the network out: neither NATS nor the store nor the running cluster is asked
    #[arg(long)]
    offline: bool,
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
    let host = args.host.as_deref();
    if host.is_some() {
        deploy.on_host(host).map_err(CommandError::Usage)?;
    }
    // Ports of other machines are not to be had on this one.
    let is_here = |entry: &NodeEntry| match host {
        None => !deploy.is_distributed(),
        host => entry.host.as_deref() == host,
    };
    // A node that runs has its ports, wherever the master is.
    let ports = deploy.probe_ports(|entry| is_here(entry) && !tool::listens(&deploy, entry.id));
    let at = |place: &StorePlace| {
        chappe_store::check_place(&place.with_secrets()).map_err(|error| error.to_string())
    };
    let secrets = secrets::check(&deploy, true).map(|found| warnings.extend(found));
    let programs = together(deploy.check_programs(), deploy.check_store(at));
    let programs = together(programs, crate::store::check_masters(&deploy));
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
    let findings = if args.offline { Vec::new() } else { engines::look(&deploy, host) };
    let is_ok = findings.iter().all(|finding| finding.level != Level::Error);
    let found = json!({
        "ok": is_ok, "cluster": deploy.cluster, "nodes": nodes, "warnings": warnings, "findings": findings,
    });
    context.print(&found, || {
        let mut lines: Vec<String> =
            warnings.iter().map(|warning| format!("warning: {}:{warning}", deploy.file)).collect();
        lines.push(format!("{}: no errors; cluster `{}`, {}", deploy.file, deploy.cluster, counts(&deploy)));
        lines.extend(findings.iter().map(told));
        lines.join("\n")
    });
    if is_ok { Ok(()) } else { Err(CommandError::Told { code: exit::FAILED }) }
}

fn told(finding: &Finding) -> String {
    match finding.level {
        Level::Error => format!("error: {}", finding.message),
        Level::Warning => format!("warning: {}", finding.message),
        Level::Note => finding.message.clone(),
    }
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
