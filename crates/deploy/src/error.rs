//! What can be wrong with a deploy.json, each thing with its place; and what is only worth a warning.

use std::fmt::{self, Write as _};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::place::Place;

/// All that is wrong with one deploy.json, sorted by place; never empty. It prints one error a line:
///
/// ```text
/// deploy.json:12:15: game[2].serverid: 6001 is already used by lobby[0] (line 8)
/// ```
///
/// As JSON it is `{"file", "errors": [{"line", "column", "path", "code", "message"}], "warnings": [...]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeployErrors {
    /// The file as it was named by the caller.
    pub file: String,
    /// The errors, at least one, sorted by place.
    pub errors: Vec<DeployError>,
    /// What was warned about beside them, sorted by place.
    pub warnings: Vec<Warning>,
}

impl DeployErrors {
    /// `errors`, sorted; `None` if there are none.
    pub(crate) fn new(
        file: &str,
        mut errors: Vec<DeployError>,
        warnings: Vec<Warning>,
    ) -> Option<DeployErrors> {
        errors.sort_by(|a, b| a.place.cmp(&b.place));
        (!errors.is_empty()).then(|| DeployErrors { file: file.to_owned(), errors, warnings })
    }

    /// One error on the file as a whole.
    pub(crate) fn whole_file(file: &str, problem: Problem) -> DeployErrors {
        let error = DeployError { place: Place::whole_file(), problem };
        DeployErrors { file: file.to_owned(), errors: vec![error], warnings: Vec::new() }
    }
}

impl std::error::Error for DeployErrors {}

impl fmt::Display for DeployErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            // A file as a whole has no line: "deploy.json: cannot ...", not "deploy.json:: cannot ...".
            let gap = if error.place.line == 0 { " " } else { "" };
            write!(f, "{}:{gap}{error}", self.file)?;
        }
        Ok(())
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeployError {
    /// Where it stands.
    pub place: Place,
    /// What is wrong there.
    pub problem: Problem,
}

impl fmt::Display for DeployError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        placed(f, &self.place, &self.problem)
    }
}

impl Serialize for DeployError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_placed(serializer, "DeployError", &self.place, self.problem.code(), &self.problem)
    }
}

