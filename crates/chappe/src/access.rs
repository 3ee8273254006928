//! How players come in at a proxy, by deploy.json: its certificates, and who may log in.

use crate::app::App;
use crate::exit::CommandError;
use chappe_deploy::{Access, Deploy, DeployErrors, LoginKeys, LoginRule, NodeEntry, PlayerTls};
use chappe_proxy::{ProxyOptions, Tls, TlsFiles, TokenCheck};
use chappe_wire::Role;
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

/// Whether this program checks logins where the entry says that it does.
///
/// # Errors
/// It does not.
pub(crate) fn check_program(app: &App, deploy: &Deploy, entry: &NodeEntry) -> Result<(), CommandError> {
    let is_open = || app.proxy_options(ProxyOptions::default()).check.warning().is_some();
    if entry.role != Role::Proxy || entry.access.login != LoginRule::Program || !is_open() {
        return Ok(());
    }
    let (file, place) = (&deploy.file, &entry.place);
    Err(CommandError::Usage(format!(
        "{file}:{place}: `login` is \"program\", and this program checks no logins (App::proxy)"
    )))
}

/// Whether a proxy may listen on the address that its `ip` has turned out to be: no name is known to be loopback before.
///
/// # Errors
/// It would let anyone in from elsewhere.
pub(crate) fn check_address(entry: &NodeEntry, options: &ProxyOptions, ip: IpAddr) -> Result<(), String> {
    let is_open = entry.access.login == LoginRule::Open && options.check.warning().is_some();
    match is_open && !ip.to_canonical().is_loopback() {
        true => Err(format!("a proxy on {ip} would let anyone in as any player: set `login`")),
        false => Ok(()),
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
