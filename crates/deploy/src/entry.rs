//! One entry of a group: a node, or several alike (`num`).

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use chappe_wire::Role;

use crate::access::{self, Access};
use crate::error::Problem;
use crate::field::{Field, Fields};
use crate::json::{Value, join};
use crate::place::Place;
use crate::report::Report;

/// One node of the cluster, as its entry says it (spec/apollo.md section 5).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NodeEntry {
    /// Its `serverid`, unique in the cluster; follows no range rule.
    pub id: i64,
    /// Its role: the group that the entry stands in.
    pub role: Role,
    /// Its `type`: letters, digits, underscores. Default: the role's word.
    pub node_type: String,
    /// Where it listens: an IP address or a host name. Default `127.0.0.1`.
    pub ip: String,
    /// Where it listens: the WebSocket port of a proxy (always there), the HTTP control port of the master.
    pub port: Option<u16>,
    /// Its own HTTP port.
    pub http_port: Option<u16>,
    /// The most players on it as its entry says, 0 for no limit; [`crate::Deploy::max_players`] knows the default.
    pub max_players: Option<u32>,
    /// The directories of its mods, absolute, in their order; each was there when the file was read.
    pub mods: Vec<PathBuf>,
    /// The RPC modules it declares, beside its type.
    pub module_names: Vec<String>,
    /// The program that runs it, with its leading arguments; never empty, never together with `mods`. A relative path
    /// was resolved against the directory of deploy.json; a name without a slash is looked up in `PATH`.
    pub program: Option<Vec<String>>,
    /// The `app_version` it runs, kept as it is.
    pub app_version: Option<String>,
    /// Of a proxy: how players come in.
    pub access: Access,
    /// The machine it runs on, kept as it is. Nodes of different hosts never clash over a port.
    pub host: Option<String>,
    /// Where its entry stands in the file; the same for all nodes of one `num`.
    pub place: Place,
    /// The keys of the entry that mean nothing here.
    pub extra: serde_json::Map<String, serde_json::Value>,
    pub(crate) spots: Spots,
}

/// Where the parts of an entry stand, for errors that are found later; the entry's own place where a part is absent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spots {
    pub(crate) id: Place,
    pub(crate) ip: Place,
    pub(crate) port: Place,
    pub(crate) http_port: Place,
    pub(crate) program: Place,
}

/// An entry before it is counted up: its first node, and how many there are.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) node: NodeEntry,
    /// False if the id is missing or wrong: the node's own is then a stand-in.
    pub(crate) id_known: bool,
    /// At least 1; the ids are known to fit.
    pub(crate) num: u32,
}

/// More nodes than this, in one entry or in all, are a slip: `num` takes a count, not an id.
pub(crate) const MOST_NODES: u32 = 10_000;

static KEYS: [&str; 12] = [
    "serverid",
    "type",
    "app_version",
    "ip",
    "port",
    "mods",
    "module_names",
    "http_port",
    "max_players",
    "num",
    "program",
    "host",
];

impl Draft {
    /// Reads an entry of `role`'s group; `dir` is what its paths are relative to. `None` if it is no object.
    pub(crate) fn read(field: &Field<'_>, role: Role, dir: &Path, report: &mut Report<'_>) -> Option<Draft> {
        let fields = field.object(report)?;
        let extra = fields.unknown(&access::keys_of(role, &KEYS), report);
        let place = field.place(report);
        let id = server_id(&fields, field, report);
        let (mods, program) = what_runs(&fields, role, dir, report);
        let draft = Draft {
            node: NodeEntry {
                id: id.unwrap_or_default(),
                role,
                node_type: type_name(&fields, report).unwrap_or_else(|| role.as_str().to_owned()),
                ip: ip(&fields, report).unwrap_or_else(|| "127.0.0.1".to_owned()),
                port: port(&fields, "port", report),
                http_port: port(&fields, "http_port", report),
                max_players: max_players(&fields, report),
                mods,
                module_names: module_names(&fields, report),
                program,
                app_version: fields.find("app_version").and_then(|field| field.text(report)),
                access: match role {
                    Role::Proxy => Access::read(&fields, dir, report),
                    _ => Access::default(),
                },
                host: fields.find("host").and_then(|field| field.text(report)),
                spots: Spots::find(&fields, &place, report),
                place,
                extra,
            },
            id_known: id.is_some(),
            num: 1,
        };
        draft.require_client_port(&fields, field, report);
        Some(draft.counted(&fields, report))
    }

