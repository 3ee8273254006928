//! What NATS must allow a process, subject by subject: for a configuration of the servers.

use super::message::Subjects;
use crate::Group;
use chappe_wire::NodeId;

/// Subjects that a user at NATS needs, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// To publish to.
    pub publish: Vec<String>,
    /// To subscribe to; one has a queue group behind it.
    pub subscribe: Vec<String>,
}

/// To which groups a user's nodes may broadcast `unordered`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Speaks {
    /// To all services: not proxies.
    pub to_services: bool,
    /// To the lobbies and games of a type: services only.
    pub to_servers: bool,
}

impl Permissions {
    /// Of a user for processes of these nodes of the cluster of that name. It hears what is for them alone, and can claim
    /// their ids alone. It hears broadcasts to the groups `hears`, and publishes such where `speaks` says so.
    #[must_use]
    pub fn of_nodes(cluster: &str, nodes: &[NodeId], hears: &[Group], speaks: Speaks) -> Permissions {
        let prefix = Subjects::prefix(cluster);
        let each = |form: &dyn Fn(NodeId) -> String| nodes.iter().map(|id| form(*id)).collect::<Vec<_>>();
        let mut publish: Vec<String> =
            ["at.>", "node.*.dial", "inbox.>", "who"].map(|end| format!("{prefix}.{end}")).into();
        publish.extend(each(&|id| format!("{prefix}.node.{id}.claim")));
        if speaks.to_services {
            publish.push(format!("{prefix}.{}", Subjects::group_end(&Group::Services)));
        }
        if speaks.to_servers {
            publish.push(format!("{prefix}.type.*"));
        }
        let mut subscribe = each(&|id| format!("{prefix}.node.{id}.*"));
        subscribe.extend(each(&|id| format!("{prefix}.at.{id}.>")));
        subscribe.extend(each(&|id| format!("{prefix}.inbox.{id}.>")));
        subscribe.push(format!("{prefix}.who {}", super::claim::GROUP));
        subscribe.extend(hears.iter().map(|group| format!("{prefix}.{}", Subjects::group_end(group))));
        Permissions { publish, subscribe }
    }

    /// Of a user for commands such as `chappe nodes`, which call the masters and nobody else.
    #[must_use]
    pub fn of_tools(cluster: &str, masters: &[NodeId]) -> Permissions {
        let prefix = Subjects::prefix(cluster);
        let dials = masters.iter().map(|id| format!("{prefix}.node.{id}.dial"));
        let answers = masters.iter().map(|id| format!("{prefix}.at.{id}.>"));
        // Its own subject too: it looks whether NATS lets it hear itself.
        let own = format!("{prefix}.at.tool.>");
        Permissions {
            publish: dials.chain(answers).chain([own.clone()]).collect(),
            subscribe: vec![own, format!("{prefix}.inbox.tool.>")],
        }
    }
}
