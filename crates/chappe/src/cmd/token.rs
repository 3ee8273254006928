//! `chappe token`: login tokens for tools and tests, and the keys that sign them.

use super::{Context, load};
use crate::exit::CommandError;
use chappe_deploy::{Deploy, LoginRule};
use chappe_token::{Algorithm, Claims, KeyError, NewKey, SigningKeys};
use clap::{Subcommand, ValueEnum};
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What tokens are signed with, as the text of a JWK set; goes before the file.
const VARIABLE: &str = "CHAPPE_SIGNING_KEYS";

/// Make a login token, or the keys for it
///
/// A game's own account server makes the tokens of its players, with any library for JWT; this is for tools and tests. The
/// keys that sign are in the variable CHAPPE_SIGNING_KEYS, or in the file that `new-key` has written: for keys.json, that
/// is keys.sign.json.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  chappe token deploy.json --uid 7 --ttl 1h > token
  chappe client deploy.json --uid 7 --token-file token --mods mods/bank"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    mint: Mint,
}

#[derive(Debug, Subcommand)]
enum Command {
    NewKey(NewKeyArgs),
}

#[derive(Debug, clap::Args)]
struct Mint {
    /// The cluster's deploy.json
    #[arg(value_name = "DEPLOY.json", required = true)]
    deploy: Option<PathBuf>,
    /// Whom it lets in
    #[arg(long, required = true)]
    uid: Option<u64>,
    /// For how long: 90s, 15m, 12h, 7d
    #[arg(long, default_value = "1h", value_parser = ttl_arg, value_name = "TIME")]
    ttl: u64,
    /// The player's name, which goes before the one that the client gives
    #[arg(long, value_name = "NAME")]
    nickname: Option<String>,
    /// The key that signs [default: the last of the set]
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// The file with the keys that sign [default: beside `login.keys`]
    #[arg(long, value_name = "FILE")]
    sign: Option<PathBuf>,
}

/// Make a new key, and add it to the key sets
///
/// Writes the key set for proxies (`login.keys`) and the one that signs, which only whoever makes tokens should have. To
/// change keys: add a new one, sign with it once all proxies have read it (5 s), and take the old one out of the file
/// when its last token has expired.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe token new-key keys.json --key-id 2026-11")]
struct NewKeyArgs {
    /// The key set for proxies
    #[arg(value_name = "KEYS.json")]
    keys: PathBuf,
    /// The key set that signs [default: KEYS.sign.json]
    #[arg(long, value_name = "FILE")]
    sign: Option<PathBuf>,
    /// The new key's id [default: the time]
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// How it signs
    #[arg(long, value_enum, default_value = "eddsa")]
    algorithm: Kind,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Ed25519: proxies have the public half only.
    #[value(name = "eddsa")]
    EdDsa,
    /// A secret that both sides have.
    #[value(name = "hs256")]
    Hs256,
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    match args.command {
        Some(Command::NewKey(args)) => new_key(context, args),
        None => mint(context, args.mint),
    }
}

fn mint(context: &Context, args: Mint) -> Result<(), CommandError> {
    let (Some(path), Some(uid)) = (args.deploy, args.uid) else {
        return Err(CommandError::Usage("a token needs a deploy.json and --uid".to_owned()));
    };
    let deploy = load(&path, false)?;
    let (keys, source) = signing_keys(&deploy, args.sign.as_deref())?;
    let now = now();
    let claims = Claims { uid, expires: now.saturating_add(args.ttl), nickname: args.nickname };
    let token = keys.sign(args.key_id.as_deref(), &deploy.cluster, &claims, now);
    let token = token.map_err(|error| wrong(&source, &error))?;
    context.print(&json!({"ok": true, "token": token, "expires": claims.expires}), || token.clone());
    Ok(())
}

