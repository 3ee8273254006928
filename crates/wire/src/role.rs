//! The role of a node: what it is for, and so which calls it takes (spec/apollo.md section 1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a node is in its cluster (spec/apollo.md section 1). Free-form kinds of game or service are told by a
/// node's `type`, not by its role; and a role is never inferred from a node's id.
///
/// As text it is the lowercase word of [`Role::as_str`], also in JSON; on the wire it is [`Role::code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The control server, one per network: HTTP control API, logins, membership.
    Master,
    /// Holds client connections and moves their messages in and out; runs no mods.
    Proxy,
    /// A game server that a login lands on.
    Lobby,
    /// A game server that players are moved to. The same API as a lobby.
    Game,
    /// A function server (mail, guild, match making): no players.
    Service,
    /// A command-line tool or a watcher that joins for a while: never an address of a broadcast, holds no players.
    Tool,
}

impl Role {
    /// Every role, in the order of their wire codes.
    pub const ALL: [Role; 6] =
        [Role::Master, Role::Proxy, Role::Lobby, Role::Game, Role::Service, Role::Tool];

    /// The lowercase word for it: `master`, `proxy`, `lobby`, `game`, `service` or `tool`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Master => "master",
            Role::Proxy => "proxy",
            Role::Lobby => "lobby",
            Role::Game => "game",
            Role::Service => "service",
            Role::Tool => "tool",
        }
    }

    /// Its number on the wire, 1 to 6. The numbers are part of the protocol: they never change meaning.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Role::Master => 1,
            Role::Proxy => 2,
            Role::Lobby => 3,
            Role::Game => 4,
            Role::Service => 5,
            Role::Tool => 6,
        }
    }

    /// The role with that wire `code`; `None` for a number this version does not know.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Role> {
        match code {
            1 => Some(Role::Master),
            2 => Some(Role::Proxy),
            3 => Some(Role::Lobby),
            4 => Some(Role::Game),
            5 => Some(Role::Service),
            6 => Some(Role::Tool),
            _ => None,
        }
    }

    /// Whether players stand on such a node: a lobby or a game (the `ServerSystem` roles).
    #[must_use]
    pub const fn is_server(self) -> bool {
        matches!(self, Role::Lobby | Role::Game)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    /// Reads the lowercase word of [`Role::as_str`]; anything else, also another case, is [`UnknownRole`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// A word that names no [`Role`]; it holds the word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRole(pub String);

impl fmt::Display for UnknownRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown role `{}`", self.0)
    }
}

impl std::error::Error for UnknownRole {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_not_changed_by_its_code_or_its_word() {
        for (index, role) in Role::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(role.code()), index + 1, "codes are fixed by the protocol");
            assert_eq!(Role::from_code(role.code()), Some(role));
            assert_eq!(role.as_str().parse(), Ok(role));
        }
    }

    #[test]
    fn an_unknown_code_or_word_is_refused_not_guessed() {
        assert_eq!(Role::from_code(0), None);
        assert_eq!(Role::from_code(7), None);
        assert_eq!("Lobby".parse::<Role>(), Err(UnknownRole("Lobby".to_owned())));
    }
}
