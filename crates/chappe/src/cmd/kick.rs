//! `chappe kick`: ends a player's session.

use super::{Context, DeployFile};
use crate::exit::CommandError;
use crate::tool;
use chappe_node::control::Kick;
use chappe_wire::Value;
use serde_json::json;

/// End a player's session
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe kick deploy.json 7 --message 'the server restarts'")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
    /// The player
    uid: u64,
    /// What the player is told
    #[arg(long, default_value = "kicked by an operator")]
    message: String,
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let kick = Kick { uid: args.uid, message: args.message };
    let _: Value = tool::ask(&deploy, "kick", &kick, super::ASK)?;
    context.print(&json!({"ok": true, "uid": kick.uid}), || format!("player {} is kicked", kick.uid));
    Ok(())
}
