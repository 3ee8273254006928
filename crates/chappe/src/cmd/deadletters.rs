//! `chappe deadletters`: notifications that could not be handled.

use super::notifications::{sender, sender_json};
use super::{Context, DeployFile, data_json, moment, table};
use crate::exit::CommandError;
use crate::tool;
use chappe_deploy::Deploy;
use chappe_notify::tools::{
    LetterId, LetterLine, LetterQuery, LetterShown, LettersPage, LettersQuery, MODULE,
};
use clap::Subcommand;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

/// Look at notifications that could not be handled, and send them again
///
/// A letter `17` is in the store; `p3` was sent without `_durable` and is gone when the master restarts.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Example:
  chappe deadletters list deploy.json"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: LettersCommand,
}

#[derive(Debug, Subcommand)]
enum LettersCommand {
    List(ListArgs),
    Show(LetterArgs),
    Retry(LettersArgs),
    Drop(DropArgs),
}

/// List the dead letters
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe deadletters list deploy.json --json")]
struct ListArgs {
    #[command(flatten)]
    file: DeployFile,
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Only those behind this one: the last that was shown
    #[arg(long, value_name = "LETTER")]
    after: Option<LetterId>,
}

/// Print one dead letter with what is in it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe deadletters show deploy.json 17")]
struct LetterArgs {
    #[command(flatten)]
    file: DeployFile,
    /// The letter
    letter: LetterId,
}

/// Send dead letters again, once their handler is mended
///
/// They go as new notifications to the player whose record their handler is for.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe deadletters retry deploy.json 17 18")]
struct LettersArgs {
    #[command(flatten)]
    file: DeployFile,
    /// The letters
    #[arg(required = true, value_name = "LETTER")]
    letters: Vec<LetterId>,
}

/// Forget dead letters
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe deadletters drop deploy.json 17 p3")]
struct DropArgs {
    #[command(flatten)]
    file: DeployFile,
    /// The letters
    #[arg(required = true, value_name = "LETTER")]
    letters: Vec<LetterId>,
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    match args.command {
        LettersCommand::List(args) => list(context, &args),
        LettersCommand::Show(args) => show(context, &args),
        LettersCommand::Retry(args) => retry(context, &args),
        LettersCommand::Drop(args) => drop_letters(context, &args),
    }
}

fn list(context: &Context, args: &ListArgs) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let query = LettersQuery { after: args.after, limit: Some(usize::from(args.limit)) };
    let page: LettersPage = ask(&deploy, "dead_letters", &query)?;
    let letters: Vec<_> = page.letters.iter().map(line).collect();
    context.print(&json!({"ok": true, "letters": letters, "more": page.more}), || {
        let mut text = table(
            &["LETTER", "AT (UTC)", "REASON", "TYPE", "FROM", "TO"],
            &page.letters.iter().map(row).collect::<Vec<_>>(),
        );
        if page.letters.is_empty() {
            text = "there are no dead letters".to_owned();
        }
        if let Some(last) = page.letters.last().filter(|_| page.more) {
            text.push_str(&format!("\nmore with --after {}", last.id));
        }
        text
    });
    Ok(())
}

fn show(context: &Context, args: &LetterArgs) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let shown: LetterShown = ask(&deploy, "dead_letter", &LetterQuery { id: args.letter })?;
    let record = data_json(&shown.record);
    let mut found = line(&shown.line);
    found["ok"] = true.into();
    found["depth"] = shown.depth.into();
    found["record"] = record.clone();
    context.print(&found, || {
        let LetterLine { id, at_ms, reason, kind, sender: from, receiver } = &shown.line;
        let from = from.map(|from| format!(" from {}", sender(from))).unwrap_or_default();
        let to = receiver.map(|to| format!(" to player {to}")).unwrap_or_default();
        let text = serde_json::to_string_pretty(&record).unwrap_or_default();
        format!("letter {id}: {kind}{from}{to}, {} UTC\n{reason}\n{text}", moment(*at_ms))
    });
    Ok(())
}

fn retry(context: &Context, args: &LettersArgs) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    for &id in &args.letters {
        let sent: Option<String> = ask(&deploy, "dead_letter_retry", &LetterQuery { id })?;
        let found = json!({"ok": true, "letter": id, "notification": sent});
        context.print(&found, || match &sent {
            Some(new) => format!("letter {id} is sent again, as notification {new}"),
            None => format!("letter {id} is sent again"),
        });
    }
    Ok(())
}

fn drop_letters(context: &Context, args: &DropArgs) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    for &id in &args.letters {
        ask::<_, ()>(&deploy, "dead_letter_drop", &LetterQuery { id })?;
        context.print(&json!({"ok": true, "letter": id}), || format!("letter {id} is forgotten"));
    }
    Ok(())
}

fn line(of: &LetterLine) -> serde_json::Value {
    json!({"letter": of.id, "at_ms": of.at_ms, "reason": of.reason, "type": of.kind,
        "sender": of.sender.map(sender_json), "receiver": of.receiver})
}

fn row(of: &LetterLine) -> Vec<String> {
    let shown = |what: Option<String>| what.unwrap_or_else(|| "-".to_owned());
    vec![
        of.id.to_string(),
        moment(of.at_ms),
        of.reason.clone(),
        of.kind.clone(),
        shown(of.sender.map(sender)),
        shown(of.receiver.map(|to| to.to_string())),
    ]
}

fn ask<T: Serialize, R: DeserializeOwned>(
    deploy: &Deploy,
    method: &str,
    args: &T,
) -> Result<R, CommandError> {
    tool::ask_of(deploy, (MODULE, method), args, super::ASK_STORE)
}
