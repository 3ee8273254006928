//! What the nodes of a simulated cluster say to each other: random calls of every kind that their role has, each
//! told to the oracle.

use crate::oracle::{Handling, Kind, Life, Oracle};
use crate::rng::Rng;
use chappe_node::system::System;
use chappe_node::{Address, Changed, Event, Node, SendError, Sent, State, To};
use chappe_wire::{NodeId, PushTo, Role, Row};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

/// The method that all providers have.
const METHOD: &str = "Do";
/// The module that the master serves.
pub const MASTER_MODULE: &str = "control";

/// One life of a node under load.
#[derive(Clone)]
pub struct Part {
    /// The node.
    pub node: Node,
    /// Which life of it.
    pub life: Life,
    /// Who is told.
    pub oracle: Oracle,
    /// Its own chance.
    pub rng: Rc<Rng>,
    /// Whether anything new is still sent, anywhere.
    pub active: Rc<Cell<bool>>,
    /// Whether anything is sent already.
    pub begun: Rc<Cell<bool>>,
    /// All nodes with their roles and types.
    pub nodes: Rc<Vec<(NodeId, Role, String)>>,
    /// It has left: a process would be gone.
    pub gone: Rc<Cell<bool>>,
}

impl Part {
    /// Registers what the node hears and answers.
    pub fn listen(&self) {
        let part = self.clone();
        self.node.listen("sim", "load", "E", 0, move |event: Event<'_>| part.on_event(&event));
        let part = self.clone();
        self.node.on_view(move |change| {
            let (Changed::Gone(member) | Changed::Member(_, member)) = change;
            let is_gone = matches!(change, Changed::Gone(_));
            part.oracle.told(part.life, Life { node: member.id, life: member.incarnation }, is_gone);
            if is_gone {
                part.oracle.parts(part.life.node, member.id);
            }
        });
        let module = match self.node.config().role {
            Role::Service => self.node.config().node_type.clone(),
            Role::Master => MASTER_MODULE.to_owned(),
            _ => return self.watch_players(),
        };
        let (part, kept) = (self.clone(), RefCell::new(Vec::new()));
        self.node.register(Row::RpcMethod, &module, METHOD, move |call| {
            let Ok(id) = call.args::<u64>() else { return part.oracle.wrong("arguments are broken".into()) };
            part.oracle.sees(part.life, call.from(), id);
            let answer = move |part: &Part| {
                let answer = part.oracle.sends(part.life, Kind::Answer(id), false);
                part.oracle.answers(id);
                answer
            };
            match part.rng.below(20) {
                0 => part.oracle.handles(id, Handling::Drops),
                1 => {
                    part.oracle.handles(id, Handling::Keeps);
                    kept.borrow_mut().push(call.into_responder());
                }
                2..=4 => {
                    part.oracle.handles(id, Handling::Answers);
                    let (later, responder, part) =
                        (part.rng.below(1500), call.into_responder(), part.clone());
                    part.node.clone().spawn(async move {
                        sleep(Duration::from_millis(later)).await;
                        let _ = responder.respond(&answer(&part));
                    });
                }
                _ => {
                    part.oracle.handles(id, Handling::Answers);
                    let _ = call.respond(&answer(&part));
                }
            }
        });
    }

    /// Sends for as long as the load goes on.
    pub async fn run(self) {
        while self.active.get() {
            sleep(Duration::from_millis(self.rng.range(5, 120))).await;
            if self.gone.get() {
                return;
            }
            if !self.begun.get() {
                continue;
            }
            // Bursts, so that several messages share a write.
            for _ in 0..self.rng.range(1, 6) {
                self.act();
            }
        }
    }

    fn on_event(&self, event: &Event<'_>) {
        let Ok(id) = chappe_wire::value::decode::<u64>(event.raw()) else {
            return self.oracle.wrong(format!("{} got broken data", self.life));
        };
        self.oracle.sees(self.life, event.from(), id);
        if event.row() == Row::ClientToServer
            && let Some(origin) = event.origin()
        {
            self.oracle.hears_player(self.life, origin.uid, origin.epoch);
        }
    }

    fn watch_players(&self) {
        for (name, is_here) in [("AddServerPlayerEvent", true), ("DelServerPlayerEvent", false)] {
            let part = self.clone();
            let engine = (chappe_node::ENGINE_NAMESPACE, chappe_node::ENGINE_SYSTEM);
            self.node.listen(engine.0, engine.1, name, 0, move |event: Event<'_>| {
                let Ok(data) = event.value() else { return };
                let id = data.field("id").and_then(|id| id.as_str()?.parse::<chappe_wire::PlayerId>().ok());
                let uid = data.field("uid").and_then(chappe_wire::Value::as_uint);
                if let (Some(id), Some(uid)) = (id, uid) {
                    part.oracle.player(part.life, uid, id.0, is_here);
                }
            });
        }
    }