/// The keys, and where they come from.
fn signing_keys(deploy: &Deploy, given: Option<&Path>) -> Result<(SigningKeys, String), CommandError> {
    let parse = |text: &[u8], source: String| match SigningKeys::parse(text) {
        Ok(keys) => Ok((keys, source)),
        Err(error) => Err(wrong(&source, &error)),
    };
    let variable = std::env::var(VARIABLE).ok().filter(|text| given.is_none() && !text.is_empty());
    if let Some(text) = variable {
        return parse(text.as_bytes(), VARIABLE.to_owned());
    }
    let Some(path) = given.map(Path::to_owned).or_else(|| beside_keys(deploy)) else {
        return Err(CommandError::Usage(format!(
            "no proxy of {} has `login` with `keys`; name a file with --sign, or set {VARIABLE}",
            deploy.file
        )));
    };
    let source = path.display().to_string();
    let text = fs::read(&path).map_err(|error| CommandError::Usage(format!("{source}: {error}")))?;
    parse(&text, source)
}

fn beside_keys(deploy: &Deploy) -> Option<PathBuf> {
    deploy.nodes.iter().find_map(|node| match &node.access.login {
        LoginRule::Keys(keys) => Some(signing_path(&keys.keys)),
        _ => None,
    })
}

/// `keys.json` and `keys.sign.json`.
fn signing_path(keys: &Path) -> PathBuf {
    keys.with_extension("sign.json")
}

fn new_key(context: &Context, args: NewKeyArgs) -> Result<(), CommandError> {
    let sign = args.sign.unwrap_or_else(|| signing_path(&args.keys));
    let id = args.key_id.unwrap_or_else(|| super::moment(now() * 1000).replace([' ', ':', '-'], ""));
    let algorithm = match args.algorithm {
        Kind::EdDsa => Algorithm::EdDsa,
        Kind::Hs256 => Algorithm::Hs256,
    };
    let key = NewKey::generate(algorithm, &id).map_err(|error| wrong(&id, &error))?;
    let (public, private) = (set_at(&args.keys)?, set_at(&sign)?);
    // Both before either is written.
    let public = key.public_set(public.as_deref()).map_err(|error| wrong(&args.keys.display(), &error))?;
    let private = key.private_set(private.as_deref()).map_err(|error| wrong(&sign.display(), &error))?;
    write(&sign, &private, 0o600)?;
    write(&args.keys, &public, if algorithm == Algorithm::Hs256 { 0o600 } else { 0o644 })?;
    let (keys, sign) = (args.keys.display().to_string(), sign.display().to_string());
    context.print(&json!({"ok": true, "key_id": id, "keys": keys, "sign": sign}), || {
        format!(
            "key {id} ({algorithm}): {keys} is for proxies, {sign} signs and stays with whoever makes tokens"
        )
    });
    Ok(())
}

/// The file's text; none where it is not there yet.
fn set_at(path: &Path) -> Result<Option<Vec<u8>>, CommandError> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CommandError::Usage(format!("{}: {error}", path.display()))),
    }
}

/// Replaces the file as a whole: a proxy never reads half of it.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), CommandError> {
    let half = path.with_extension(format!("{}.new", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&half)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&half, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&half);
        CommandError::Usage(format!("{}: {error}", path.display()))
    })
}

fn wrong(place: &impl std::fmt::Display, error: &KeyError) -> CommandError {
    CommandError::Usage(format!("{place}: {error}"))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A time to live in seconds, from a number and a unit.
fn ttl_arg(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("a time is a number with s, m, h or d behind it".to_owned()),
    };
    let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    seconds
        .filter(|&seconds| seconds > 0)
        .ok_or_else(|| "a time is a number, as in 90s, 15m, 12h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_not_taken_for_another() {
        assert_eq!(
            ["90", "90s", "15m", "12h", "7d"].map(|text| ttl_arg(text).unwrap()),
            [90, 90, 900, 43_200, 604_800]
        );
        for wrong in ["", "h", "0", "-1h", "1w", "1.5h", "99999999999999999999d"] {
            assert!(ttl_arg(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_keys_that_sign_are_not_those_that_proxies_read() {
        assert_eq!(signing_path(Path::new("/a/keys.json")), Path::new("/a/keys.sign.json"));
    }
}
