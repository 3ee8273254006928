//! What has changed between two readings of a deploy.json (`chappe apply`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::deploy::Deploy;
use crate::entry::NodeEntry;

/// What separates a newer deploy.json from an older one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Nodes that are new, by id.
    pub added: Vec<i64>,
    /// Nodes that are not in the newer one, by id.
    pub removed: Vec<i64>,
    /// Nodes whose entries differ in more than their place: in force when they start anew.
    pub changed: Vec<i64>,
    /// Keys at the top that are in force on each node when it starts anew: `limits`, `timing`, ...
    pub settings: Vec<String>,
    /// What cannot change while the cluster runs: `cluster`, `engine`, ..., a master.
    pub fixed: Vec<String>,
}

impl Change {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Change::default()
    }

    /// From `before` to `after`, both of the same file.
    #[must_use]
    pub fn between(before: &Deploy, after: &Deploy) -> Change {
        let mut change = Change::default();
        for node in &after.nodes {
            match before.node(node.id) {
                None => change.added.push(node.id),
                Some(old) if !old.is_like(node) => change.changed.push(node.id),
                Some(_) => {}
            }
        }
        let gone = before.nodes.iter().filter(|node| after.node(node.id).is_none());
        change.removed = gone.map(|node| node.id).collect();
        for ids in [&mut change.added, &mut change.removed, &mut change.changed] {
            ids.sort_unstable();
        }
        let settings = [
            ("limits", before.limits != after.limits),
            ("timing", before.timing != after.timing),
            ("measure", before.measure != after.measure),
            ("notifications", before.notifications != after.notifications),
            ("open_metrics", before.open_metrics != after.open_metrics),
            ("secrets", before.secret_files.paths() != after.secret_files.paths()),
        ];
        let differing = |(key, differs): (&str, bool)| differs.then(|| key.to_owned());
        change.settings = settings.into_iter().filter_map(differing).collect();
        let fixed = [
            ("`cluster`", before.cluster != after.cluster),
            ("`engine`", before.engine != after.engine),
            ("`data_dir`", before.data_dir != after.data_dir),
            ("`store`", before.store(None).ok() != after.store(None).ok()),
        ];
        change.fixed = fixed.into_iter().filter_map(differing).chain(masters(before, after)).collect();
        change
    }
}

/// Masters that are new, gone, or elsewhere: who may lead stands at the beginning of a cluster.
fn masters(before: &Deploy, after: &Deploy) -> Option<String> {
    let of = |deploy: &Deploy| -> Vec<(i64, Option<String>)> {
        let masters = deploy.nodes.iter().filter(|node| node.role == chappe_wire::Role::Master);
        masters.map(|node| (node.id, node.host.clone())).collect()
    };
    (of(before) != of(after)).then(|| "`master`".to_owned())
}

impl NodeEntry {
    /// Whether both say the same, wherever in the file they stand.
    fn is_like(&self, other: &NodeEntry) -> bool {
        let mut here = self.clone();
        here.place.clone_from(&other.place);
        here.spots.clone_from(&other.spots);
        here.access.place_as(&other.access);
        here == *other
    }
}

impl Deploy {
    /// The socket by which `chappe up` of that machine is told what to do, in [`Deploy::run_dir`].
    #[must_use]
    pub fn supervisor_socket(&self, host: Option<&str>) -> PathBuf {
        let name = host
            .map_or("up".to_owned(), |host| format!("up-{:016x}", crate::run_dir::fnv1a(host.as_bytes())));
        self.run_dir().join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deploy(text: &str) -> Deploy {
        Deploy::parse(text, "/srv/arena/deploy.json").expect("right").0
    }

    #[test]
    fn a_line_that_moves_in_the_file_would_restart_nodes() {
        let before = deploy(r#"{"master": {"serverid": 1}, "lobby": [{"serverid": 2}, {"serverid": 3}]}"#);
        let after =
            deploy("{\"lobby\": [{\"serverid\": 3},\n {\"serverid\": 2}],\n \"master\": {\"serverid\": 1}}");
        assert!(Change::between(&before, &after).is_empty());
    }

    #[test]
    fn a_rule_for_players_that_moves_in_the_file_would_restart_proxies() {
        let rest = r#""lobby": [{"serverid": 3}], "master": {"serverid": 1}, "proxy": [{"serverid": 2, "port": 80, "ip": "::1"}]}"#;
        let rules = r#""login": {"keys": "k.json"}, "tls": {"cert": "c.pem", "key": "k.pem"},"#;
        let before = deploy(&format!("{{{rules} {rest}"));
        assert!(Change::between(&before, &deploy(&format!("{{\n\n{rules}\n {rest}"))).is_empty());
        let other = deploy(&format!("{{{} {rest}", rules.replace("c.pem", "d.pem")));
        assert_eq!(Change::between(&before, &other).changed, [2]);
    }

    #[test]
    fn what_changes_is_named() {
        let before = deploy(
            r#"{"master": {"serverid": 1}, "lobby": [{"serverid": 2, "num": 2}], "game": [{"serverid": 9}]}"#,
        );
        let after = deploy(
            r#"{"master": {"serverid": 1, "port": 8000}, "lobby": [{"serverid": 2, "num": 3}],
                "game": [{"serverid": 10}], "limits": {"players": 9}, "secret_file": "secret"}"#,
        );
        let change = Change::between(&before, &after);
        assert_eq!((change.added, change.removed, change.changed), (vec![4, 10], vec![9], vec![1]));
        assert_eq!(
            (change.settings.join(" "), change.fixed),
            ("limits secrets".to_owned(), Vec::<String>::new())
        );
    }

    #[test]
    fn a_cluster_would_be_given_another_store_while_it_runs() {
        let before = deploy(r#"{"cluster": "a", "master": {"serverid": 1}}"#);
        let after = deploy(r#"{"cluster": "b", "master": {"serverid": 2}, "store": "other.sqlite"}"#);
        assert_eq!(Change::between(&before, &after).fixed, ["`cluster`", "`store`", "`master`"]);
    }
}