    fn act(&self) {
        let service = |role: Role| role == Role::Service;
        match (self.node.config().role, self.rng.below(8)) {
            // One that leaves would have to wait for the answers.
            (role, 0 | 1) if role != Role::Proxy && !self.node.is_stopping() => self.request(),
            (Role::Lobby | Role::Game, 2) => self.event(Row::ServerToMaster, self.node.config().master),
            (Role::Lobby | Role::Game, 3) => self.broadcast(Row::NodeToServices, Address::Services),
            (Role::Lobby | Role::Game, 4) => self.push_to_player(),
            (Role::Lobby | Role::Game, _) => self.event(Row::NodeToService, self.any(service)),
            (Role::Service, 2) => self.event(Row::ServiceToMaster, self.node.config().master),
            (Role::Service, 3) => self.broadcast(Row::ServiceToType, Address::ServersOfType("duel")),
            (Role::Service, 4) => self.broadcast(Row::NodeToServices, Address::Services),
            (Role::Service, 5) => self.event(Row::ServiceToServer, self.any(Role::is_server)),
            (Role::Service, 6) => self.push_to_proxy(),
            (Role::Service, _) => self.event(Row::NodeToService, self.any(service)),
            (Role::Master, 2 | 3) => self.broadcast(Row::MasterToServices, Address::Services),
            (Role::Master, 4 | 5) => self.event(Row::MasterToServer, self.any(Role::is_server)),
            (Role::Master, _) => self.event(Row::MasterToService, self.any(service)),
            (Role::Proxy | Role::Tool, _) => {}
        }
    }

    /// One of the nodes with such a role, whether it is up or not.
    pub fn any(&self, wanted: impl Fn(Role) -> bool) -> NodeId {
        let nodes: Vec<NodeId> =
            self.nodes.iter().filter(|(_, role, _)| wanted(*role)).map(|(id, ..)| *id).collect();
        *self.rng.pick(&nodes)
    }

    fn event(&self, row: Row, to: NodeId) {
        let address = match row {
            Row::ServerToMaster | Row::ServiceToMaster => Address::Master,
            Row::MasterToServer | Row::ServiceToServer => Address::Server(to),
            _ => Address::Service(to),
        };
        let id = self.oracle.sends(self.life, Kind::Event(to), false);
        self.sent(id, Some(to), self.node.send(row, address, &topic(&self.node), &id));
    }

    fn broadcast(&self, row: Row, address: Address<'_>) {
        let id = self.oracle.sends(self.life, Kind::Broadcast, false);
        self.sent(id, None, self.node.send(row, address, &topic(&self.node), &id));
    }

    fn push_to_player(&self) {
        let players = self.node.players();
        if !players.is_empty() {
            let player = self.rng.pick(&players);
            let id = self.oracle.sends(self.life, Kind::Event(player.proxy), false);
            self.sent(id, Some(player.proxy), self.node.push_to_player(player.id, &topic(&self.node), &id));
        }
    }

    fn push_to_proxy(&self) {
        let proxy = self.any(|role| role == Role::Proxy);
        let id = self.oracle.sends(self.life, Kind::Event(proxy), false);
        let to = PushTo::Uid(self.rng.below(6));
        self.sent(id, Some(proxy), self.node.push(Row::ServiceToClient, proxy, to, &topic(&self.node), &id));
    }

    fn sent(&self, id: u64, to: Option<NodeId>, sent: Result<Sent, SendError>) {
        to.into_iter().for_each(|to| self.means(id, to));
        match sent {
            Err(error) => self.oracle.refused(id, error.reason()),
            Ok(sent) if self.rng.percent(30) => {
                let oracle = self.oracle.clone();
                let receipt = sent.receipt();
                self.node.spawn(async move { oracle.receipt(id, &receipt.await) });
            }
            Ok(_) => {}
        }
    }

    /// Tells which life of `to` this node knows.
    pub fn means(&self, id: u64, to: NodeId) {
        let known = self.node.with_view(|view| view.member(to).map(|member| member.incarnation));
        known.into_iter().for_each(|life| self.oracle.means(id, Life { node: to, life }));
    }

    fn request(&self) {
        let modules: Vec<&str> = self
            .nodes
            .iter()
            .filter(|(_, role, _)| *role == Role::Service)
            .map(|(.., name)| name.as_str())
            .chain([MASTER_MODULE, "nobody"])
            .collect();
        let module = *self.rng.pick(&modules);
        let timeout = Duration::from_millis(self.rng.range(50, 2000));
        let is_up = self.node.with_view(|view| {
            view.members().any(|at| at.state == State::Ready && at.modules.iter().any(|name| name == module))
        });
        let saw_master = self.node.with_view(|view| view.master().is_some());
        let kind = if module == "nobody" { Kind::ToNobody(timeout) } else { Kind::Request(timeout) };
        let id = self.oracle.sends(self.life, kind, !is_up);
        let (row, to) = match self.rng.below(3) {
            0 => (Row::RequestToService, To::Module),
            1 => (Row::RequestToServiceMod, To::Module),
            _ => (Row::RequestToHashService, To::Key(b"key")),
        };
        let (oracle, life) = (self.oracle.clone(), self.life);
        let asked = self.node.request(row, to, (module, METHOD), &id, timeout, move |reply| {
            if let Ok(answer) = &reply {
                match answer.parse::<u64>() {
                    Ok(answer) => oracle.sees(life, oracle.sender(answer), answer),
                    Err(error) => oracle.wrong(format!("an answer to {life} is broken: {error}")),
                }
            }
            oracle.ends(life, id, reply.map(drop).map_err(|failure| failure.reason), saw_master);
        });
        if let Err(error) = asked {
            self.oracle.wrong(format!("a request was not sent: {error}"));
        }
    }
}

/// The topic of the one event that all listen to.
pub fn topic(node: &Node) -> Vec<u8> {
    System::new(node, "sim", "load").topic("E").to_vec()
}