    /// The nodes of the entry: ids and ports counted up from the first.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeEntry> + '_ {
        (0..self.num).map(|k| NodeEntry {
            id: self.id_of(k),
            port: self.node.port.and_then(|port| counted_port(port, k)),
            http_port: self.node.http_port.and_then(|port| counted_port(port, k)),
            ..self.node.clone()
        })
    }

    /// The id of node number `k` of the entry. It is known to fit.
    pub(crate) fn id_of(&self, k: u32) -> i64 {
        self.node.id.saturating_add(i64::from(k))
    }

    /// A proxy without a port could be reached by nobody.
    fn require_client_port(&self, fields: &Fields<'_>, field: &Field<'_>, report: &mut Report<'_>) {
        // Not given, or given as 0: a port that is given and wrong was reported already.
        let given = fields.find("port").filter(|port| !is_zero(port));
        if self.node.role == Role::Proxy && given.is_none() {
            let wanted = "a proxy needs a `port` for its clients (WebSocket)";
            report.error(missing_at(field, "port", report), Problem::Missing { wanted });
        }
    }

    /// With `num` read, and what it counts up known to fit.
    fn counted(self, fields: &Fields<'_>, report: &mut Report<'_>) -> Draft {
        let Some(field) = fields.find("num") else { return self };
        let most = if self.node.role == Role::Master { 1 } else { i64::from(MOST_NODES) };
        let Some(num) = field.unsigned::<u32>(1..=most, report) else { return self };

        for port in [self.node.port, self.node.http_port].into_iter().flatten() {
            if counted_port(port, num - 1).is_none() {
                let (first, most) = (i64::from(port), i64::from(u16::MAX));
                field.error(Problem::CountedTooFar { first, num, most }, report);
            }
        }
        if self.node.id.checked_add(i64::from(num - 1)).is_none() {
            field.error(Problem::CountedTooFar { first: self.node.id, num, most: i64::MAX }, report);
            return self;
        }
        Draft { num, ..self }
    }
}

impl Spots {
    fn find(fields: &Fields<'_>, entry: &Place, report: &Report<'_>) -> Spots {
        let spot = |key| fields.find(key).map_or_else(|| entry.clone(), |field| field.place(report));
        Spots {
            id: spot("serverid"),
            ip: spot("ip"),
            port: spot("port"),
            http_port: spot("http_port"),
            program: spot("program"),
        }
    }
}

fn counted_port(first: u16, k: u32) -> Option<u16> {
    u16::try_from(u32::from(first).saturating_add(k)).ok()
}

fn server_id(fields: &Fields<'_>, entry: &Field<'_>, report: &mut Report<'_>) -> Option<i64> {
    match fields.find("serverid") {
        Some(field) => field.integer(i64::MIN..=i64::MAX, report),
        None => {
            let wanted = "every node needs an integer `serverid`";
            report.error(missing_at(entry, "serverid", report), Problem::Missing { wanted });
            None
        }
    }
}

fn type_name(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<String> {
    let field = fields.find("type")?;
    let name = field.text(report)?;
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Some(name);
    }
    field.error(Problem::BadTypeName { name }, report);
    None
}

