//! Secrets of the cluster's own: from the environment, or from files that deploy.json names. They never stand in it.

use std::net::{IpAddr, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use chappe_wire::Role;
use chappe_wire::secret::{SecretError, Secrets};

use crate::deploy::Deploy;
use crate::entry::{NodeEntry, resolve};
use crate::error::{DeployError, DeployErrors, Notice, Problem, Warning};
use crate::field::Fields;
use crate::place::Place;
use crate::report::Report;

/// The largest file of secrets that is read, in bytes.
const LARGEST: u64 = 64 * 1024;

/// A secret by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretOf {
    /// What nodes and tools prove to each other that they know: `CHAPPE_SECRET`, `CHAPPE_SECRET_FILE`, `secret_file`.
    Cluster,
    /// What requests to the master's HTTP port show: `CHAPPE_CONTROL_TOKEN`, `CHAPPE_CONTROL_TOKEN_FILE`,
    /// `control_token_file`.
    Control,
}

impl SecretOf {
    /// The variable that has the secret itself, the one that names a file, and the key.
    #[must_use]
    pub const fn names(self) -> [&'static str; 3] {
        match self {
            SecretOf::Cluster => ["CHAPPE_SECRET", "CHAPPE_SECRET_FILE", "secret_file"],
            SecretOf::Control => ["CHAPPE_CONTROL_TOKEN", "CHAPPE_CONTROL_TOKEN_FILE", "control_token_file"],
        }
    }
}

/// The keys that name files, as they stand in deploy.json.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SecretFiles {
    cluster: Option<(PathBuf, Place)>,
    control: Option<(PathBuf, Place)>,
}

impl SecretFiles {
    pub(crate) fn read(fields: &Fields<'_>, dir: &Path, report: &mut Report<'_>) -> SecretFiles {
        let mut file = |of: SecretOf| {
            let field = fields.find(of.names()[2])?;
            let path = resolve(dir, &field.text(report)?);
            Some((path, field.place(report)))
        };
        SecretFiles { cluster: file(SecretOf::Cluster), control: file(SecretOf::Control) }
    }

    /// The files, wherever they are named.
    pub(crate) fn paths(&self) -> [Option<&Path>; 2] {
        [&self.cluster, &self.control].map(|named| named.as_ref().map(|(path, _)| path.as_path()))
    }
}

/// Secrets that were read, and what is odd about where they stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FoundSecrets {
    /// The secrets; none where nothing names any.
    pub secrets: Secrets,
    /// The file can be read by others.
    pub warning: Option<Warning>,
}

