//! What depends on the machine and the moment, and not on the file: free ports and built programs.

use std::collections::HashSet;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::deploy::Deploy;
use crate::entry::NodeEntry;
use crate::error::{DeployError, DeployErrors, Problem};
use crate::place::Place;

impl Deploy {
    /// Tries to listen, for a moment, on every port of those nodes that `runs_here` says run on this machine. It
    /// blocks, also for the look-up of host names. A port can be taken between this and the node's own start.
    ///
    /// # Errors
    /// Every port that is not to be had, with the place that names it.
    pub fn probe_ports(&self, runs_here: impl Fn(&NodeEntry) -> bool) -> Result<(), DeployErrors> {
        let mut errors = Vec::new();
        for node in self.nodes.iter().filter(|node| runs_here(node)) {
            let both = [(node.port, &node.spots.port), (node.http_port, &node.spots.http_port)];
            for (port, place) in both.into_iter().filter_map(|(port, place)| Some((port?, place))) {
                if let Err(error) = TcpListener::bind((node.ip.as_str(), port)) {
                    errors.push(DeployError { place: place.clone(), problem: unbound(node, port, &error) });
                }
            }
        }
        self.all_or_errors(errors)
    }

    /// Looks whether the programs of all entries are there and may be executed. The reading of the file does not, so
    /// that a file can be checked before its programs are built.
    ///
    /// # Errors
    /// Every program that cannot be run, with the place that names it; once for all nodes of a `num`.
    pub fn check_programs(&self) -> Result<(), DeployErrors> {
        let mut seen: HashSet<&Place> = HashSet::new();
        let mut errors = Vec::new();
        for node in self.nodes.iter().filter(|node| seen.insert(&node.spots.program)) {
            let Some(program) = node.program.as_ref().and_then(|words| words.first()) else { continue };
            if let Err(reason) = runnable(program) {
                let problem = Problem::ProgramMissing { program: program.clone(), reason };
                errors.push(DeployError { place: node.spots.program.clone(), problem });
            }
        }
        self.all_or_errors(errors)
    }

    fn all_or_errors(&self, errors: Vec<DeployError>) -> Result<(), DeployErrors> {
        DeployErrors::new(&self.file, errors, Vec::new()).map_or(Ok(()), Err)
    }
}

fn unbound(node: &NodeEntry, port: u16, error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::AddrInUse => Problem::PortInUse { port },
        _ => Problem::CannotListen { ip: node.ip.clone(), port, reason: error.to_string() },
    }
}

fn runnable(program: &str) -> Result<(), &'static str> {
    if program.contains('/') {
        return executable(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(&path).map(|dir: PathBuf| dir.join(program));
    let found = candidates.any(|candidate| executable(&candidate).is_ok());
    if found { Ok(()) } else { Err("not in PATH; a file beside deploy.json is written with `./` before it") }
}

fn executable(path: &Path) -> Result<(), &'static str> {
    match std::fs::metadata(path) {
        Err(_) => Err("there is no such file; is it built?"),
        Ok(metadata) if !metadata.is_file() => Err("it is not a file"),
        Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => Err("it is not executable"),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{read, read_in};

    #[test]
    fn a_port_that_is_in_use_is_found_before_the_start() {
        let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = other.local_addr().expect("bound").port();
        let (deploy, _) = read(&format!(
            r#"{{"master": {{"serverid": 1}},
  "proxy": [{{"serverid": 2, "port": {port}}}], "lobby": [{{"serverid": 3}}]}}"#
        ));
        let errors = deploy.probe_ports(|_| true).expect_err("the port is taken");
        let wanted = format!("deploy.json:2:37: proxy[0].port: port {port} is in use by another process");
        assert_eq!(errors.to_string(), wanted);
        assert_eq!(deploy.probe_ports(|node| node.id != 2), Ok(()));

        drop(other);
        assert_eq!(deploy.probe_ports(|_| true), Ok(()));
    }

    #[test]
    fn an_unbuilt_program_is_no_error_until_it_is_asked_for() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("plain"), "").expect("written");
        let (deploy, _) = read_in(
            dir.path(),
            r#"{
  "master": {"serverid": 1, "program": ["sh", "-c", " "]},
  "game": [
    {"serverid": 2, "num": 3, "program": ["./target/arena", "--fast"]},
    {"serverid": 9, "program": ["./plain"]},
    {"serverid": 10, "program": ["arena-that-is-nowhere"]}
  ]
}"#,
        );
        assert_eq!(deploy.nodes[0].program.as_deref(), Some(&["sh", "-c", " "].map(str::to_owned)[..]));
        let errors = deploy.check_programs().expect_err("three cannot be run").to_string();
        insta::assert_snapshot!(errors.replace(&*dir.path().to_string_lossy(), "DIR"), @r#"
    DIR/deploy.json:4:42: game[0].program: program `DIR/target/arena` cannot be run: there is no such file; is it built?
    DIR/deploy.json:5:32: game[1].program: program `DIR/plain` cannot be run: it is not executable
    DIR/deploy.json:6:33: game[2].program: program `arena-that-is-nowhere` cannot be run: not in PATH; a file beside deploy.json is written with `./` before it
    "#);
    }
}
