//! Prometheus' text format (version 0.0.4), of all nodes' counters.

use chappe_node::Report;
use chappe_node::control_tool::{NodeInfo, Reports};
use chappe_wire::Row;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What Prometheus wants to be told.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Names in [`Report::named`] that go up and down.
const GAUGES: [&str; 3] = ["queued_bytes", "unacknowledged", "pending_requests"];
/// Those of records and notifications, which not every node has, each with what it says.
const STORE: [(&str, &str); 9] = [
    ("records_owned", "Player records that the node owns."),
    ("runs_undecided", "Handler runs that wait for their commits."),
    ("notifications_sent", "Notifications that nobody has acted on yet."),
    ("notifications_decided", "Notifications whose sender is still to hear of the outcome."),
    ("store_degraded", "1 while the store fails."),
    ("master_leads", "1 of the master that leads, 0 of one that stands by."),
    ("master_term", "The term under which it leads: grows with each leader."),
    ("lease_valid", "1 while the leader has its lease; 0: no logins and commits."),
    ("lease_renewals_failed", "Renewals of the lease that have failed."),
];

/// What nodes that use NATS say of it, each with its help. Those that count have `_total` behind their name in
/// [`Report::named`].
const NATS: [(&str, &str); 11] = [
    ("nats_up", "1 while the node's connection to NATS stands."),
    ("nats_round_trip_us", "Microseconds that the last probe took to the NATS servers and back."),
    ("nats_disconnects_total", "Times that the connection to NATS was lost."),
    ("nats_reconnects_total", "Times that it stood again."),
    ("nats_slow_consumer_total", "Times that NATS dropped what the node took too slowly. It is sent again."),
    ("nats_resent_total", "Messages of NATS that were sent again."),
    ("nats_broken_total", "Connections over NATS to other nodes that were lost."),
    ("nats_received_bytes_total", "Bytes that came over NATS."),
    ("nats_sent_bytes_total", "Bytes that went out over NATS."),
    ("nats_received_messages_total", "Messages of NATS that came."),
    ("nats_sent_messages_total", "Messages of NATS that went out."),
];

/// Labels and their values, in order.
type Labels<'a> = Vec<(&'a str, String)>;

