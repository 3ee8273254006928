//! A certificate for the proxy of a throw-away cluster, made by the program `openssl`.

use super::BenchResult;
use chappe_client::Tls;
use chappe_proxy::{Tls as ProxyTls, TlsFiles};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

/// What `openssl req` is asked for: a key on P-256, and a certificate by itself for this machine's own address.
const REQUEST: &str = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -config request.cnf";
const CONFIG: &str = "[req]\nprompt=no\ndistinguished_name=dn\nx509_extensions=own\n[dn]\nCN=bench\n\
    [own]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n";

/// A certificate and its key, as files of a directory.
pub(super) struct Certificate {
    cert: PathBuf,
    key: PathBuf,
}

impl Certificate {
    /// Those of a directory.
    pub(super) fn in_directory(dir: &Path) -> Certificate {
        Certificate { cert: dir.join("cert.pem"), key: dir.join("key.pem") }
    }

    /// Makes them.
    pub(super) fn make(dir: &Path) -> BenchResult<Certificate> {
        std::fs::write(dir.join("request.cnf"), CONFIG)?;
        let mut command = Command::new("openssl");
        command.arg("req").args(REQUEST.split(' ')).args(["-keyout", "key.pem", "-out", "cert.pem"]);
        let made = command.current_dir(dir).output();
        let made = made.map_err(|error| format!("--tls needs the program openssl: {error}"))?;
        if made.status.success() {
            return Ok(Certificate::in_directory(dir));
        }
        Err(format!("openssl makes no certificate: {}", String::from_utf8_lossy(&made.stderr).trim()).into())
    }

    /// What clients trust.
    pub(super) fn trusted(&self) -> Tls {
        Tls::new().authority(&self.cert)
    }

    /// What a proxy shows.
    pub(super) fn load(self) -> Result<Rc<ProxyTls>, String> {
        let files = TlsFiles { cert: self.cert, key: self.key, client_ca: Vec::new() };
        ProxyTls::load(files).map(Rc::new).map_err(|error| error.to_string())
    }
}
