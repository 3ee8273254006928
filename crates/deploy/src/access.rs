//! How players come in: the keys `login`, `tls` and `origins` of a proxy, or at the top for all of them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chappe_wire::Role;

use crate::deploy::Deploy;
use crate::entry::{Draft, NodeEntry, resolve};
use crate::error::{DeployError, DeployErrors, Notice, Problem};
use crate::field::{Field, Fields};
use crate::place::Place;
use crate::report::Report;

/// How players come in at one proxy.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Access {
    /// Who may log in, and as whom.
    pub login: LoginRule,
    /// The certificates; none: plain WebSocket.
    pub tls: Option<PlayerTls>,
    /// Pages of which sites may connect; none: of all.
    pub origins: Vec<String>,
    /// Where the proxy's address stands, else its entry.
    spot: Option<Place>,
}

/// The key `login`.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub enum LoginRule {
    /// Not given: anyone as anyone, which is taken on a loopback address only.
    #[default]
    Open,
    /// `"any"`: the same, on any address.
    Any,
    /// `"program"`: what the proxy's program checks itself (`App::proxy`).
    Program,
    /// `{"keys": ...}`: those with a token that one of the keys has signed.
    Keys(LoginKeys),
}

/// The keys that login tokens are checked with.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LoginKeys {
    /// The file with a JWK set, absolute.
    pub keys: PathBuf,
    /// By how much clocks may differ (`leeway_seconds`, default 30 s).
    pub leeway: Duration,
    /// Where it stands.
    pub place: Place,
}

/// The certificates of a proxy, as PEM files with absolute paths.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PlayerTls {
    /// `cert`: the certificate, and those that lead to its authority.
    pub cert: PathBuf,
    /// `key`: its private key.
    pub key: PathBuf,
    /// `client_ca`: whose certificates players must have; empty: none is asked for.
    pub client_ca: Vec<PathBuf>,
    /// Where it stands.
    pub place: Place,
}

/// The keys of this file, in entries of proxies and at the top.
pub(crate) const KEYS: [&str; 3] = ["login", "origins", "tls"];
const LOGIN: [&str; 2] = ["keys", "leeway_seconds"];
const TLS: [&str; 3] = ["cert", "key", "client_ca"];
const LEEWAY: Duration = Duration::from_secs(30);
/// More would be a second life for every token.
const MOST_LEEWAY: i64 = 300;

/// The keys that an entry of this role may have, `own` among them.
pub(crate) fn keys_of(role: Role, own: &'static [&'static str]) -> Vec<&'static str> {
    let more: &[&str] = if role == Role::Proxy { &KEYS } else { &[] };
    own.iter().chain(more).copied().collect()
}

impl Access {
    /// What stands in an entry, or at the top.
    pub(crate) fn read(fields: &Fields<'_>, dir: &Path, report: &mut Report<'_>) -> Access {
        Access {
            login: fields.find("login").map(|field| login(&field, dir, report)).unwrap_or_default(),
            tls: fields.find("tls").and_then(|field| tls(&field, dir, report)),
            origins: fields.find("origins").map(|field| origins(&field, report)).unwrap_or_default(),
            spot: fields.find("ip").map(|ip| ip.place(report)),
        }
    }

    /// Takes over where the other stands in its file, so that nothing but what they say differs.
    pub(crate) fn place_as(&mut self, other: &Access) {
        self.spot.clone_from(&other.spot);
        if let (Some(mine), Some(others)) = (&mut self.tls, &other.tls) {
            mine.place.clone_from(&others.place);
        }
        if let (LoginRule::Keys(mine), LoginRule::Keys(others)) = (&mut self.login, &other.login) {
            mine.place.clone_from(&others.place);
        }
    }
}

/// Gives the proxies what stands at the top where their entries say nothing, and reports those that let anyone in from
/// elsewhere.
pub(crate) fn settle(top: &Fields<'_>, drafts: &mut [Draft], dir: &Path, report: &mut Report<'_>) {
    let given = Access::read(top, dir, report);
    for node in drafts.iter_mut().map(|draft| &mut draft.node).filter(|node| node.role == Role::Proxy) {
        let access = &mut node.access;
        if access.login == LoginRule::Open {
            access.login = given.login.clone();
        }
        access.tls = access.tls.take().or_else(|| given.tls.clone());
        if access.origins.is_empty() {
            access.origins.clone_from(&given.origins);
        }
        if is_loopback(&node.ip) {
            continue;
        }
        let spot = access.spot.clone().unwrap_or_else(|| node.place.clone());
        match &access.login {
            LoginRule::Open => report.error(spot, Problem::OpenLogin { ip: node.ip.clone() }),
            LoginRule::Any => report.warn(spot, Notice::AnyLogin { ip: node.ip.clone() }),
            LoginRule::Keys(_) if access.tls.is_none() => {
                report.warn(spot, Notice::PlainLogin { ip: node.ip.clone() });
            }
            LoginRule::Keys(_) | LoginRule::Program => {}
        }
    }
}

