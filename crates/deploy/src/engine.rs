//! What carries messages between machines: the key `engine`.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::entry::resolve;
use crate::error::{Notice, Problem};
use crate::field::{Field, Fields};
use crate::report::Report;

/// The `engine` object: NATS servers, who the cluster's nodes are to them, and certificates.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Engine {
    /// `nats`: the servers, as `nats://host:port` or `tls://host:port`; one that answers is enough.
    pub nats: Vec<String>,
    /// `credentials`: who nodes are to the servers.
    pub credentials: EngineCredentials,
    /// `tls`: certificates, where they are given.
    pub tls: Option<EngineTls>,
}

/// Who nodes are to the servers. Secrets stand in files of their own, never in deploy.json.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineCredentials {
    /// Nobody in particular; what the variables `CHAPPE_NATS_...` say counts all the same.
    #[default]
    None,
    /// `{"user": ..., "password_file": ...}`.
    Password {
        /// The user's name.
        user: String,
        /// The file with the password, absolute.
        file: PathBuf,
    },
    /// `{"token_file": ...}`: the file with the token, absolute.
    Token(PathBuf),
    /// `{"nkey_file": ...}`: the file with the seed of an nkey, absolute.
    NKey(PathBuf),
    /// A path: a `.creds` file, absolute.
    Creds(PathBuf),
}

/// Certificates, as PEM files with absolute paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineTls {
    /// `ca`: whose signatures on a server's certificate count; empty: those that the system trusts.
    pub ca: Vec<PathBuf>,
    /// `cert` and `key`: the nodes' own, for servers that ask for one.
    pub own: Option<(PathBuf, PathBuf)>,
}

const KEYS: [&str; 3] = ["nats", "credentials", "tls"];
const CREDENTIALS: [&str; 4] = ["user", "password_file", "token_file", "nkey_file"];
const TLS: [&str; 3] = ["ca", "cert", "key"];
/// What an address of a server begins with.
const SCHEMES: [&str; 2] = ["nats://", "tls://"];

impl Engine {
    /// Reads the object; `None` where it is wrong, which is reported.
    pub(crate) fn read(field: &Field<'_>, dir: &Path, report: &mut Report<'_>) -> Option<Engine> {
        let fields = field.object(report)?;
        fields.unknown(&KEYS, report);
        let Some(nats) = fields.find("nats") else {
            field.error(
                Problem::Missing { wanted: "`nats`, a list of addresses such as nats://10.0.0.1:4222" },
                report,
            );
            return None;
        };
        let servers = nats.names(report);
        if servers.is_empty() {
            nats.error(Problem::Empty, report);
        }
        for (server, place) in &servers {
            if !SCHEMES.iter().any(|scheme| server.starts_with(scheme)) {
                report.error(place.clone(), Problem::BadServer { server: server.clone() });
            } else if server.contains('@') {
                report.warn(place.clone(), Notice::SecretInFile);
            }
        }
        Some(Engine {
            nats: servers.into_iter().map(|(server, _)| server).collect(),
            credentials: credentials(&fields, dir, report),
            tls: fields.find("tls").and_then(|tls| EngineTls::read(&tls, dir, report)),
        })
    }
}

/// Without the passwords that an address may carry.
impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = |server: &String| match server.split_once("://") {
            Some((scheme, rest)) => {
                format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host))
            }
            None => "?".to_owned(),
        };
        f.debug_struct("Engine")
            .field("nats", &self.nats.iter().map(public).collect::<Vec<_>>())
            .field("credentials", &self.credentials)
            .field("tls", &self.tls)
            .finish()
    }
}

impl EngineTls {
    fn read(field: &Field<'_>, dir: &Path, report: &mut Report<'_>) -> Option<EngineTls> {
        let fields = field.object(report)?;
        fields.unknown(&TLS, report);
        let ca = fields.find("ca").map(|ca| ca.names(report)).unwrap_or_default();
        let own = match (file(&fields, "cert", dir, report), file(&fields, "key", dir, report)) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => {
                field.error(Problem::Missing { wanted: "`cert` and `key` belong together" }, report);
                None
            }
        };
        Some(EngineTls { ca: ca.into_iter().map(|(path, _)| resolve(dir, &path)).collect(), own })
    }
}

