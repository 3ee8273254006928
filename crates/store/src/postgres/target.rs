//! Which database, and how it is reached: what a url says beyond what the client library reads.

use super::tls::{Certificates, Tls};
use crate::StoreError;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

const CONNECT: Duration = Duration::from_secs(3);
/// A machine that has vanished, or a network that takes everything and brings nothing, is noticed within this time: well
/// before a lease of the usual 5 s ends, so that it can yet be renewed on a new connection. With something under way by
/// what is not acknowledged, else by probes.
const UNACKNOWLEDGED: Duration = Duration::from_secs(3);
const PROBE: (Duration, Duration, u32) = (Duration::from_secs(2), Duration::from_secs(1), 2);
/// What is read here and not by the client library.
const OURS: [&str; 5] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "passfile"];

/// Where the database is.
pub(super) struct Target {
    config: Config,
    /// `None`: nothing is encrypted.
    certificates: Option<Certificates>,
    passfile: Option<PathBuf>,
    /// Without secrets, for errors.
    pub(super) place: String,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Target, StoreError> {
        // The text may hold a password, and is not repeated.
        let unread = |why: String| StoreError::BadPlace { place: "the PostgreSQL url".to_owned(), why };
        let (rest, ours) = split(url);
        let read: Result<Config, tokio_postgres::Error> = rest.parse();
        let mut config = read.map_err(|error| unread(super::told_by(&error)))?;
        config.connect_timeout(CONNECT).application_name("chappe");
        config.keepalives_idle(PROBE.0).keepalives_interval(PROBE.1).keepalives_retries(PROBE.2);
        config.tcp_user_timeout(config.get_tcp_user_timeout().copied().unwrap_or(UNACKNOWLEDGED));
        let place = format!("postgres {} {}", hosts(&config), config.get_dbname().unwrap_or_default());
        let bad = |why: &str| StoreError::BadPlace { place: place.clone(), why: why.to_owned() };
        let path = |key: &str| value(&ours, key).map(PathBuf::from);
        let encrypts = match value(&ours, "sslmode").unwrap_or_default() {
            "" | "disable" | "allow" | "prefer" => None,
            "require" | "verify-ca" => Some(false),
            "verify-full" => Some(true),
            _ => return Err(bad("sslmode must be one of: disable, require, verify-ca, verify-full")),
        };
        let own = match (path("sslcert"), path("sslkey")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(bad("sslcert and sslkey belong together: only one of them is there")),
        };
        let authorities = path("sslrootcert").filter(|path| path != Path::new("system"));
        let certificates = match encrypts {
            Some(checks_name) => Some(Certificates { checks_name, authorities, own }),
            None if own.is_some() || value(&ours, "sslrootcert").is_some() => {
                return Err(bad("certificates are of no use without TLS: add sslmode=verify-full"));
            }
            None => None,
        };
        let is_socket = |host: &Host| matches!(host, Host::Unix(_));
        if certificates.is_some() && config.get_hosts().iter().any(is_socket) {
            return Err(bad("a Unix socket has no TLS, and needs none: leave sslmode out"));
        }
        config.ssl_mode(if certificates.is_some() { SslMode::Require } else { SslMode::Disable });
        Ok(Target { config, certificates, passfile: path("passfile"), place })
    }

    /// What connects, with the password and the certificates as they are now; without TLS where none is wanted.
    ///
    /// # Errors
    /// [`StoreError::BadPlace`]: which file is wrong, and how.
    pub(super) fn ready(&self) -> Result<(Config, Option<Tls>), StoreError> {
        let bad = |why| StoreError::BadPlace { place: self.place.clone(), why };
        let mut config = self.config.clone();
        if config.get_password().is_none()
            && let Some(password) = self.password().map_err(bad)?
        {
            config.password(password);
        }
        let tls = self.certificates.as_ref().map(Certificates::connector).transpose().map_err(bad)?;
        Ok((config, tls))
    }

    /// Whether a password and records leave this machine in clear.
    pub(super) fn is_in_clear(&self) -> bool {
        let is_far = |host: &Host| match host {
            Host::Tcp(name) => {
                name != "localhost" && !name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
            Host::Unix(_) => false,
        };
        self.certificates.is_none() && self.config.get_hosts().iter().any(is_far)
    }

    /// `PGPASSWORD`, else what a password file says: `passfile` of the url, `PGPASSFILE`, `~/.pgpass`.
    fn password(&self) -> Result<Option<String>, String> {
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        if let Some(password) = variable("PGPASSWORD") {
            return Ok(Some(password));
        }
        let named = self.passfile.clone().or_else(|| variable("PGPASSFILE").map(PathBuf::from));
        let is_named = named.is_some();
        let home = || variable("HOME").map(|home| Path::new(&home).join(".pgpass"));
        let Some(path) = named.or_else(home) else { return Ok(None) };
        let shown = path.display();
        match std::fs::metadata(&path) {
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                return Err(format!("the password file {shown} can be read by others: chmod 600 {shown}"));
            }
            Ok(_) => {}
            Err(_) if !is_named => return Ok(None),
            Err(error) => return Err(format!("the password file {shown}: {error}")),
        }
        let text =
            std::fs::read_to_string(&path).map_err(|error| format!("the password file {shown}: {error}"))?;
        Ok(self.password_in(&text))
    }