/// The page. A node that did not answer has no counters on it, and `chappe_report_missing`.
pub(super) fn render(reports: &Reports, nodes: &[NodeInfo], online: usize) -> String {
    let mut page = Page(String::new());
    page.metric("chappe_players_online", "gauge", "Players that have a session.", [(vec![], online as u64)]);

    let mut states = BTreeMap::<_, u64>::new();
    for node in nodes {
        *states.entry((node.role.as_str(), node.state.as_str())).or_default() += 1;
    }
    let states = states
        .into_iter()
        .map(|((role, state), count)| (vec![("role", role.to_owned()), ("state", state.to_owned())], count));
    page.metric("chappe_nodes", "gauge", "Members by role and state.", states);

    let servers = nodes.iter().filter(|node| node.role.is_server());
    let players = servers.map(|node| {
        (vec![("node", node.id.to_string()), ("type", node.node_type.clone())], node.players as u64)
    });
    page.metric("chappe_players", "gauge", "Players on each lobby and game.", players);

    let messages = reports.reports.iter().flat_map(|report| {
        let sent = report.sent.iter().map(move |(row, count)| (row_labels(report, *row, "sent"), *count));
        let delivered = report.delivered.iter();
        sent.chain(delivered.map(move |(row, count)| (row_labels(report, *row, "delivered"), *count)))
    });
    let help = "Messages by the call that they come from: sent by a node's calls, delivered to its handlers.";
    page.metric("chappe_messages_total", "counter", help, messages);

    let dropped = reports.reports.iter().flat_map(|report| {
        report.dropped.iter().map(move |(row, reason, count)| {
            let mut labels = row_labels(report, *row, "");
            labels.retain(|(name, _)| *name != "direction");
            labels.push(("reason", reason.as_str().to_owned()));
            (labels, *count)
        })
    });
    page.metric(
        "chappe_dropped_total",
        "counter",
        "Messages dropped, and requests failed, by reason.",
        dropped,
    );

    for gauge in GAUGES {
        let values = reports
            .reports
            .iter()
            .map(|report| (node_labels(report), report.named.get(gauge).copied().unwrap_or_default()));
        let help = match gauge {
            "queued_bytes" => "Bytes that wait for peers.",
            "unacknowledged" => "Frames that peers have not acknowledged.",
            _ => "Requests that wait for their answers.",
        };
        page.metric(&format!("chappe_{gauge}"), "gauge", help, values);
    }

    for (gauge, help) in STORE {
        let value = |report: &'_ Report| Some((node_labels(report), *report.named.get(gauge)?));
        let values: Vec<_> = reports.reports.iter().filter_map(value).collect();
        if !values.is_empty() {
            page.metric(&format!("chappe_{gauge}"), "gauge", help, values);
        }
    }

    for (name, help) in NATS {
        let value = |report: &'_ Report| Some((node_labels(report), *report.named.get(counted(name))?));
        let values: Vec<_> = reports.reports.iter().filter_map(value).collect();
        if !values.is_empty() {
            let kind = if counted(name) == name { "gauge" } else { "counter" };
            page.metric(&format!("chappe_{name}"), kind, help, values);
        }
    }

    let incidents = reports.reports.iter().flat_map(|report| {
        let has_its_own = |name: &str| {
            GAUGES.contains(&name)
                || STORE.iter().any(|(gauge, _)| *gauge == name)
                || NATS.iter().any(|(known, _)| counted(known) == name)
        };
        let named = report.named.iter().filter(move |(name, _)| !has_its_own(name));
        named.map(move |(name, count)| {
            let mut labels = node_labels(report);
            labels.push(("name", name.clone()));
            (labels, *count)
        })
    });
    let help = "What else a node counts: failed requests, late answers, panics, protocol errors.";
    page.metric("chappe_incidents_total", "counter", help, incidents);

    let missing = reports
        .missing
        .iter()
        .map(|(node, reason)| (vec![("node", node.to_string()), ("reason", reason.as_str().to_owned())], 1));
    page.metric("chappe_report_missing", "gauge", "Nodes that did not hand in their counters.", missing);
    page.0
}

/// A metric's name as nodes count it.
fn counted(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

fn node_labels(report: &Report) -> Labels<'static> {
    vec![("node", report.node.to_string())]
}

fn row_labels(report: &Report, row: u8, direction: &str) -> Labels<'static> {
    let call = Row::from_code(row).map_or("unknown", Row::call);
    vec![
        ("node", report.node.to_string()),
        ("row", row.to_string()),
        ("call", call.to_owned()),
        ("direction", direction.to_owned()),
    ]
}

struct Page(String);

impl Page {
    fn metric<'a>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a>, u64)>,
    ) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in values {
            let labels: Vec<String> =
                labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use chappe_wire::{NodeId, Reason};

    #[test]
    fn a_page_that_prometheus_would_refuse() {
        let mut report = Report { node: NodeId(20), ..Report::default() };
        report.sent.insert(3, 5);
        report.dropped.push((16, Reason::NoProvider, 2));
        report.named.insert("failed_requests".into(), 2);
        report.named.insert("notifications_sent".into(), 7);
        report.named.insert("nats_reconnects".into(), 2);
        let missing = vec![(NodeId(7), Reason::DeadlineExceeded)];
        let reports = Reports { reports: vec![report], missing, left: vec![] };
        let page = render(&reports, &[], 4);
        for line in [
            "chappe_players_online 4",
            "chappe_messages_total{node=\"20\",row=\"3\",call=\"NotifyToMaster\",direction=\"sent\"} 5",
            "chappe_dropped_total{node=\"20\",row=\"16\",call=\"RequestToService\",reason=\"NoProvider\"} 2",
            "chappe_incidents_total{node=\"20\",name=\"failed_requests\"} 2",
            "chappe_notifications_sent{node=\"20\"} 7",
            "chappe_nats_reconnects_total{node=\"20\"} 2",
            "chappe_report_missing{node=\"7\",reason=\"DeadlineExceeded\"} 1",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