impl Deploy {
    /// Reads the secrets of a kind: the variable that has them goes before the one that names a file, and that before the
    /// key. `variable` gives the value of an environment variable. Reads files.
    ///
    /// # Errors
    /// A file that cannot be read, or has no secret in it; at the key's place, or at the file as a whole.
    pub fn secrets(
        &self,
        of: SecretOf,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<FoundSecrets, DeployErrors> {
        let [value, file, key] = of.names();
        let set = |name| variable(name).filter(|text| !text.trim().is_empty());
        let bad = |source: String, place: Place, reason: String| {
            let error = DeployError { place, problem: Problem::BadSecret { named: source, reason } };
            DeployErrors { file: self.file.clone(), errors: vec![error], warnings: Vec::new() }
        };
        if let Some(text) = set(value) {
            let wrong = |error: SecretError| bad(value.to_owned(), Place::whole_file(), error.to_string());
            return Ok(FoundSecrets { secrets: Secrets::parse(&text).map_err(wrong)?, warning: None });
        }
        let named = match of {
            SecretOf::Cluster => &self.secret_files.cluster,
            SecretOf::Control => &self.secret_files.control,
        };
        let (path, place, source) = match (set(file), named) {
            (Some(path), _) => (resolve(&self.dir, path.trim()), Place::whole_file(), file),
            (None, Some((path, place))) => (path.clone(), place.clone(), key),
            (None, None) => return Ok(FoundSecrets::default()),
        };
        let shown = if source == key { String::new() } else { format!("{source}: ") };
        let wrong = |reason| bad(format!("{shown}{}", path.display()), place.clone(), reason);
        let (text, mode) = read_file(&path).map_err(wrong)?;
        let secrets = Secrets::parse(&text).map_err(|error| wrong(error.to_string()))?;
        let notice = Notice::SecretFileOpen { path: path.display().to_string(), mode };
        let warning = (mode & 0o007 != 0).then(|| Warning { place: place.clone(), notice });
        Ok(FoundSecrets { secrets, warning })
    }

    /// Refuses a master whose HTTP port would be open to other machines with nobody asked for a token. Looks up the host
    /// name of its `ip`; one that is not found is left to the start.
    ///
    /// # Errors
    /// Each such master, at its `ip`.
    pub fn check_control_port(&self, token: &Secrets) -> Result<(), DeployErrors> {
        let is_open = |node: &&NodeEntry| {
            node.role == Role::Master
                && token.is_none()
                && node.port.is_some()
                && is_beyond_loopback(&node.ip)
        };
        let errors = self.nodes.iter().filter(is_open).map(|node| DeployError {
            place: node.spots.ip.clone(),
            problem: Problem::OpenControlPort { ip: node.ip.clone() },
        });
        DeployErrors::new(&self.file, errors.collect(), Vec::new()).map_or(Ok(()), Err)
    }
}

fn read_file(path: &Path) -> Result<(String, u32), String> {
    let told = |error: std::io::Error| error.to_string();
    let metadata = std::fs::metadata(path).map_err(told)?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err("it is no file with a secret in it".to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(told)?;
    Ok((text, metadata.permissions().mode() & 0o777))
}

fn is_beyond_loopback(ip: &str) -> bool {
    match ip.parse::<IpAddr>() {
        Ok(ip) => !ip.is_loopback(),
        Err(_) => {
            (ip, 0).to_socket_addrs().is_ok_and(|mut found| found.any(|found| !found.ip().is_loopback()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{read, read_in};

    const SECRET: &str = "a secret of enough letters";

    fn nothing(_: &str) -> Option<String> {
        None
    }

    fn write(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).expect("written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
    }

    #[test]
    fn what_the_environment_says_goes_before_the_file() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for (name, text) in [("key", SECRET), ("named", "another secret that is long")] {
            write(&dir.path().join(name), text, 0o600);
        }
        let (deploy, _) = read_in(dir.path(), r#"{"master": {"serverid": 1}, "secret_file": "key"}"#);
        let holds = |secrets: &Secrets, text: &str| secrets.contain(text.as_bytes());
        let by_key = deploy.secrets(SecretOf::Cluster, nothing).expect("it is right");
        assert!(holds(&by_key.secrets, SECRET) && by_key.warning.is_none());
        let file = |name: &str| (name == "CHAPPE_SECRET_FILE").then(|| "named".to_owned());
        let by_file = deploy.secrets(SecretOf::Cluster, file).expect("it is right");
        assert!(holds(&by_file.secrets, "another secret that is long"));
        let value = |name: &str| Some(format!("the value of {name}"));
        let by_value = deploy.secrets(SecretOf::Cluster, value).expect("it is right");
        assert!(holds(&by_value.secrets, "the value of CHAPPE_SECRET"));
        assert!(deploy.secrets(SecretOf::Control, nothing).expect("there is none").secrets.is_none());
    }

    #[test]
    fn a_secret_that_all_can_read_is_no_secret() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        write(&dir.path().join("open"), SECRET, 0o644);
        write(&dir.path().join("short"), "hunter2", 0o600);
        let told = |name: &str| {
            let text = format!(r#"{{"master": {{"serverid": 1}}, "secret_file": "{name}"}}"#);
            let (deploy, _) = read_in(dir.path(), &text);
            let told = match deploy.secrets(SecretOf::Cluster, nothing) {
                Ok(found) => found.warning.map_or_else(String::new, |warning| warning.to_string()),
                Err(errors) => errors.to_string(),
            };
            told.replace(&*dir.path().to_string_lossy(), "DIR")
        };
        insta::assert_snapshot!(["open", "short", "nowhere", "."].map(told).join("\n"), @r"
        1:44: secret_file: DIR/open can be read by everyone on this machine (mode 0644); make it 0600, and change the secret
        DIR/deploy.json:1:44: secret_file: DIR/short: line 1: a secret has at least 16 characters; `openssl rand -hex 32` makes one
        DIR/deploy.json:1:44: secret_file: DIR/nowhere: No such file or directory (os error 2)
        DIR/deploy.json:1:44: secret_file: DIR: it is no file with a secret in it
        ");
        let (deploy, _) = read_in(dir.path(), r#"{"master": {"serverid": 1}}"#);
        let variable = |name: &str| (name == "CHAPPE_CONTROL_TOKEN").then(|| "hunter2".to_owned());
        let errors = deploy.secrets(SecretOf::Control, variable).expect_err("it is too short").to_string();
        assert!(
            errors.contains("deploy.json: CHAPPE_CONTROL_TOKEN: line 1") && !errors.contains("hunter2"),
            "{errors}"
        );
    }

    #[test]
    fn the_control_port_of_a_master_is_open_to_the_world() {
        let check = |ip: &str, port: u16, token: &Secrets| {
            let text = format!(r#"{{"master": {{"serverid": 1, "port": {port}, "ip": "{ip}"}}}}"#);
            read(&text).0.check_control_port(token).map_err(|errors| errors.to_string())
        };
        let (none, token) = (Secrets::default(), Secrets::parse(SECRET).expect("long enough"));
        insta::assert_snapshot!(check("0.0.0.0", 8080, &none).unwrap_err(), @"deploy.json:1:48: master.ip: the control port would be open on 0.0.0.0 to whoever asks: name a `control_token_file` (or set CHAPPE_CONTROL_TOKEN_FILE), or leave `ip` at 127.0.0.1");
        for ip in ["::", "10.0.0.1", "::ffff:10.0.0.1"] {
            assert!(check(ip, 8080, &none).is_err(), "{ip}");
            assert_eq!(check(ip, 8080, &token), Ok(()));
            assert_eq!(check(ip, 0, &none), Ok(()), "there is no port");
        }
        for ip in ["127.0.0.1", "127.9.9.9", "::1", "localhost"] {
            assert_eq!(check(ip, 8080, &none), Ok(()), "{ip}");
        }
    }
}
