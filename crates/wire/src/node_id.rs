//! Ids of nodes.

use std::fmt;

/// A node's `serverid` (apollo.md section 1). Ids follow no range rule; nothing may be inferred from one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct NodeId(pub i64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for NodeId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<NodeId, Self::Err> {
        text.parse().map(NodeId)
    }
}

impl From<i64> for NodeId {
    fn from(id: i64) -> NodeId {
        NodeId(id)
    }
}