fn ip(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<String> {
    let field = fields.find("ip")?;
    let ip = field.text(report)?;
    let is_host = ip.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    // Digits and dots alone are meant as an address: 300.0.0.1 is no host name.
    let is_number = ip.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if ip.parse::<std::net::IpAddr>().is_ok() || (is_host && !is_number) {
        return Some(ip);
    }
    field.error(Problem::BadIp { ip }, report);
    None
}

/// 0 means that there is none, as in files that must name every key.
fn port(fields: &Fields<'_>, key: &str, report: &mut Report<'_>) -> Option<u16> {
    let field = fields.find(key).filter(|field| !is_zero(field))?;
    field.unsigned(1..=i64::from(u16::MAX), report)
}

fn is_zero(field: &Field<'_>) -> bool {
    matches!(&field.json.value, Value::Number(text) if text == "0")
}

fn max_players(fields: &Fields<'_>, report: &mut Report<'_>) -> Option<u32> {
    fields.find("max_players")?.unsigned(0..=i64::from(u32::MAX), report)
}

fn module_names(fields: &Fields<'_>, report: &mut Report<'_>) -> Vec<String> {
    let names = fields.find("module_names").map(|field| field.names(report)).unwrap_or_default();
    let mut seen = HashSet::new();
    names.into_iter().map(|(name, _)| name).filter(|name| seen.insert(name.clone())).collect()
}

/// The mods or the program of an entry: it may have one of the two (spec/apollo.md section 5, "A Rust game").
fn what_runs(
    fields: &Fields<'_>,
    role: Role,
    dir: &Path,
    report: &mut Report<'_>,
) -> (Vec<PathBuf>, Option<Vec<String>>) {
    let mods_field = fields.find("mods");
    let mods = mods_field.as_ref().map(|field| mod_dirs(field, dir, report)).unwrap_or_default();
    if let Some(field) = mods_field.filter(|_| !mods.is_empty() && role == Role::Proxy) {
        field.error(Problem::ModsOnProxy, report);
    }
    let Some(field) = fields.find("program") else { return (mods, None) };
    if !mods.is_empty() {
        field.error(Problem::ProgramAndMods, report);
    }
    (mods, program(&field, dir, report))
}

/// The directories of the mods; one that is not there is reported and kept, so that the entry still counts as one
/// with mods.
fn mod_dirs(field: &Field<'_>, dir: &Path, report: &mut Report<'_>) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for (name, place) in field.names(report) {
        let path = resolve(dir, &name);
        if !path.is_dir() {
            report.error(place, Problem::MissingMod { name, looked_at: path.display().to_string() });
        }
        dirs.push(path);
    }
    dirs
}

fn program(field: &Field<'_>, dir: &Path, report: &mut Report<'_>) -> Option<Vec<String>> {
    let items = field.list("a list of strings: the program and its leading arguments", report)?;
    if items.is_empty() {
        field.error(Problem::Empty, report);
        return None;
    }
    // Every word is read before one can end the reading, so that all wrong ones are told.
    let words: Vec<Option<&str>> = items.iter().map(|item| item.verbatim(report)).collect();
    let mut words = words.into_iter().collect::<Option<Vec<_>>>()?.into_iter().map(str::to_owned);
    let program = words.next().filter(|program| !program.trim().is_empty());
    let Some(program) = program else {
        items[0].error(Problem::Empty, report);
        return None;
    };
    // As in a shell: a name alone is looked up in PATH, anything with a slash is a path.
    let program = match program.contains('/') {
        true => resolve(dir, &program).to_string_lossy().into_owned(),
        false => program,
    };
    Some(std::iter::once(program).chain(words).collect())
}

/// A path of the file: relative to the file's directory, without any `./` in it.
pub(crate) fn resolve(dir: &Path, path: &str) -> PathBuf {
    dir.join(path).components().collect()
}

/// The place of something that is not there: where its entry begins, with its own path.
fn missing_at(entry: &Field<'_>, key: &str, report: &Report<'_>) -> Place {
    report.place(entry.json.offset, join(&entry.path, key))
}

#[cfg(test)]
mod tests {
    use crate::tests::{errors, read};

    #[test]
    fn there_are_not_three_masters() {
        insta::assert_snapshot!(errors(r#"{"master": {"serverid": 1, "num": 2}}"#), @"deploy.json:1:35: master.num: 2 is out of range: must be from 1 to 1");
        insta::assert_snapshot!(errors(r#"{"master": [{"serverid": 1}, {"serverid": 2}, {"serverid": 3}]}"#), @"deploy.json:1:47: master[2]: a master too many: 2 can be listed, of which one leads and the other stands by");
        insta::assert_snapshot!(errors(r#"{"master": []}"#), @"deploy.json:1:12: master: must not be empty");
    }

    #[test]
    fn a_proxy_is_not_made_a_python_node() {
        let file = r#"{"master": {"serverid": 1}, "proxy": [{"serverid": 2, "port": 80, "mods": "/"}]}"#;
        insta::assert_snapshot!(errors(file), @"deploy.json:1:75: proxy[0].mods: a proxy runs no mods");
    }

    #[test]
    fn an_entry_can_lift_the_limit_of_all() {
        let (deploy, _) = read(r#"{"limits": {"players": 5}, "master": {"serverid": 1, "max_players": 0}}"#);
        assert_eq!(deploy.max_players(deploy.master()), None);
    }
}
