//! What a service can do (apollo.md section 1, rows 7 to 11 and 13 to 18).

use super::System;
use crate::error::SendError;
use crate::{Address, Call, Node, Sent};
use chappe_wire::{NodeId, PushTo, Row};
use serde::Serialize;
use std::ops::Deref;

/// A system on a service (`ServiceSystem`).
#[derive(Clone)]
pub struct ServiceSystem(System);

impl Deref for ServiceSystem {
    type Target = System;
    fn deref(&self) -> &System {
        &self.0
    }
}

impl ServiceSystem {
    /// `RegisterSystem` on a service.
    pub fn new(node: &Node, namespace: &str, name: &str) -> ServiceSystem {
        ServiceSystem(System::new(node, namespace, name))
    }

    /// Row 7, `NotifyToMaster`.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn notify_to_master<T: Serialize + ?Sized>(&self, event: &str, data: &T) -> Result<Sent, SendError> {
        self.send(Row::ServiceToMaster, Address::Master, &self.topic(event), data)
    }

    /// Row 8, `BroadcastToServerByType`: an event for all lobbies or games of a type.
    ///
    /// # Errors
    /// [`SendError::Data`]; `NoRoute` when there is no such type. Servers that cannot get it are in
    /// [`Sent::missing`].
    pub fn broadcast_to_server_by_type<T: Serialize + ?Sized>(
        &self,
        server_type: &str,
        event: &str,
        data: &T,
    ) -> Result<Sent, SendError> {
        self.send(Row::ServiceToType, Address::ServersOfType(server_type), &self.topic(event), data)
    }

    /// As [`ServiceSystem::broadcast_to_server_by_type`], in no order with anything else: for many servers on other machines, one publication
    /// ([`Node::send_unordered`]).
    ///
    /// # Errors
    /// As [`ServiceSystem::broadcast_to_server_by_type`].
    pub fn broadcast_to_server_by_type_unordered<T: Serialize + ?Sized>(
        &self,
        server_type: &str,
        event: &str,
        data: &T,
    ) -> Result<Sent, SendError> {
        self.send_unordered(Row::ServiceToType, Address::ServersOfType(server_type), &self.topic(event), data)
    }

    /// Row 9, `BroadcastToService`: an event for all services, this one too.
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

    /// As [`ServiceSystem::broadcast_to_service`], in no order with anything else: for many services on other machines, one publication
    /// ([`Node::send_unordered`]).
    ///
    /// # Errors
    /// As [`ServiceSystem::broadcast_to_service`].
    pub fn broadcast_to_service_unordered<T: Serialize + ?Sized>(
        &self,
        event: &str,
        data: &T,
    ) -> Result<Sent, SendError> {
        self.send_unordered(Row::NodeToServices, Address::Services, &self.topic(event), data)
    }

    /// Row 10, `NotifyToServerNode`: an event for one lobby or game.
    ///
    /// # Errors
    /// [`SendError`]; `WrongRole` when the id is no lobby's or game's.
    pub fn notify_to_server_node<T: Serialize + ?Sized>(
        &self,
        server: NodeId,
        event: &str,
        data: &T,
    ) -> Result<Sent, SendError> {
        self.send(Row::ServiceToServer, Address::Server(server), &self.topic(event), data)
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

    /// Row 13, `RemoteNotifyToClient`: an event for a player, who has a session at that proxy.
    ///
    /// # Errors
    /// [`SendError`]; `WrongRole` when the id is no proxy's.
    pub fn remote_notify_to_client<T: Serialize + ?Sized>(
        &self,
        uid: u64,
        proxy: NodeId,
        event: &str,
        data: &T,
    ) -> Result<Sent, SendError> {
        self.push(Row::ServiceToClient, proxy, PushTo::Uid(uid), &self.topic(event), data)
    }

    /// Row 14, `RegisterRpcMethod`: answers requests for `method` of `module`. What stood there is replaced.
    pub fn register_rpc_method(&self, module: &str, method: &str, handler: impl Fn(Call<'_>) + 'static) {
        self.register(Row::RpcMethod, module, method, handler);
    }

    /// Row 15, `RegisterRpcMethodForMod`: as row 14 for the module that the node's own type is.
    pub fn register_rpc_method_for_mod(&self, method: &str, handler: impl Fn(Call<'_>) + 'static) {
        let module = self.config().node_type.clone();
        self.register(Row::RpcModMethod, &module, method, handler);
    }
}
