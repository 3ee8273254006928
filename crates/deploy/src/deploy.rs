//! A deploy.json that was read and found right.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::engine::Engine;
use crate::entry::NodeEntry;
use crate::error::{DeployErrors, Problem, Warning};
use crate::limits::{Limits, Timing};
use crate::notifications::Notifications;
use crate::read;
use crate::secrets::SecretFiles;
use crate::store::{Named, StorePlace};

/// What a deploy.json says, checked: there is a master, ids are unique, no two nodes of a host listen on one port, the
/// directories of all mods are there (spec/apollo.md section 5).
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Deploy {
    /// The cluster's name: `cluster`, or the file's stem, or its directory's name for a file `deploy.json`.
    /// Any text that is not blank: what uses it as a part of a path or a subject must encode it.
    pub cluster: String,
    /// What tells this cluster from another one of its name (`cluster_id`); see [`Deploy::identity`].
    pub cluster_id: Option<String>,
    /// The file as the caller named it, for messages.
    pub file: String,
    /// The file, absolute.
    pub path: PathBuf,
    /// The file's directory, absolute: what the relative paths in it were resolved against.
    pub dir: PathBuf,
    /// All nodes, those of a `num` one by one: the master first, then proxies, lobbies, games and services, each in the
    /// order of the file.
    pub nodes: Vec<NodeEntry>,
    /// How much of everything.
    pub limits: Limits,
    /// How long.
    pub timing: Timing,
    /// Whether messages are stamped, so that their latency can be told (`measure`, default false).
    pub measure: bool,
    /// Periods and bounds of operations between players.
    pub notifications: Notifications,
    /// Where the cluster keeps its data, absolute (`data_dir`, default `data` beside the file). It need not exist.
    pub data_dir: PathBuf,
    /// What carries messages between machines.
    pub engine: Option<Engine>,
    /// Whether the page `/metrics` of the master's HTTP port is shown also to who has no token (`open_metrics`, default
    /// false).
    pub open_metrics: bool,
    /// The keys at the top that mean nothing here.
    pub extra: serde_json::Map<String, serde_json::Value>,
    /// What stands in `store`; see [`Deploy::store`].
    pub(crate) store: Option<Named>,
    /// The files that `secret_file` and `control_token_file` name; see [`Deploy::secrets`].
    pub(crate) secret_files: SecretFiles,
    /// The file with its symbolic links resolved: what tells one cluster on a machine from another.
    pub(crate) canonical: PathBuf,
}

/// Which file it is, and not what stands there: keys that are for mods alone may hold passwords.
impl fmt::Debug for Deploy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deploy")
            .field("cluster", &self.cluster)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Deploy {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// All that is wrong with it, sorted by place; one that names the file alone if it cannot be read.
    pub fn load(path: impl AsRef<Path>) -> Result<(Deploy, Vec<Warning>), DeployErrors> {
        let path = path.as_ref();
        let file = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|error| {
            DeployErrors::whole_file(&file, Problem::Unreadable { reason: error.to_string() })
        })?;
        let text = read::utf8(&bytes, &file)?;
        Deploy::parse(text, path)
    }

    /// Checks `text` as what stands in the file `path`, which need not exist; its directory is what mods are looked
    /// for in.
    ///
    /// # Errors
    /// All that is wrong with it, sorted by place.
    pub fn parse(text: &str, path: impl AsRef<Path>) -> Result<(Deploy, Vec<Warning>), DeployErrors> {
        read::deploy(text, path.as_ref())
    }

    /// What this file says that another cluster of the same name would not: facts with their names, the weightiest
    /// first. They are the same on every host that has the file, and stay when nodes are added and removed.
    #[must_use]
    pub fn identity(&self) -> Vec<(&'static str, String)> {
        let id = self.cluster_id.iter().map(|id| ("cluster_id", id.clone()));
        // A path means another file on each host.
        let place = self.store.as_ref().map(Named::place);
        let database = place.filter(|place| matches!(place, StorePlace::Postgres(_)));
        id.chain(database.map(|place| ("store", place.to_string()))).collect()
    }

    /// The node with that id; looked for one by one, so not for the path of every message.
    #[must_use]
    pub fn node(&self, id: i64) -> Option<&NodeEntry> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The masters: one, or two of which one leads.
    pub fn masters(&self) -> impl Iterator<Item = &NodeEntry> {
        self.nodes.iter().filter(|node| node.role == chappe_wire::Role::Master)
    }

    /// Whether two masters are listed.
    #[must_use]
    pub fn has_two_masters(&self) -> bool {
        self.masters().nth(1).is_some()
    }

    /// The first master: every deploy has one, and it stands first.
    #[must_use]
    pub fn master(&self) -> &NodeEntry {
        &self.nodes[0]
    }

    /// The most players on `node`: its own `max_players`, else `limits.players`. `None` is no limit, which is also
    /// what a `max_players` of 0 says.
    #[must_use]
    pub fn max_players(&self, node: &NodeEntry) -> Option<u32> {
        node.max_players.or(self.limits.players).filter(|&most| most > 0)
    }
}
