//! Whether the nodes' own books agree: everything that was sent has arrived, was dropped with a reason, or was
//! under way when a connection ended (design, section 3: unaccounted is 0).

use super::Life;
use chappe_node::Report;
use chappe_wire::{Reason, Row};
use std::collections::BTreeMap;

/// What the books of all lives say, held against each other. The sender that died need not know what was under
/// way.
pub fn audit(books: &BTreeMap<Life, Report>, died: impl Fn(Life) -> bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut under_way: BTreeMap<u8, u64> = BTreeMap::new();
    for (from, book) in books {
        for pair in &book.pairs {
            let to = Life { node: pair.peer, life: pair.incarnation };
            let theirs = books.get(&to).and_then(|book| {
                book.pairs.iter().find(|pair| (pair.peer, pair.incarnation) == (from.node, from.life))
            });
            for (row, sent) in &pair.sent {
                let arrived = theirs.and_then(|pair| pair.arrived.get(row)).copied().unwrap_or(0);
                let open = pair.under_way.get(row).copied().unwrap_or(0);
                if arrived > *sent {
                    wrong.push(format!("{from} sent {to} {sent} of row {row}; {arrived} arrived"));
                }
                if !died(*from) && arrived + open < *sent {
                    wrong.push(format!(
                        "{from} sent {to} {sent} of row {row}; {arrived} arrived, {open} were under way: \
                         {} unaccounted",
                        sent - arrived - open
                    ));
                }
                *under_way.entry(*row).or_default() += sent.saturating_sub(arrived);
            }
        }
        for name in ["sequence_gaps", "duplicate_frames", "protocol_errors", "handler_panics"] {
            if let Some(count) = book.named.get(name).filter(|count| **count > 0) {
                wrong.push(format!("{from} counted {count} {name}"));
            }
        }
    }
    wrong.extend(conserve(books, &under_way));
    wrong
}

/// What nodes lost though they were only replaced: messages that went to a life that left, or were dropped because a node was
/// not there. What concerns single sessions, and what handlers do, is no loss.
pub fn lost(books: &BTreeMap<Life, Report>) -> Vec<String> {
    let mut wrong = Vec::new();
    let allowed = [
        Reason::StaleSession,
        Reason::PlayerOffline,
        Reason::HandlerFailed,
        Reason::DeadlineExceeded,
        Reason::NoProvider,
    ];
    for (life, book) in books {
        for (row, reason, count) in &book.dropped {
            // The oracle sees what becomes of requests: their callers had given this one up.
            let is_late = (*row, *reason) == (Row::ResponseToServer.code(), Reason::NodeLost);
            if *row != Row::Internal.code() && !allowed.contains(reason) && !is_late {
                wrong.push(format!("{life} dropped {count} of row {row}: {reason}"));
            }
        }
        for pair in &book.pairs {
            let counts = |row: u8| row != Row::Internal.code() && row != Row::ResponseToServer.code();
            for (row, count) in pair.under_way.iter().filter(|(row, _)| counts(**row)) {
                let (peer, of) = (pair.peer, pair.incarnation);
                wrong.push(format!("{count} of row {row} were on the way from {life} to {peer}.{of}"));
            }
        }
    }
    wrong
}

/// Answers that came to a caller that no longer waited.
pub fn late_answers(books: &BTreeMap<Life, Report>) -> u64 {
    let late = (Row::ResponseToServer.code(), Reason::DeadlineExceeded);
    let dropped = books.values().flat_map(|book| &book.dropped);
    dropped.filter(|(row, reason, _)| (*row, *reason) == late).map(|(.., count)| count).sum()
}

/// Over the whole cluster, row by row: sent = delivered + dropped + under way. Events only: a request that waits
/// for a provider when its node dies is in no book.
fn conserve(books: &BTreeMap<Life, Report>, under_way: &BTreeMap<u8, u64>) -> Vec<String> {
    const EVENTS: [Row; 9] = [
        Row::ServerToMaster,
        Row::MasterToServer,
        Row::MasterToServices,
        Row::MasterToService,
        Row::ServiceToMaster,
        Row::ServiceToType,
        Row::ServiceToServer,
        Row::NodeToService,
        Row::NodeToServices,
    ];
    let mut wrong = Vec::new();
    for row in EVENTS.map(Row::code) {
        let sum = |count: &dyn Fn(&Report) -> u64| books.values().map(count).sum::<u64>();
        let sent = sum(&|book| book.sent.get(&row).copied().unwrap_or(0));
        let delivered = sum(&|book| book.delivered.get(&row).copied().unwrap_or(0));
        let dropped =
            sum(&|book| book.dropped.iter().filter(|(of, ..)| *of == row).map(|(.., count)| count).sum());
        let open = under_way.get(&row).copied().unwrap_or(0);
        // What a dead life had sent itself died with it: at most its last turn.
        let known = delivered + dropped + open;
        let own = books.len() as u64 * 8 * u64::from(row == Row::NodeToServices.code());
        if known > sent || sent > known + own {
            wrong.push(format!(
                "row {row}: {sent} sent; {delivered} delivered, {dropped} dropped, {open} under way"
            ));
        }
    }
    wrong
}
