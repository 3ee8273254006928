//! What a look at the engines and at the running cluster finds: NATS, PostgreSQL, the versions of nodes. Nothing is
//! changed, each look has a deadline of some seconds, and all run at once.

use crate::{links, store, tool};
use chappe_deploy::{Deploy, NodeEntry, StorePlace};
use chappe_link::ListenError;
use chappe_link::nats::{NatsLink, NatsOptions, Probed};
use chappe_node::control_tool::NodeInfo;
use chappe_store::{StoreError, Survey};
use chappe_wire::{NodeId, Role};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the master may take to list the nodes.
const ASK: Duration = Duration::from_secs(3);

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// Nodes would not start, or not work.
    Error,
    /// It works, and is probably not what was meant.
    Warning,
    /// How it is.
    Note,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// A short name for programs, which does not change.
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Finding {
    fn new(level: Level, code: &'static str, message: impl Into<String>) -> Finding {
        Finding { level, code, message: message.into() }
    }
}

/// Looks at all that the nodes of `host` need, of all hosts without one.
pub(crate) fn look(deploy: &Deploy, host: Option<&str>) -> Vec<Finding> {
    let mut found = std::thread::scope(|scope| {
        let looks = [
            scope.spawn(|| nats(deploy, host)),
            scope.spawn(|| database(deploy, host)),
            scope.spawn(|| running(deploy)),
        ];
        // A look that panicked has found nothing.
        looks.map(|look| look.join().unwrap_or_default()).concat()
    });
    found.sort_by_key(|finding| finding.level);
    found
}

/// NATS, as one node of each role finds it: roles may have credentials and permissions of their own.
fn nats(deploy: &Deploy, host: Option<&str>) -> Vec<Finding> {
    if deploy.engine.is_none() || !deploy.is_distributed() {
        return Vec::new();
    }
    let mut roles: BTreeMap<Role, &NodeEntry> = BTreeMap::new();
    for entry in deploy.nodes.iter().filter(|entry| is_on(entry, host)) {
        roles.entry(entry.role).or_insert(entry);
    }
    let others: Vec<NodeId> = deploy.nodes.iter().map(|entry| NodeId(entry.id)).take(64).collect();
    let results = std::thread::scope(|scope| {
        let probes = roles.into_iter().map(|(role, entry)| {
            let others = &others;
            (role, scope.spawn(move || probe(deploy, entry, others)))
        });
        let probes: Vec<_> = probes.collect();
        let joined = probes.into_iter().filter_map(|(role, probe)| Some((role, probe.join().ok()?)));
        joined.collect::<Vec<_>>()
    });
    // Most often all roles find the same.
    let mut by_text: BTreeMap<(Level, &str, String), Vec<Role>> = BTreeMap::new();
    for (role, Finding { level, code, message }) in results {
        by_text.entry((level, code, message)).or_default().push(role);
    }
    let told = by_text.into_iter().map(|((level, code, message), roles)| {
        let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        Finding::new(level, code, format!("{message} (as {})", roles.join(", ")))
    });
    told.collect()
}

fn probe(deploy: &Deploy, entry: &NodeEntry, others: &[NodeId]) -> Finding {
    let options = match links::options(deploy, Some(entry)) {
        Ok(Some(options)) => options,
        Ok(None) => return Finding::new(Level::Note, "nats", "NATS is not used"),
        Err(why) => return Finding::new(Level::Error, "nats_credentials", why),
    };
    let servers = options.servers.len();
    match NatsLink::new(NatsOptions { place: format!("chappe check, {}", options.place), ..options })
        .probe(Some(NodeId(entry.id)), others)
    {
        Ok(Probed { version, max_payload, .. }) => {
            let text =
                format!("NATS {version} answers, one of {servers} addresses; {max_payload} bytes a message");
            Finding::new(Level::Note, "nats", text)
        }
        Err(ListenError::Io { place, source }) => {
            let text = source.to_string();
            let place = if text.contains(&place) { String::new() } else { format!("NATS at {place}: ") };
            Finding::new(Level::Error, "nats", format!("{place}{text}"))
        }
        Err(error) => Finding::new(Level::Error, "cluster_name", error.to_string()),
    }
}