/// What can be wrong at a place. The text is for people; [`Problem::code`] is for programs and stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are what the message names")]
pub enum Problem {
    /// The file could not be read; the system's own words.
    #[error("cannot read the file: {reason}")]
    Unreadable { reason: String },
    /// The file is in another encoding; the place is the first byte that is not UTF-8.
    #[error("not UTF-8 text from here on; save the file as UTF-8")]
    NotUtf8,
    /// The JSON is broken here.
    #[error("broken JSON: {reason}")]
    BrokenJson { reason: String },
    /// A value of another JSON type, or not of the form that is read here.
    #[error("must be {expected}, found {found}")]
    WrongType { expected: &'static str, found: String },
    /// Something that must be there is not.
    #[error("missing: {wanted}")]
    Missing { wanted: &'static str },
    /// A number outside its limits (both inclusive).
    #[error("{value} is out of range: must be from {least} to {most}")]
    OutOfRange { value: String, least: String, most: String },
    /// `num` counts an id or a port up past what there is.
    #[error("counting {num} up from {first} goes past {most}")]
    CountedTooFar { first: i64, num: u32, most: i64 },
    /// Two nodes with one id.
    #[error("{id} is already used by {by} (line {line}){}", and_more(*.more))]
    DuplicateId { id: i64, by: String, line: u32, more: u32 },
    /// Two listeners on one port of one address.
    #[error("port {port} on {ip} is already used by {by} (line {line}){}", and_more(*.more))]
    PortTaken { port: u16, ip: String, by: String, line: u32, more: u32 },
    /// A key at the top that holds nodes and names no role.
    #[error("unknown role `{name}`; {}", role_hint(.suggestion))]
    UnknownRole { name: String, suggestion: Option<String> },
    /// A `type` that is not letters, digits and underscores.
    #[error("`{name}` is not a type name: letters (a-z, A-Z), digits and underscores only")]
    BadTypeName { name: String },
    /// An `ip` that is neither an address nor a host name.
    #[error("`{ip}` is neither an IP address nor a host name")]
    BadIp { ip: String },
    /// Something that needs text has none.
    #[error("must not be empty")]
    Empty,
    /// `program` and `mods` in one entry: one makes it a Rust program, the other a Python node.
    #[error("both `program` and `mods`: an entry is either a program of its own or a Python node")]
    ProgramAndMods,
    /// `mods` where no mods run.
    #[error("a proxy runs no mods")]
    ModsOnProxy,
    /// A mod's directory is not there.
    #[error("missing mod `{name}`: no directory {}", .looked_at)]
    MissingMod { name: String, looked_at: String },
    /// More nodes than this version can run.
    #[error("more than {most} nodes in all")]
    TooManyNodes { most: u32 },
    /// A third master.
    #[error("a master too many: {most} can be listed, of which one leads and the other stands by")]
    TooManyMasters { most: usize },
    /// Found by [`crate::Deploy::check_masters`]: nothing could decide which of two masters leads.
    #[error(
        "two masters need a PostgreSQL database that both can reach, and the store is {store}: name one in `store` or in the variable CHAPPE_STORE, or list one master"
    )]
    MastersWithoutPostgres { store: String },
    /// A node would be declared lost between two of its heartbeats.
    #[error("`loss_seconds` ({loss}) must be larger than `heartbeat_seconds` ({heartbeat})")]
    LossBeforeHeartbeat { loss: String, heartbeat: String },
    /// The longest message would not fit in an empty queue.
    #[error("`queue_bytes` ({queue}) must be at least `message_bytes` ({message})")]
    QueueBelowMessage { queue: usize, message: usize },
    /// Found by [`crate::Deploy::probe_ports`].
    #[error("port {port} is in use by another process")]
    PortInUse { port: u16 },
    /// Found by [`crate::Deploy::probe_ports`]: not in use, and still not to be had; the system's own words.
    #[error("cannot listen on {ip} port {port}: {reason}")]
    CannotListen { ip: String, port: u16, reason: String },
    /// An address in `engine.nats` that is none.
    #[error("`{server}` is no address of a NATS server: nats://host:port, or tls://host:port")]
    BadServer { server: String },
    /// A proxy that others than this machine reach, without a check of who logs in.
    #[error(
        "a proxy on {ip} lets anyone in as any player: set `login` to {{\"keys\": FILE}}, or to \"any\" if that is what you want"
    )]
    OpenLogin { ip: String },
    /// A `login` that is none.
    #[error("`{login}` is no rule for logins: {{\"keys\": FILE}}, \"any\" or \"program\"")]
    BadLogin { login: String },
    /// Found by [`crate::Deploy::check_access`].
    #[error("the login keys cannot be used: {reason}")]
    BadLoginKeys { reason: String },
    /// Found by [`crate::Deploy::check_access`].
    #[error("TLS cannot be used: {reason}")]
    BadTls { reason: String },
    /// An origin as no browser writes it.
    #[error("`{origin}` is no origin: a scheme, a host and a port, such as https://play.example.com")]
    BadOrigin { origin: String },
    /// A `store` of a kind that there is not.
    #[error("`{scheme}://` is no store; there are `postgres://` urls, and paths of SQLite files")]
    UnknownStore { scheme: String },
    /// Found by [`crate::Deploy::check_store`].
    #[error("no store can be at {place}: {reason}")]
    BadStore { place: String, reason: String },
    /// Found by [`crate::Deploy::secrets`]; never says what stands there.
    #[error("{named}: {reason}")]
    BadSecret {
        /// The file, or the variable.
        named: String,
        reason: String,
    },
    /// Found by [`crate::Deploy::check_control_port`].
    #[error(
        "the control port would be open on {ip} to whoever asks: name a `control_token_file` (or set CHAPPE_CONTROL_TOKEN_FILE), or leave `ip` at 127.0.0.1"
    )]
    OpenControlPort { ip: String },
    /// Found by [`crate::Deploy::check_programs`].
    #[error("program `{program}` cannot be run: {reason}")]
    ProgramMissing { program: String, reason: &'static str },
}

impl Problem {
    /// A short name for the kind of problem, for programs: it does not change when the text does.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Problem::Unreadable { .. } => "unreadable",
            Problem::NotUtf8 => "not_utf8",
            Problem::BrokenJson { .. } => "broken_json",
            Problem::WrongType { .. } => "wrong_type",
            Problem::Missing { .. } => "missing",
            Problem::OutOfRange { .. } => "out_of_range",
            Problem::CountedTooFar { .. } => "counted_too_far",
            Problem::DuplicateId { .. } => "duplicate_id",
            Problem::PortTaken { .. } => "port_taken",
            Problem::UnknownRole { .. } => "unknown_role",
            Problem::BadTypeName { .. } => "bad_type_name",
            Problem::BadIp { .. } => "bad_ip",
            Problem::Empty => "empty",
            Problem::ProgramAndMods => "program_and_mods",
            Problem::ModsOnProxy => "mods_on_proxy",
            Problem::MissingMod { .. } => "missing_mod",
            Problem::TooManyNodes { .. } => "too_many_nodes",
            Problem::TooManyMasters { .. } => "too_many_masters",
            Problem::MastersWithoutPostgres { .. } => "masters_without_postgres",
            Problem::LossBeforeHeartbeat { .. } => "loss_before_heartbeat",
            Problem::QueueBelowMessage { .. } => "queue_below_message",
            Problem::PortInUse { .. } => "port_in_use",
            Problem::CannotListen { .. } => "cannot_listen",
            Problem::BadServer { .. } => "bad_server",
            Problem::OpenLogin { .. } => "open_login",
            Problem::BadLogin { .. } => "bad_login",
            Problem::BadLoginKeys { .. } => "bad_login_keys",
            Problem::BadTls { .. } => "bad_tls",
            Problem::BadOrigin { .. } => "bad_origin",
            Problem::UnknownStore { .. } => "unknown_store",
            Problem::BadStore { .. } => "bad_store",
            Problem::BadSecret { .. } => "bad_secret",
            Problem::OpenControlPort { .. } => "open_control_port",
            Problem::ProgramMissing { .. } => "program_missing",
        }
    }
}

