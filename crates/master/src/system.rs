//! What a mod on the master can do (apollo.md section 1, rows 4 to 6 and 14 to 18).

use crate::http::{ClientId, HttpError};
use crate::{LoginChoice, Master};
use chappe_node::system::System;
use chappe_node::{Address, Call, Failure, SendError, Sent};
use chappe_wire::{NodeId, Row};
use serde::Serialize;
use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Deref;

/// A system on the master (`MasterSystem`).
#[derive(Clone)]
pub struct MasterSystem {
    system: System,
    master: Master,
}

impl Deref for MasterSystem {
    type Target = System;
    fn deref(&self) -> &System {
        &self.system
    }
}

impl MasterSystem {
    /// `RegisterSystem` on the master.
    pub fn new(master: &Master, namespace: &str, name: &str) -> MasterSystem {
        MasterSystem { system: System::new(master.node(), namespace, name), master: master.clone() }
    }

    /// The master that it is on.
    pub fn master(&self) -> &Master {
        &self.master
    }

    /// Row 4, `NotifyToServerNode`: an event for one lobby or game.
    ///
    /// # Errors
    /// [`SendError`]; `WrongRole` when the id is no lobby's or game's.
    pub fn notify_to_server_node<T: Serialize + ?Sized>(
        &self,
        server: NodeId,
        event: &str,
        data: &T,
    ) -> Result<Sent, SendError> {
        self.send(Row::MasterToServer, Address::Server(server), &self.topic(event), data)
    }

    /// Row 5, `BroadcastToService`: an event for all services.
    ///
    /// # Errors
    /// [`SendError::Data`]; services that cannot get it are in [`Sent::missing`].
    pub fn broadcast_to_service<T: Serialize + ?Sized>(
        &self,
        event: &str,
        data: &T,
    ) -> Result<Sent, SendError> {
        self.send(Row::MasterToServices, Address::Services, &self.topic(event), data)
    }

    /// As [`MasterSystem::broadcast_to_service`], in no order with anything else: for many services on other machines, one publication
    /// ([`chappe_node::Node::send_unordered`]).
    ///
    /// # Errors
    /// As [`MasterSystem::broadcast_to_service`].
    pub fn broadcast_to_service_unordered<T: Serialize + ?Sized>(
        &self,
        event: &str,
        data: &T,
    ) -> Result<Sent, SendError> {
        self.send_unordered(Row::MasterToServices, Address::Services, &self.topic(event), data)
    }

    /// Row 6, `NotifyToServiceNode`: an event for one service.
    ///
    /// # Errors
    /// [`SendError`]; `WrongRole` when the id is no service's.
    pub fn notify_to_service_node<T: Serialize + ?Sized>(
        &self,
        service: NodeId,
        event: &str,
        data: &T,
    ) -> Result<Sent, SendError> {
        self.send(Row::MasterToService, Address::Service(service), &self.topic(event), data)
    }

    /// Row 14, `RegisterRpcMethod`: answers requests for `method` of `module`. What stood there is replaced.
    pub fn register_rpc_method(&self, module: &str, method: &str, handler: impl Fn(Call<'_>) + 'static) {
        self.register(Row::RpcMethod, module, method, handler);
    }

    /// `RegisterMasterHttp`, as [`Master::register_http`].
    pub fn register_master_http(&self, url: &str, handler: impl Fn(ClientId, &[u8]) + 'static) {
        self.master.register_http(url, handler);
    }

    /// `SendHttpResponse`, as [`Master::send_http_response`].
    ///
    /// # Errors
    /// [`HttpError::Answered`] for a second or a late answer.
    pub fn send_http_response(&self, client: ClientId, body: impl Into<Vec<u8>>) -> Result<(), HttpError> {
        self.master.send_http_response(client, body)
    }

    /// `SetLoginStratege`, as [`Master::set_login_strategy`].
    pub fn set_login_strategy(&self, strategy: impl Fn(u64, LoginChoice) + 'static) {
        self.master.set_login_strategy(strategy);
    }

    /// `GetConnectedLobbyAndGameIds`: the lobbies and games that are up, by id.
    pub fn connected_lobby_and_game_ids(&self) -> Vec<NodeId> {
        self.master.connected_servers()
    }

    /// `GetOnlineNumByServerType`: how many players stand on the lobbies and games of each type.
    pub fn online_num_by_server_type(&self) -> BTreeMap<String, usize> {
        self.master.online_by_type()
    }

    /// `StopServerById`: asks a node to drain and end.
    ///
    /// # Errors
    /// The failure of the request: no such node, or no answer within 2 s.
    pub fn stop_server_by_id(&self, id: NodeId) -> impl Future<Output = Result<(), Failure>> + use<> {
        self.master.stop_node(id)
    }
}
