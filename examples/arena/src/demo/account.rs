//! Accounts for every message of a run: what was sent is what was received, dropped with a reason, or under way
//! to a node when it was killed. What is left over is *unaccounted*, and must be 0. Pure.
//!
//! A killed node takes its counters with it, so its share is told by those who talked to it. For each ordered
//! pair of lives, A to B, the sender knows `sent` and `under way` (unacknowledged when the connection ended), the
//! receiver knows `arrived`:
//!
//! ```text
//! both report    arrived = sent - under way        (what arrived after all was not under way)
//! B was killed   received by B = sent - under way  (acknowledged into its inbox)
//! A was killed   sent by A = arrived
//! ```
//!
//! Summed over the reports of all nodes that live (`R`), and over the pairs with one that was killed (`K`):
//!
//! ```text
//! between nodes (3-11, 16-18, 21)
//!   R.sent + K.arrived = R.delivered + K.(sent - under way) + R.dropped + under way
//! from clients (2, 12)
//!   clients.sent = R.delivered + K.(sent - under way) + R.dropped + clients.lost + under way
//! to clients (1, 13, 19, 20), in two hops, because one frame to a proxy may be for many clients
//!   servers.sent + K.arrived = proxies.arrived + servers.dropped + under way
//!   proxies.arrived = proxies.delivered + proxies.dropped      (1 and 13: one frame, one client)
//!   proxies.delivered = clients.received
//! handlers (14, 15), counted where they stand
//!   R.sent = R.delivered, and of both rows together = R.delivered of 16, 17 and 21
//! ```
//!
//! A sum could hide a loss behind a double, so each pair is held to its own equation too, and what a pair has
//! left over counts as unaccounted whatever the sum says.

use chappe::{NodeId, Reason, Report, Row};
use std::collections::{BTreeMap, BTreeSet};

/// Counts by a row's code.
pub(crate) type Counts = BTreeMap<u8, u64>;

/// What the clients have counted, all of them together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clients {
    pub(crate) sent: Counts,
    /// Sent, and known not to have reached the proxy: the session was ended meanwhile.
    pub(crate) lost: Counts,
    pub(crate) received: Counts,
    /// Sent and received by those that run a mod in Python; they are in the others too.
    pub(crate) in_python: Counts,
    /// Nanoseconds from send to arrival, with how many took so long.
    pub(crate) latency: BTreeMap<u8, BTreeMap<u64, u64>>,
}

/// Everything that was counted.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) reports: Vec<Report>,
    pub(crate) proxies: BTreeSet<NodeId>,
    /// The nodes that run mods in Python.
    pub(crate) python: BTreeSet<NodeId>,
    pub(crate) clients: Clients,
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) row: Row,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Of the received, those that another process had sent.
    pub(crate) between: u64,
    pub(crate) dropped: BTreeMap<String, u64>,
    pub(crate) under_way: u64,
    pub(crate) unaccounted: u64,
    /// Sent by a mod in Python, or received by one.
    pub(crate) in_python: u64,
    /// Nanoseconds.
    pub(crate) p50: Option<u64>,
    /// Nanoseconds.
    pub(crate) p99: Option<u64>,
}

/// What the pairs of nodes say about one row.
#[derive(Debug, Default, Clone, Copy)]
struct Hops {
    /// Frames that came at nodes that live.
    arrived: u64,
    /// Of those, the ones that killed nodes had sent.
    from_killed: u64,
    /// Frames that killed nodes had taken in.
    to_killed: u64,
    under_way: u64,
    /// Frames that a pair lost or doubled.
    wrong: u64,
}

impl Books {
    /// The table: one line for each row of the specification.
    pub(crate) fn lines(&self) -> Vec<Line> {
        Row::ALL.iter().filter(|row| **row != Row::Internal).map(|row| self.line(*row)).collect()
    }

