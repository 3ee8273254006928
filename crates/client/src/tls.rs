//! TLS with the proxy: whom a client trusts, and what it shows of itself.

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// What a client needs for `wss://`: by default the authorities that the system trusts, and no certificate of its own.
/// The files are read at the first connection; clones share what was read.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    authorities: Vec<PathBuf>,
    own: Option<(PathBuf, PathBuf)>,
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Tls {
    /// Trusts the authorities of the system.
    pub fn new() -> Tls {
        Tls::default()
    }

    /// Trusts the certificates in this PEM file, and those of the system no more. It may be called for several.
    #[must_use]
    pub fn authority(mut self, path: impl Into<PathBuf>) -> Tls {
        self.authorities.push(path.into());
        self.config = Arc::default();
        self
    }

    /// Shows this certificate, with its key, to a proxy that asks for one; both are PEM files.
    #[must_use]
    pub fn certificate(mut self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Tls {
        self.own = Some((cert.into(), key.into()));
        self.config = Arc::default();
        self
    }

    /// The system's authorities are many files: they are read once for all clients of a process.
    pub(crate) fn of_system() -> Tls {
        static SYSTEM: OnceLock<Tls> = OnceLock::new();
        SYSTEM.get_or_init(Tls::new).clone()
    }

    /// What connections are made with.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let config = Arc::new(self.read()?);
        Ok(self.config.get_or_init(|| config).clone())
    }

    fn read(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        if self.authorities.is_empty() {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err("the system trusts no authority; name a file with one".to_owned());
            }
        }
        for path in &self.authorities {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots);
        match &self.own {
            None => Ok(builder.with_no_client_auth()),
            Some((cert, key)) => {
                let chain = certificates(cert)?;
                let private = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| format!("{}: {error}", key.display()))?;
                builder
                    .with_client_auth_cert(chain, private)
                    .map_err(|error| format!("{} with {}: {error}", cert.display(), key.display()))
            }
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |error: String| format!("{}: {error}", path.display());
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let read = read.map_err(|error| failed(error.to_string()))?;
    if read.is_empty() { Err(failed("there is no certificate in it (PEM)".to_owned())) } else { Ok(read) }
}

/// What TLS itself has to say about a connection that failed, if it was that.
pub(crate) fn cause(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(cause) = error.downcast_ref::<rustls::Error>() {
            return Some(cause.to_string());
        }
        // An I/O error shows what it carries here only.
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
