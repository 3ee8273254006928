//! The rows of the message table (apollo.md section 1) and of Snipe's mechanisms (snipe.md section 1): which
//! documented call a message came from. One byte in each envelope, so that counters, errors and the demo's table speak in the words of the specification.

use std::fmt;

macro_rules! rows {
    ($($name:ident = $code:literal, $call:literal, $from:literal, $to:literal;)*) => {
        /// A row of the message table, or one of the calls beside it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Row {
            $(#[doc = concat!("`", $call, "`, from ", $from, " to ", $to, ".")] $name = $code,)*
        }

        impl Row {
            /// All rows in the order of their numbers; the first is the runtime's own traffic.
            pub const ALL: &'static [Row] = &[$(Row::$name,)*];
            /// How many rows there are: the length of a table indexed by [`Row::index`].
            pub const COUNT: usize = Row::ALL.len();

            /// The row of a wire code; `None` for a code that this version does not know.
            pub fn from_code(code: u8) -> Option<Row> {
                match code { $($code => Some(Row::$name),)* _ => None }
            }
            /// The call's name as the specification spells it.
            pub fn call(self) -> &'static str {
                match self { $(Row::$name => $call,)* }
            }
            /// The role that sends.
            pub fn from(self) -> &'static str {
                match self { $(Row::$name => $from,)* }
            }
            /// Who receives.
            pub fn to(self) -> &'static str {
                match self { $(Row::$name => $to,)* }
            }
        }
    };
}

rows! {
    Internal = 0, "(runtime)", "any node", "any node";
    ServerToClient = 1, "NotifyToClient", "lobby/game", "one client";
    ClientToServer = 2, "NotifyToServer", "client", "its lobby/game";
    ServerToMaster = 3, "NotifyToMaster", "lobby/game", "master";
    MasterToServer = 4, "NotifyToServerNode", "master", "one lobby/game";
    MasterToServices = 5, "BroadcastToService", "master", "all services";
    MasterToService = 6, "NotifyToServiceNode", "master", "one service";
    ServiceToMaster = 7, "NotifyToMaster", "service", "master";
    ServiceToType = 8, "BroadcastToServerByType", "service", "all of a type";
    NodeToServices = 9, "BroadcastToService", "service, lobby/game", "all services";
    ServiceToServer = 10, "NotifyToServerNode", "service", "one lobby/game";
    NodeToService = 11, "NotifyToServiceNode", "service, lobby/game", "one service";
    ClientToService = 12, "NotifyToServiceNode", "client", "one service";
    ServiceToClient = 13, "RemoteNotifyToClient", "service", "one client";
    RpcMethod = 14, "RegisterRpcMethod", "caller", "service, master";
    RpcModMethod = 15, "RegisterRpcMethodForMod", "caller", "service";
    RequestToService = 16, "RequestToService", "service, master, lobby/game", "service, master";
    RequestToServiceMod = 17, "RequestToServiceMod", "master, lobby/game, service", "a service of the type";
    ResponseToServer = 18, "ResponseToServer", "callee", "caller";
    ServerToClients = 19, "NotifyToMultiClients", "lobby/game", "several clients";
    ServerToAllClients = 20, "BroadcastToAllClient", "lobby/game", "all its clients";
    RequestToHashService = 21, "RequestToHashService", "lobby/game, service, master", "a service by key";
    CacheNotify = 22, "cacheNotify", "any node", "master";
    SlaveNotify = 23, "slaveClient.notify", "master", "one node";
    NotifyAll = 24, "notifyAll", "master", "all of a type";
    Notify = 25, "notify", "any node", "a player's server";
    SendTo = 26, "sendTo", "any node", "a player's server";
    CacheRequest = 27, "cacheRequest", "any node", "master";
    PlayerRequest = 28, "request", "client", "its lobby/game";
    PlayerResponse = 29, "response", "lobby/game", "one client";
}

impl Row {
    /// The wire code, and the number in the specification for rows 1 to 18.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Index into a table of [`Row::COUNT`] entries.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code(), self.call())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_dense_so_that_they_can_index_a_table() {
        for (at, row) in Row::ALL.iter().enumerate() {
            assert_eq!((row.index(), Row::from_code(at as u8)), (at, Some(*row)));
        }
        assert_eq!(Row::from_code(Row::COUNT as u8), None);
    }
}
