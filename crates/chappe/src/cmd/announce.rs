//! `chappe announce`: a text for every player.

use super::{Context, DeployFile};
use crate::exit::CommandError;
use crate::tool;
use chappe_node::control::Announce;
use chappe_node::control_tool::Announced;
use serde_json::json;

/// Send a text to every client
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe announce deploy.json 'maintenance in 5 minutes'")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
    /// The text
    text: String,
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let announce = Announce { message: args.text };
    let told: Announced = tool::ask(&deploy, "announce", &announce, super::ASK)?;
    context.print(&json!({"ok": true, "proxies": told.proxies}), || match told.proxies {
        1 => "told 1 proxy".to_owned(),
        many => format!("told {many} proxies"),
    });
    Ok(())
}
