//! `chappe nats-config`: a configuration of the NATS servers, in which each role may do what it needs and no more.

use super::{Context, DeployFile};
use crate::exit::CommandError;
use chappe_deploy::{Deploy, Engine, EngineCredentials, NodeEntry};
use chappe_link::Group;
use chappe_link::nats::{Permissions, Speaks};
use chappe_wire::{NodeId, Role};
use clap::ValueEnum;
use serde_json::json;
use std::fmt::Write;

/// Print a nats-server.conf with users and permissions for this cluster
///
/// Each user may hear what is for its own nodes and claim their ids, and no others. Passwords are not in it: the server
/// takes them from its environment. Make it anew when nodes are added, and have the servers read it:
/// `nats-server --signal reload`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  chappe nats-config deploy.json > nats-server.conf")]
pub(super) struct Args {
    #[command(flatten)]
    file: DeployFile,
    /// What has a user of its own
    #[arg(long, value_enum, default_value = "role")]
    per: Per,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Per {
    /// Each role: master, proxy, lobby, game, service
    Role,
    /// Each host of deploy.json
    Host,
    /// Each node
    Node,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let deploy = args.file.load()?;
    let Some(engine) = &deploy.engine else {
        let text = format!("{}: it has no `engine`, so nothing of it goes over NATS", deploy.file);
        return Err(CommandError::Usage(text));
    };
    let users = users(&deploy, args.per);
    let text = render(&deploy, engine, args.per, &users);
    context.print(&json!({"ok": true, "config": text}), || text.trim_end().to_owned());
    Ok(())
}

/// A user: of what it is, and what it may do.
struct User {
    name: String,
    of: String,
    may: Permissions,
}

fn users(deploy: &Deploy, per: Per) -> Vec<User> {
    let key = |entry: &NodeEntry| match per {
        Per::Role => entry.role.to_string(),
        Per::Host => entry.host.clone().unwrap_or_default(),
        Per::Node => entry.id.to_string(),
    };
    let mut groups: Vec<(String, Vec<&NodeEntry>)> = Vec::new();
    for entry in &deploy.nodes {
        let key = key(entry);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, nodes)) => nodes.push(entry),
            None => groups.push((key, vec![entry])),
        }
    }
    let pattern = pattern(deploy, per);
    let name = |of: &str| pattern.replace(per.placeholder(), of);
    let node_user = |(of, nodes): (String, Vec<&NodeEntry>)| User {
        name: name(&of),
        may: may(&deploy.cluster, &nodes),
        of,
    };
    let masters = deploy.nodes.iter().filter(|entry| entry.role == Role::Master);
    let masters: Vec<NodeId> = masters.map(|entry| NodeId(entry.id)).collect();
    let of = Role::Tool.to_string();
    let tools = User { name: name(&of), of, may: Permissions::of_tools(&deploy.cluster, &masters) };
    groups.into_iter().map(node_user).chain([tools]).collect()
}

/// What a user for those nodes may do.
fn may(cluster: &str, nodes: &[&NodeEntry]) -> Permissions {
    let ids: Vec<NodeId> = nodes.iter().map(|entry| NodeId(entry.id)).collect();
    let group = |entry: &&NodeEntry| match entry.role {
        role if role.is_server() => Some(Group::Servers(entry.node_type.clone())),
        Role::Service => Some(Group::Services),
        _ => None,
    };
    let mut hears: Vec<Group> = Vec::new();
    for group in nodes.iter().filter_map(group) {
        if !hears.contains(&group) {
            hears.push(group);
        }
    }
    let speaks = Speaks {
        to_services: nodes.iter().any(|entry| entry.role != Role::Proxy),
        to_servers: nodes.iter().any(|entry| entry.role == Role::Service),
    };
    Permissions::of_nodes(cluster, &ids, &hears, speaks)
}

impl Per {
    fn placeholder(self) -> &'static str {
        match self {
            Per::Role => "{role}",
            Per::Host => "{host}",
            Per::Node => "{id}",
        }
    }
}

/// The users' names: as deploy.json has them, where they are as many as are wanted.
fn pattern(deploy: &Deploy, per: Per) -> String {
    match deploy.engine.as_ref().map(|engine| &engine.credentials) {
        Some(EngineCredentials::Password { user, .. }) if user.contains(per.placeholder()) => user.clone(),
        _ => format!("{}-{}", deploy.cluster, per.placeholder()),
    }
}

