//! PostgreSQL under TLS: who is refused, by which name, and what the text says to do.

use crate::server::Server;
use chappe_store::{Options, PostgresStore, StoreError, check_place, survey};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, as PEM.
fn certificate(by: &Authority, name: &str, user: &str, is_expired: bool) -> (String, String) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, user);
    if is_expired {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, by).unwrap().pem(), key.serialize_pem())
}

fn open(url: &str) -> Result<(), String> {
    PostgresStore::open(url, Options::new("ours")).map(drop).map_err(|error| {
        assert!(matches!(error, StoreError::BadPlace { .. }), "it would be tried again for ever: {error:?}");
        error.to_string()
    })
}

#[test]
fn a_database_that_cannot_be_trusted_is_refused_by_name_and_told_how_to_mend() {
    let Some(mut server) = Server::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name).display().to_string()
    };
    let (ours, other) = (authority(), authority());
    let (ca, other_ca) = (put("ca.pem", &ours.pem()), put("other.pem", &other.pem()));
    let port = server.listen();
    let at = |host: &str, user: &str, more: &str| format!("postgres://{user}@{host}:{port}/postgres?{more}");
    let full = |host: &str, user: &str| at(host, user, &format!("sslmode=verify-full&sslrootcert={ca}"));
    let refused = |url: &str, wanted: [&str; 2]| {
        let text = open(url).unwrap_err();
        wanted.iter().for_each(|part| assert!(text.contains(part), "{part:?} is not in {text:?}"));
    };

    for mode in ["require", "verify-ca", "verify-full"] {
        refused(
            &at("127.0.0.1", "chappe", &format!("sslmode={mode}&sslrootcert={ca}")),
            ["does not offer TLS", "ssl = on"],
        );
    }

    let (cert, key) = certificate(&ours, "127.0.0.1", "server", false);
    server.encrypt(&cert, &key, &ours.pem());
    open(&full("127.0.0.1", "chappe")).unwrap();
    // A name that it is not for counts only where the name is asked for.
    let name = full("localhost", "chappe");
    refused(&name, ["certificate is for another name", "sslmode=verify-ca"]);
    open(&name.replace("verify-full", "verify-ca")).unwrap();
    open(&name.replace("verify-full", "require")).unwrap();
    let unknown = full("127.0.0.1", "chappe").replace(&ca, &other_ca);
    refused(&unknown, ["an authority that is not trusted", "sslrootcert="]);
    refused(&unknown.replace("verify-full", "require"), ["an authority that is not trusted", "sslrootcert="]);
    refused(&full("127.0.0.1", "chappe").replace("ca.pem", "none.pem"), ["none.pem", "sslrootcert"]);

    a_look_from_outside_sees_who_has_it_and_changes_nothing(&server, &full("127.0.0.1", "chappe"));

    // Certificates of ours: one that the server wants, one that it does not know, and none.
    let guarded = full("127.0.0.1", "guarded");
    refused(&guarded, ["valid client certificate", "sslcert="]);
    let own = |by: &Authority, name: &str| {
        let (cert, key) = certificate(by, "client", "guarded", false);
        let (cert, key) = (put(&format!("{name}.pem"), &cert), put(&format!("{name}.key"), &key));
        format!("{guarded}&sslcert={cert}&sslkey={key}")
    };
    open(&own(&ours, "own")).unwrap();
    refused(&own(&other, "stranger"), ["does not take our certificate", "ssl_ca_file"]);
    let torn = own(&ours, "torn").replace("torn.key", "own.key");
    refused(&torn, ["sslcert", "torn.pem"]);
    assert!(matches!(check_place(&torn), Err(StoreError::BadPlace { .. })), "found without a connection too");

    let (cert, key) = certificate(&ours, "127.0.0.1", "server", true);
    server.encrypt(&cert, &key, &ours.pem());
    for mode in ["verify-full", "require"] {
        let url = full("127.0.0.1", "chappe").replace("verify-full", mode);
        refused(&url, ["certificate has expired", "clock"]);
    }
}

fn a_look_from_outside_sees_who_has_it_and_changes_nothing(server: &Server, url: &str) {
    let found = survey(url).unwrap();
    assert_eq!((found.owner.as_deref(), found.schema), (Some("ours"), Some(found.latest)));
    assert!(!found.is_in_use && !found.is_in_clear && found.hindrance.is_none(), "{found:?}");
    let held = PostgresStore::open(url, Options::new("ours")).unwrap();
    assert!(survey(url).unwrap().is_in_use);
    drop(held);
    server.execute("CREATE SCHEMA fresh; CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA fresh TO reader");
    let fresh = |user: &str| {
        let url = url.replace("chappe@", &format!("{user}@"));
        survey(&format!("{url}&options=-csearch_path%3Dfresh")).unwrap()
    };
    assert_eq!((fresh("chappe").owner, fresh("chappe").schema), (None, None));
    let text = fresh("reader").hindrance.unwrap();
    assert!(text.contains("GRANT CREATE ON SCHEMA fresh"), "{text}");
    let nobody = survey(&url.replace("/postgres?", "/nowhere?")).unwrap_err().to_string();
    assert!(nobody.contains("nowhere") && nobody.contains("does not exist"), "{nobody}");
}
