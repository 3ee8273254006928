//! The top of the file: from its text to a [`Deploy`], with everything that is wrong in one report.

use std::path::{Path, PathBuf};

use chappe_wire::Role;

use crate::access;
use crate::check;
use crate::deploy::Deploy;
use crate::engine::Engine;
use crate::entry::{Draft, MOST_NODES, NodeEntry, resolve};
use crate::error::{DeployError, DeployErrors, Notice, Problem, Warning};
use crate::field::{Extra, Field, Fields};
use crate::hosts;
use crate::json::{self, Json, Member, Value};
use crate::limits::{Limits, Timing};
use crate::notifications::Notifications;
use crate::place::Lines;
use crate::report::Report;
use crate::secrets::SecretFiles;
use crate::store::Named;
use crate::suggest::nearest;

/// The groups in the order that their nodes are listed in.
const GROUPS: [Role; 5] = [Role::Master, Role::Proxy, Role::Lobby, Role::Game, Role::Service];

/// One that leads, and one that stands by.
const MOST_MASTERS: usize = 2;

/// The keys at the top that are neither groups nor times.
const KEYS: [&str; 11] = [
    "cluster",
    "cluster_id",
    "control_token_file",
    "data_dir",
    "engine",
    "limits",
    "measure",
    "notifications",
    "open_metrics",
    "secret_file",
    "store",
];

/// What Python mods ask for, databases above all: kept as it is, for the Python package to read.
const FOR_MODS: [&str; 12] = [
    "mysql",
    "redis",
    "mongo",
    "extra_mysql",
    "extra_redis",
    "extra_mongo",
    "apolloid",
    "game_id",
    "game_key",
    "gas_server_url",
    "review_stage",
    "log_debug_level",
];

/// The file's bytes as text.
pub(crate) fn utf8<'b>(bytes: &'b [u8], file: &str) -> Result<&'b str, DeployErrors> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let place = Lines::new(without_bom(&good)).place(usize::MAX, "");
        let error = DeployError { place, problem: Problem::NotUtf8 };
        DeployErrors { file: file.to_owned(), errors: vec![error], warnings: Vec::new() }
    })
}

/// Reads and checks `text`, which stands in the file `path`.
pub(crate) fn deploy(text: &str, path: &Path) -> Result<(Deploy, Vec<Warning>), DeployErrors> {
    let file = path.display().to_string();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let dir = absolute.parent().map(Path::to_owned).unwrap_or_else(|| PathBuf::from("/"));

    let text = without_bom(text);
    let mut report = Report::new(text);
    let json = json::parse(text, &mut report);
    let deploy = json.and_then(|json| top(&json, file.clone(), absolute, dir, &mut report));
    let warnings = report.finish(&file)?;
    // Nothing was read only where an error was reported; were it not so, this says so and does not panic.
    let nothing =
        || DeployErrors::whole_file(&file, Problem::Missing { wanted: "the top of the file is an object" });
    Ok((deploy.ok_or_else(nothing)?, warnings))
}

fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn top(json: &Json, file: String, path: PathBuf, dir: PathBuf, report: &mut Report<'_>) -> Option<Deploy> {
    let fields = Field { json, path: String::new() }.object(report)?;
    let extra = unknown_keys(&fields, report);
    let mut drafts = drafts(&fields, &dir, report);
    access::settle(&fields, &mut drafts, &dir, report);
    require_master(&fields, json, report);
    check::ids(&drafts, report);
    check::ports(&drafts, report);
    let engine = fields.find("engine").map(|field| Engine::read(&field, &dir, report));
    // What is there and wrong has been reported; it is not missing as well.
    if engine != Some(None) {
        hosts::check(&drafts, engine.as_ref().and_then(Option::as_ref), report);
    }
    let nodes = expand(&drafts, report);
    warn_without_lobby(&nodes, report);

    let given_name = fields.find("cluster").and_then(|field| field.text(report));
    let data_dir = fields.find("data_dir").and_then(|field| field.text(report));
    let cluster_id = fields.find("cluster_id").and_then(|field| field.text(report));
    let notifications = fields.find("notifications").map(|field| Notifications::read(&field, report));
    let engine_at = fields.find("engine").map(|field| field.place(report));
    let deploy = Deploy {
        cluster_id,
        cluster: given_name.unwrap_or_else(|| name_of_file(&path)),
        limits: fields.find("limits").map(|field| Limits::read(&field, report)).unwrap_or_default(),
        timing: Timing::read(&fields, report),
        measure: fields.find("measure").and_then(|field| field.boolean(report)).unwrap_or_default(),
        notifications: notifications.unwrap_or_default(),
        data_dir: resolve(&dir, data_dir.as_deref().unwrap_or("data")),
        store: fields.find("store").and_then(|field| Named::read(&field, &dir, report)),
        engine: engine.flatten(),
        open_metrics: fields.find("open_metrics").and_then(|field| field.boolean(report)).unwrap_or_default(),
        secret_files: SecretFiles::read(&fields, &dir, report),
        canonical: path.canonicalize().unwrap_or_else(|_| path.clone()),
        file,
        path,
        dir,
        nodes,
        extra,
    };
    if let Some(place) = engine_at.filter(|_| deploy.is_distributed() && deploy.identity().is_empty()) {
        report.warn(place, Notice::NoIdentity);
    }
    Some(deploy)
}

