//! `chappe record`: players' records, looked at and changed by an operator.

use super::{Context, DeployFile, data_arg, data_json, moment, table};
use crate::exit::{self, CommandError};
use crate::tool;
use chappe_deploy::Deploy;
use chappe_notify::tools::{
    MODULE, RecordChanged, RecordExport, RecordHistory, RecordLine, RecordPage, RecordQuery, RecordSet,
    RecordShown, VersionLine,
};
use chappe_wire::{Reason, Value};
use clap::Subcommand;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

/// How often a change is tried when the record changes meanwhile.
const TRIES: u32 = 5;
/// Records on one page of an export.
const PAGE: usize = 500;

/// Look at players' records, and change them
///
/// The cluster must be running. A record is what modules keep of a player: attributes, by uid.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Example:
  chappe record show deploy.json 7"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: RecordCommand,
}

#[derive(Debug, Subcommand)]
enum RecordCommand {
    Show(ShowArgs),
    Set(SetArgs),
    History(HistoryArgs),
    Export(ExportArgs),
    Delete(DeleteArgs),
}

/// Print a player's record as it is stored
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe record show deploy.json 7 --json")]
struct ShowArgs {
    #[command(flatten)]
    file: DeployFile,
    /// The player
    uid: u64,
}

/// Change attributes of a player's record
///
/// The player may be online: their server lets the record go first and reads it again. Attributes that are not named
/// stay as they are. Data is JSON, as for `chappe call`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe record set deploy.json 7 '{\"money\": 500}'")]
struct SetArgs {
    #[command(flatten)]
    file: DeployFile,
    /// The player
    uid: u64,
    /// The attributes, as a JSON object
    #[arg(value_parser = data_arg, allow_hyphen_values = true)]
    attributes: Value,
    /// Take away the attributes that are not named
    #[arg(long)]
    replace: bool,
    /// Make a record for a player who has never been there
    #[arg(long)]
    create: bool,
    /// Only when the record has this version
    #[arg(long, value_name = "N")]
    version: Option<u64>,
}

/// List the last versions of a player's record
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe record history deploy.json 7
  chappe record history deploy.json 7 --version 41")]
struct HistoryArgs {
    #[command(flatten)]
    file: DeployFile,
    /// The player
    uid: u64,
    /// Print this version's attributes
    #[arg(long, value_name = "N")]
    version: Option<u64>,
}

/// Print records as JSON, one a line
///
/// Records that cannot be read are named on standard error, and the command ends with 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe record export deploy.json > records.jsonl
  chappe record export deploy.json 7 8")]
struct ExportArgs {
    #[command(flatten)]
    file: DeployFile,
    /// Only these players, by uid; else all
    uids: Vec<u64>,
}

/// Forget a player: record, history, stored answers and waiting pushes
///
/// The player must be offline. What is under way to them fails with `userNotFound`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe record delete deploy.json 7")]
struct DeleteArgs {
    #[command(flatten)]
    file: DeployFile,
    /// The player
    uid: u64,
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    match args.command {
        RecordCommand::Show(args) => show(context, &args),
        RecordCommand::Set(args) => set(context, args),
        RecordCommand::History(args) => history(context, &args),
        RecordCommand::Export(args) => export(&args),
        RecordCommand::Delete(args) => delete(context, &args),
    }
}

fn show(context: &Context, args: &ShowArgs) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let shown: RecordShown = ask(&deploy, "record_show", &RecordQuery { uid: args.uid })?;
    let RecordShown { uid, epoch, version, owner, is_owner_up, online, document, pushes } = shown;
    let document = data_json(&document);
    let found = json!({"ok": true, "uid": uid, "epoch": epoch, "version": version, "owner": owner,
        "owner_up": is_owner_up, "online": online, "document": document, "pushes": pushes});
    context.print(&found, || {
        let owned = match owner {
            Some(owner) if is_owner_up => format!("owned by node {owner}"),
            Some(owner) => format!("last owned by node {owner}, which is not up"),
            None => "owned by nobody".to_owned(),
        };
        let online = if online { "online" } else { "offline" };
        let text = serde_json::to_string_pretty(&document).unwrap_or_default();
        format!("player {uid}, {online}; version {version}, record epoch {epoch}, {owned}\n{text}\n{pushes} pushes wait")
    });
    Ok(())
}

fn set(context: &Context, args: SetArgs) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let uid = args.uid;
    let Value::Map(attributes) = args.attributes else {
        return Err(CommandError::Usage("attributes are a JSON object".to_owned()));
    };
    let mut tries = 0;
    let changed = loop {
        tries += 1;
        let shown: Option<RecordShown> = match ask(&deploy, "record_show", &RecordQuery { uid }) {
            Ok(shown) => Some(shown),
            Err(CommandError::Outcome { reason: Reason::UserNotFound, .. }) if args.create => None,
            Err(error) => return Err(error),
        };
        let seen = shown.as_ref().map(|shown| shown.version);
        let document = changed_document(shown.map(|shown| shown.document), &attributes, args.replace);
        let version = args.version.or(seen);
        let set = RecordSet { uid, document, version, create: args.create };
        match ask::<_, RecordChanged>(&deploy, "record_set", &set) {
            // It has changed since it was read; what was asked for holds all the same.
            Err(CommandError::Outcome { reason: Reason::Refused, .. })
                if args.version.is_none() && tries < TRIES => {}
            changed => break changed?,
        }
    };
    let version = changed.version;
    context.print(&json!({"ok": true, "uid": uid, "version": version}), || {
        format!("the record of player {uid} has version {version} now")
    });
    Ok(())
}

