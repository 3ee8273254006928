//! What a NATS link is told: where the servers are, who it is there, and how much may be under way.

use super::identity::{Card, Identity};
use super::pipe::GONE;
use async_nats::ConnectOptions;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How a [`super::NatsLink`] reaches its servers, and its bounds.
#[derive(Clone)]
pub struct NatsOptions {
    /// The servers' addresses, `nats://host:port` or `tls://host:port`; one of them that answers is enough.
    pub servers: Vec<String>,
    /// The cluster's name: nodes of one name and one NATS are one cluster.
    pub cluster: String,
    /// What tells this cluster from another one of the same name.
    pub identity: Identity,
    /// Where this process is, for people of another cluster that it meets: `node 20 (lobby) on east`.
    pub place: String,
    /// What permissions at NATS go by, a part of the subjects that this process listens at: the id of its node, or
    /// one word for processes of several nodes or of none.
    pub scope: String,
    /// Who this process is to the servers.
    pub credentials: Credentials,
    /// How a server's certificate is checked, and with which one it checks us. `None` takes what a `tls://`
    /// address or the server asks for, with the system's authorities.
    pub tls: Option<Tls>,
    /// How many bytes a peer may be sent before it has read them. What is beyond waits in the sender's own queue.
    pub window: usize,
    /// How long a connection survives without a word from its other side, be NATS away or the other side. Longer
    /// than the time after which the master takes a silent node for lost, since that is the master's to say.
    pub patience: Duration,
    /// How long the servers may say that a peer's process is not there before it counts as gone: it may be about to connect
    /// again. 1 s as a rule: a process that has died is to be noticed.
    pub absence: Duration,
}

impl NatsOptions {
    /// The usual options for the cluster of that name.
    pub fn new(
        servers: impl IntoIterator<Item = impl Into<String>>,
        cluster: impl Into<String>,
    ) -> NatsOptions {
        NatsOptions {
            servers: servers.into_iter().map(Into::into).collect(),
            cluster: cluster.into(),
            identity: Identity::default(),
            place: format!("process {}", std::process::id()),
            scope: "any".to_owned(),
            credentials: Credentials::None,
            tls: None,
            window: 1 << 20,
            patience: Duration::from_secs(12),
            absence: GONE,
        }
    }

    /// What this process says of itself.
    pub(super) fn card(&self) -> Vec<u8> {
        Card { place: self.place.clone(), identity: self.identity.clone() }.encode()
    }

    /// The servers for people: without the passwords that an address may carry.
    pub(super) fn places(&self) -> String {
        let public = |server: &String| match (server.find("://"), server.rfind('@')) {
            (Some(scheme), Some(at)) if at > scheme => {
                format!("{}{}", &server[..scheme + 3], &server[at + 1..])
            }
            _ => server.clone(),
        };
        self.servers.iter().map(public).collect::<Vec<_>>().join(", ")
    }

    /// What the client library is told of who this is.
    pub(super) async fn apply(&self, mut to: ConnectOptions) -> io::Result<ConnectOptions> {
        to = match &self.credentials {
            Credentials::None => match self.servers.iter().find_map(|server| user_of(server)) {
                Some((user, password)) => to.user_and_password(user, password),
                None => to,
            },
            Credentials::Password { user, password } => to.user_and_password(user.clone(), password.clone()),
            Credentials::Token(token) => to.token(token.clone()),
            Credentials::NKey(seed) => to.nkey(seed.clone()),
            Credentials::File(path) => to
                .credentials_file(path)
                .await
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?,
        };
        if let Some(tls) = &self.tls {
            to = to.require_tls(true);
            to = tls.authorities.iter().fold(to, |to, path| to.add_root_certificates(path.clone()));
            if let Some((certificate, key)) = &tls.own {
                to = to.add_client_certificate(certificate.clone(), key.clone());
            }
        }
        Ok(to)
    }
}

impl fmt::Debug for NatsOptions {
    /// Says everything but secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsOptions")
            .field("servers", &self.places())
            .field("cluster", &self.cluster)
            .field("identity", &self.identity)
            .field("place", &self.place)
            .field("scope", &self.scope)
            .field("credentials", &self.credentials)
            .field("tls", &self.tls)
            .field("window", &self.window)
            .field("patience", &self.patience)
            .field("absence", &self.absence)
            .finish()
    }
}

fn user_of(server: &str) -> Option<(String, String)> {
    let address = server.parse::<async_nats::ServerAddr>().ok()?;
    Some((address.username()?.to_owned(), address.password().unwrap_or_default().to_owned()))
}

/// Who a process is to the servers.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nobody in particular, or whom the first address with a name and password names.
    #[default]
    None,
    /// A user with a password.
    Password {
        /// The user's name.
        user: String,
        /// The password.
        password: String,
    },
    /// A token that all share.
    Token(String),
    /// The seed of an nkey (`SU...`).
    NKey(String),
    /// A `.creds` file with a JWT and its seed.
    File(PathBuf),
}

/// For people: which they are, and no secret.
impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Credentials::None => f.write_str("those of the address"),
            Credentials::Password { user, .. } => write!(f, "the user {user:?} with this password"),
            Credentials::Token(_) => f.write_str("this token"),
            Credentials::NKey(_) => f.write_str("this nkey"),
            Credentials::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

impl fmt::Debug for Credentials {
    /// Says of which kind they are, and no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credentials::None => "None",
            Credentials::Password { .. } => "Password(..)",
            Credentials::Token(_) => "Token(..)",
            Credentials::NKey(_) => "NKey(..)",
            Credentials::File(_) => "File(..)",
        })
    }
}

/// Certificates, as PEM files. A link with these never speaks to a server in clear.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Whose signatures on a server's certificate count; when empty, those that the system trusts.
    pub authorities: Vec<PathBuf>,
    /// This process's own certificate and its key, for servers that ask for one.
    pub own: Option<(PathBuf, PathBuf)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_told_to_people() {
        let mut options = NatsOptions::new(["nats://amy:pa@ss@here:4222", "there:4222"], "c");
        options.credentials = Credentials::Token("hush".into());
        assert_eq!(options.places(), "nats://here:4222, there:4222");
        let debug = format!("{options:?}");
        assert!(!debug.contains("hush") && !debug.contains("pa@ss"), "{debug}");
    }
}