/// Whether nobody but this machine reaches it. Of a host name nobody knows.
fn is_loopback(ip: &str) -> bool {
    ip == "localhost" || ip.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn login(field: &Field<'_>, dir: &Path, report: &mut Report<'_>) -> LoginRule {
    if field.is_text() {
        return match field.text(report).as_deref() {
            Some("any") => LoginRule::Any,
            Some("program") => LoginRule::Program,
            Some(other) => {
                field.error(Problem::BadLogin { login: other.to_owned() }, report);
                // It is reported already: not for a second time as missing.
                LoginRule::Program
            }
            None => LoginRule::Program,
        };
    }
    let read = field.object(report).and_then(|fields| {
        fields.unknown(&LOGIN, report);
        let leeway = fields.find("leeway_seconds").and_then(|field| field.unsigned(0..=MOST_LEEWAY, report));
        let keys = match fields.find("keys") {
            Some(keys) => keys.text(report)?,
            None => {
                field.error(Problem::Missing { wanted: "`keys`, the path of a JSON Web Key set" }, report);
                return None;
            }
        };
        let leeway = leeway.map_or(LEEWAY, Duration::from_secs);
        Some(LoginKeys { keys: resolve(dir, &keys), leeway, place: field.place(report) })
    });
    read.map_or(LoginRule::Program, LoginRule::Keys)
}

fn tls(field: &Field<'_>, dir: &Path, report: &mut Report<'_>) -> Option<PlayerTls> {
    let fields = field.object(report)?;
    fields.unknown(&TLS, report);
    let mut file =
        |key| fields.find(key).and_then(|field| field.text(report)).map(|path| resolve(dir, &path));
    let (cert, key) = (file("cert"), file("key"));
    let client_ca = fields.find("client_ca").map(|field| field.names(report)).unwrap_or_default();
    let (Some(cert), Some(key)) = (cert, key) else {
        field.error(Problem::Missing { wanted: "`cert` and `key`, the paths of PEM files" }, report);
        return None;
    };
    let client_ca = client_ca.into_iter().map(|(path, _)| resolve(dir, &path)).collect();
    Some(PlayerTls { cert, key, client_ca, place: field.place(report) })
}

/// As browsers write them: a scheme, a host, and a port that is not the scheme's own.
fn origins(field: &Field<'_>, report: &mut Report<'_>) -> Vec<String> {
    let mut origins = Vec::new();
    for (origin, place) in field.names(report) {
        let host = origin.split_once("://").map_or("", |(_, host)| host);
        if host.is_empty() || host.contains(['/', '@', ' ', '*']) {
            report.error(place, Problem::BadOrigin { origin });
        } else {
            origins.push(origin);
        }
    }
    origins
}

impl Deploy {
    /// Has `tls` and `keys` look at the files of those proxies that `runs_here` says run on this machine, once for each
    /// place.
    ///
    /// # Errors
    /// All that is wrong with them, each with its place.
    pub fn check_access(
        &self,
        runs_here: impl Fn(&NodeEntry) -> bool,
        tls: impl Fn(&PlayerTls) -> Result<(), String>,
        keys: impl Fn(&LoginKeys) -> Result<(), String>,
    ) -> Result<(), DeployErrors> {
        let mut seen: Vec<&Place> = Vec::new();
        let mut errors = Vec::new();
        let proxies = self.nodes.iter().filter(|node| node.role == Role::Proxy && runs_here(node));
        for access in proxies.map(|node| &node.access) {
            if let Some(files) = access.tls.as_ref().filter(|files| !seen.contains(&&files.place)) {
                seen.push(&files.place);
                if let Err(reason) = tls(files) {
                    errors.push(DeployError {
                        place: files.place.clone(),
                        problem: Problem::BadTls { reason },
                    });
                }
            }
            if let LoginRule::Keys(file) = &access.login
                && !seen.contains(&&file.place)
            {
                seen.push(&file.place);
                if let Err(reason) = keys(file) {
                    let problem = Problem::BadLoginKeys { reason };
                    errors.push(DeployError { place: file.place.clone(), problem });
                }
            }
        }
        DeployErrors::new(&self.file, errors, Vec::new()).map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::errors;

    fn parse(top: &str, proxy: &str) -> (Deploy, String) {
        let text = format!(
            r#"{{"master": {{"serverid": 1}}, {top} "lobby": [{{"serverid": 3}}],
"proxy": [{{"serverid": 2, "port": 80{proxy}}}]}}"#
        );
        let (deploy, warnings) = Deploy::parse(&text, "/etc/chappe/deploy.json").unwrap();
        let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        (deploy, warnings.join("\n"))
    }

    fn access(deploy: &Deploy) -> &Access {
        &deploy.node(2).unwrap().access
    }

    #[test]
    fn a_proxy_that_anyone_reaches_is_not_left_open_by_oversight() {
        let file = |ip| {
            format!(
                r#"{{"master": {{"serverid": 1}}, "lobby": [{{"serverid": 3}}], "proxy": [{{"serverid": 2, "port": 80, "ip": "{ip}"}}]}}"#
            )
        };
        insta::assert_snapshot!(errors(&file("0.0.0.0")), @r#"deploy.json:1:101: proxy[0].ip: a proxy on 0.0.0.0 lets anyone in as any player: set `login` to {"keys": FILE}, or to "any" if that is what you want"#);
        for ip in ["10.0.0.1", "::", "play.example.com"] {
            assert!(errors(&file(ip)).contains("lets anyone in as any player"), "{ip}");
        }
        for ip in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost"] {
            let (deploy, warnings) = parse("", &format!(r#", "ip": "{ip}""#));
            assert_eq!((&access(&deploy).login, warnings.as_str()), (&LoginRule::Open, ""), "{ip}");
        }
    }

    #[test]
    fn who_opens_it_on_purpose_is_warned() {
        let (deploy, warnings) = parse(r#""login": "any","#, r#", "ip": "0.0.0.0""#);
        assert_eq!(access(&deploy).login, LoginRule::Any);
        insta::assert_snapshot!(warnings, @"2:45: proxy[0].ip: NO LOGIN CHECK on 0.0.0.0: whoever reaches this proxy can log in as any player");
        let (_, warnings) = parse(r#""login": {"keys": "k.json"},"#, r#", "ip": "0.0.0.0""#);
        insta::assert_snapshot!(warnings, @"2:45: proxy[0].ip: login tokens come to 0.0.0.0 unencrypted, unless what stands before this proxy speaks TLS");
        let (_, warnings) = parse(r#""login": "program","#, r#", "ip": "0.0.0.0""#);
        assert_eq!(warnings, "");
    }

    #[test]
    fn a_proxys_own_keys_go_before_those_at_the_top() {
        let top = r#""login": {"keys": "k.json"}, "origins": "https://a", "tls": {"cert": "c.pem", "key": "/k.pem", "client_ca": "ca.pem"},"#;
        let (deploy, _) = parse(top, "");
        let all = access(&deploy);
        let LoginRule::Keys(keys) = &all.login else { panic!("{:?}", all.login) };
        assert_eq!((&*keys.keys, keys.leeway), (Path::new("/etc/chappe/k.json"), LEEWAY));
        let tls = all.tls.clone().unwrap();
        assert_eq!((&*tls.cert, &*tls.key), (Path::new("/etc/chappe/c.pem"), Path::new("/k.pem")));
        assert_eq!((tls.client_ca.len(), all.origins.as_slice()), (1, &["https://a".to_owned()][..]));

        let (deploy, _) = parse(top, r#", "login": "any", "origins": ["https://b", "http://c:8080"]"#);
        assert_eq!((&access(&deploy).login, access(&deploy).origins.len()), (&LoginRule::Any, 2));
        let report = |_: &PlayerTls| Err("gone".to_owned());
        let found = deploy.check_access(|_| true, report, |_| Ok(())).unwrap_err().to_string();
        assert!(found.contains("tls: TLS cannot be used: gone"), "{found}");
        assert!(deploy.check_access(|_| false, report, |_| Ok(())).is_ok());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let file = r#"{"master": {"serverid": 1, "tls": {}}, "login": "all", "lobby": [{"serverid": 3}], "proxy": [
  {"serverid": 2, "port": 80, "login": {"key": "a"}, "tls": {"cert": "c.pem"}, "origins": ["https://a/", "b", "*"]},
  {"serverid": 4, "port": 81, "login": {"keys": "a", "leeway_seconds": 301}, "ip": "0.0.0.0"}]}"#;
        insta::assert_snapshot!(errors(file), @r#"
    deploy.json:1:49: login: `all` is no rule for logins: {"keys": FILE}, "any" or "program"
    deploy.json:2:40: proxy[0].login: missing: `keys`, the path of a JSON Web Key set
    deploy.json:2:61: proxy[0].tls: missing: `cert` and `key`, the paths of PEM files
    deploy.json:2:92: proxy[0].origins[0]: `https://a/` is no origin: a scheme, a host and a port, such as https://play.example.com
    deploy.json:2:106: proxy[0].origins[1]: `b` is no origin: a scheme, a host and a port, such as https://play.example.com
    deploy.json:2:111: proxy[0].origins[2]: `*` is no origin: a scheme, a host and a port, such as https://play.example.com
    deploy.json:3:72: proxy[1].login.leeway_seconds: 301 is out of range: must be from 0 to 300
    "#);
    }
}
