//! What the master can do (apollo.md section 1, rows 4 to 6, 14 and 16 to 18).

use super::System;
use crate::error::SendError;
use crate::{Address, Call, Node, Sent};
use chappe_wire::{NodeId, Row};
use serde::Serialize;
use std::ops::Deref;

/// A system on the master (`MasterSystem`).
#[derive(Clone)]
pub struct MasterSystem(System);

impl Deref for MasterSystem {
    type Target = System;
    fn deref(&self) -> &System {
        &self.0
    }
}

impl MasterSystem {
    /// `RegisterSystem` on the master.
    pub fn new(node: &Node, namespace: &str, name: &str) -> MasterSystem {
        MasterSystem(System::new(node, namespace, name))
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
}
