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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_to_a_module_that_only_another_entry_declares_is_waited_for() {
        let text = r#"{"cluster": "c", "master": {"serverid": 1}, "limits": {"players": 9},
            "lobby": [{"serverid": 2}, {"serverid": 3, "max_players": 0}],
            "service": [{"serverid": 4, "type": "service_mail", "module_names": "mail"}]}"#;
        let (deploy, _) = Deploy::parse(text, "deploy.json").unwrap();
        let config = |id| node_config(&deploy, deploy.node(id).unwrap());
        assert_eq!(config(2).declared.modules, ["mail", "service_mail"]);
        assert_eq!(config(2).declared.nodes.len(), 4);
        assert_eq!((config(2).limits.players, config(3).limits.players), (9, 0));
        assert_eq!(config(4).modules, ["mail"]);
        assert!(config(2).incarnation < config(2).incarnation, "a later life counts as later");
    }
}