fn credentials(engine: &Fields<'_>, dir: &Path, report: &mut Report<'_>) -> EngineCredentials {
    let Some(field) = engine.find("credentials") else { return EngineCredentials::None };
    if field.is_text() {
        let path = field.text(report);
        return path.map_or(EngineCredentials::None, |path| EngineCredentials::Creds(resolve(dir, &path)));
    }
    let Some(fields) = field.object(report) else { return EngineCredentials::None };
    fields.unknown(&CREDENTIALS, report);
    let user = fields.find("user").and_then(|user| user.text(report));
    let (password, token, nkey) = (
        file(&fields, "password_file", dir, report),
        file(&fields, "token_file", dir, report),
        file(&fields, "nkey_file", dir, report),
    );
    match (user, password, token, nkey) {
        (Some(user), Some(file), None, None) => EngineCredentials::Password { user, file },
        (None, None, Some(file), None) => EngineCredentials::Token(file),
        (None, None, None, Some(file)) => EngineCredentials::NKey(file),
        _ => {
            let wanted = "one of: `user` with `password_file`, `token_file`, `nkey_file`, or the path of a .creds file";
            field.error(Problem::Missing { wanted }, report);
            EngineCredentials::None
        }
    }
}

fn file(fields: &Fields<'_>, key: &str, dir: &Path, report: &mut Report<'_>) -> Option<PathBuf> {
    fields.find(key).and_then(|field| field.text(report)).map(|path| resolve(dir, &path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::Deploy;

    fn parse(engine: &str) -> Result<(Option<Engine>, String), String> {
        let text = format!(r#"{{"master": {{"serverid": 1}}, "engine": {engine}}}"#);
        let (deploy, warnings) =
            Deploy::parse(&text, "/etc/chappe/deploy.json").map_err(|errors| errors.to_string())?;
        Ok((deploy.engine, warnings.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn credentials_and_certificates_are_found_beside_the_file() {
        let (engine, warnings) = parse(
            r#"{"nats": "tls://a:4222, tls://b:4222", "credentials": {"user": "amy", "password_file": "secret"},
                "tls": {"ca": ["ca.pem"], "cert": "/tls/node.pem", "key": "node.key"}}"#,
        )
        .unwrap();
        let engine = engine.unwrap();
        assert_eq!((engine.nats.len(), warnings.as_str()), (2, ""));
        let file = PathBuf::from("/etc/chappe/secret");
        assert_eq!(engine.credentials, EngineCredentials::Password { user: "amy".into(), file });
        let tls = engine.tls.unwrap();
        assert_eq!(tls.ca, [PathBuf::from("/etc/chappe/ca.pem")]);
        assert_eq!(tls.own, Some(("/tls/node.pem".into(), "/etc/chappe/node.key".into())));
    }

    #[test]
    fn a_secret_in_the_file_is_warned_of() {
        let (engine, warned) = parse(r#"{"nats": ["nats://amy:hush@hush@a:4222"]}"#).unwrap();
        assert!(warned.contains("a secret in a file"));
        let debug = format!("{:?}", engine.unwrap());
        assert!(debug.contains("nats://a:4222") && !debug.contains("hush"), "{debug}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let text = |engine| parse(engine).unwrap_err();
        assert!(text(r#"{}"#).contains("engine: missing: `nats`"), "{}", text(r#"{}"#));
        let scheme = text(r#"{"nats": ["http://a"]}"#);
        assert!(scheme.contains("engine.nats[0]: `http://a` is no address of a NATS server"), "{scheme}");
        let half = text(r#"{"nats": ["nats://a"], "tls": {"cert": "a.pem"}}"#);
        assert!(half.contains("engine.tls: missing: `cert` and `key` belong together"), "{half}");
        let none = text(r#"{"nats": ["nats://a"], "credentials": {"user": "amy"}}"#);
        assert!(none.contains("engine.credentials: missing: one of"), "{none}");
    }
}