/// The store, where the master is on this host.
fn database(deploy: &Deploy, host: Option<&str>) -> Vec<Finding> {
    let is_here = deploy.nodes.iter().any(|entry| entry.role == Role::Master && is_on(entry, host));
    let choice = match store::choice(deploy) {
        Ok(choice) => choice,
        Err(error) => return vec![Finding::new(Level::Error, "store", error.to_string())],
    };
    let is_database = matches!(choice.place, StorePlace::Postgres(_));
    // A file is on the master's machine, which need not be this one.
    if !is_here || (!is_database && host.is_none() && deploy.is_distributed()) {
        return Vec::new();
    }
    let place = &choice.place;
    let found = match chappe_store::survey(&place.with_secrets()) {
        Ok(found) => found,
        Err(error) => return vec![Finding::new(Level::Error, "store", error.to_string())],
    };
    let mut findings = judge(deploy, place, &found);
    if found.is_in_clear {
        let text =
            format!("the store at {place}: records go there in clear: add sslmode=verify-full to the url");
        findings.push(Finding::new(Level::Warning, "store_in_clear", text));
    }
    if findings.iter().all(|finding| finding.level != Level::Error) && is_database {
        let state = match found.schema {
            Some(schema) => format!("schema {schema}"),
            None => "empty".to_owned(),
        };
        let used = if found.is_in_use { ", a master has it open" } else { "" };
        findings.push(Finding::new(
            Level::Note,
            "store",
            format!("the store at {place} answers: {state}{used}"),
        ));
    }
    findings
}

fn judge(deploy: &Deploy, place: &StorePlace, found: &Survey) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut error = |code, text: String| findings.push(Finding::new(Level::Error, code, text));
    let is_others = |theirs: &Option<String>, ours: Option<&String>| {
        theirs.is_some() && ours.is_some() && theirs.as_ref() != ours
    };
    let place = place.to_string();
    if is_others(&found.owner, Some(&deploy.cluster))
        || is_others(&found.owner_id, deploy.cluster_id.as_ref())
    {
        let name = |cluster: &str, id: Option<&String>| match id {
            Some(id) => format!("{cluster} (cluster_id {id})"),
            None => cluster.to_owned(),
        };
        let owner = name(found.owner.as_deref().unwrap_or_default(), found.owner_id.as_ref());
        let ours = name(&deploy.cluster, deploy.cluster_id.as_ref());
        let refused = StoreError::OtherCluster { place: place.clone(), found: owner, ours };
        error("store_owner", refused.to_string());
    }
    if let Some(schema) = found.schema.filter(|schema| *schema > found.latest) {
        let refused = StoreError::NewerSchema { place: place.clone(), found: schema, known: found.latest };
        error("store_schema", refused.to_string());
    }
    if let Some(hindrance) = &found.hindrance {
        error("store_read_only", format!("the store at {place}: {hindrance}"));
    }
    findings
}

/// The nodes that run, against those of the file and each other.
fn running(deploy: &Deploy) -> Vec<Finding> {
    match tool::ask::<_, Vec<NodeInfo>>(deploy, "nodes", &(), ASK) {
        Ok(nodes) => compare(deploy, &nodes),
        // It does not run, as far as is seen here.
        Err(_) => Vec::new(),
    }
}

