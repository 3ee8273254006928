//! The chart for the README: one panel of bars for each row, in plain SVG that reads on light and dark pages alike.

use std::fmt::Write;

use crate::{
    compare::{Comparison, value},
    job::Engine,
    report::amount,
    rows::{Measure, Row, System},
};

const WIDTH: f64 = 880.0;
const PANEL: f64 = 420.0;
const NAME: f64 = 92.0;
/// The longest bar: the panel without the name on its left and the number on its right.
const BAR: f64 = PANEL - NAME - 70.0;
const LINE: f64 = 22.0;
const HEADER: f64 = 62.0;

/// The colours of light pages, and in the media query those of dark ones. Only Chappe has a colour of its own.
const STYLE: &str = "\
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 }
  .panel { font-weight: 600 }
  .small { font-size: 11px; fill: #57606a }
  .bar { fill: #9aa4b1 }
  .own { fill: #0969da }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .small { fill: #9198a1 }
    .bar { fill: #59636e }
    .own { fill: #4493f8 }
  }
";

/// The chart as an SVG document.
pub(crate) fn svg(comparison: &Comparison) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_svg(&mut text, comparison);
    text
}

fn write_svg(to: &mut String, comparison: &Comparison) -> std::fmt::Result {
    let panels: Vec<(Row, Vec<Bar>)> = Row::ALL
        .into_iter()
        .map(|row| (row, bars(comparison, row)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    let mut y = HEADER;
    let mut body = String::new();
    for pair in panels.chunks(2) {
        for (column, (row, bars)) in pair.iter().enumerate() {
            let x = 20.0 + column as f64 * PANEL;
            write_panel(&mut body, x, y, *row, bars)?;
        }
        let lines = pair.iter().map(|(_, bars)| bars.len()).max().unwrap_or(0);
        y += (lines as f64 + 2.0) * LINE;
    }
    writeln!(
        to,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" height=\"{y}\" role=\"img\">"
    )?;
    writeln!(to, "<title>Chappe beside raw sockets and message systems</title>")?;
    writeln!(to, "<style>\n{STYLE}</style>")?;
    writeln!(to, "<text class=\"title\" x=\"20\" y=\"26\">The same work, side by side</text>")?;
    let Comparison { machine, rounds, size, .. } = comparison;
    let note = format!(
        "{machine}; processes of one machine, {size}-byte payload, medians of {rounds} interleaved runs"
    );
    writeln!(to, "<text class=\"small\" x=\"20\" y=\"44\">{}</text>", escaped(&note))?;
    to.push_str(&body);
    writeln!(to, "</svg>")
}

struct Bar {
    name: String,
    value: f64,
    is_own: bool,
}

/// A row's bars, the best first.
fn bars(comparison: &Comparison, row: Row) -> Vec<Bar> {
    let nats = comparison.nats(row);
    let is_nats = |system| matches!(system, System::Baseline(Engine::NatsRequest | Engine::NatsInbox));
    let shown = comparison.cells.iter().filter(|cell| {
        // The better NATS stands for both; raw sockets without callers are no system that anyone could use.
        cell.row == row
            && (!is_nats(cell.system) || Some(cell.system) == nats)
            && cell.system != System::Baseline(Engine::Bare)
    });
    let mut bars: Vec<Bar> = shown
        .filter_map(|cell| {
            let name = match cell.system {
                system if is_nats(system) => "NATS",
                System::Baseline(Engine::Raw) => "raw sockets",
                System::Baseline(Engine::Relay) => "plain relay",
                System::Baseline(Engine::Redis) => "Redis",
                System::Chappe => "Chappe",
                System::ChappeMemory => "in memory",
                other => other.title(),
            };
            let is_own = matches!(cell.system, System::Chappe | System::ChappeMemory);
            Some(Bar { name: name.to_owned(), value: value(row, cell.median.as_ref()?)?, is_own })
        })
        .collect();
    bars.sort_by(|a, b| a.value.total_cmp(&b.value));
    if row.measure() == Measure::PerSecond {
        bars.reverse();
    }
    bars
}

fn write_panel(to: &mut String, x: f64, y: f64, row: Row, bars: &[Bar]) -> std::fmt::Result {
    let hint = if row.measure() == Measure::P50 { " (less is better)" } else { "" };
    writeln!(to, "<text class=\"panel\" x=\"{x}\" y=\"{}\">{}{hint}</text>", y + 16.0, escaped(row.title()))?;
    let most = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    for (line, bar) in bars.iter().enumerate() {
        let top = y + (line as f64 + 1.0) * LINE + 4.0;
        let (start, long) = (x + NAME, (bar.value / most * BAR).max(1.0));
        let class = if bar.is_own { "own" } else { "bar" };
        let base = top + 12.0;
        writeln!(
            to,
            "<text x=\"{:.0}\" y=\"{base}\" text-anchor=\"end\">{}</text>",
            start - 6.0,
            escaped(&bar.name)
        )?;
        writeln!(
            to,
            "<rect class=\"{class}\" x=\"{start}\" y=\"{top}\" width=\"{long:.1}\" height=\"16\" rx=\"2\"/>"
        )?;
        let number = amount(row, bar.value);
        writeln!(to, "<text class=\"small\" x=\"{:.1}\" y=\"{base}\">{number}</text>", start + long + 6.0)?;
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
