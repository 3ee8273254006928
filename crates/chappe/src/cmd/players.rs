//! `chappe players`: who is online, and where.

use super::{Context, DeployFile, table};
use crate::exit::CommandError;
use crate::tool;
use chappe_node::control_tool::{PlayerLine, PlayersPage, PlayersQuery};
use serde_json::json;

/// List the players that are online
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe players deploy.json
  chappe players deploy.json 7 8 --json")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
    /// Only these players, by uid
    uids: Vec<u64>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Only uids above this one: the last that was shown
    #[arg(long, value_name = "UID")]
    after: Option<u64>,
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let uids = Some(args.uids).filter(|uids| !uids.is_empty());
    let query = PlayersQuery { uids, after: args.after, limit: Some(usize::from(args.limit)) };
    let page: PlayersPage = tool::ask(&deploy, "players", &query, super::ASK)?;
    let found = json!({"ok": true, "online": page.online, "players": page.players, "more": page.more});
    context.print(&found, || {
        let rows: Vec<Vec<String>> = page.players.iter().map(row).collect();
        let mut text = table(&["UID", "SERVER", "GOING TO", "PROXY", "SESSION"], &rows);
        text.push_str(&format!("\n{} online", page.online));
        if let Some(last) = page.players.last().filter(|_| page.more) {
            text.push_str(&format!("; more with --after {}", last.uid));
        }
        text
    });
    Ok(())
}

fn row(player: &PlayerLine) -> Vec<String> {
    let shown =
        |node: Option<chappe_wire::NodeId>| node.map_or_else(|| "-".to_owned(), |node| node.to_string());
    vec![
        player.uid.to_string(),
        shown(player.server),
        shown(player.going),
        player.proxy.to_string(),
        player.epoch.to_string(),
    ]
}