fn compare(deploy: &Deploy, nodes: &[NodeInfo]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut versions: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for node in nodes {
        let version = if node.version.is_empty() { "unknown" } else { node.version.as_str() };
        versions.entry(version).or_default().push(node.id.0);
    }
    if versions.len() > 1 {
        let each = versions.iter().map(|(version, ids)| format!("{version}: {}", list(ids)));
        let each: Vec<String> = each.collect();
        let text = format!("nodes of different versions run: {}", each.join("; "));
        findings.push(Finding::new(Level::Warning, "mixed_versions", text));
    }
    let strangers: Vec<i64> =
        nodes.iter().map(|node| node.id.0).filter(|id| deploy.node(*id).is_none()).collect();
    if !strangers.is_empty() {
        let text = format!("these nodes run and are not in the file: {}", list(&strangers));
        findings.push(Finding::new(Level::Warning, "not_in_file", text));
    }
    let absent = deploy.nodes.iter().map(|entry| entry.id);
    let absent: Vec<i64> = absent.filter(|id| nodes.iter().all(|node| node.id.0 != *id)).collect();
    if !absent.is_empty() {
        let text = format!("these nodes are in the file and do not run: {}", list(&absent));
        findings.push(Finding::new(Level::Warning, "absent", text));
    }
    let text = format!("the cluster runs: {} nodes", nodes.len());
    findings.push(Finding::new(Level::Note, "running", text));
    findings
}

/// Ids, as many as one reads.
fn list(ids: &[i64]) -> String {
    let shown: Vec<String> = ids.iter().take(10).map(i64::to_string).collect();
    let more = ids.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn is_on(entry: &NodeEntry, host: Option<&str>) -> bool {
    host.is_none() || entry.host.as_deref() == host
}

#[cfg(test)]
mod tests {
    use super::*;
    use chappe_node::State;

    fn deploy() -> Deploy {
        let text = r#"{"cluster": "c", "cluster_id": "eu", "master": {"serverid": 1}, "game": [{"serverid": 2, "num": 12}]}"#;
        Deploy::parse(text, "deploy.json").unwrap().0
    }

    fn node(id: i64, version: &str) -> NodeInfo {
        NodeInfo {
            id: NodeId(id),
            role: Role::Game,
            node_type: "game".into(),
            state: State::Ready,
            incarnation: 1,
            modules: Vec::new(),
            players: 0,
            version: version.into(),
        }
    }

    #[test]
    fn a_cluster_that_is_half_updated_would_look_whole() {
        let nodes = [node(1, "0.2.0"), node(2, "0.1.0"), node(3, ""), node(99, "0.2.0")];
        let found = compare(&deploy(), &nodes);
        let texts: Vec<&str> = found.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(
            texts,
            [
                "nodes of different versions run: 0.1.0: 2; 0.2.0: 1, 99; unknown: 3",
                "these nodes run and are not in the file: 99",
                "these nodes are in the file and do not run: 4, 5, 6, 7, 8, 9, 10, 11, 12, 13",
                "the cluster runs: 4 nodes"
            ]
        );
        let whole: Vec<NodeInfo> = deploy().nodes.iter().map(|entry| node(entry.id, "0.2.0")).collect();
        assert_eq!(compare(&deploy(), &whole).len(), 1);
    }

    #[test]
    fn a_store_that_a_master_would_refuse_would_pass() {
        let place = StorePlace::Postgres("postgres://me:hush@db/game".into());
        let codes = |found: Survey| -> Vec<&str> {
            let findings = judge(&deploy(), &place, &found);
            assert!(findings.iter().all(|finding| !finding.message.contains("hush")), "{findings:?}");
            findings.iter().map(|finding| finding.code).collect()
        };
        let ours = Survey { owner: Some("c".into()), latest: 2, schema: Some(2), ..Survey::default() };
        assert!(
            codes(ours.clone()).is_empty() && codes(Survey { latest: 2, ..Survey::default() }).is_empty()
        );
        assert_eq!(codes(Survey { owner: Some("d".into()), ..ours.clone() }), ["store_owner"]);
        assert_eq!(codes(Survey { owner_id: Some("us".into()), ..ours.clone() }), ["store_owner"]);
        let newer = Survey { schema: Some(3), hindrance: Some("a standby".into()), ..ours };
        assert_eq!(codes(newer), ["store_schema", "store_read_only"]);
    }
}
