//! TLS to PostgreSQL. A certificate is always checked when there is one: its authority and its dates with any
//! `sslmode` that encrypts, its name too with `verify-full`.

use std::error::Error;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as Stream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError,
    RootCertStore, SignatureScheme,
};

/// What a url says of certificates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Certificates {
    /// Whether the certificate must be for the name of the url.
    pub(super) checks_name: bool,
    /// `sslrootcert`: whose signatures count; `None`: those that the system trusts.
    pub(super) authorities: Option<PathBuf>,
    /// `sslcert` and `sslkey`: our own.
    pub(super) own: Option<(PathBuf, PathBuf)>,
}

impl Certificates {
    /// What connects with them. The files are read now, so that renewed ones count at the next connection.
    ///
    /// # Errors
    /// Which file is wrong, and how.
    pub(super) fn connector(&self) -> Result<Tls, String> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(self.roots()?);
        let checked = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
        let checked = checked.map_err(|error| format!("sslrootcert: {error}"))?;
        let verifier = Verifier { checked, checks_name: self.checks_name };
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let config = match &self.own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates("sslcert", certificate)?;
                let key_of = PrivateKeyDer::from_pem_file(key);
                let key_of = key_of.map_err(|error| format!("sslkey {}: {error}", key.display()))?;
                let fits = builder.with_client_auth_cert(chain, key_of);
                fits.map_err(|error| format!("sslcert {}: {error}", certificate.display()))?
            }
        };
        Ok(Tls(TlsConnector::from(Arc::new(config))))
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            Some(path) => {
                for certificate in certificates("sslrootcert", path)? {
                    let added = roots.add(certificate);
                    added.map_err(|error| format!("sslrootcert {}: {error}", path.display()))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err("this system has no authorities that it trusts; name one: sslrootcert".into());
                }
            }
        }
        Ok(roots)
    }
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let named = |error: &dyn Error| format!("{key} {}: {error}", path.display());
    let read = CertificateDer::pem_file_iter(path).map_err(|error| named(&error))?;
    let read: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| named(&error))?;
    if read.is_empty() { Err(format!("{key} {}: no certificate is in it", path.display())) } else { Ok(read) }
}

/// What a failed connection means, and what to do: for errors of TLS and of client certificates.
pub(super) fn hint(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let within = within.and_then(|error| error.downcast_ref::<TlsError>());
        let told = error.downcast_ref::<TlsError>().or(within);
        if let Some(TlsError::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::DecryptError
            | AlertDescription::UnknownCA,
        )) = told
        {
            return Some(
                "it does not take our certificate: sslcert must be by an authority in its ssl_ca_file",
            );
        }
        if let Some(TlsError::InvalidCertificate(why)) = told {
            return Some(match why {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "its certificate has expired: it needs a new one, or this machine's clock is wrong"
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "its certificate is not valid yet: this machine's clock is wrong, or the server's was"
                }
                // The latter: there are two authorities of one name.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    "its certificate is by an authority that is not trusted here: name that authority's file, \
                     sslrootcert=/path/ca.pem"
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    "its certificate is for another name: use the name that it has in the url, or sslmode=verify-ca, \
                     which takes any name"
                }
                _ => "its certificate is not one that can be trusted",
            });
        }
        if error.to_string().contains("server does not support TLS") {
            return Some(
                "the server does not offer TLS: set `ssl = on` there, with a certificate; without sslmode in the url \
                 everything is sent in clear",
            );
        }
        if error.to_string().contains("valid client certificate") {
            return Some("it wants a certificate of ours: add sslcert=/path/cert.pem&sslkey=/path/key.pem");
        }
        cause = error.source();
    }
    None
}

#[derive(Debug)]
struct Verifier {
    checked: Arc<WebPkiServerVerifier>,
    checks_name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        // The name is looked at last: what is wrong otherwise has been told by then.
        match self.checked.verify_server_cert(own, between, name, ocsp, now) {
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.checked.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.checked.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.checked.supported_verify_schemes()
    }
}

/// Makes connections with TLS.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Tls {
    type Stream = Encrypted<S>;
    type TlsConnect = Named;
    type Error = io::Error;

    fn make_tls_connect(&mut self, name: &str) -> io::Result<Named> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        Ok(Named(self.0.clone(), name))
    }
}

/// One connection with TLS, to a server of that name.
pub(super) struct Named(TlsConnector, ServerName<'static>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Named {
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { self.0.connect(self.1, stream).await.map(Encrypted) })
    }
}

/// A connection under TLS.
pub(super) struct Encrypted<S>(Stream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    /// None: who is at the other end is known by its certificate.
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
