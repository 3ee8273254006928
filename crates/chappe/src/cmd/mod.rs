//! The command line: one file a command.

mod announce;
mod apply;
mod call;
mod check;
mod client;
mod deadletters;
mod drain;
mod kick;
mod mods;
mod nats_config;
mod node;
mod nodes;
mod notifications;
mod players;
mod record;
mod roll;
mod send;
mod stop;
mod store;
mod token;
mod up;

use crate::app::App;
use crate::bench;
use crate::exit::{self, CommandError};
use crate::logging;
use crate::python;
use chappe_deploy::{Deploy, Warning};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::time::Duration;

const ABOUT: &str = "Runs and inspects a cluster of game servers that deploy.json describes";
const CODES: &str = "\
Exit codes:
  0  done
  1  failed; the reason is printed
  2  wrong arguments, or something is wrong with deploy.json
  3  the master refuses the node, or its id is taken
  4  the master took the node for lost
  5  the cluster cannot be reached
  6  a mod cannot be loaded
  75 the node wants to be started again

Example:
  chappe up deploy.json";

/// Set for a program that was handed the command: it does not hand it on.
const HANDED_OVER: &str = "CHAPPE_HANDED_OVER";
/// How long the master may take for what it knows itself.
const ASK: Duration = Duration::from_secs(5);
/// How long it may take for what is in its store.
const ASK_STORE: Duration = Duration::from_secs(15);

#[derive(Debug, Parser)]
#[command(name = "chappe", version, about = ABOUT, after_help = CODES, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    json: bool,
    /// What to log, as in RUST_LOG: `debug`, or `info,chappe_node=trace`
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Args),
    Node(node::Args),
    Check(check::Args),
    NatsConfig(nats_config::Args),
    Call(call::Args),
    Send(send::Args),
    Nodes(nodes::Args),
    Players(players::Args),
    Kick(kick::Args),
    Announce(announce::Args),
    Record(record::Args),
    Notifications(notifications::Args),
    #[command(name = "deadletters")]
    DeadLetters(deadletters::Args),
    Store(store::Args),
    Stop(stop::Args),
    Drain(drain::Args),
    Roll(roll::Args),
    Apply(apply::Args),
    Mod(mods::Args),
    Client(client::Args),
    Token(token::Args),
    Bench(bench::Args),
}

/// What every command gets beside its own arguments.
struct Context {
    app: App,
    json: bool,
    log: Option<String>,
    /// The arguments as they came, without the program's name.
    args: Vec<OsString>,
}

/// Runs the command that `args` name.
pub(crate) fn run(app: App, args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let parsed =
        Cli::command().try_get_matches_from(&args).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(exit::CONFIG) } else { ExitCode::SUCCESS };
        }
    };
    let as_json = cli.json;
    let context = Context { app, json: cli.json, log: cli.log, args: args.into_iter().skip(1).collect() };
    let result = match cli.command {
        Command::Up(args) => up::run(&context, args),
        Command::Node(args) => node::run(&context, &args),
        Command::Check(args) => check::run(&context, &args),
        Command::NatsConfig(args) => nats_config::run(&context, &args),
        Command::Call(args) => call::run(&context, args),
        Command::Send(args) => send::run(&context, args),
        Command::Nodes(args) => nodes::run(&context, &args),
        Command::Players(args) => players::run(&context, args),
        Command::Kick(args) => kick::run(&context, args),
        Command::Announce(args) => announce::run(&context, args),
        Command::Record(args) => record::run(&context, args),
        Command::Notifications(args) => notifications::run(&context, &args),
        Command::DeadLetters(args) => deadletters::run(&context, args),
        Command::Store(args) => store::run(&context, args),
        Command::Stop(args) => stop::run(&context, &args),
        Command::Drain(args) => drain::run(&context, &args),
        Command::Roll(args) => roll::run(&context, &args),
        Command::Apply(args) => apply::run(&context, &args),
        Command::Mod(args) => mods::run(&context, args),
        Command::Client(args) => client::run(&context, args),
        Command::Token(args) => token::run(&context, args),
        Command::Bench(args) => bench::run(args, &context.app, context.json),
    };
    exit::report(result, as_json)
}

impl Context {
    fn start_logging(&self) -> Result<(), CommandError> {
        logging::start(self.log.as_deref(), self.json).map_err(CommandError::Usage)
    }

    /// Becomes the game's program, to run the command `args` there; returns when this process has become it.
    fn become_program(&self, program: &[String], args: &[PathBuf]) -> Result<(), CommandError> {
        let [program, first @ ..] = program else { return Ok(()) };
        if std::env::var_os(HANDED_OVER).is_some() {
            return Ok(());
        }
        let mut command = process::Command::new(program);
        command.args(first).args(args).env(HANDED_OVER, "1");
        if self.json {
            command.arg("--json");
        }
        if let Some(log) = &self.log {
            command.arg("--log").arg(log);
        }
        // Returns only when it could not be done.
        Err(CommandError::Io { what: "cannot run the game's program", source: command.exec() })
    }

