//! Why something was not delivered, not answered or not let in: stable codes, one word each, the same on the
//! wire, in metrics, in logs and in the command's output.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The reason of a refusal, a drop or a failed request (apollo.md section 3; design, promises).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name = $code,)* }

        impl Reason {
            /// All reasons, in the order of their codes.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The reason of a wire code; `None` for a code that this version does not know.
            pub fn from_code(code: u8) -> Option<Reason> {
                match code { $($code => Some(Reason::$name),)* _ => None }
            }

            /// The reason's one word.
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$name => stringify!($name),)* }
            }
        }
    };
}

reasons! {
    /// No node serves the module, and none is declared that could.
    NoProvider = 1,
    /// The node that had the message, or was to get it, went away.
    NodeLost = 2,
    /// The handler raised, panicked, or let go of the request unanswered.
    HandlerFailed = 3,
    /// The time-out passed.
    DeadlineExceeded = 4,
    /// A bounded queue is full.
    Overloaded = 5,
    /// The node is there but not (yet) routable.
    NotReady = 6,
    /// No node has that id, or no node is of that type.
    NoRoute = 7,
    /// The node exists but its role does not take this call.
    WrongRole = 8,
    /// There is no link to the node.
    Disconnected = 9,
    /// The player has no session.
    PlayerOffline = 10,
    /// The message belongs to a session that has ended or moved.
    StaleSession = 11,
    /// The data is larger than the limit.
    TooLarge = 12,
    /// More messages per second than the limit.
    RateLimited = 13,
    /// The node is leaving and takes nothing new.
    Draining = 14,
    /// The node's handlers make no progress.
    Stuck = 15,
    /// The data cannot be sent, or could not be read.
    BadData = 16,
    /// The peer speaks another major version of the protocol.
    ForeignVersion = 17,
    /// The peer belongs to another cluster.
    WrongCluster = 18,
    /// A live node holds that id.
    IdTaken = 19,
    /// The peer is not the node that was meant.
    WrongNode = 20,
    /// The peer was declared lost and must start anew.
    Evicted = 21,
    /// The peer sent what is no frame or envelope.
    ProtocolError = 22,
    /// A login, a kick or a check said no.
    Refused = 23,
    /// A newer session of the same player took over.
    Replaced = 24,
    /// An operator or a mod ended the session.
    Kicked = 25,
    /// The session was ended by its client.
    Logout = 26,
    /// The client's socket stayed away for longer than a session is kept.
    ResumeExpired = 27,
    /// The server that the player was to go to did not take them.
    ServerFull = 28,
    /// The method is not registered at the module's node.
    NoMethod = 29,
    /// The cluster or node shuts down.
    ShuttingDown = 30,
    /// The peer did not say hello in time.
    HandshakeTimeout = 31,
    /// A frame that was already taken in came again; it is not delivered twice.
    Duplicate = 32,
    /// A client that does not read what it is sent.
    SlowClient = 33,
    /// The database is lost or full; nothing that must survive can be done.
    StoreUnavailable = 34,
    /// No such player has ever logged in.
    UserNotFound = 35,
    /// Waiting would never end: the handler waits for what it owns itself.
    WouldDeadlock = 36,
    /// The peer does not know the cluster's secret, or one of the two has none.
    WrongSecret = 37,
    /// The master stands by: another one leads.
    NotLeading = 38,
    /// The master's term is over: a later one has begun.
    StaleTerm = 39,
    /// A broadcast that was sent `unordered`, published to many at once, and did not come.
    Lost = 40,
}

impl Reason {
    /// The wire code.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Whether trying the same call again later can succeed without anyone changing anything.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Reason::NodeLost
                | Reason::DeadlineExceeded
                | Reason::Overloaded
                | Reason::NotReady
                | Reason::Disconnected
                | Reason::RateLimited
                | Reason::Draining
                | Reason::Stuck
                | Reason::ServerFull
                | Reason::StoreUnavailable
                | Reason::NotLeading
                | Reason::StaleTerm
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_never_changes_its_meaning() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
        }
        assert_eq!(Reason::from_code(0), None);
        assert_eq!(Reason::DeadlineExceeded.code(), 4);
        assert_eq!(Reason::ALL.len(), 40);
    }
}