fn render(deploy: &Deploy, engine: &Engine, per: Per, users: &[User]) -> String {
    let port = engine.nats.first().and_then(|server| server.rsplit_once(':'));
    let port = port.and_then(|(_, port)| port.parse::<u16>().ok()).unwrap_or(4222);
    let mut text = String::new();
    let mut say = |line: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{line}");
    };
    say(&format!(
        "# nats-server for the cluster {}, made by `chappe nats-config {}`.",
        plain(&deploy.cluster),
        plain(&deploy.file)
    ));
    say("# Look at it: nats-server -c nats-server.conf -t. Run it: nats-server -c nats-server.conf");
    say("# Make it anew when nodes are added to the cluster, and then: nats-server --signal reload");
    say("");
    say("# An address of the machine in the private network; 127.0.0.1 serves this machine alone.");
    say(&format!("listen: \"0.0.0.0:{port}\""));
    say("# A message of the cluster is cut into pieces that fit; less than 4096 is refused.");
    say("max_payload: 1MB");
    say("# Finds out within half a minute who is gone without a word.");
    say("ping_interval: \"10s\"");
    say("ping_max: 2");
    say(
        "# What may wait for one client. More, or longer than that: it is cut off, and what it missed is sent again.",
    );
    say("max_pending: 64MB");
    say("write_deadline: \"10s\"");
    say("");
    let is_encrypted = engine.tls.is_some() || engine.nats.iter().any(|server| server.starts_with("tls://"));
    if is_encrypted {
        say(
            "# Paths on the server's machine. The certificate must be for the address that deploy.json names.",
        );
    } else {
        say(
            "# Without this block passwords and messages go in clear: for a private network only. deploy.json then",
        );
        say("# names tls:// addresses, and \"tls\": {\"ca\": [\"ca.pem\"]} beside them.");
    }
    let asks = engine.tls.as_ref().is_some_and(|tls| tls.own.is_some());
    let block = [
        "tls {",
        "  cert_file: \"server.pem\"",
        "  key_file: \"server.key\"",
        "  # Clients must show a certificate by this authority.",
        "  ca_file: \"ca.pem\"",
        "  verify: true",
        "}",
    ];
    for (at, line) in block.iter().enumerate() {
        let is_off = !is_encrypted || (!asks && (3..6).contains(&at));
        say(&if is_off { format!("# {line}") } else { (*line).to_owned() });
    }
    say("");
    say(&format!(
        "# One user for each {}. The server takes the passwords from its environment: set the variables",
        per.word()
    ));
    say(
        "# that are named here (a password that begins with a digit needs quotation marks around it there), or put",
    );
    say("# hashes in their place, \"$2a$...\", made by `nats server passwd`. The nodes are told with:");
    say(&format!(
        "#   \"credentials\": {{\"user\": \"{}\", \"password_file\": \"nats-{}.password\"}}",
        plain(&pattern(deploy, per)),
        per.placeholder()
    ));
    say("# An account of its own: nobody outside of it hears or says anything of this cluster.");
    say("accounts {");
    say(&format!("  {} {{", account(&deploy.cluster)));
    say("    users: [");
    for user in users {
        say(&format!("      {{ # {}", about(&user.of, per)));
        say(&format!("        user: {}", quoted(&user.name)));
        say(&format!("        password: ${}", variable(&user.of)));
        say("        permissions {");
        for (what, subjects) in [("publish", &user.may.publish), ("subscribe", &user.may.subscribe)] {
            say(&format!("          {what}: {{ allow: ["));
            subjects.iter().for_each(|subject| say(&format!("            {}", quoted(subject))));
            say("          ] }");
        }
        say("        }");
        say("      }");
    }
    say("    ]");
    say("  }");
    say("}");
    text
}

impl Per {
    fn word(self) -> &'static str {
        match self {
            Per::Role => "role",
            Per::Host => "host",
            Per::Node => "node",
        }
    }
}

fn about(of: &str, per: Per) -> String {
    if of == Role::Tool.as_str() {
        return "commands on other machines than the master's: chappe nodes, call, ...".to_owned();
    }
    format!("{} {}", per.word(), plain(of))
}

/// The variable with the password of a user.
fn variable(of: &str) -> String {
    format!("CHAPPE_NATS_PASSWORD_{}", account(of))
}

/// A name of letters, digits and `_`.
fn account(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// Text of the server's configuration.
fn quoted(text: &str) -> String {
    format!("\"{}\"", plain(text).replace('\\', "\\\\").replace('"', "\\\""))
}

/// Names come from the file: one must not be able to begin a line of its own.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(credentials: &str, per: Per) -> String {
        let text = format!(
            r#"{{"cluster": "arena", "cluster_id": "eu",
            "engine": {{"nats": ["nats://10.0.0.1:4333"]{credentials}}},
            "master": {{"serverid": 1, "host": "east"}}, "lobby": [{{"serverid": 20, "num": 2, "host": "west"}}]}}"#
        );
        let (deploy, _) = Deploy::parse(&text, "deploy.json").unwrap();
        render(&deploy, deploy.engine.as_ref().unwrap(), per, &users(&deploy, per))
    }

    #[test]
    fn a_role_could_hear_what_is_for_another() {
        insta::assert_snapshot!(config("", Per::Role));
    }

    #[test]
    fn the_users_would_not_be_those_of_deploy_json() {
        let text = config(r#", "credentials": {"user": "{host}@x", "password_file": "p"}"#, Per::Host);
        assert!(text.contains("user: \"east@x\"") && text.contains("$CHAPPE_NATS_PASSWORD_WEST"), "{text}");
        assert!(text.contains("user: \"tool@x\""), "{text}");
        let node = config("", Per::Node);
        assert!(node.contains("user: \"arena-21\"") && node.contains("$CHAPPE_NATS_PASSWORD_21"), "{node}");
    }

    #[test]
    fn certificates_are_asked_for_where_nodes_have_them() {
        let text = config(r#", "tls": {"ca": ["ca.pem"], "cert": "c", "key": "k"}"#, Per::Role);
        assert!(text.contains("\ntls {") && text.contains("\n  verify: true"), "{text}");
        let text = config(r#", "tls": {"ca": ["ca.pem"]}"#, Per::Role);
        assert!(text.contains("\ntls {") && text.contains("#   verify: true"), "{text}");
    }
}
