//! `chappe store`: backups of the SQLite file, and the way back.

use super::{Context, DeployFile};
use crate::exit::CommandError;
use crate::{store, tool};
use chappe_deploy::{Deploy, StorePlace};
use chappe_notify::tools::{BackUp, MODULE};
use chappe_store::{Options, SqliteStore, Store, StoreError};
use chappe_wire::Reason;
use clap::Subcommand;
use serde_json::json;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a backup may take.
const BACK_UP: Duration = Duration::from_secs(600);
/// Uids that are read at once.
const PAGE: u32 = 1000;

/// Back up the store of records and notifications, restore it, take it over
///
/// Backups are for the SQLite file. A PostgreSQL database has tools of its own: pg_dump and pg_restore.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Example:
  chappe store backup deploy.json /backup/monday.sqlite"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    Backup(BackupArgs),
    Restore(RestoreArgs),
    Adopt(AdoptArgs),
}

/// Copy the store of a running cluster to a new file
///
/// The copy is the store as it is at one moment. The game goes on; what is to be kept waits until the copy is done.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe store backup deploy.json /backup/monday.sqlite")]
struct BackupArgs {
    #[command(flatten)]
    file: DeployFile,
    /// The new file, on the master's machine
    to: PathBuf,
}

/// Put a backup in the store's place; the cluster must not run
///
/// The backup is checked first, every record of it. The store that was there is moved aside, and not deleted.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe store restore deploy.json /backup/monday.sqlite")]
struct RestoreArgs {
    #[command(flatten)]
    file: DeployFile,
    /// The backup
    from: PathBuf,
    /// The cluster that the backup is of, where it is another one: this one takes it over
    #[arg(long, value_name = "CLUSTER")]
    adopt: Option<String>,
}

/// Take over a store that another cluster owns; that one must not run
///
/// A store belongs to the cluster that made it, and every other is refused: two clusters on one store would mix their
/// players. This is for a cluster that was renamed, has got another `cluster_id`, or plays on with another's records.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe store adopt deploy.json arena-old")]
struct AdoptArgs {
    #[command(flatten)]
    file: DeployFile,
    /// The name of the cluster that owns it; the refusal says it
    #[arg(value_name = "CLUSTER")]
    from: String,
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    match args.command {
        StoreCommand::Backup(args) => back_up(context, &args),
        StoreCommand::Restore(args) => restore(context, &args),
        StoreCommand::Adopt(args) => adopt(context, &args),
    }
}

fn back_up(context: &Context, args: &BackupArgs) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let to = std::path::absolute(&args.to).map_err(CommandError::io("the backup's path"))?;
    let to = to.to_string_lossy().into_owned();
    let () = tool::ask_of(&deploy, (MODULE, "back_up"), &BackUp { to: to.clone() }, BACK_UP)?;
    context.print(&json!({"ok": true, "file": to}), || format!("the store is copied to {to}"));
    Ok(())
}

fn adopt(context: &Context, args: &AdoptArgs) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let place = store::choice(&deploy)?.place;
    if let StorePlace::File(file) = &place
        && !file.exists()
    {
        let text = format!("there is no store at {}", file.display());
        return Err(CommandError::Usage(text));
    }
    let options = Options { adopts: Some(args.from.clone()), ..store::options(&deploy) };
    // Nobody else can have it open meanwhile.
    let mut adopted = chappe_store::open(&place.with_secrets(), options).map_err(CommandError::Store)?;
    let players = adopted.players(None, 1).map_err(CommandError::Store)?;
    adopted.close();
    let found = json!({"ok": true, "store": place.to_string(), "cluster": deploy.cluster, "empty": players.is_empty()});
    context.print(&found, || {
        let (cluster, from) = (&deploy.cluster, &args.from);
        format!("the store at {place} belongs to the cluster `{cluster}` now, and to `{from}` no more")
    });
    Ok(())
}

fn restore(context: &Context, args: &RestoreArgs) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let StorePlace::File(file) = store::choice(&deploy)?.place else {
        let text = "the store is a PostgreSQL database: restore it with its own tools (pg_restore)";
        return Err(CommandError::Usage(text.to_owned()));
    };
    if tool::is_running(&deploy) {
        let text = format!("the cluster `{}` is running; stop it first", deploy.cluster);
        return Err(CommandError::Usage(text));
    }
    let new = beside(&file, ".restoring");
    let players = match copy(&deploy, args, &file, &new) {
        Ok(players) => players,
        Err(error) => {
            // The store that is there has not been touched.
            let _ = fs::remove_file(&new);
            return Err(error);
        }
    };
    let aside = put_in_place(&file, &new).map_err(CommandError::io("the store cannot be put in place"))?;
    let shown = |path: &Path| path.display().to_string();
    let found =
        json!({"ok": true, "file": shown(&file), "players": players, "aside": aside.as_deref().map(shown)});
    context.print(&found, || {
        let moved = aside.map(|aside| format!("; what was there is in {}", aside.display()));
        format!("{} has {players} players now{}", file.display(), moved.unwrap_or_default())
    });
    Ok(())
}

/// Copies the backup beside the store, and opens the copy: it must be ours, and every record readable.
fn copy(deploy: &Deploy, args: &RestoreArgs, file: &Path, new: &Path) -> Result<usize, CommandError> {
    let options = || Options { adopts: args.adopt.clone(), ..store::options(deploy) };
    // A master that no longer answers may have it open all the same.
    if file.exists()
        && let Err(error @ StoreError::InUse { .. }) =
            SqliteStore::open(file, store::options(deploy)).map(drop)
    {
        return Err(CommandError::Store(error));
    }
    let dir = file.parent().unwrap_or(Path::new("."));
    store::make_dir(dir).map_err(CommandError::io("the store's directory"))?;
    fs::copy(&args.from, new).map_err(CommandError::io("the backup cannot be copied"))?;
    let mut copied = SqliteStore::open(new, options()).map_err(CommandError::Store)?;
    let (mut players, mut after) = (0, None);
    loop {
        let page = copied.players(after, PAGE).map_err(CommandError::Store)?;
        let Some(last) = page.last().copied() else { break };
        for uid in page {
            copied.load(uid).map_err(CommandError::Store)?;
            players += 1;
        }
        after = Some(last);
    }
    if copied.unsettled(0, u32::MAX).is_err() {
        let message = "notifications of the backup cannot be read".to_owned();
        return Err(CommandError::Outcome { reason: Reason::BadData, message });
    }
    Ok(players)
}

/// Moves the old file aside with its log, which would be taken for the new one's, and gives the new one its name.
fn put_in_place(file: &Path, new: &Path) -> io::Result<Option<PathBuf>> {
    fs::File::open(new)?.sync_all()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let aside = beside(file, &format!(".before-{now}"));
    let was_there = |done: io::Result<()>| match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    // A second name: if this ends here, there is a store still, and not none, which a master would take for a new one.
    let had_store = was_there(fs::hard_link(file, &aside))?;
    for suffix in ["-wal", "-shm", "-journal"] {
        was_there(fs::rename(beside(file, suffix), beside(&aside, suffix)))?;
    }
    fs::rename(new, file)?;
    fs::File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(had_store.then_some(aside))
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
