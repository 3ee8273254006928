//! A peer in Python: a node of a deploy.json of its own, with a mod whose handlers do the work.

use super::BenchResult;
use super::cluster::{MODULE, peer_id};
use super::measure::Step;
use chappe_deploy::Deploy;
use chappe_node::{Node, To};
use chappe_wire::Row;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const MOD: &str = include_str!("python_peer.py");

/// A throw-away cluster's deploy.json, and the directory of its sockets, which goes with it.
pub(super) struct PythonPeer {
    deploy: PathBuf,
    /// Where the peer expects the others' sockets.
    pub(super) run_dir: PathBuf,
}

impl PythonPeer {
    /// Writes the mod and its deploy.json into `dir`, with a master of that serverid.
    pub(super) fn write(dir: &Path, master: i64) -> BenchResult<PythonPeer> {
        let (mods, path) = (dir.join("bench"), dir.join("deploy.json"));
        fs::create_dir(&mods)?;
        fs::write(mods.join("modMain.py"), MOD)?;
        let service = serde_json::json!({"serverid": peer_id(0).0, "type": MODULE, "mods": ["bench"]});
        let text =
            serde_json::json!({"cluster": "bench", "master": {"serverid": master}, "service": [service]});
        fs::write(&path, text.to_string())?;
        let (deploy, _) = Deploy::load(&path).map_err(|problems| problems.to_string())?;
        Ok(PythonPeer { run_dir: deploy.create_run_dir()?, deploy: path })
    }

    /// Starts it; it is ready when the master says so.
    pub(super) fn spawn(&self, python: &[OsString]) -> BenchResult<Child> {
        let (interpreter, args) =
            python.split_first().ok_or_else(|| format!("--python {}", crate::python::needed()))?;
        let mut command = Command::new(interpreter);
        command.args(args).arg("node").arg(&self.deploy).arg(peer_id(0).0.to_string());
        Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?)
    }
}

/// Asks the peer what the steps of a handler call take by themselves; it measures them now, with nothing under way.
pub(super) async fn steps(node: &Node, kind: &str, size: usize) -> BenchResult<Vec<Step>> {
    let method = (MODULE, "steps");
    let limit = Duration::from_secs(60);
    Ok(node.ask(Row::RequestToServiceMod, To::Module, method, &(kind, size), limit).await?)
}

impl Drop for PythonPeer {
    fn drop(&mut self) {
        // In a directory for temporary files; the system cleans up what this cannot.
        let _ = fs::remove_dir_all(&self.run_dir);
    }
}