    fn line(&self, row: Row) -> Line {
        let hops = self.hops(row);
        let (sent, received, between, mut dropped, left_over) = match row {
            Row::RpcMethod | Row::RpcModMethod => self.handlers(row),
            Row::ClientToServer | Row::ClientToService => self.sent_by_clients(row, hops),
            Row::ServerToClient | Row::ServiceToClient | Row::ServerToClients | Row::ServerToAllClients => {
                self.sent_to_clients(row, hops)
            }
            _ => self.between_nodes(row, hops),
        };
        dropped.retain(|_, count| *count > 0);
        let latency = self.latency(row);
        Line {
            row,
            sent,
            received,
            between,
            dropped,
            under_way: hops.under_way,
            unaccounted: left_over.max(hops.wrong),
            in_python: self.in_python(row),
            p50: quantile(&latency, 0.5),
            p99: quantile(&latency, 0.99),
        }
    }

    fn between_nodes(&self, row: Row, hops: Hops) -> Sums {
        let sent = self.sum(|report| &report.sent, row, |_| true) + hops.from_killed;
        let received = self.sum(|report| &report.delivered, row, |_| true) + hops.to_killed;
        let dropped = self.dropped(row, |_| true);
        let left_over = sent.abs_diff(received + total(&dropped) + hops.under_way);
        // What a node sends to itself is in no pair.
        (sent, received, hops.arrived + hops.to_killed, dropped, left_over)
    }

    fn sent_by_clients(&self, row: Row, hops: Hops) -> Sums {
        let (sent, lost) = (count(&self.clients.sent, row), count(&self.clients.lost, row));
        let received = self.sum(|report| &report.delivered, row, |_| true) + hops.to_killed;
        let mut dropped = self.dropped(row, |_| true);
        *dropped.entry("SessionEnded".to_owned()).or_default() += lost;
        let left_over = sent.abs_diff(received + total(&dropped) + hops.under_way);
        (sent, received, received, dropped, left_over)
    }

    fn sent_to_clients(&self, row: Row, hops: Hops) -> Sums {
        let is_proxy = |id: NodeId| self.proxies.contains(&id);
        let frames = self.sum(|report| &report.sent, row, |id| !is_proxy(id)) + hops.from_killed;
        let not_sent = self.dropped(row, |id| !is_proxy(id));
        let first = frames.abs_diff(hops.arrived + hops.to_killed + total(&not_sent) + hops.under_way);

        let delivered = self.sum(|report| &report.delivered, row, is_proxy);
        let mut dropped = self.dropped(row, is_proxy);
        let meant = delivered + total(&dropped);
        let is_single = matches!(row, Row::ServerToClient | Row::ServiceToClient);
        let inside = if is_single { meant.abs_diff(hops.arrived) } else { 0 };

        let received = count(&self.clients.received, row);
        let second = delivered.abs_diff(received);
        let sent = meant + total(&not_sent) + hops.to_killed + hops.under_way;
        not_sent.into_iter().for_each(|(why, count)| *dropped.entry(why).or_default() += count);
        (sent, received, received, dropped, first + inside + second)
    }

    fn handlers(&self, row: Row) -> Sums {
        let of = |row| self.sum(|report| &report.delivered, row, |_| true);
        let (sent, received) = (self.sum(|report| &report.sent, row, |_| true), of(row));
        let requests: u64 =
            [Row::RequestToService, Row::RequestToServiceMod, Row::RequestToHashService].map(of).iter().sum();
        let handled: u64 = [Row::RpcMethod, Row::RpcModMethod].map(of).iter().sum();
        let left_over = sent.abs_diff(received).max(requests.abs_diff(handled));
        (sent, received, received, BTreeMap::new(), left_over)
    }

