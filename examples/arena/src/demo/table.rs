//! The table at the end of the demo.

use super::account::Line;
use std::fmt::Write as _;
use std::time::Duration;

/// The rows that the specification numbers; those behind them are shown and need not happen.
const NUMBERED: u8 = 18;
/// Those that the mods in Python take part in: all but the master's own mail.
const IN_PYTHON: [u8; 15] = [1, 2, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18];

/// The table as text.
pub(crate) fn draw(lines: &[Line]) -> String {
    let mut cells = vec![
        [
            "#",
            "call",
            "from -> to",
            "sent",
            "received",
            "in Python",
            "under way",
            "unacc.",
            "p50",
            "p99",
            "dropped",
        ]
        .map(str::to_owned),
    ];
    let lines: Vec<&Line> =
        lines.iter().filter(|line| line.row.code() <= NUMBERED || line.sent > 0).collect();
    for line in &lines {
        let dropped: Vec<String> = line.dropped.iter().map(|(why, count)| format!("{why} {count}")).collect();
        cells.push([
            line.row.code().to_string(),
            line.row.call().to_owned(),
            format!("{} -> {}", short(line.row.from()), short(line.row.to())),
            line.sent.to_string(),
            line.received.to_string(),
            line.in_python.to_string(),
            line.under_way.to_string(),
            line.unaccounted.to_string(),
            line.p50.map_or_else(String::new, time),
            line.p99.map_or_else(String::new, time),
            if dropped.is_empty() { "-".to_owned() } else { dropped.join(", ") },
        ]);
    }
    let width = |at: usize| cells.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; 11] = std::array::from_fn(width);
    let mut text = String::new();
    let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1));
    let numbered = lines.iter().filter(|line| line.row.code() <= NUMBERED).count();
    for (n, row) in cells.iter().enumerate() {
        for (at, cell) in row.iter().enumerate() {
            let is_number = matches!(at, 0 | 3..=9);
            let width = widths[at];
            let _ = match (is_number, at) {
                (true, _) => write!(text, "{cell:>width$}"),
                (false, 10) => write!(text, "{cell}"),
                (false, _) => write!(text, "{cell:<width$}"),
            };
            text.push_str(if at == 10 { "\n" } else { "  " });
        }
        // Below the head, and between the table's rows and the calls beside them.
        if n == 0 || (n == numbered && lines.len() > numbered) {
            let _ = writeln!(text, "{rule}");
        }
    }
    text
}

/// What is wrong with it: one text for each row that does not add up, or that happened fewer than `least` times
/// between different processes, or in which no mod took part that should have when there is Python.
pub(crate) fn faults(lines: &[Line], least: u64, with_python: bool) -> Vec<String> {
    let mut faults = Vec::new();
    for line in lines {
        if line.unaccounted > 0 {
            faults.push(format!("row {}: {} messages are unaccounted for", line.row, line.unaccounted));
        }
        if line.row.code() <= NUMBERED && line.between < least {
            let (row, count) = (line.row, line.between);
            faults.push(format!("row {row}: received {count} times between processes, wanted {least}"));
        }
        if with_python && IN_PYTHON.contains(&line.row.code()) && line.in_python == 0 {
            faults.push(format!("row {}: no mod in Python took part in it", line.row));
        }
    }
    faults
}

/// What takes too much of a terminal's width.
fn short(who: &'static str) -> &'static str {
    match who {
        "service, master, lobby/game" | "master, lobby/game, service" | "lobby/game, service, master" => {
            "any node"
        }
        "a service of the type" => "service of a type",
        who => who,
    }
}

fn time(nanos: u64) -> String {
    let time = Duration::from_nanos(nanos);
    match time.as_micros() {
        0..1000 => format!("{} us", time.as_micros()),
        1000..100_000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        _ => format!("{:.0} ms", time.as_secs_f64() * 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chappe::Row;

    fn line(row: Row, between: u64, unaccounted: u64) -> Line {
        Line {
            row,
            sent: between,
            received: between,
            between,
            dropped: [("NotReady".to_owned(), 2)].into(),
            under_way: 3,
            unaccounted,
            in_python: between / 2,
            p50: Some(120_000),
            p99: Some(2_500_000),
        }
    }

    #[test]
    fn an_empty_row_or_one_that_does_not_add_up_is_named() {
        let lines = [
            line(Row::ServerToClient, 100, 0),
            line(Row::ClientToServer, 99, 0),
            line(Row::ServerToMaster, 100, 1),
        ];
        let faults = faults(&lines, 100, false);
        assert_eq!(faults.len(), 2);
        assert!(
            faults[0].contains("2 NotifyToServer") && faults[1].contains("3 NotifyToMaster"),
            "{faults:?}"
        );
    }

    #[test]
    fn a_row_that_no_mod_took_part_in_is_named_when_there_are_mods() {
        let lines = [line(Row::ServerToClient, 1, 0), line(Row::ServerToMaster, 1, 0)];
        assert!(faults(&lines, 1, false).is_empty());
        assert_eq!(faults(&lines, 1, true), ["row 1 NotifyToClient: no mod in Python took part in it"]);
    }

    #[test]
    fn the_calls_beside_the_table_may_be_rare_but_must_add_up() {
        assert!(faults(&[line(Row::ServerToAllClients, 0, 0)], 100, true).is_empty());
        assert_eq!(faults(&[line(Row::ServerToAllClients, 0, 1)], 100, true).len(), 1);
    }

    #[test]
    fn every_row_has_its_line_and_the_reasons_stand_in_it() {
        let text = draw(&[line(Row::ServerToClient, 100, 0)]);
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("120 us") && text.contains("2.5 ms") && text.contains("NotReady 2"), "{text}");
    }
}
