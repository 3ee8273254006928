//! How players come in at a proxy, by deploy.json: its certificates, and who may log in.

use chappe_deploy::{Access, Deploy, DeployErrors, LoginKeys, LoginRule, NodeEntry, PlayerTls};
use chappe_proxy::{ProxyOptions, Tls, TlsFiles, TokenCheck};
use std::net::IpAddr;
use std::rc::Rc;

/// Looks at the files of the proxies that run here.
///
/// # Errors
/// What is wrong with them, with the places that name them.
pub(crate) fn check(deploy: &Deploy, runs_here: impl Fn(&NodeEntry) -> bool) -> Result<(), DeployErrors> {
    let tls = |files: &PlayerTls| tls(files).map(drop);
    deploy.check_access(runs_here, tls, |keys| login(deploy, keys).map(drop))
}

/// Puts what the entry of a proxy says into its options.
///
/// # Errors
/// What is wrong, with its place.
pub(crate) fn apply(deploy: &Deploy, access: &Access, options: &mut ProxyOptions) -> Result<(), String> {
    if let Some(files) = &access.tls {
        let read = tls(files).map_err(|error| format!("{}:{}: {error}", deploy.file, files.place))?;
        options.tls = Some(Rc::new(read));
    }
    if let LoginRule::Keys(keys) = &access.login {
        let read = login(deploy, keys).map_err(|error| format!("{}:{}: {error}", deploy.file, keys.place))?;
        options.check = Rc::new(read);
    }
    options.origins.clone_from(&access.origins);
    Ok(())
}

/// Whether logins are checked as the entry says, once the game has set its own options; `ip` is where the proxy
/// listens.
///
/// # Errors
/// They are not.
pub(crate) fn confirm(entry: &NodeEntry, options: &ProxyOptions, ip: IpAddr) -> Result<(), String> {
    let is_open = options.check.warning().is_some();
    let place = &entry.place;
    match entry.access.login {
        LoginRule::Program if is_open => {
            Err(format!("{place}: `login` is \"program\", and this program checks no logins (App::proxy)"))
        }
        LoginRule::Open if is_open && !ip.to_canonical().is_loopback() => {
            Err(format!("{place}: a proxy on {ip} would let anyone in as any player: set `login`"))
        }
        _ => Ok(()),
    }
}

fn tls(files: &PlayerTls) -> Result<Tls, String> {
    let PlayerTls { cert, key, client_ca, .. } = files;
    let files = TlsFiles { cert: cert.clone(), key: key.clone(), client_ca: client_ca.clone() };
    Tls::load(files).map_err(|error| error.to_string())
}

fn login(deploy: &Deploy, keys: &LoginKeys) -> Result<TokenCheck, String> {
    TokenCheck::load(keys.keys.clone(), &deploy.cluster, keys.leeway).map_err(|error| error.to_string())
}
