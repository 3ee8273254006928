//! Which node runs on which machine: the key `host` of entries.

use crate::deploy::Deploy;
use crate::engine::Engine;
use crate::entry::{Draft, NodeEntry};
use crate::error::Problem;
use crate::report::Report;

impl Deploy {
    /// The machines that the file names, in the order of the nodes; none where no entry has a `host`.
    #[must_use]
    pub fn hosts(&self) -> Vec<&str> {
        let mut hosts: Vec<&str> = Vec::new();
        for host in self.nodes.iter().filter_map(|node| node.host.as_deref()) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        hosts
    }

    /// Whether nodes run on more than one machine, so that an engine carries messages between them.
    #[must_use]
    pub fn is_distributed(&self) -> bool {
        self.hosts().len() > 1
    }

    /// Whether two nodes run on one machine.
    #[must_use]
    pub fn share_host(&self, a: i64, b: i64) -> bool {
        let host = |id| self.node(id).map(|node| node.host.as_deref());
        host(a) == host(b)
    }

    /// The nodes of one machine, by id. Without a name: all, unless they run on several.
    ///
    /// # Errors
    /// A text for the operator: no such host, or one must be named.
    pub fn on_host(&self, host: Option<&str>) -> Result<Vec<&NodeEntry>, String> {
        let hosts = self.hosts();
        match host {
            None if self.is_distributed() => {
                Err(format!("{}: its nodes run on several hosts; name one: {}", self.file, hosts.join(", ")))
            }
            None => Ok(self.nodes.iter().collect()),
            Some(host) if hosts.contains(&host) => {
                Ok(self.nodes.iter().filter(|node| node.host.as_deref() == Some(host)).collect())
            }
            Some(host) if hosts.is_empty() => {
                Err(format!("{}: no entry has a `host`, so there is no {host:?}", self.file))
            }
            Some(host) => {
                Err(format!("{}: there is no host {host:?}; there are {}", self.file, hosts.join(", ")))
            }
        }
    }
}

/// Reports entries without a host where others have one, and several hosts without anything between them.
pub(crate) fn check(drafts: &[Draft], engine: Option<&Engine>, report: &mut Report<'_>) {
    let named = drafts.iter().filter(|draft| draft.node.host.is_some());
    let Some(first) = named.clone().next() else { return };
    for draft in drafts.iter().filter(|draft| draft.node.host.is_none()) {
        let wanted = "`host`: other entries have one, so each must say where it runs";
        report.error(draft.node.place.clone(), Problem::Missing { wanted });
    }
    let other = named.clone().find(|draft| draft.node.host != first.node.host);
    if let (Some(other), None) = (other, engine) {
        let wanted =
            "`engine` at the top, such as {\"nats\": [\"nats://10.0.0.1:4222\"]}: nodes run on several hosts";
        report.error(other.node.place.clone(), Problem::Missing { wanted });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGINE: &str = r#""engine": {"nats": ["nats://10.0.0.1:4222"]},"#;

    fn parse(engine: &str, hosts: [&str; 3]) -> Result<Deploy, String> {
        let host =
            |name: &str| if name.is_empty() { String::new() } else { format!(r#", "host": "{name}""#) };
        let [master, lobby, game] = hosts.map(host);
        let text = format!(
            r#"{{{engine} "master": {{"serverid": 1{master}}},
  "lobby": [{{"serverid": 2{lobby}}}],
  "game": [{{"serverid": 3, "num": 2{game}}}]}}"#
        );
        let read = Deploy::parse(&text, "/nowhere/deploy.json");
        read.map(|(deploy, _)| deploy).map_err(|errors| errors.to_string())
    }

    #[test]
    fn each_host_starts_its_own_nodes_and_no_others() {
        let deploy = parse(ENGINE, ["east", "east", "west"]).unwrap();
        let ids =
            |host| deploy.on_host(host).map(|nodes| nodes.iter().map(|node| node.id).collect::<Vec<_>>());
        assert_eq!((ids(Some("east")), ids(Some("west"))), (Ok(vec![1, 2]), Ok(vec![3, 4])));
        assert!(ids(None).unwrap_err().contains("name one: east, west"));
        assert!(ids(Some("north")).unwrap_err().contains("there are east, west"));
        assert!(deploy.share_host(3, 4) && !deploy.share_host(1, 3));
    }

    #[test]
    fn one_machine_needs_no_host_and_no_engine() {
        let deploy = parse("", ["", "", ""]).unwrap();
        assert_eq!((deploy.on_host(None).unwrap().len(), deploy.is_distributed()), (4, false));
    }

    #[test]
    fn two_clusters_of_one_name_could_not_be_told_apart() {
        let read = |keys: &str| {
            let text = format!(
                r#"{{{keys} {ENGINE} "master": {{"serverid": 1, "host": "a"}}, "game": [{{"serverid": 2, "host": "b"}}]}}"#
            );
            let (deploy, warnings) = Deploy::parse(&text, "/nowhere/deploy.json").unwrap();
            let warned = warnings.iter().any(|warning| warning.notice.code() == "no_identity");
            (deploy.identity(), warned)
        };
        assert_eq!(read(""), (vec![], true));
        assert_eq!(read(r#""store": "a.sqlite","#), (vec![], true));
        let store = ("store", "postgres://db/game".to_owned());
        assert_eq!(
            read(r#""store": "postgres://me@db/game?sslmode=require","#),
            (vec![store.clone()], false)
        );
        let both = read(r#""cluster_id": "eu-1", "store": "postgres://you@db/game","#);
        assert_eq!(both, (vec![("cluster_id", "eu-1".to_owned()), store], false));
    }

    #[test]
    fn a_node_that_nobody_would_start_is_an_error() {
        let text = parse(ENGINE, ["east", "", "west"]).unwrap_err();
        assert!(text.contains("lobby[0]") && text.contains("each must say where it runs"), "{text}");
    }

    #[test]
    fn hosts_without_anything_between_them_are_an_error() {
        let text = parse("", ["east", "west", "east"]).unwrap_err();
        assert!(text.contains("lobby[0]") && text.contains("nodes run on several hosts"), "{text}");
    }
}
