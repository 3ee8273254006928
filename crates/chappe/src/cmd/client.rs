//! `chappe client`: the client half of mods as a bot.

use super::{Context, DeployFile};
use crate::exit::CommandError;
use chappe_deploy::{Deploy, NodeEntry};
use chappe_wire::Role;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The login token; goes before the file.
const TOKEN: &str = "CHAPPE_TOKEN";

/// Run the client half of mods as a player
///
/// Logs in at a proxy of a running cluster and runs what the mods have in behavior_packs; the game's own names do
/// nothing. Ctrl-C logs out. Needs the Python package `chappe`, in the interpreter that CHAPPE_PYTHON names, else
/// in python3.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe client deploy.json --uid 7 --mods mods/bank")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
    /// Who logs in
    #[arg(long)]
    uid: u64,
    /// A mod's directory; may be given several times
    #[arg(long, required = true, value_name = "DIR")]
    mods: Vec<PathBuf>,
    /// The serverid of the proxy [default: the first in the file]
    #[arg(long, allow_negative_numbers = true, value_name = "ID")]
    proxy: Option<i64>,
    /// The player's name
    #[arg(long, value_name = "NAME")]
    nickname: Option<String>,
    /// The file with the login token, for a proxy that checks logins; the variable CHAPPE_TOKEN goes before it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Where the proxy is reached, as `wss://play.example.com`, in place of its address in the file
    #[arg(long)]
    url: Option<String>,
    /// The file with the authority that the proxy's certificate is checked with [default: the system's]
    #[arg(long, value_name = "PEM")]
    ca: Option<PathBuf>,
    /// The player's own certificate, for a proxy that asks for one
    #[arg(long, value_name = "PEM", requires = "key")]
    cert: Option<PathBuf>,
    /// The key of the player's own certificate
    #[arg(long, value_name = "PEM", requires = "cert")]
    key: Option<PathBuf>,
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    let deploy = args.file.load_quietly()?;
    let at = url(proxy(&deploy, args.proxy)?);
    let url = args.url.unwrap_or(at);
    let token = token(args.token_file.as_deref())?;
    if context.app.mod_host().is_some() {
        context.start_logging()?;
    }
    let format = if context.json { "json" } else { "text" };
    let mut words: Vec<OsString> = vec!["client".into()];
    let mut option = |name: &str, value: OsString| words.extend([name.into(), value]);
    option("--url", url.into());
    option("--cluster", deploy.cluster.clone().into());
    option("--format", format.into());
    option("--uid", args.uid.to_string().into());
    args.mods.into_iter().for_each(|dir| option("--mods", dir.into()));
    let path = |path: Option<PathBuf>| path.map(PathBuf::into_os_string);
    let named = [
        ("--nickname", args.nickname.map(OsString::from)),
        // These words go to the package in this process, and are nowhere to be seen.
        ("--token", token.map(OsString::from)),
        ("--ca", path(args.ca)),
        ("--cert", path(args.cert)),
        ("--key", path(args.key)),
    ];
    for (name, value) in named.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        // In one word: the value may begin with a dash.
        let mut word = OsString::from(format!("{name}="));
        word.push(value);
        words.push(word);
    }
    context.run_in_python("client", &words)
}

/// The login token, which must not stand among the arguments of a process.
fn token(file: Option<&Path>) -> Result<Option<String>, CommandError> {
    if let Some(token) = std::env::var(TOKEN).ok().filter(|token| !token.is_empty()) {
        return Ok(Some(token));
    }
    let Some(file) = file else { return Ok(None) };
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| CommandError::Usage(format!("{}: {error}", file.display())))?;
    Ok(Some(text.trim().to_owned()))
}

fn proxy(deploy: &Deploy, id: Option<i64>) -> Result<&NodeEntry, CommandError> {
    let mut proxies = deploy.nodes.iter().filter(|entry| entry.role == Role::Proxy);
    let ids: Vec<String> = proxies.clone().map(|entry| entry.id.to_string()).collect();
    let found = proxies.find(|entry| id.is_none_or(|id| entry.id == id));
    found.ok_or_else(|| {
        CommandError::Usage(match id {
            _ if ids.is_empty() => format!("{} has no proxy that a client could log in at", deploy.file),
            Some(id) => format!("{} has no proxy {id}; it has {}", deploy.file, ids.join(", ")),
            None => format!("{} has no proxy", deploy.file),
        })
    })
}

/// Where the proxy is reached; one that listens on all addresses is reached on this machine.
fn url(proxy: &NodeEntry) -> String {
    let host = match proxy.ip.parse::<IpAddr>() {
        Ok(ip) if ip.is_unspecified() && ip.is_ipv4() => "127.0.0.1".to_owned(),
        Ok(ip) if ip.is_unspecified() => "[::1]".to_owned(),
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        _ => proxy.ip.clone(),
    };
    let scheme = if proxy.access.tls.is_some() { "wss" } else { "ws" };
    format!("{scheme}://{host}:{}", proxy.port.unwrap_or_default())
}