/// Something that works and is probably not what was meant. It prints without the file's name:
/// `12:5: game[2].prot: unknown key; did you mean `port`?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where it stands.
    pub place: Place,
    /// What is odd there.
    pub notice: Notice,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        placed(f, &self.place, &self.notice)
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_placed(serializer, "Warning", &self.place, self.notice.code(), &self.notice)
    }
}

/// What can be odd at a place. Not an error: the file is read all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are what the message names")]
pub enum Notice {
    /// A key that means nothing here; it is kept in `extra`.
    #[error("unknown key{}", did_you_mean(.suggestion))]
    UnknownKey { suggestion: Option<String> },
    /// A key twice in one object: the last one counts.
    #[error("stands twice in this object (first on line {first_line}); the last one counts")]
    DuplicateKey { first_line: u32 },
    /// Comments, which JSON has not; `count` of them, the place is the first.
    #[error("JSON has no comments ({count} here): other programs will refuse this file")]
    Comments { count: usize },
    /// Trailing commas, which JSON has not; `count` of them, the place is the first.
    #[error("JSON has no trailing commas ({count} here): other programs will refuse this file")]
    TrailingCommas { count: usize },
    /// There are proxies, and nothing that a login could land on.
    #[error(
        "no lobby or game has the type `lobby`: logins are refused unless a login strategy names a server"
    )]
    NoLobby,
    /// The `store` has a password in it.
    #[error(
        "a password in a file is soon in a backup and in a repository; set the variable CHAPPE_STORE instead"
    )]
    PasswordInFile,
    /// An address in `engine.nats` has a name or a password in it.
    #[error(
        "a secret in a file is soon in a backup and in a repository; use `credentials`, or the variables CHAPPE_NATS_USER and CHAPPE_NATS_PASSWORD"
    )]
    SecretInFile,
    /// A file with a secret is there for all to read.
    #[error(
        "{path} can be read by everyone on this machine (mode {mode:04o}); make it 0600, and change the secret"
    )]
    SecretFileOpen { path: String, mode: u32 },
    /// `"login": "any"` where others than this machine reach the proxy.
    #[error("NO LOGIN CHECK on {ip}: whoever reaches this proxy can log in as any player")]
    AnyLogin { ip: String },
    /// Login tokens without `tls`.
    #[error("login tokens come to {ip} unencrypted, unless what stands before this proxy speaks TLS")]
    PlainLogin { ip: String },
    /// Nothing in the file tells this cluster from another one of its name on the same servers.
    #[error(
        "another cluster of this name on these servers would be taken for this one: give it a `cluster_id`, any text that is its own"
    )]
    NoIdentity,
}

impl Notice {
    /// A short name for the kind of warning, for programs: it does not change when the text does.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Notice::UnknownKey { .. } => "unknown_key",
            Notice::DuplicateKey { .. } => "duplicate_key",
            Notice::Comments { .. } => "comments",
            Notice::TrailingCommas { .. } => "trailing_commas",
            Notice::NoLobby => "no_lobby",
            Notice::PasswordInFile => "password_in_file",
            Notice::SecretInFile => "secret_in_file",
            Notice::SecretFileOpen { .. } => "secret_file_open",
            Notice::AnyLogin { .. } => "any_login",
            Notice::PlainLogin { .. } => "plain_login",
            Notice::NoIdentity => "no_identity",
        }
    }
}

fn placed(f: &mut fmt::Formatter<'_>, place: &Place, what: &impl fmt::Display) -> fmt::Result {
    let place = place.to_string();
    let gap = if place.is_empty() { "" } else { ": " };
    // Names come from the file: one must not be able to break the line, or to send the terminal a command.
    for c in format!("{place}{gap}{what}").chars() {
        if c.is_control() { write!(f, "{}", c.escape_debug())? } else { f.write_char(c)? }
    }
    Ok(())
}

fn serialize_placed<S: Serializer>(
    serializer: S,
    name: &'static str,
    place: &Place,
    code: &'static str,
    what: &impl fmt::Display,
) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_struct(name, 5)?;
    fields.serialize_field("line", &place.line)?;
    fields.serialize_field("column", &place.column)?;
    fields.serialize_field("path", &place.path)?;
    fields.serialize_field("code", code)?;
    fields.serialize_field("message", &what.to_string())?;
    fields.end()
}

fn and_more(more: u32) -> String {
    if more == 0 { String::new() } else { format!(", and {more} more of them") }
}

fn did_you_mean(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

fn role_hint(suggestion: &Option<String>) -> String {
    match suggestion {
        Some(name) => format!("did you mean `{name}`?"),
        None => "the roles are `master`, `proxy`, `lobby`, `game` and `service`".to_owned(),
    }
}
