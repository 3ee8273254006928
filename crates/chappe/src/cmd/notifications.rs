//! `chappe notifications`: what players do to each other and has not ended yet.

use super::{Context, DeployFile, table};
use crate::exit::CommandError;
use crate::tool;
use chappe_notify::tools::{MODULE, NotificationLine, NotificationsPage, NotificationsQuery, Whereabouts};
use chappe_store::{Sender, Step};
use serde_json::json;

/// List the notifications that are under way
///
/// In the step `sent` nobody has acted yet; in `decided` the sender is still to hear of the outcome. A notification
/// that has ended is gone.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe notifications deploy.json --uid 7")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
    /// Only those from or to this player
    #[arg(long)]
    uid: Option<u64>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Only those behind this place in the order: the last that was shown
    #[arg(long, value_name = "ORDER")]
    after: Option<u64>,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let query = NotificationsQuery { after: args.after, uid: args.uid, limit: Some(usize::from(args.limit)) };
    let page: NotificationsPage = tool::ask_of(&deploy, (MODULE, "notifications"), &query, super::ASK_STORE)?;
    let lines: Vec<_> = page.notifications.iter().map(line).collect();
    let found = json!({"ok": true, "sent": page.sent, "decided": page.decided, "notifications": lines,
        "more": page.more});
    context.print(&found, || {
        let head = ["ORDER", "TYPE", "FROM", "TO", "STEP", "AT", "SINCE", "DEADLINE"];
        let rows: Vec<Vec<String>> = page.notifications.iter().map(row).collect();
        let mut text = table(&head, &rows);
        text.push_str(&format!("\n{} sent, {} decided", page.sent, page.decided));
        if let Some(last) = page.notifications.last().filter(|_| page.more) {
            text.push_str(&format!("; more with --after {}", last.order));
        }
        text
    });
    Ok(())
}

fn line(of: &NotificationLine) -> serde_json::Value {
    let (place, node) = match of.place {
        Whereabouts::Waiting => ("master", None),
        Whereabouts::Sent(node) => ("on_the_way", Some(node)),
        Whereabouts::Accepted(node) => ("node", Some(node)),
    };
    json!({"id": of.id, "order": of.order, "type": of.kind, "sender": sender_json(of.sender),
        "receiver": of.receiver, "step": step(of.step), "place": place, "node": node, "age_ms": of.age_ms,
        "deadline_in_ms": of.deadline_in_ms, "depth": of.depth})
}

fn row(of: &NotificationLine) -> Vec<String> {
    let place = match of.place {
        Whereabouts::Waiting => "master".to_owned(),
        Whereabouts::Sent(node) => format!("to {node}"),
        Whereabouts::Accepted(node) => node.to_string(),
    };
    let seconds = |ms: f64| format!("{:.1} s", ms / 1000.0);
    let deadline = of.deadline_in_ms.map_or_else(|| "-".to_owned(), |ms| seconds(ms as f64));
    vec![
        of.order.to_string(),
        of.kind.clone(),
        sender(of.sender),
        of.receiver.to_string(),
        step(of.step).to_owned(),
        place,
        seconds(of.age_ms as f64),
        deadline,
    ]
}

fn step(step: Step) -> &'static str {
    match step {
        Step::Sent => "sent",
        Step::Decided => "decided",
    }
}

/// Who sent it, for a person: a player by uid, a node by name.
pub(super) fn sender(sender: Sender) -> String {
    match sender {
        Sender::Player(uid) => uid.to_string(),
        Sender::Node(node) => format!("node {node}"),
    }
}

/// The same for a program.
pub(super) fn sender_json(sender: Sender) -> serde_json::Value {
    match sender {
        Sender::Player(uid) => json!({"player": uid}),
        Sender::Node(node) => json!({"node": node}),
    }
}
