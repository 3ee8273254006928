//! `chappe mod`: what helps the authors of mods; the Python package does it.

use super::Context;
use crate::exit::CommandError;
use clap::Subcommand;
use std::ffi::OsString;
use std::path::PathBuf;

/// Check mods, and start new ones
///
/// Needs the Python package `chappe`, in the interpreter that CHAPPE_PYTHON names, else in python3.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Example:
  chappe mod check deploy.json"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: ModCommand,
}

#[derive(Debug, Subcommand)]
enum ModCommand {
    Check(CheckArgs),
    New(NewArgs),
}

/// Find the mistakes of mods without running them
///
/// Listeners that nobody sends to, requests to methods that nobody registers, calls that the node's role does not
/// have, and more; each with file and line. Ends with 1 when there are errors.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe mod check deploy.json --json")]
struct CheckArgs {
    /// A mod's directory, or a deploy.json for the whole network
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Tell the errors only
    #[arg(long)]
    no_warnings: bool,
}

/// Make a new mod with a lobby, a service and a client half, and tests
///
/// Nothing that is there is overwritten.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe mod new bank --dir mods")]
struct NewArgs {
    /// Letters, digits and underscores, a letter first
    name: String,
    /// Where to make its directory
    #[arg(long, default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    context.run_in_python("mod", &words(args.command, context.json))
}

/// The command again, as the package reads it; what could be taken for an option stands behind `--`.
fn words(command: ModCommand, as_json: bool) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["mod".into()];
    match command {
        ModCommand::Check(args) => {
            words.push("check".into());
            words.extend(as_json.then(|| "--json".into()));
            words.extend(args.no_warnings.then(|| "--no-warnings".into()));
            words.push("--".into());
            words.extend(args.paths.into_iter().map(OsString::from));
        }
        ModCommand::New(args) => {
            words.extend(["new".into(), "--dir".into(), args.dir.into(), "--".into(), args.name.into()]);
        }
    }
    words
}
