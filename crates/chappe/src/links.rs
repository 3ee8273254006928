//! How nodes reach each other, by deploy.json: over sockets on one machine, over NATS between machines.

use chappe_deploy::{Deploy, Engine, EngineCredentials, NodeEntry};
use chappe_link::Link;
use chappe_link::local::LocalLink;
use chappe_link::nats::{Credentials, NatsLink, NatsOptions, Tls};
use chappe_link::nearest::NearestLink;
use chappe_node::control::Declare;
use chappe_wire::NodeId;
use std::collections::BTreeMap;
use std::path::Path;
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
    let Some(far) = nats(deploy)? else { return Ok(Arc::new(local)) };
    let (hosts, me) = (hosts.clone(), NodeId(entry.id));
    // What is not in the file, as a tool, is never dialled.
    let is_near = move |node| hosts.are_one(me, node);
    Ok(Arc::new(NearestLink::new(Arc::new(local), Arc::new(far), is_near)))
}

/// The link to other machines, where there are any.
///
/// # Errors
/// As [`of_node`].
pub(crate) fn nats(deploy: &Deploy) -> Result<Option<NatsLink>, String> {
    let Some(engine) = deploy.engine.as_ref().filter(|_| deploy.is_distributed()) else { return Ok(None) };
    let mut options = NatsOptions::new(engine.nats.iter().cloned(), deploy.cluster.clone());
    options.credentials = credentials(engine)?;
    options.tls = engine.tls.as_ref().map(|tls| Tls { authorities: tls.ca.clone(), own: tls.own.clone() });
    options.patience = options.patience.max(deploy.timing.loss + std::time::Duration::from_secs(2));
    Ok(Some(NatsLink::new(options)))
}

fn credentials(engine: &Engine) -> Result<Credentials, String> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(token) = variable(TOKEN) {
        return Ok(Credentials::Token(token));
    }
    match (variable(USER), variable(PASSWORD)) {
        (Some(user), Some(password)) => return Ok(Credentials::Password { user, password }),
        (None, None) => {}
        _ => return Err(format!("{USER} and {PASSWORD} belong together: only one of them is set")),
    }
    Ok(match &engine.credentials {
        EngineCredentials::Password { user, file } => {
            Credentials::Password { user: user.clone(), password: secret(file)? }
        }
        EngineCredentials::Token(file) => Credentials::Token(secret(file)?),
        EngineCredentials::NKey(file) => Credentials::NKey(secret(file)?),
        EngineCredentials::Creds(path) => Credentials::File(path.clone()),
        _ => Credentials::None,
    })
}

fn secret(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("engine.credentials: {}: {error}", file.display()))?;
    Ok(text.trim().to_owned())
}