    /// Runs the command `words` in the Python package: in this process when it is there, else in one of its own, which
    /// this one becomes. `name` is the command's, for the error.
    fn run_in_python(&self, name: &str, words: &[OsString]) -> Result<(), CommandError> {
        if let Some(host) = self.app.mod_host() {
            return match host.command(words).map_err(CommandError::Usage)? {
                0 => Ok(()),
                code => Err(CommandError::Told { code }),
            };
        }
        if let Some([program, first @ ..]) = python::program()
            && std::env::var_os(HANDED_OVER).is_none()
        {
            let mut command = process::Command::new(program);
            command.args(first).args(&self.args).env(HANDED_OVER, "1");
            return Err(CommandError::Io { what: "cannot run the Python package", source: command.exec() });
        }
        Err(CommandError::Usage(format!("`chappe {name}` {}", python::needed())))
    }

    /// Becomes the Python package, which knows what mods declare, when entries have `mods` and this program cannot tell.
    fn hand_to_mods(&self, deploy: &Deploy) -> Result<(), CommandError> {
        let has_mods = deploy.nodes.iter().any(|entry| !entry.mods.is_empty());
        if !has_mods || self.app.mod_host().is_some() || std::env::var_os(HANDED_OVER).is_some() {
            return Ok(());
        }
        let Some([program, first @ ..]) = python::program() else { return Ok(()) };
        let mut command = process::Command::new(program);
        command.args(first).args(&self.args).env(HANDED_OVER, "1");
        Err(CommandError::Io { what: "cannot run the Python package", source: command.exec() })
    }

    /// Prints `json` for a program, or the lines of `text` for a person.
    fn print(&self, json: &serde_json::Value, text: impl FnOnce() -> String) {
        say(&if self.json { json.to_string() } else { text() });
    }
}

/// The deploy.json that most commands take.
#[derive(Debug, clap::Args)]
struct DeployFile {
    /// The cluster's deploy.json
    #[arg(value_name = "DEPLOY.json")]
    deploy: PathBuf,
}

impl DeployFile {
    /// Reads and checks it; warnings go to standard error.
    fn load(&self) -> Result<Arc<Deploy>, CommandError> {
        load(&self.deploy, true)
    }

    /// As [`DeployFile::load`], for commands that talk to a cluster that has started with it.
    fn load_quietly(&self) -> Result<Arc<Deploy>, CommandError> {
        load(&self.deploy, false)
    }
}

fn load(path: &Path, with_warnings: bool) -> Result<Arc<Deploy>, CommandError> {
    let (deploy, warnings) = Deploy::load(path)?;
    if with_warnings {
        warn_of(&deploy, &warnings);
    }
    Ok(Arc::new(deploy))
}

fn warn_of(deploy: &Deploy, warnings: &[Warning]) {
    for warning in warnings {
        // One that has no place in the file is of the file as a whole.
        let gap = if warning.place.line == 0 { " " } else { "" };
        complain(&format!("warning: {}:{gap}{warning}", deploy.file));
    }
}

/// Data on the command line: the JSON text form of protocol/values.md.
fn data_arg(text: &str) -> Result<chappe_wire::Value, String> {
    chappe_wire::value::from_json(text).map_err(|error| error.to_string())
}

/// Data as JSON for a program: the text form, in which nothing is lost.
fn data_json(data: &chappe_wire::Value) -> serde_json::Value {
    let text = chappe_wire::value::to_json(data);
    serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))
}

/// A moment of the store's clock for a person: `2026-03-04 05:06:07`, UTC.
fn moment(ms: u64) -> String {
    let (days, second) = (ms / 86_400_000, ms / 1000 % 86_400);
    // Years that begin in March: the day that comes and goes is then their last.
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{of_month:02} {hour:02}:{minute:02}:{second:02}")
}

/// A time-out on the command line: seconds, with a fraction if need be.
fn seconds_arg(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if !(0.0..=60.0).contains(&seconds) {
        return Err("must be from 0 to 60 seconds".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A table for people: columns as wide as they need to be, two spaces between them.
fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| {
        all.iter().map(|row: &&Vec<String>| row.get(column).map_or(0, |cell| cell.chars().count())).max()
    };
    let widths: Vec<usize> = (0..head.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &&Vec<String>| {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Prints a line to standard output. Nobody may be reading any more.
pub(crate) fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// Prints a line to standard error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_a_command_does_not_change_unseen() {
        let mut root = Cli::command().term_width(100);
        root.build();
        insta::assert_snapshot!("help", root.render_long_help().to_string());
        for command in root.get_subcommands() {
            let name = command.get_name();
            assert_help(&format!("help_{name}"), command);
            for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
                assert_help(&format!("help_{name}_{}", inner.get_name()), inner);
            }
        }
    }

    fn assert_help(name: &str, command: &clap::Command) {
        let help = command.clone().term_width(100).render_long_help().to_string();
        assert!(help.contains("Example"), "{name} shows no example");
        insta::assert_snapshot!(name, help);
    }

    #[test]
    fn a_moment_is_not_a_day_off() {
        assert_eq!(moment(0), "1970-01-01 00:00:00");
        assert_eq!(moment(951_782_399_000), "2000-02-28 23:59:59");
        assert_eq!(moment(951_868_800_999), "2000-03-01 00:00:00");
        assert_eq!(moment(1_795_174_043_000), "2026-11-20 11:27:23");
    }

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell() {
        let rows = [vec!["6001".to_owned(), "邮件".to_owned()], vec!["7".to_owned(), "bw4".to_owned()]];
        assert_eq!(table(&["ID", "TYPE"], &rows), "ID    TYPE\n6001  邮件\n7     bw4");
    }
}
