//! What the command line asks (`chappe nodes`, `players`, `call`, `send`, ...).

use crate::master::{Master, answer};
use crate::sessions::args;
use chappe_node::control;
use chappe_node::control_tool::{
    CallRequest, DrainNode, PlayerLine, PlayersPage, PlayersQuery, Reports, ReportsQuery, SendOutcome,
    SendRequest, SendTo, StopNode,
};
use chappe_node::{Address, Call, Report, To};
use chappe_wire::envelope::SEPARATOR;
use chappe_wire::{NodeId, Reason, Row, value};
use std::future::Future;
use std::time::Duration;

/// How long a node may take to hand in its counters.
const REPORT: Duration = Duration::from_secs(1);
/// How long a node may take to say that it leaves.
const STOP: Duration = Duration::from_secs(2);
/// The longest time-out of a request from the command line, in milliseconds.
const CALL_MOST_MS: u64 = 60_000;
/// How long a receipt is waited for: longer than a frozen node takes to be lost.
const RECEIPT: Duration = Duration::from_secs(15);
/// Players on a page: by default, and at most.
const PAGE: (usize, usize) = (100, 1000);

impl Master {
    pub(crate) fn serve_tools(&self) {
        self.serve("nodes", |master, call| answer(call, Ok(master.nodes())));
        self.serve("players", |master, call| {
            let page = args(&call).map(|query| master.players(&query));
            answer(call, page);
        });
        self.serve("call", Master::on_call);
        self.serve("send", Master::on_send);
        self.serve("reports", |master, call| match args::<Option<ReportsQuery>>(&call) {
            Ok(query) => {
                let wanted = |id| query.as_ref().is_none_or(|query| query.nodes.contains(&id));
                let reports = master.reports_of(&wanted);
                let (room, responder) = (master.0.node.config().limits.message_bytes, call.into_responder());
                master.0.node.spawn(async move { drop(responder.respond(&fitting(reports.await, room))) });
            }
            Err((reason, text)) => call.fail(reason, &text),
        });
        self.serve("stop_node", |master, call| match args::<StopNode>(&call) {
            Ok(StopNode { id }) => {
                let (stopped, responder) = (master.stop_node(id), call.into_responder());
                master.0.node.spawn(async move {
                    match stopped.await {
                        Ok(()) => drop(responder.respond(&())),
                        Err(failure) => responder.fail(failure.reason, &failure.message),
                    }
                });
            }
            Err((reason, text)) => call.fail(reason, &text),
        });
        self.serve("drain_node", |master, call| match args::<DrainNode>(&call) {
            Ok(asked) => {
                let (drained, responder) = (master.drain_node(asked), call.into_responder());
                master.0.node.spawn(async move {
                    match drained.await {
                        Ok(drained) => drop(responder.respond(&drained)),
                        Err(failure) => responder.fail(failure.reason, &failure.message),
                    }
                });
            }
            Err((reason, text)) => call.fail(reason, &text),
        });
    }

    /// Some of the players that are online.
    pub fn players(&self, query: &PlayersQuery) -> PlayersPage {
        let limit = query.limit.unwrap_or(PAGE.0).min(PAGE.1);
        let directory = self.0.directory.borrow();
        let wanted = query.uids.as_ref();
        let mut players = directory
            .after(query.after)
            .filter(|entry| wanted.is_none_or(|uids| uids.contains(&entry.session.uid)))
            .map(|entry| PlayerLine {
                uid: entry.session.uid,
                epoch: entry.session.epoch,
                proxy: entry.session.proxy,
                server: entry.session.server,
                going: entry.going,
            });
        let page = players.by_ref().take(limit).collect();
        PlayersPage { online: directory.len(), players: page, more: players.next().is_some() }
    }

    /// Every node's counters, the master's own among them. A node that does not answer within a second is
    /// named as missing.
    pub fn reports(&self) -> impl Future<Output = Reports> + use<> {
        self.reports_of(&|_| true)
    }

    fn reports_of(&self, wanted: &dyn Fn(NodeId) -> bool) -> impl Future<Output = Reports> + use<> {
        let node = &self.0.node;
        let others = self.members_where(|member| member.id != node.id() && wanted(member.id));
        let ask = |id: NodeId| {
            (id, node.ask::<_, Report>(Row::Internal, To::Node(id), (control::NODE, "report"), &(), REPORT))
        };
        // All are asked before the first is waited for.
        let asked: Vec<_> = others.into_iter().map(ask).collect();
        let own = wanted(node.id()).then(|| node.report());
        let mut reports = Reports { reports: own.into_iter().collect(), ..Reports::default() };
        async move {
            for (id, report) in asked {
                match report.await {
                    Ok(report) => reports.reports.push(report),
                    Err(failure) => reports.missing.push((id, failure.reason)),
                }
            }
            reports.reports.sort_by_key(|report| report.node);
            reports
        }
    }

