//! One line a second while the bots play.

use super::cluster::Cluster;
use super::watch::Watch;
use crate::bot::Place;
use chappe::{NodeId, Role, Row};
use std::collections::BTreeMap;
use std::time::Instant;

/// What was counted when it was last looked.
pub(crate) struct Progress {
    started: Instant,
    looked: Instant,
    /// By life, so that a node that starts anew takes nothing back.
    messages: BTreeMap<(NodeId, u64), u64>,
    requests: BTreeMap<(NodeId, u64), u64>,
}

impl Progress {
    pub(crate) fn new(started: Instant) -> Progress {
        Progress { started, looked: started, messages: BTreeMap::new(), requests: BTreeMap::new() }
    }

    /// Prints the line.
    pub(crate) fn show(&mut self, cluster: &Cluster, watch: &Watch) {
        let now = Instant::now();
        let seconds = (now - self.looked).as_secs_f64().max(0.001);
        let places = watch.places();
        let at = |place| places.get(&place).copied().unwrap_or(0);
        let rates = match cluster.reports() {
            Ok(reports) => {
                let (messages, requests) = (total(&self.messages), total(&self.requests));
                for report in &reports.reports {
                    let life = (report.node, report.incarnation);
                    let sum = |is: fn(u8) -> bool| -> u64 {
                        report.delivered.iter().filter(|(code, _)| is(**code)).map(|(_, count)| count).sum()
                    };
                    self.messages.insert(life, sum(is_message));
                    self.requests.insert(life, sum(is_request));
                }
                let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
                let messages = rate(total(&self.messages), messages);
                let requests = rate(total(&self.requests), requests);
                format!("{messages:>6.0} messages/s   {requests:>4.0} requests/s")
            }
            Err(error) => error,
        };
        let nodes = cluster.nodes().unwrap_or_default();
        let players = |node: &&chappe::control_tool::NodeInfo| matches!(node.role, Role::Lobby | Role::Game);
        let servers: Vec<String> =
            nodes.iter().filter(players).map(|node| format!("{}:{}", node.id, node.players)).collect();
        let online = at(Place::Lobby) + at(Place::Queue) + at(Place::Game);
        super::say(&format!(
            "{:>3.0} s  {online:>4} online  {:>4} in queue  {:>4} in games  {rates}   players {}",
            (now - self.started).as_secs_f64(),
            at(Place::Queue),
            at(Place::Game),
            servers.join(" "),
        ));
        self.looked = now;
    }
}

/// Rows that are messages of their own: 14 and 15 count the requests of 16, 17 and 21 again.
fn is_message(code: u8) -> bool {
    !matches!(Row::from_code(code), None | Some(Row::Internal | Row::RpcMethod | Row::RpcModMethod))
}

fn is_request(code: u8) -> bool {
    use Row::{RequestToHashService, RequestToService, RequestToServiceMod};
    matches!(Row::from_code(code), Some(RequestToHashService | RequestToService | RequestToServiceMod))
}

fn total(by_life: &BTreeMap<(NodeId, u64), u64>) -> u64 {
    by_life.values().sum()
}
