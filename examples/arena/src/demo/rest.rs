//! The end of the demo: waits until nothing moves any more, and collects the books.

use super::account::{Books, Counts};
use super::cluster::Cluster;
use super::watch::Watch;
use chappe::control_tool::Reports;
use chappe::{NodeId, Reason, Report, Role, Row};
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks at the cluster.
const LOOK: Duration = Duration::from_millis(50);
/// So many looks in a row must find nothing new.
const STILL: usize = 4;
/// And so many where the books do not balance: something may yet be on its way on a busy machine.
const STILL_OPEN: usize = 60;
/// How long all of it may take.
const REST: Duration = Duration::from_secs(15);

/// What no run may have.
const NEVER: [&str; 4] = ["handler_panics", "sequence_gaps", "duplicate_frames", "protocol_errors"];

/// The books of a cluster that has come to rest, and what is wrong with it.
pub(crate) fn books(cluster: &Cluster, watch: &Watch) -> Result<(Books, Vec<String>), String> {
    let since = Instant::now();
    let (mut before, mut still) = (None, 0);
    loop {
        let mut reports = cluster.reports()?;
        let is_complete = reports.missing.is_empty() && reports.reports.len() == cluster.members();
        let now = moving(&reports);
        let is_still = is_complete && before.as_ref() == Some(&now) && !waits(cluster, &reports);
        still = if is_still { still + 1 } else { 0 };
        before = Some(now);

        let is_late = since.elapsed() > REST;
        if still >= STILL || is_late {
            let mut faults = Vec::new();
            if is_late {
                faults.push(format!("the cluster did not come to rest within {REST:?}"));
            }
            let lives: BTreeSet<_> = reports.reports.iter().map(life).collect();
            reports
                .reports
                .extend(cluster.ended().into_iter().filter(|report| !lives.contains(&life(report))));
            faults
                .extend(reports.missing.iter().map(|(node, why)| format!("no report of node {node}: {why}")));
            faults.extend(NEVER.iter().filter_map(|name| {
                let count: u64 = reports.reports.iter().filter_map(|report| report.named.get(*name)).sum();
                (count > 0).then(|| format!("{name}: {count}"))
            }));
            let books = Books {
                reports: reports.reports,
                proxies: cluster.proxies().collect(),
                python: cluster.python_nodes().collect(),
                clients: watch.clients(),
            };
            let is_balanced = books.lines().iter().all(|line| line.unaccounted == 0);
            if is_balanced || still >= STILL_OPEN || is_late {
                return Ok((books, faults));
            }
        }
        sleep(LOOK);
    }
}

fn life(report: &Report) -> (NodeId, u64) {
    (report.node, report.incarnation)
}

type Moving = Vec<(NodeId, Counts, Counts, Vec<(u8, Reason, u64)>)>;

/// The counts of messages: the runtime's own never rest.
fn moving(reports: &Reports) -> Moving {
    let is_message = |code: u8| code != Row::Internal.code();
    let of = |counts: &Counts| -> Counts {
        counts.iter().filter(|(code, _)| is_message(**code)).map(|(code, count)| (*code, *count)).collect()
    };
    let each = reports.reports.iter().map(|report| {
        let dropped = report.dropped.iter().filter(|(code, ..)| is_message(*code)).copied().collect();
        (report.node, of(&report.sent), of(&report.delivered), dropped)
    });
    each.collect()
}

/// Whether anything waits at a node. The master's own report is made while it asks for the others': something
/// always waits there.
fn waits(cluster: &Cluster, reports: &Reports) -> bool {
    let is_master = |id: i64| cluster.deploy.node(id).is_some_and(|node| node.role == Role::Master);
    let others = reports.reports.iter().filter(|report| !is_master(report.node.0));
    others
        .flat_map(|report| ["pending_requests", "queued_bytes"].map(|name| report.named.get(name)))
        .any(|count| count.is_some_and(|count| *count > 0))
}