/// What a document is to be. Names that begin with `_` are the runtime's own and stay.
fn changed_document(now: Option<Value>, attributes: &[(Value, Value)], replaces: bool) -> Value {
    let mut pairs = match now {
        Some(Value::Map(pairs)) => pairs,
        _ => Vec::new(),
    };
    let is_own = |name: &Value| name.as_str().is_some_and(|name| name.starts_with('_'));
    pairs.retain(|(name, _)| {
        is_own(name) || !replaces && !attributes.iter().any(|(changed, _)| changed == name)
    });
    pairs.extend(attributes.iter().filter(|(name, _)| !is_own(name)).cloned());
    Value::Map(pairs)
}

fn history(context: &Context, args: &HistoryArgs) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let asked = RecordHistory { uid: args.uid, version: args.version };
    let lines: Vec<VersionLine> = ask(&deploy, "record_history", &asked)?;
    if lines.is_empty() {
        let of = args.version.map(|version| format!("version {version} of ")).unwrap_or_default();
        let message = format!("there is no history of {of}player {}", args.uid);
        return Err(CommandError::Outcome { reason: Reason::UserNotFound, message });
    }
    let versions: Vec<_> = lines
        .iter()
        .map(|line| {
            json!({"version": line.version, "epoch": line.epoch, "commit": line.commit, "handler": line.handler,
                "at_ms": line.at_ms, "bytes": line.bytes, "document": line.document.as_ref().map(data_json)})
        })
        .collect();
    context.print(&json!({"ok": true, "uid": args.uid, "versions": versions}), || {
        let row = |line: &VersionLine| {
            let (version, epoch, bytes) = (line.version, line.epoch, line.bytes);
            vec![
                version.to_string(),
                epoch.to_string(),
                moment(line.at_ms),
                bytes.to_string(),
                line.handler.clone(),
            ]
        };
        let mut text = table(
            &["VERSION", "EPOCH", "AT (UTC)", "BYTES", "BY"],
            &lines.iter().map(row).collect::<Vec<_>>(),
        );
        for document in lines.iter().filter_map(|line| line.document.as_ref()) {
            text.push('\n');
            text.push_str(&serde_json::to_string_pretty(&data_json(document)).unwrap_or_default());
        }
        text
    });
    Ok(())
}

fn export(args: &ExportArgs) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    if !args.uids.is_empty() {
        for &uid in &args.uids {
            let RecordShown { uid, version, document, .. } =
                ask(&deploy, "record_show", &RecordQuery { uid })?;
            say_record(&RecordLine { uid, version, document });
        }
        return Ok(());
    }
    let (mut after, mut corrupt) = (None, 0);
    loop {
        let page: RecordPage = ask(&deploy, "record_export", &RecordExport { after, limit: Some(PAGE) })?;
        page.records.iter().for_each(say_record);
        for (uid, why) in &page.corrupt {
            corrupt += 1;
            super::complain(&format!("player {uid}: {why}"));
        }
        match page.next {
            Some(next) => after = Some(next),
            None if corrupt > 0 => return Err(CommandError::Told { code: exit::FAILED }),
            None => return Ok(()),
        }
    }
}

fn say_record(record: &RecordLine) {
    let RecordLine { uid, version, document } = record;
    super::say(&json!({"uid": uid, "version": version, "document": data_json(document)}).to_string());
}

fn delete(context: &Context, args: &DeleteArgs) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let uid = args.uid;
    ask::<_, ()>(&deploy, "record_delete", &RecordQuery { uid })?;
    context.print(&json!({"ok": true, "uid": uid}), || format!("player {uid} is forgotten"));
    Ok(())
}

fn ask<T: Serialize, R: DeserializeOwned>(
    deploy: &Deploy,
    method: &str,
    args: &T,
) -> Result<R, CommandError> {
    tool::ask_of(deploy, (MODULE, method), args, super::ASK_STORE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chappe_wire::value;

    #[test]
    fn a_change_of_one_attribute_would_take_the_others_away() {
        let now = || Some(value!({"money": 1, "name": "Ada", "_versions": {"user": 1}}));
        let Value::Map(change) = value!({"money": 5, "_versions": 0}) else { panic!("a map") };
        let kept = value!({"name": "Ada", "_versions": {"user": 1}, "money": 5});
        assert_eq!(changed_document(now(), &change, false), kept);
        assert_eq!(changed_document(now(), &change, true), value!({"_versions": {"user": 1}, "money": 5}));
        assert_eq!(changed_document(None, &change, false), value!({"money": 5}));
    }
}
