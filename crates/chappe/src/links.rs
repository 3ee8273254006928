//! How nodes reach each other, by deploy.json: over sockets on one machine, over NATS between machines.

use chappe_deploy::{Deploy, Engine, EngineCredentials, NodeEntry};
use chappe_link::Link;
use chappe_link::local::LocalLink;
use chappe_link::nats::{Credentials, Identity, NatsLink, NatsOptions, Tls};
use chappe_link::nearest::NearestLink;
use chappe_node::control::Declare;
use chappe_wire::{NodeId, Role};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Who nodes are to the NATS servers, before what deploy.json says: a secret need not stand in a file.
const USER: &str = "CHAPPE_NATS_USER";
const PASSWORD: &str = "CHAPPE_NATS_PASSWORD";
const TOKEN: &str = "CHAPPE_NATS_TOKEN";

/// On which machine each node runs, as deploy.json says now.
#[derive(Clone, Default)]
pub(crate) struct Hosts(Arc<RwLock<BTreeMap<NodeId, String>>>);

impl Hosts {
    pub(crate) fn of(deploy: &Deploy) -> Hosts {
        Hosts(Arc::new(RwLock::new(hosts(deploy).into_iter().collect())))
    }

    /// From now on they run there.
    pub(crate) fn learn(&self, declare: &Declare) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = declare.hosts.iter().cloned().collect();
    }

    fn are_one(&self, a: NodeId, b: NodeId) -> bool {
        let hosts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        hosts.get(&a) == hosts.get(&b)
    }
}

/// The nodes that have a host.
pub(crate) fn hosts(deploy: &Deploy) -> Vec<(NodeId, String)> {
    let host = |node: &NodeEntry| Some((NodeId(node.id), node.host.clone()?));
    deploy.nodes.iter().filter_map(host).collect()
}

/// The link of one node; peers on a machine of their own are looked up in `hosts` when they are dialled.
///
/// # Errors
/// What is wrong with the engine's credentials.
pub(crate) fn of_node(
    deploy: &Deploy,
    entry: &NodeEntry,
    local: LocalLink,
    hosts: &Hosts,
) -> Result<Arc<dyn Link + Send + Sync>, String> {
    let Some(far) = nats(deploy, Some(entry))? else { return Ok(Arc::new(local)) };
    let (hosts, me) = (hosts.clone(), NodeId(entry.id));
    // What is not in the file, as a tool, is never dialled.
    let is_near = move |node| hosts.are_one(me, node);
    Ok(Arc::new(NearestLink::new(Arc::new(local), Arc::new(far), is_near)))
}

/// The link of a node, or of a tool, to other machines, where there are any.
///
/// # Errors
/// As [`of_node`].
pub(crate) fn nats(deploy: &Deploy, entry: Option<&NodeEntry>) -> Result<Option<NatsLink>, String> {
    Ok(options(deploy, entry)?.map(NatsLink::new))
}

/// What such a link is told; `None` where there are no other machines.
///
/// # Errors
/// As [`of_node`].
pub(crate) fn options(deploy: &Deploy, entry: Option<&NodeEntry>) -> Result<Option<NatsOptions>, String> {
    let Some(engine) = deploy.engine.as_ref().filter(|_| deploy.is_distributed()) else { return Ok(None) };
    let mut options = NatsOptions::new(engine.nats.iter().cloned(), deploy.cluster.clone());
    options.identity = Identity::new(deploy.identity());
    options.place = place(entry);
    options.scope = entry.map_or_else(|| Role::Tool.to_string(), |entry| entry.id.to_string());
    options.credentials = credentials(engine, entry)?;
    options.tls = engine.tls.as_ref().map(|tls| Tls { authorities: tls.ca.clone(), own: tls.own.clone() });
    options.patience = options.patience.max(deploy.timing.loss + std::time::Duration::from_secs(2));
    Ok(Some(options))
}

/// Where a process is, for people of another cluster. Of two copies of a file both have the same hosts in them, so the
/// machine's own name is said too.
fn place(entry: Option<&NodeEntry>) -> String {
    let named = |path| std::fs::read_to_string(path).ok();
    let machine = named("/proc/sys/kernel/hostname").or_else(|| named("/etc/hostname")).unwrap_or_default();
    let process = format!("process {} of the machine {:?}", std::process::id(), machine.trim());
    let Some(NodeEntry { id, role, host, .. }) = entry else { return format!("a tool, {process}") };
    let host = host.as_deref().unwrap_or_default();
    format!("node {id} ({role}) of host {host:?}, {process}")
}

fn credentials(engine: &Engine, entry: Option<&NodeEntry>) -> Result<Credentials, String> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(token) = variable(TOKEN) {
        return Ok(Credentials::Token(token));
    }
    match (variable(USER), variable(PASSWORD)) {
        (Some(user), Some(password)) => return Ok(Credentials::Password { user, password }),
        (None, None) => {}
        _ => return Err(format!("{USER} and {PASSWORD} belong together: only one of them is set")),
    }
    let own = |path: &Path| PathBuf::from(own(&path.to_string_lossy(), entry));
    Ok(match &engine.credentials {
        EngineCredentials::Password { user, file } => {
            Credentials::Password { user: self::own(user, entry), password: secret(&own(file))? }
        }
        EngineCredentials::Token(file) => Credentials::Token(secret(&own(file))?),
        EngineCredentials::NKey(file) => Credentials::NKey(secret(&own(file))?),
        EngineCredentials::Creds(path) => Credentials::File(own(path)),
        _ => Credentials::None,
    })
}

/// A text of deploy.json as it is for one node: `{role}`, `{host}` and `{id}` stand for its own. A tool is all three.
fn own(text: &str, entry: Option<&NodeEntry>) -> String {
    let tool = || Role::Tool.to_string();
    let role = entry.map_or_else(tool, |entry| entry.role.to_string());
    let host = entry.map_or_else(tool, |entry| entry.host.clone().unwrap_or_default());
    let id = entry.map_or_else(tool, |entry| entry.id.to_string());
    text.replace("{role}", &role).replace("{host}", &host).replace("{id}", &id)
}

fn secret(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("engine.credentials: {}: {error}", file.display()))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_would_use_the_credentials_of_another() {
        let text = r#"{"engine": {"nats": ["nats://h"]}, "master": {"serverid": 1, "host": "a"},
            "game": [{"serverid": 7, "host": "b"}]}"#;
        let (deploy, _) = Deploy::parse(text, "deploy.json").unwrap();
        let name = |entry| own("arena-{role}@{host}.{id}", entry);
        assert_eq!(name(deploy.node(7)), "arena-game@b.7");
        assert_eq!(name(None), "arena-tool@tool.tool");
        let options = options(&deploy, deploy.node(7)).unwrap().unwrap();
        assert_eq!(options.scope, "7");
        assert!(options.place.starts_with("node 7 (game) of host \"b\", process "), "{}", options.place);
    }
}
