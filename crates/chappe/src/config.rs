//! From a deploy entry to a node's settings.

use chappe_deploy::{Deploy, NodeEntry};
use chappe_node::{Config, Declared, Limits, Timing};
use chappe_wire::NodeId;
use std::fs;
use std::path::{Path, PathBuf};

/// In nanoseconds, as lives are counted.
const HOUR: u64 = 3_600_000_000_000;

/// The settings of the node that `entry` of `deploy` describes, as a new life of it.
pub(crate) fn node_config(deploy: &Deploy, entry: &NodeEntry) -> Config {
    let mut config = Config::new(&deploy.cluster, NodeId(entry.id), entry.role, &entry.node_type);
    config.modules = entry.module_names.clone();
    config.incarnation = new_life(&deploy.run_dir(), entry.id);
    config.master = NodeId(deploy.master().id);
    config.second_master = deploy.masters().nth(1).map(|master| NodeId(master.id));
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

/// The periods and bounds of records and notifications on the nodes of `deploy`.
pub(crate) fn notify_options(deploy: &Deploy) -> chappe_notify::Options {
    let given = &deploy.notifications;
    chappe_notify::Options {
        deadline: given.deadline,
        depth: given.depth,
        push_after: given.push,
        cache_after: given.cache,
        handler: given.handler,
        keep: given.keep,
    }
}

/// The number of a new life of a node: larger than that of every life before it on this machine, also when the clock
/// was set back meanwhile; others would take the new life for an old one.
fn new_life(run_dir: &Path, id: i64) -> u64 {
    let (path, last) = last_life(run_dir, id);
    let life = Config::new_incarnation().max(last.map_or(0, |last| last.saturating_add(1)));
    // Where it cannot be kept, the clock has to do.
    let _ = fs::write(&path, life.to_string());
    life
}

/// After a life that was refused because a later one had been there: the node ran on a machine whose clock is ahead of this
/// one's, or this one's was set back. The next life's number goes ahead of the clock by an hour, then by twice as much each
/// time, so that a difference of days is made up in a few tries.
pub(crate) fn leap(run_dir: &Path, id: i64) {
    let (path, last) = last_life(run_dir, id);
    let clock = Config::new_incarnation();
    let ahead = last.map_or(0, |last| last.saturating_sub(clock));
    let _ = fs::write(path, clock.saturating_add(ahead.saturating_mul(2).max(HOUR)).to_string());
}

fn last_life(run_dir: &Path, id: i64) -> (PathBuf, Option<u64>) {
    let path = run_dir.join(format!("{id}.life"));
    let last = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse::<u64>().ok());
    (path, last)
}

/// What deploy.json declares.
pub(crate) fn declared(deploy: &Deploy) -> Declared {
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

    #[test]
    fn a_clock_that_was_set_back_does_not_make_a_new_life_look_old() {
        let dir = tempfile::tempdir().unwrap();
        let first = new_life(dir.path(), 7);
        let ahead = first + 3_600_000_000_000;
        fs::write(dir.path().join("7.life"), ahead.to_string()).unwrap();
        assert_eq!(new_life(dir.path(), 7), ahead + 1);
        assert!(new_life(dir.path(), 8) < ahead, "another node has a count of its own");
    }

    #[test]
    fn a_node_from_a_machine_whose_clock_is_days_ahead_never_comes_up_here() {
        let dir = tempfile::tempdir().unwrap();
        let there = Config::new_incarnation() + 3 * 24 * HOUR;
        let mut tries = 0;
        while new_life(dir.path(), 7) <= there {
            leap(dir.path(), 7);
            tries += 1;
        }
        assert_eq!(tries, 8, "1, 2, 4, ... 128 hours");
    }
}