    fn hops(&self, row: Row) -> Hops {
        let lives: BTreeMap<(NodeId, u64), &Report> =
            self.reports.iter().map(|report| ((report.node, report.incarnation), report)).collect();
        let mut hops = Hops::default();
        for (&(node, life), report) in &lives {
            for pair in &report.pairs {
                let arrived = count(&pair.arrived, row);
                hops.arrived += arrived;
                let (sent, under_way) = (count(&pair.sent, row), count(&pair.under_way, row));
                let Some(peer) = lives.get(&(pair.peer, pair.incarnation)) else {
                    hops.from_killed += arrived;
                    hops.under_way += under_way;
                    hops.to_killed += sent.saturating_sub(under_way);
                    hops.wrong += under_way.saturating_sub(sent);
                    continue;
                };
                let here = peer.pairs.iter().find(|back| (back.peer, back.incarnation) == (node, life));
                let came = here.map_or(0, |back| count(&back.arrived, row));
                let lost = sent.saturating_sub(came);
                hops.under_way += lost.min(under_way);
                hops.wrong += lost.saturating_sub(under_way) + came.saturating_sub(sent);
            }
        }
        hops
    }

    fn in_python(&self, row: Row) -> u64 {
        let is_python = |id: NodeId| self.python.contains(&id);
        let sent = self.sum(|report| &report.sent, row, is_python);
        sent + self.sum(|report| &report.delivered, row, is_python) + count(&self.clients.in_python, row)
    }

    fn sum(&self, of: impl Fn(&Report) -> &Counts, row: Row, at: impl Fn(NodeId) -> bool) -> u64 {
        let reports = self.reports.iter().filter(|report| at(report.node));
        reports.map(|report| count(of(report), row)).sum()
    }

    fn dropped(&self, row: Row, at: impl Fn(NodeId) -> bool) -> BTreeMap<String, u64> {
        let mut dropped: BTreeMap<String, u64> = BTreeMap::new();
        for report in self.reports.iter().filter(|report| at(report.node)) {
            for (_, reason, count) in report.dropped.iter().filter(|(of, ..)| *of == row.code()) {
                *dropped.entry(Reason::as_str(*reason).to_owned()).or_default() += count;
            }
        }
        dropped
    }

    /// Where the message ends: at the clients for what is sent to them.
    fn latency(&self, row: Row) -> BTreeMap<u64, u64> {
        if let Some(of) = self.clients.latency.get(&row.code()) {
            return of.clone();
        }
        let mut all = BTreeMap::new();
        for (nanos, count) in
            self.reports.iter().filter_map(|report| report.latency.get(&row.code())).flatten()
        {
            *all.entry(*nanos).or_default() += count;
        }
        all
    }
}

/// Sent, received, received between processes, dropped, left over.
type Sums = (u64, u64, u64, BTreeMap<String, u64>, u64);

fn count(counts: &Counts, row: Row) -> u64 {
    counts.get(&row.code()).copied().unwrap_or(0)
}

fn total(dropped: &BTreeMap<String, u64>) -> u64 {
    dropped.values().sum()
}

