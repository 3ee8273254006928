//! TLS with players: the certificates, and what a handshake can fail with.

use crate::files::{self, Contents, FileError};
use chappe_node::{Node, Stats};
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{Error, RootCertStore, ServerConfig};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::time::ASN1Time;

/// Where the certificates stand, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The proxy's certificate, and behind it those that lead to its authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities whose certificates clients must have; none: clients need no certificate.
    pub client_ca: Vec<PathBuf>,
}

/// What is wrong with the certificates.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are what the message names")]
pub enum TlsError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file that should hold certificates holds none.
    #[error("{}: there is no certificate in it (PEM)", .path.display())]
    NoCertificate { path: PathBuf },
    /// Something in the file is no certificate.
    #[error("{}: what stands in it is no certificate: {reason}", .path.display())]
    BadCertificate { path: PathBuf, reason: String },
    /// The key's file holds none.
    #[error("{}: there is no private key in it that can be used (PEM)", .path.display())]
    NoKey { path: PathBuf },
    /// The key is another certificate's.
    #[error("the key {} does not belong to the certificate {}", .key.display(), .cert.display())]
    KeyMismatch { cert: PathBuf, key: PathBuf },
    /// The certificate's time is over.
    #[error("{}: the certificate has expired on {when}", .path.display())]
    Expired { path: PathBuf, when: String },
    /// The certificate's time has not begun.
    #[error("{}: the certificate is not valid before {when}", .path.display())]
    NotYetValid { path: PathBuf, when: String },
    /// The library refuses it.
    #[error("{}: {reason}", .path.display())]
    Refused { path: PathBuf, reason: String },
}

/// A proxy's certificates as they are used for new connections. Those that stand keep what they began with.
pub struct Tls {
    files: TlsFiles,
    current: RefCell<Arc<ServerConfig>>,
    /// When the certificate expires, in seconds since the Unix epoch.
    ends: Cell<i64>,
    /// The mark of the files that were read first.
    seen: u64,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn load(files: TlsFiles) -> Result<Tls, TlsError> {
        let contents = files::read(&files.paths());
        let seen = files::mark(&contents);
        let (config, ends) = files.config(contents?, SystemTime::now())?;
        Ok(Tls { files, current: RefCell::new(Arc::new(config)), ends: Cell::new(ends), seen })
    }

    /// What the next handshake is done with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.current.borrow().clone()
    }

    /// Takes the files' new contents for as long as the proxy runs. What is wrong with them changes nothing and is told.
    pub(crate) async fn keep_up(self: Rc<Self>, every: Duration, node: Node) {
        let this = self.clone();
        self.tell_end(node.stats());
        files::watch(self.files.paths(), every, self.seen, move |contents| {
            let told = node.stats();
            match this.renew(contents) {
                Ok(()) => {
                    told.count("tls_certificates_renewed");
                    tracing::info!(cert = %this.files.cert.display(), "the certificate was read again");
                }
                Err(error) => {
                    told.count("tls_renewals_failed");
                    tracing::warn!(%error, "the certificates have changed and are wrong: those before are still used");
                }
            }
            this.tell_end(told);
        })
        .await;
    }

    fn renew(&self, contents: Contents) -> Result<(), TlsError> {
        let (config, ends) = self.files.config(contents?, SystemTime::now())?;
        *self.current.borrow_mut() = Arc::new(config);
        self.ends.set(ends);
        Ok(())
    }

    /// For whoever watches the figures: the moment at which the certificate expires.
    fn tell_end(&self, stats: &Stats) {
        stats.gauge("tls_certificate_expires", u64::try_from(self.ends.get()).unwrap_or(0));
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.files).finish()
    }
}

impl TlsFiles {
    fn paths(&self) -> Vec<PathBuf> {
        [&self.cert, &self.key].into_iter().chain(&self.client_ca).cloned().collect()
    }

    /// What handshakes are done with, and when the certificate expires. `contents` are those of [`TlsFiles::paths`].
    fn config(&self, contents: Vec<Vec<u8>>, now: SystemTime) -> Result<(ServerConfig, i64), TlsError> {
        let mut contents = contents.into_iter();
        let mut next = || contents.next().unwrap_or_default();
        let chain = certificates(&self.cert, &next())?;
        let ends = check_times(&self.cert, &chain, now)?;
        let key =
            PrivateKeyDer::from_pem_slice(&next()).map_err(|_| TlsError::NoKey { path: self.key.clone() })?;
        let provider = Arc::new(default_provider());
        let refused = |path: &Path| {
            let path = path.to_owned();
            move |reason: String| TlsError::Refused { path, reason }
        };
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(&self.cert)(error.to_string()))?;
        let asks_clients = !self.client_ca.is_empty();
        let builder = if asks_clients {
            let mut roots = RootCertStore::empty();
            for path in &self.client_ca {
                for certificate in certificates(path, &next())? {
                    roots.add(certificate).map_err(|error| refused(path)(error.to_string()))?;
                }
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(
                verifier.map_err(|error| refused(&self.client_ca[0])(error.to_string()))?,
            )
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            Error::InconsistentKeys(_) => {
                TlsError::KeyMismatch { cert: self.cert.clone(), key: self.key.clone() }
            }
            error => refused(&self.key)(error.to_string()),
        })?;
        if asks_clients {
            // A connection that is taken up again would not show its certificate.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = Ticketer::new().map_err(|error| refused(&self.cert)(error.to_string()))?;
            config.send_tls13_tickets = 1;
        }
        Ok((config, ends))
    }
}

fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(bytes).collect();
    let read =
        read.map_err(|error| TlsError::BadCertificate { path: path.to_owned(), reason: error.to_string() })?;
    match read.is_empty() {
        true => Err(TlsError::NoCertificate { path: path.to_owned() }),
        false => Ok(read),
    }
}

/// When the first of the chain to expire does so. Nobody would take one that has.
fn check_times(path: &Path, chain: &[CertificateDer<'_>], now: SystemTime) -> Result<i64, TlsError> {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let mut first = i64::MAX;
    for certificate in chain {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
            .map_err(|error| TlsError::BadCertificate { path: path.to_owned(), reason: error.to_string() })?;
        let validity = parsed.validity();
        let text = |time: ASN1Time| time.to_rfc2822().unwrap_or_else(|_| time.to_string());
        if validity.not_after.timestamp() <= now {
            return Err(TlsError::Expired { path: path.to_owned(), when: text(validity.not_after) });
        }
        if validity.not_before.timestamp() > now {
            return Err(TlsError::NotYetValid { path: path.to_owned(), when: text(validity.not_before) });
        }
        first = first.min(validity.not_after.timestamp());
    }
    Ok(first)
}

/// The counter of a handshake that has failed so.
pub(crate) fn failure(error: &io::Error) -> &'static str {
    use rustls::Error as Tls;
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Tls>()) {
        Some(Tls::NoCertificatesPresented) => "tls_client_certificate_missing",
        Some(Tls::InvalidCertificate(_)) => "tls_client_certificate_refused",
        Some(Tls::AlertReceived(_)) => "tls_refused_by_client",
        Some(Tls::PeerIncompatible(_)) => "tls_incompatible_client",
        Some(Tls::InvalidMessage(_) | Tls::InappropriateMessage { .. } | Tls::PeerMisbehaved(_)) => {
            "tls_not_tls"
        }
        Some(_) => "tls_failed_otherwise",
        None => "tls_closed_early",
    }
}