    fn password_in(&self, text: &str) -> Option<String> {
        let config = &self.config;
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(_)) | None => "localhost".to_owned(),
        };
        let port = config.get_ports().first().copied().unwrap_or(5432).to_string();
        let user = config.get_user().map_or_else(|| std::env::var("USER").unwrap_or_default(), str::to_owned);
        let database = config.get_dbname().unwrap_or(&user).to_owned();
        let wanted = [host, port, database, user];
        let of_line = |line: &str| {
            let [fields @ .., password] = &fields(line)[..] else { return None };
            let fits = fields.len() == wanted.len()
                && fields.iter().zip(&wanted).all(|(field, wanted)| field == "*" || field == wanted);
            fits.then(|| password.clone())
        };
        text.lines().filter(|line| !line.starts_with('#')).find_map(of_line)
    }
}

/// The fields of a line of a password file; `\` takes the next character as it is.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, fields.last_mut()) {
            (':', _) => fields.push(String::new()),
            ('\\', Some(field)) => field.extend(chars.next()),
            (c, Some(field)) => field.push(c),
            (_, None) => {}
        }
    }
    fields
}

fn hosts(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    });
    hosts.collect::<Vec<_>>().join(",")
}

/// A url without what is read here, and that.
fn split(url: &str) -> (String, Vec<(String, String)>) {
    let Some((base, query)) = url.split_once('?').filter(|_| crate::is_url(url)) else {
        return (url.to_owned(), Vec::new());
    };
    let (mut rest, mut ours) = (Vec::new(), Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some((key, value)) if OURS.contains(&key) => ours.push((key.to_owned(), decoded(value))),
            _ => rest.push(pair),
        }
    }
    let gap = if rest.is_empty() { "" } else { "?" };
    (format!("{base}{gap}{}", rest.join("&")), ours)
}

fn value<'o>(ours: &'o [(String, String)], key: &str) -> Option<&'o str> {
    let found = ours.iter().rfind(|(name, _)| name == key).map(|(_, value)| value.as_str());
    found.filter(|value| !value.is_empty())
}

/// Text of a url: `%2F` is `/`.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let code = more.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Target, String> {
        Target::parse(url).map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_url_says_of_certificates_is_read_and_the_rest_left_alone() {
        let full = parse(
            "postgresql://me@db:6432/game?sslmode=verify-full&options=-csearch_path%3Dchappe\
             &sslrootcert=%2Fetc%2Fca.pem&sslcert=/c.pem&sslkey=/k.pem",
        )
        .unwrap();
        let own = Some((PathBuf::from("/c.pem"), PathBuf::from("/k.pem")));
        let authorities = Some(PathBuf::from("/etc/ca.pem"));
        assert_eq!(full.certificates, Some(Certificates { checks_name: true, authorities, own }));
        assert_eq!(full.config.get_options(), Some("-csearch_path=chappe"));
        assert_eq!(full.place, "postgres db game");
        let require = parse("postgres://db/game?sslmode=require&sslrootcert=system").unwrap();
        assert_eq!(require.certificates, Some(Certificates::default()));
        assert!(parse("postgres://db/game").unwrap().is_in_clear() && !require.is_in_clear());
        assert!(!parse("postgres://127.0.0.1/game?sslmode=disable").unwrap().is_in_clear());
    }

    #[test]
    fn what_protects_nothing_is_refused_by_name() {
        let text = |url| parse(url).map(drop).unwrap_err();
        assert!(text("postgres://db/game?sslmode=verify").contains("must be one of"));
        assert!(text("postgres://db/game?sslmode=require&sslcert=/c").contains("belong together"));
        assert!(text("postgres://db/game?sslrootcert=/ca").contains("add sslmode=verify-full"));
        assert!(text("postgres:///game?host=/run/pg&sslmode=require").contains("a Unix socket has no TLS"));
        assert!(!text("postgres://me:hush@db:port/game").contains("hush"));
    }

    #[test]
    fn a_password_of_another_user_would_be_taken_from_the_file() {
        let target = parse("postgres://me@db/game").unwrap();
        let file =
            "# a comment\nother:5432:game:me:no\ndb:5433:*:*:no\ndb:*:game:you:no\n*:*:*:me:s\\:e\\\\c\n";
        assert_eq!(target.password_in(file).as_deref(), Some("s:e\\c"));
        assert_eq!(target.password_in("short:line\n\n"), None);
    }

    #[test]
    fn a_password_that_others_can_read_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "*:*:*:*:secret").unwrap();
        let url = format!("postgres://me@db/game?passfile={}", file.path().display());
        let target = parse(&url).unwrap();
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(target.ready().map(drop).unwrap_err().to_string().contains("chmod 600"));
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        let (config, _) = target.ready().map_err(|error| error.to_string()).unwrap();
        assert_eq!(config.get_password(), Some(&b"secret"[..]));
    }
}