    /// Asks a node to leave (`StopServerById`): it drains and ends.
    ///
    /// # Errors
    /// The failure of the request: no such node, or no answer within 2 s.
    pub fn stop_node(&self, id: NodeId) -> impl Future<Output = Result<(), chappe_node::Failure>> + use<> {
        self.ask_stop(id, false)
    }

    /// As [`Master::stop_node`]; with `restart` it is to be started again.
    pub(crate) fn ask_stop(
        &self,
        id: NodeId,
        restart: control::Stop,
    ) -> impl Future<Output = Result<(), chappe_node::Failure>> + use<> {
        self.0.node.ask::<_, ()>(Row::Internal, To::Node(id), (control::NODE, "stop"), &restart, STOP)
    }

    fn on_call(&self, call: Call<'_>) {
        let asked: CallRequest = match args(&call) {
            Ok(asked) => asked,
            Err((reason, text)) => return call.fail(reason, &text),
        };
        if asked.module.starts_with('$') {
            return call.fail(Reason::Refused, "modules whose names begin with `$` are the runtime's own");
        }
        let responder = call.into_responder();
        let timeout = Duration::from_millis(asked.timeout_ms.min(CALL_MOST_MS));
        let target = (asked.module.as_str(), asked.method.as_str());
        // The answer is passed on as it came.
        let pass_on = |reply: chappe_node::Reply<'_>| match reply {
            Ok(data) => responder.respond_raw(data.raw()),
            Err(failure) => responder.fail(failure.reason, &failure.message),
        };
        let node = &self.0.node;
        let sent = node.request(Row::RequestToService, To::Module, target, &asked.args, timeout, pass_on);
        if let Err(error) = sent {
            // The responder went with the callback; its caller is told that the request failed.
            tracing::warn!(%error, "a request from the command line cannot be sent");
        }
    }

    fn on_send(&self, call: Call<'_>) {
        let asked: SendRequest = match args(&call) {
            Ok(asked) => asked,
            Err((reason, text)) => return call.fail(reason, &text),
        };
        let names = [&asked.namespace, &asked.system, &asked.event];
        if names.iter().any(|name| name.as_bytes().contains(&SEPARATOR)) {
            return call.fail(Reason::BadData, "a name cannot hold a NUL");
        }
        let topic = names.map(|name| name.as_bytes()).join(&SEPARATOR);
        let (row, address) = match &asked.to {
            SendTo::Server(id) => (Row::MasterToServer, Address::Server(*id)),
            SendTo::Service(id) => (Row::MasterToService, Address::Service(*id)),
            SendTo::Type(name) => (Row::ServiceToType, Address::ServersOfType(name)),
            SendTo::Services => (Row::MasterToServices, Address::Services),
        };
        match self.0.node.send(row, address, &topic, &asked.data) {
            Ok(sent) => {
                let (receipt, responder) = (sent.receipt(), call.into_responder());
                self.0.node.spawn(async move {
                    match tokio::time::timeout(RECEIPT, receipt).await {
                        Ok(receipt) => {
                            let outcome = SendOutcome { reached: receipt.reached, missing: receipt.missing };
                            let _ = responder.respond(&outcome);
                        }
                        Err(_) => responder.fail(Reason::DeadlineExceeded, "not every node has taken it in"),
                    }
                });
            }
            Err(error) => call.fail(error.reason(), &error.to_string()),
        }
    }
}

/// Moves reports that do not fit into one message to `left`; the first always stays.
fn fitting(mut reports: Reports, room: usize) -> Reports {
    let mut size = 1024 + 32 * (reports.missing.len() + reports.reports.len());
    let fits = |report: &Report| {
        size += value::encode(report).map_or(room, |bytes| bytes.len());
        size <= room
    };
    let count = reports.reports.iter().map(fits).take_while(|fits| *fits).count().max(1);
    let left = reports.reports.split_off(count.min(reports.reports.len()));
    reports.left = left.iter().map(|report| report.node).collect();
    reports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_cluster_would_get_no_reports_at_all() {
        let report = |id| Report { node: NodeId(id), ..Report::default() };
        let all = Reports { reports: (0..100).map(report).collect(), ..Reports::default() };
        let some = fitting(all.clone(), 6000);
        assert!(
            some.reports.len() > 5 && some.left.len() > 5,
            "{} and {}",
            some.reports.len(),
            some.left.len()
        );
        assert_eq!(some.reports.len() + some.left.len(), 100);
        assert_eq!(fitting(all.clone(), 1).reports.len(), 1, "each question brings one step further");
        assert_eq!(fitting(all, 1 << 20).left, []);
    }
}
