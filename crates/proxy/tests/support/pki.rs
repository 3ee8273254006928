//! Authorities and certificates, as files in a directory.

#![allow(dead_code, reason = "each test binary uses its own part of it")]

use chappe_client::Tls;
use chappe_proxy::TlsFiles;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::fs;
use std::path::{Path, PathBuf};

/// An authority with the certificates that it has issued. Each `name` is `name.pem` and `name.key`.
pub(crate) struct Authority {
    dir: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Authority { dir: tempfile::tempdir().unwrap(), issuer };
        fs::write(authority.path("ca.pem"), authority.issuer.pem()).unwrap();
        authority
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// Issues a certificate for this machine, valid between two years; any before it of that name is replaced.
    pub(crate) fn issue(&self, name: &str, years: (i32, i32)) {
        let mut params =
            CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// The files of a proxy with the certificate `name`.
    pub(crate) fn proxy(&self, name: &str) -> TlsFiles {
        let (cert, key) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        TlsFiles { cert, key, client_ca: Vec::new() }
    }

    /// A client that trusts this authority.
    pub(crate) fn trusted(&self) -> Tls {
        Tls::new().authority(self.ca())
    }

    /// The same with the certificate `name` of `issuer`.
    pub(crate) fn trusted_with(&self, issuer: &Authority, name: &str) -> Tls {
        self.trusted().certificate(issuer.path(&format!("{name}.pem")), issuer.path(&format!("{name}.key")))
    }
}

/// Years in which a certificate is valid now.
pub(crate) const VALID: (i32, i32) = (2020, 2100);
