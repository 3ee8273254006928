//! `chappe send`: one event into a running cluster.

use super::{Context, DeployFile, data_arg};
use crate::exit::{self, CommandError};
use crate::tool;
use chappe_deploy::Deploy;
use chappe_node::control_tool::{SendOutcome, SendRequest, SendTo};
use chappe_wire::{NodeId, Reason, Role, Value};
use serde_json::json;

/// Send one event to nodes and print which of them have it
///
/// The event is sent by the master, in the name of the system that you say: listeners hear it by that name.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe send deploy.json type:bw4 arena match Cancel '{\"match\": 3}'
  chappe send deploy.json services arena admin Reload
  chappe send deploy.json 6001 arena admin Reload")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
    /// A lobby's, game's or service's serverid, `type:NAME` for all lobbies and games of a type, or `services`
    #[arg(allow_negative_numbers = true)]
    target: String,
    /// The sending system's namespace
    namespace: String,
    /// The sending system's name
    system: String,
    /// The event's name
    event: String,
    /// The data, as JSON
    #[arg(default_value = "null", value_parser = data_arg, allow_hyphen_values = true)]
    data: Value,
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let to = target(&deploy, &args.target)?;
    let Args { namespace, system, event, data, .. } = args;
    let request = SendRequest { to, namespace, system, event, data };
    let mut outcome: SendOutcome = tool::ask(&deploy, "send", &request, super::ASK)?;
    // They come in the order in which nodes answered.
    outcome.reached.sort();
    outcome.missing.sort();
    let missing: Vec<_> = outcome
        .missing
        .iter()
        .map(|(node, reason)| json!({"node": node, "reason": reason.as_str()}))
        .collect();
    let is_ok = outcome.missing.is_empty();
    let found = json!({"ok": is_ok, "reached": outcome.reached, "missing": missing});
    let text = describe(&outcome);
    context.print(&found, || text.clone());
    match outcome.missing.first() {
        None => Ok(()),
        // It is told already; the code says the rest.
        Some(_) if context.json => Err(CommandError::Told { code: exit::FAILED }),
        Some((_, reason)) => {
            Err(CommandError::Outcome { reason: *reason, message: "not everyone has it".to_owned() })
        }
    }
}

/// `reached 7 of 8; missing: 6003 (Disconnected)`.
fn describe(outcome: &SendOutcome) -> String {
    let (reached, missing) = (outcome.reached.len(), &outcome.missing);
    let names: Vec<String> = missing.iter().map(|(node, reason)| format!("{node} ({reason})")).collect();
    let tail = if names.is_empty() { String::new() } else { format!("; missing: {}", names.join(", ")) };
    format!("reached {reached} of {}{tail}", reached + missing.len())
}

fn target(deploy: &Deploy, text: &str) -> Result<SendTo, CommandError> {
    if text == "services" {
        return Ok(SendTo::Services);
    }
    if let Some(name) = text.strip_prefix("type:") {
        return Ok(SendTo::Type(name.to_owned()));
    }
    let usage =
        || CommandError::Usage(format!("`{text}` is no target: a serverid, `type:NAME` or `services`"));
    let id: i64 = text.parse().map_err(|_| usage())?;
    let refused = |reason, message| CommandError::Outcome { reason, message };
    match deploy.node(id).map(|entry| entry.role) {
        Some(Role::Lobby | Role::Game) => Ok(SendTo::Server(NodeId(id))),
        Some(Role::Service) => Ok(SendTo::Service(NodeId(id))),
        Some(role) => Err(refused(Reason::WrongRole, format!("node {id} is a {role}; no mods listen there"))),
        None => Err(refused(Reason::NoRoute, format!("{} has no node {id}", deploy.file))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_have_it_is_named_with_the_reason() {
        let outcome = SendOutcome {
            reached: vec![NodeId(6001), NodeId(6002)],
            missing: vec![(NodeId(6003), Reason::Disconnected)],
        };
        assert_eq!(describe(&outcome), "reached 2 of 3; missing: 6003 (Disconnected)");
        assert_eq!(describe(&SendOutcome { missing: vec![], ..outcome }), "reached 2 of 2");
    }
}
