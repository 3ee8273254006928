//! What a lobby or game can do (apollo.md section 1, rows 1, 3, 9, 11, 16, 17 and the calls beside them).

use super::System;
use crate::control::{Destination, Kick, Transfer};
use crate::error::{Failure, SendError};
use crate::{Address, Node, Player, Sent};
use chappe_wire::{NodeId, PlayerId, PushTo, Reason, Row};
use serde::Serialize;
use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Deref;
use std::time::Duration;

/// The most sessions in one push: what its count can say.
const PUSH: usize = u16::MAX as usize;
/// How long the master may take to arrange a transfer.
const TRANSFER: Duration = Duration::from_secs(5);

/// A system on a lobby or game (`ServerSystem`).
#[derive(Clone)]
pub struct ServerSystem(System);

impl Deref for ServerSystem {
    type Target = System;
    fn deref(&self) -> &System {
        &self.0
    }
}

impl ServerSystem {
    /// `RegisterSystem` on a lobby or game.
    pub fn new(node: &Node, namespace: &str, name: &str) -> ServerSystem {
        ServerSystem(System::new(node, namespace, name))
    }

    /// Row 1, `NotifyToClient`: an event for one player on this server.
    ///
    /// # Errors
    /// [`SendError`]; `PlayerOffline` when the player is not here.
    pub fn notify_to_client<T: Serialize + ?Sized>(
        &self,
        player: PlayerId,
        event: &str,
        data: &T,
    ) -> Result<Sent, SendError> {
        self.push_to_player(player, &self.topic(event), data)
    }

    /// `NotifyToMultiClients`: an event for several players on this server. Encoded once, and sent once to each
    /// proxy. Players that are not here are left out and counted; the result is how many were meant and here.
    ///
    /// # Errors
    /// [`SendError`] of the first proxy that could not be reached; the others have it.
    pub fn notify_to_multi_clients<T: Serialize + ?Sized>(
        &self,
        players: &[PlayerId],
        event: &str,
        data: &T,
    ) -> Result<usize, SendError> {
        let here = players.iter().filter_map(|id| Some((self.proxy_of(*id)?, *id)));
        let here: Vec<_> = here.collect();
        for _ in here.len()..players.len() {
            self.stats().sent(Row::ServerToClients, 1);
            self.stats().dropped(Row::ServerToClients, Reason::PlayerOffline);
        }
        self.push_to_all(Row::ServerToClients, here, event, data)
    }

    /// `BroadcastToAllClient`: an event for every player on this server; how many there are.
    ///
    /// # Errors
    /// As [`ServerSystem::notify_to_multi_clients`].
    pub fn broadcast_to_all_client<T: Serialize + ?Sized>(
        &self,
        event: &str,
        data: &T,
    ) -> Result<usize, SendError> {
        let all = self.players().into_iter().map(|player| (player.proxy, player.id)).collect();
        self.push_to_all(Row::ServerToAllClients, all, event, data)
    }

    fn push_to_all<T: Serialize + ?Sized>(
        &self,
        row: Row,
        players: Vec<(NodeId, PlayerId)>,
        event: &str,
        data: &T,
    ) -> Result<usize, SendError> {
        let (topic, count) = (self.topic(event), players.len());
        let mut by_proxy: BTreeMap<NodeId, Vec<u8>> = BTreeMap::new();
        for (proxy, player) in players {
            by_proxy.entry(proxy).or_default().extend_from_slice(&player.0.to_le_bytes());
        }
        let pushed = self.0.node.0.encode("data", data, |payload| {
            let mut result = Ok(());
            for (proxy, epochs) in &by_proxy {
                for epochs in epochs.chunks(PUSH * 8) {
                    let pushed = self.push_raw(row, *proxy, PushTo::Epochs(epochs), &topic, payload);
                    result = result.and(pushed.map(drop));
                }
            }
            result
        });
        pushed.map_err(|error| SendError::data(row, error))?.map(|()| count)
    }

    /// Row 3, `NotifyToMaster`.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn notify_to_master<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<Sent, SendError> {
        self.send(Row::ServerToMaster, Address::Master, &self.topic(event), data)
    }

    /// Row 9, `BroadcastToService`: an event for all services.
    ///
    /// # Errors
    /// [`SendError::Data`]; services that cannot get it are in [`Sent::missing`].
    pub fn broadcast_to_service<T: Serialize + ?Sized>(
        &self,
        event: &str,
        data: &T,
    ) -> Result<Sent, SendError> {
        self.send(Row::NodeToServices, Address::Services, &self.topic(event), data)
    }

    /// As [`ServerSystem::broadcast_to_service`], in no order with anything else: for many services on other machines, one publication
    /// ([`Node::send_unordered`]).
    ///
    /// # Errors
    /// As [`ServerSystem::broadcast_to_service`].
    pub fn broadcast_to_service_unordered<T: Serialize + ?Sized>(
        &self,
        event: &str,
        data: &T,
    ) -> Result<Sent, SendError> {
        self.send_unordered(Row::NodeToServices, Address::Services, &self.topic(event), data)
    }

    /// Row 11, `NotifyToServiceNode`: an event for one service.
    ///
    /// # Errors
    /// [`SendError`]; `WrongRole` when the id is no service's.
    pub fn notify_to_service_node<T: Serialize + ?Sized>(
        &self,
        service: NodeId,
        event: &str,
        data: &T,
    ) -> Result<Sent, SendError> {
        self.send(Row::NodeToService, Address::Service(service), &self.topic(event), data)
    }

    /// `TransferToOtherServer`: moves a player to the emptiest server of a type. `param` reaches the new server
    /// as `transferParam`. Answers the server's id when the move has begun.
    ///
    /// # Errors
    /// The [`Failure`]: no such type or server, the player is not here, the master does not answer.
    pub fn transfer_to_other_server(
        &self,
        player: PlayerId,
        server_type: &str,
        param: &str,
    ) -> impl Future<Output = Result<NodeId, Failure>> + use<> {
        self.transfer(player, Destination::Type(server_type.to_owned()), param)
    }

    /// `TransferToOtherServerById`: moves a player to that server.
    ///
    /// # Errors
    /// As [`ServerSystem::transfer_to_other_server`].
    pub fn transfer_to_other_server_by_id(
        &self,
        player: PlayerId,
        server: NodeId,
        param: &str,
    ) -> impl Future<Output = Result<NodeId, Failure>> + use<> {
        self.transfer(player, Destination::Server(server), param)
    }

    fn transfer(
        &self,
        player: PlayerId,
        to: Destination,
        param: &str,
    ) -> impl Future<Output = Result<NodeId, Failure>> + use<> {
        let node = self.0.node.clone();
        let transfer = Transfer { epoch: player.0, to, param: param.to_owned() };
        async move {
            if node.player(player).is_none() {
                let text = format!("player {player} is not on node {}", node.id());
                return Err(Failure::new(Reason::PlayerOffline, text));
            }
            node.ask_master("transfer", &transfer, TRANSFER).await
        }
    }

    /// `TryToKickoutPlayer`: ends a player's session; `message` is what they are told.
    ///
    /// # Errors
    /// The [`Failure`]: the player is offline, the master does not answer.
    pub fn try_to_kickout_player(
        &self,
        player: &Player,
        message: &str,
    ) -> impl Future<Output = Result<(), Failure>> + use<> {
        let (node, kick) = (self.0.node.clone(), Kick { uid: player.uid, message: message.to_owned() });
        async move { node.ask_master("kick", &kick, TRANSFER).await }
    }
}