/// Splits what is not known into mistyped groups, which are errors, and the rest, which is kept.
fn unknown_keys(fields: &Fields<'_>, report: &mut Report<'_>) -> Extra {
    let roles: Vec<&str> = GROUPS.iter().map(|role| role.as_str()).collect();
    let mut known = roles.clone();
    known.extend(KEYS);
    known.extend(access::KEYS);
    known.extend(FOR_MODS);
    known.extend(Timing::KEYS);
    let is_known = |member: &&Member| known.contains(&member.key.as_str());
    let strangers: Vec<&Member> = fields.members.iter().filter(|member| !is_known(member)).collect();
    for member in strangers.into_iter().filter(|member| holds_nodes(member)) {
        let suggestion = nearest(&member.key, &roles);
        let problem = Problem::UnknownRole { name: member.key.clone(), suggestion };
        report.error(report.place(member.key_offset, member.key.as_str()), problem);
        known.push(&member.key);
    }
    let mut extra = fields.unknown(&known, report);
    let for_mods = fields.members.iter().filter(|member| FOR_MODS.contains(&member.key.as_str()));
    extra.extend(for_mods.map(|member| (member.key.clone(), member.value.to_plain())));
    extra
}

/// Nodes under a key that is no role: whoever wrote them expects them to run.
fn holds_nodes(member: &Member) -> bool {
    let is_node = |json: &Json| match &json.value {
        Value::Object(members) => members.iter().any(|member| member.key == "serverid"),
        _ => false,
    };
    match &member.value.value {
        Value::List(items) => items.iter().any(is_node),
        _ => is_node(&member.value),
    }
}

/// The entries of all groups, in the order of [`GROUPS`].
fn drafts(fields: &Fields<'_>, dir: &Path, report: &mut Report<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for role in GROUPS {
        let Some(group) = fields.find(role.as_str()) else { continue };
        let entries = match role {
            Role::Master => masters(group, report),
            _ => group.list("a list of objects, one a node", report).unwrap_or_default(),
        };
        drafts.extend(entries.iter().filter_map(|entry| Draft::read(entry, role, dir, report)));
    }
    drafts
}

/// One object, or a list of two: one leads, the other stands by.
fn masters<'j>(group: Field<'j>, report: &mut Report<'_>) -> Vec<Field<'j>> {
    if !matches!(group.json.value, Value::List(_)) {
        return vec![group];
    }
    let mut entries = group.list("an object, or a list of two", report).unwrap_or_default();
    if entries.is_empty() {
        group.error(Problem::Empty, report);
    }
    for extra in entries.drain(MOST_MASTERS.min(entries.len())..) {
        extra.error(Problem::TooManyMasters { most: MOST_MASTERS }, report);
    }
    entries
}

fn require_master(fields: &Fields<'_>, json: &Json, report: &mut Report<'_>) {
    if fields.find(Role::Master.as_str()).is_none() {
        let wanted = "a cluster has one `master`, an object with a `serverid`";
        report.error(report.place(json.offset, Role::Master.as_str()), Problem::Missing { wanted });
    }
}

/// Every node by itself. Bounded: a short file must not be able to ask for more memory than there is.
fn expand(drafts: &[Draft], report: &mut Report<'_>) -> Vec<NodeEntry> {
    let mut nodes = Vec::new();
    for draft in drafts {
        let room = MOST_NODES as usize - nodes.len();
        if draft.num as usize > room {
            report.error(draft.node.place.clone(), Problem::TooManyNodes { most: MOST_NODES });
            break;
        }
        nodes.extend(draft.nodes());
    }
    nodes
}

/// A login lands on a node of the type `lobby` unless a strategy says otherwise (spec/apollo.md section 5, "Login").
fn warn_without_lobby(nodes: &[NodeEntry], report: &mut Report<'_>) {
    let Some(proxy) = nodes.iter().find(|node| node.role == Role::Proxy) else { return };
    if !nodes.iter().any(|node| node.role.is_server() && node.node_type == "lobby") {
        report.warn(proxy.place.clone(), Notice::NoLobby);
    }
}

/// `arena.json` names the cluster `arena`; `arena/deploy.json` does too.
fn name_of_file(path: &Path) -> String {
    let stem = path.file_stem().filter(|stem| *stem != "deploy");
    let name = stem.or_else(|| path.parent().and_then(Path::file_name));
    name.map_or_else(|| "deploy".to_owned(), |name| name.to_string_lossy().into_owned())
}
