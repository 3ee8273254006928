//! `chappe call`: one request into a running cluster.

use super::{Context, DeployFile, data_arg, seconds_arg};
use crate::exit::CommandError;
use crate::tool;
use chappe_node::control_tool::CallRequest;
use chappe_wire::{Value, value};
use std::time::Duration;

/// Send one request to a module and print the answer
///
/// The request is made by the master (spec: RequestToService). Data is JSON; what JSON cannot say is escaped:
/// {"$bytes":"aGk="}, {"$int":"9007199254740993"}, {"$map":[[1,"x"]]}.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe call deploy.json service_mail Count '{\"uid\": 7}' --timeout 1.5")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
    /// The module; a service's type is one
    module: String,
    /// The method
    method: String,
    /// The arguments, as JSON
    #[arg(default_value = "null", value_parser = data_arg, allow_hyphen_values = true)]
    args: Value,
    /// How long the answer may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds_arg)]
    timeout: Duration,
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let timeout_ms = u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX);
    let call = CallRequest { module: args.module, method: args.method, args: args.args, timeout_ms };
    let answer: Value = tool::ask(&deploy, "call", &call, args.timeout)?;
    let text = value::to_json(&answer);
    if context.json {
        // The text form is JSON already; read as plain JSON it could lose what is escaped in it.
        super::say(&format!(r#"{{"ok":true,"data":{text}}}"#));
    } else {
        super::say(&text);
    }
    Ok(())
}