/// The smallest value that `share` of all are not above.
fn quantile(latency: &BTreeMap<u64, u64>, share: f64) -> Option<u64> {
    let all: u64 = latency.values().sum();
    let wanted = (all as f64 * share).ceil() as u64;
    let mut seen = 0;
    latency.iter().find_map(|(nanos, count)| {
        seen += count;
        (seen >= wanted.max(1)).then_some(*nanos)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chappe::PairReport;

    const GAME: i64 = 31;
    const PROXY: i64 = 11;
    const SERVICE: i64 = 41;

    fn of(row: Row, count: u64) -> Counts {
        Counts::from([(row.code(), count)])
    }

    fn report(node: i64, row: Row, sent: u64, delivered: u64) -> Report {
        Report {
            node: NodeId(node),
            incarnation: 1,
            sent: of(row, sent),
            delivered: of(row, delivered),
            ..Report::default()
        }
    }

    fn pair(peer: i64, row: Row, sent: u64, arrived: u64, under_way: u64) -> PairReport {
        PairReport {
            peer: NodeId(peer),
            incarnation: 1,
            sent: of(row, sent),
            arrived: of(row, arrived),
            under_way: of(row, under_way),
        }
    }

    fn books(reports: Vec<Report>) -> Books {
        Books { reports, proxies: [NodeId(PROXY)].into(), ..Books::default() }
    }

    #[test]
    fn two_that_live_agree_and_a_silent_loss_is_unaccounted() {
        let row = Row::NodeToService;
        let mut game = report(GAME, row, 12, 0);
        game.dropped = vec![(row.code(), Reason::Disconnected, 2)];
        game.pairs = vec![pair(SERVICE, row, 10, 0, 0)];
        let mut service = report(SERVICE, row, 0, 9);
        service.dropped = vec![(row.code(), Reason::NotReady, 1)];
        service.pairs = vec![pair(GAME, row, 0, 10, 0)];
        let line = books(vec![game.clone(), service.clone()]).line(row);
        assert_eq!((line.sent, line.received, line.between), (12, 9, 10));
        assert_eq!((total(&line.dropped), line.under_way, line.unaccounted), (3, 0, 0));

        service.pairs = vec![pair(GAME, row, 0, 9, 0)];
        service.delivered = of(row, 8);
        assert_eq!(books(vec![game, service]).line(row).unaccounted, 1);
    }

    #[test]
    fn a_loss_at_one_pair_is_not_hidden_by_a_double_at_another() {
        let row = Row::NodeToService;
        let mut game = report(GAME, row, 20, 0);
        game.pairs = vec![pair(41, row, 10, 0, 0), pair(42, row, 10, 0, 0)];
        let mut first = report(41, row, 0, 9);
        first.pairs = vec![pair(GAME, row, 0, 9, 0)];
        let mut second = report(42, row, 0, 11);
        second.pairs = vec![pair(GAME, row, 0, 11, 0)];
        let line = books(vec![game, first, second]).line(row);
        assert_eq!((line.sent, line.received, line.unaccounted), (20, 20, 2));
    }

    #[test]
    fn what_a_killed_receiver_acknowledged_is_received_and_the_rest_was_under_way() {
        let row = Row::ServiceToServer;
        let mut service = report(SERVICE, row, 10, 0);
        service.pairs = vec![pair(GAME, row, 10, 0, 3)];
        let line = books(vec![service]).line(row);
        assert_eq!((line.sent, line.received, line.under_way, line.unaccounted), (10, 7, 3, 0));
        assert_eq!(line.between, 7);
    }

    #[test]
    fn what_came_from_a_killed_sender_was_sent_by_it() {
        let row = Row::NodeToService;
        let mut service = report(SERVICE, row, 0, 4);
        service.dropped = vec![(row.code(), Reason::NotReady, 1)];
        service.pairs = vec![pair(GAME, row, 0, 5, 0)];
        let line = books(vec![service]).line(row);
        assert_eq!((line.sent, line.received, line.unaccounted), (5, 4, 0));
    }

    #[test]
    fn a_restarted_node_is_another_life_and_not_taken_for_the_killed_one() {
        let row = Row::ServiceToServer;
        let mut service = report(SERVICE, row, 10, 0);
        let mut later = pair(GAME, row, 4, 0, 0);
        later.incarnation = 2;
        service.pairs = vec![pair(GAME, row, 6, 0, 1), later];
        let mut game = report(GAME, row, 0, 4);
        game.incarnation = 2;
        game.pairs = vec![pair(SERVICE, row, 0, 4, 0)];
        let line = books(vec![service, game]).line(row);
        assert_eq!((line.sent, line.received, line.under_way, line.unaccounted), (10, 9, 1, 0));
    }

    #[test]
    fn what_arrived_although_its_connection_broke_was_not_under_way() {
        let row = Row::ServiceToServer;
        let mut service = report(SERVICE, row, 10, 0);
        service.pairs = vec![pair(GAME, row, 10, 0, 3)];
        let mut game = report(GAME, row, 0, 9);
        game.pairs = vec![pair(SERVICE, row, 0, 9, 0)];
        let line = books(vec![service, game]).line(row);
        assert_eq!((line.under_way, line.unaccounted), (1, 0));
    }

    #[test]
    fn messages_to_oneself_are_counted_and_not_taken_for_messages_between_processes() {
        let row = Row::NodeToServices;
        let mut service = report(SERVICE, row, 6, 3);
        service.pairs = vec![pair(42, row, 3, 0, 0)];
        let mut other = report(42, row, 0, 3);
        other.pairs = vec![pair(SERVICE, row, 0, 3, 0)];
        let line = books(vec![service, other]).line(row);
        assert_eq!((line.sent, line.received, line.between, line.unaccounted), (6, 6, 3, 0));
    }

    #[test]
    fn one_push_to_many_clients_is_followed_from_the_server_to_each_of_them() {
        let row = Row::ServerToClients;
        let mut game = report(GAME, row, 3, 0);
        game.dropped = vec![(row.code(), Reason::PlayerOffline, 1)];
        game.pairs = vec![pair(PROXY, row, 2, 0, 0)];
        let mut proxy = report(PROXY, row, 0, 9);
        proxy.dropped = vec![(row.code(), Reason::PlayerOffline, 1)];
        proxy.pairs = vec![pair(GAME, row, 0, 2, 0)];
        let mut books = books(vec![game, proxy]);
        books.clients.received = of(row, 9);
        let line = books.line(row);
        assert_eq!((line.sent, line.received, total(&line.dropped), line.unaccounted), (11, 9, 2, 0));
        books.clients.received = of(row, 8);
        assert_eq!(books.line(row).unaccounted, 1, "one was handed to a socket and never came");
    }

    #[test]
    fn a_push_that_a_proxy_forgot_is_unaccounted() {
        let row = Row::ServerToClient;
        let mut game = report(GAME, row, 2, 0);
        game.pairs = vec![pair(PROXY, row, 2, 0, 0)];
        let mut proxy = report(PROXY, row, 0, 1);
        proxy.pairs = vec![pair(GAME, row, 0, 2, 0)];
        let mut books = books(vec![game, proxy]);
        books.clients.received = of(row, 1);
        assert_eq!(books.line(row).unaccounted, 1);
    }

    #[test]
    fn what_clients_send_is_followed_through_the_proxy_to_a_killed_game() {
        let row = Row::ClientToServer;
        let mut proxy = report(PROXY, row, 0, 0);
        proxy.dropped = vec![(row.code(), Reason::StaleSession, 1)];
        proxy.pairs = vec![pair(GAME, row, 8, 0, 2)];
        let mut books = books(vec![proxy]);
        books.clients.sent = of(row, 10);
        books.clients.lost = of(row, 1);
        let line = books.line(row);
        assert_eq!((line.sent, line.received, line.under_way, line.unaccounted), (10, 6, 2, 0));
        assert_eq!(line.dropped, BTreeMap::from([("SessionEnded".into(), 1), ("StaleSession".into(), 1)]));
    }

    #[test]
    fn each_request_that_arrived_was_handled_by_one_of_the_two_registers() {
        let mut service = report(SERVICE, Row::RpcMethod, 5, 5);
        service.delivered.extend([(Row::RequestToService.code(), 5)]);
        assert_eq!(books(vec![service.clone()]).line(Row::RpcMethod).unaccounted, 0);
        service.delivered.extend([(Row::RequestToHashService.code(), 1)]);
        assert_eq!(books(vec![service]).line(Row::RpcMethod).unaccounted, 1);
    }

    #[test]
    fn quantiles_are_those_of_all_nodes_together() {
        let latency = BTreeMap::from([(10, 98), (20, 1), (30, 1)]);
        assert_eq!((quantile(&latency, 0.5), quantile(&latency, 0.99)), (Some(10), Some(20)));
        assert_eq!(quantile(&BTreeMap::new(), 0.5), None);
    }
}
