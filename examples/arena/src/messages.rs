//! What the arena's nodes and clients say to each other. Every event and answer is one of these types.

use chappe::{Event, Node, NodeId, PlayerId, SendError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The namespace of all the arena's systems.
pub(crate) const ARENA: &str = "arena";

/// The systems' names: with [`ARENA`], the pair that listeners listen to.
pub(crate) mod system {
    pub(crate) const LOBBY: &str = "lobby";
    pub(crate) const GAME: &str = "game";
    pub(crate) const MATCH: &str = "match";
    pub(crate) const CHAT: &str = "chat";
    pub(crate) const MAIL: &str = "mail";
    pub(crate) const SEASON: &str = "season";
    pub(crate) const CLIENT: &str = "client";
}

/// The services' types.
pub(crate) const MATCH_SERVICE: &str = "service_match";
pub(crate) const CHAT_SERVICE: &str = "service_chat";
pub(crate) const MAIL_SERVICE: &str = "service_mail";

/// A kind of game; its word is the type of the servers that play it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    Duel,
    Brawl,
}

impl Mode {
    pub(crate) const ALL: [Mode; 2] = [Mode::Duel, Mode::Brawl];

    pub(crate) fn server_type(self) -> &'static str {
        match self {
            Mode::Duel => "duel",
            Mode::Brawl => "brawl",
        }
    }

    /// How many players a match has.
    pub(crate) fn size(self) -> usize {
        match self {
            Mode::Duel => 2,
            Mode::Brawl => 5,
        }
    }

    /// The mode that servers of that type play.
    pub(crate) fn of_type(node_type: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.server_type() == node_type)
    }
}

// ---- raised by the runtime (apollo.md section 5)

/// `AddServerPlayerEvent`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Added {
    pub(crate) id: PlayerId,
    pub(crate) uid: u64,
    pub(crate) proxy_id: NodeId,
    pub(crate) is_reconnect: bool,
    pub(crate) transfer_param: String,
}

/// `DelServerPlayerEvent`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Removed {
    pub(crate) id: PlayerId,
    pub(crate) uid: u64,
    pub(crate) is_transfer: bool,
}

/// `ServerDisconnectEvent`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServerGone {
    pub(crate) server_id: NodeId,
}

// ---- lobby and game to their clients (rows 1, 19, 20)

/// `Welcome`: where the client is now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) server: NodeId,
    /// `None` in a lobby.
    pub(crate) mode: Option<Mode>,
    /// The chat service, for `Say`.
    pub(crate) chat: Option<NodeId>,
}

/// `Letters`: what waits in the player's mail box.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Letters {
    pub(crate) unread: u64,
}

/// `Queued`: the place in the queue; 0 says that a match was found at once.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Queued {
    pub(crate) place: usize,
}

/// `Begin`: a round begins between these players.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Begin {
    pub(crate) players: Vec<u64>,
}

/// `State`: after a hit, what the one who was hit has left.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Health {
    pub(crate) uid: u64,
    pub(crate) by: u64,
    pub(crate) left: u32,
}

/// `End`: the round is over; the best stands first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) standings: Vec<Standing>,
}

/// One player's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) uid: u64,
    pub(crate) points: u64,
}

// ---- clients to their server (row 2) and to services (row 12)

/// `Queue`: wants to play.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Queue {
    pub(crate) mode: Mode,
}

/// `Hit`: strikes another player of the round.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Hit {
    pub(crate) uid: u64,
}

/// `Say`, to the chat service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Say {
    pub(crate) text: String,
}

/// `Chat`, from the chat service to all servers (row 8), and on to the clients of the channel.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Chat {
    pub(crate) uid: u64,
    pub(crate) text: String,
}

/// The players who read what `uid` says: one in eight.
pub(crate) fn channel(uid: u64) -> u64 {
    uid % 8
}

// ---- the match service

/// `match.Enqueue`, from a lobby.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Enqueue {
    pub(crate) uid: u64,
    pub(crate) player: PlayerId,
    pub(crate) lobby: NodeId,
    pub(crate) mode: Mode,
}

/// `Unqueue` (row 11), from a lobby whose player has gone.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Unqueue {
    pub(crate) uid: u64,
}

/// `MatchFound` (row 10), to a lobby: take these of your players there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MatchFound {
    pub(crate) ticket: Ticket,
    pub(crate) mode: Mode,
    /// The game chosen; `None` leaves it to the master to find one of the mode's type.
    pub(crate) server: Option<NodeId>,
    pub(crate) players: Vec<PlayerId>,
}

/// Names a match and says how many come; players carry it to the game as `transferParam`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ticket {
    pub(crate) id: u64,
    pub(crate) size: usize,
}

impl Ticket {
    pub(crate) fn to_param(self) -> String {
        format!("{}/{}", self.id, self.size)
    }

    pub(crate) fn from_param(param: &str) -> Option<Ticket> {
        let (id, size) = param.split_once('/')?;
        Some(Ticket { id: id.parse().ok()?, size: size.parse().ok()? })
    }
}

/// `Result` (row 11) to the match service, `RoundOver` (row 9) to all services, `Score` (row 3) to the master.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) id: u64,
    pub(crate) mode: Mode,
    pub(crate) standings: Vec<Standing>,
}

// ---- the mail service

/// `service_mail.Count`, from a lobby.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct CountLetters {
    pub(crate) uid: u64,
    pub(crate) proxy: NodeId,
}

/// `Reward` (row 6), from the master: a letter for the winner.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reward {
    pub(crate) uid: u64,
    pub(crate) text: String,
}

/// `Mailed` (row 7), to the master: the letter is in the box.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Mailed {
    pub(crate) uid: u64,
}

/// `Badge` (row 13), to a client: so many letters wait.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Badge {
    pub(crate) unread: u64,
}

// ---- the master

/// `Leader` (row 4), to a lobby or game and on to its clients (row 20).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leader {
    pub(crate) uid: u64,
    pub(crate) points: u64,
}

/// `Season` (row 5), to all services: the next season has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Season {
    pub(crate) number: u64,
}

/// The event's data; `None` and a line in the log when it is not of that form.
pub(crate) fn data<T: DeserializeOwned>(event: &Event<'_>) -> Option<T> {
    let data = event.data();
    data.inspect_err(|error| tracing::warn!(event = event.name(), %error, "not understood")).ok()
}

/// What could not leave is counted by the node, with its reason; the game plays on without it.
pub(crate) fn sent<T>(result: Result<T, SendError>) {
    if let Err(error) = result {
        tracing::debug!(%error, "not sent");
    }
}

/// The service of that type, if it is up.
pub(crate) fn service(node: &Node, service_type: &str) -> Option<NodeId> {
    node.with_view(|view| {
        view.members().find(|member| member.node_type == service_type).map(|member| member.id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_survives_the_transfer_and_nonsense_is_no_ticket() {
        let ticket = Ticket { id: 7, size: 2 };
        assert_eq!(Ticket::from_param(&ticket.to_param()), Some(ticket));
        for nonsense in ["", "7", "7/", "/2", "a/b", "7/2/1"] {
            assert_eq!(Ticket::from_param(nonsense), None, "{nonsense:?}");
        }
    }
}
