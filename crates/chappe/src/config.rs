//! From a deploy entry to a node's settings.

use chappe_deploy::{Deploy, NodeEntry};
use chappe_node::{Config, Declared, Limits, Timing};
use chappe_wire::NodeId;

/// The settings of the node that `entry` of `deploy` describes, as a new life of it.
pub(crate) fn node_config(deploy: &Deploy, entry: &NodeEntry) -> Config {
    let mut config = Config::new(&deploy.cluster, NodeId(entry.id), entry.role, &entry.node_type);
    config.modules = entry.module_names.clone();
    config.incarnation = Config::new_incarnation();
    config.master = NodeId(deploy.master().id);
    config.declared = declared(deploy);
    config.limits = Limits {
        message_bytes: deploy.limits.message_bytes,
        queue_bytes: deploy.limits.queue_bytes,
        players: deploy.max_players(entry).unwrap_or(0),
        ..Limits::default()
    };
    config.timing = Timing {
        heartbeat: deploy.timing.heartbeat,
        loss: deploy.timing.loss,
        stuck: deploy.timing.stuck,
        resume: deploy.timing.resume,
    };
    config.measure = deploy.measure;
    config
}

fn declared(deploy: &Deploy) -> Declared {
    let node = |entry: &NodeEntry| (NodeId(entry.id), entry.role, entry.node_type.clone());
    Declared {
        nodes: deploy.nodes.iter().map(node).collect(),
        modules: deploy.declared_modules().into_keys().collect(),
    }
}
