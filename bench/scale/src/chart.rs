//! The chart of docs/en/scale.md: lines over logarithmic axes, in plain SVG that reads on light and dark pages alike.

use crate::report::{Figures, bytes, count, micros};
use std::fmt::{self, Write};

const WIDTH: f64 = 880.0;
const COLUMN: f64 = WIDTH / 2.0;
const HEIGHT: f64 = 250.0;
const HEADER: f64 = 56.0;
/// What is left of a panel for its plot: left, top, right and bottom edges.
const PLOT: (f64, f64, f64, f64) = (78.0, 34.0, 322.0, 196.0);

/// The colours of light pages, and in the media query those of dark ones.
const STYLE: &str = "\
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 }
  .panel { font-weight: 600 }
  .small { font-size: 11px; fill: #57606a }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  polyline { fill: none; stroke-width: 2 }
  .line0 { stroke: #0969da } .dot0, .name0 { fill: #0969da }
  .line1 { stroke: #bc4c00 } .dot1, .name1 { fill: #bc4c00 }
  .line2 { stroke: #1a7f37 } .dot2, .name2 { fill: #1a7f37 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .small { fill: #9198a1 }
    .grid { stroke: #30363d }
    .line0 { stroke: #4493f8 } .dot0, .name0 { fill: #4493f8 }
    .line1 { stroke: #f0883e } .dot1, .name1 { fill: #f0883e }
    .line2 { stroke: #3fb950 } .dot2, .name2 { fill: #3fb950 }
  }
";

struct Panel {
    title: &'static str,
    x_axis: &'static str,
    y_label: fn(f64) -> String,
    lines: Vec<Line>,
}

struct Line {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

/// The chart as an SVG document.
pub fn svg(figures: &Figures) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_svg(&mut text, figures);
    text
}

fn panels(figures: &Figures) -> Vec<Panel> {
    let nodes = |name, of: fn(&crate::nodes::NodesFigure) -> f64| Line {
        name,
        points: figures.nodes.iter().map(|at| (at.nodes as f64, of(at))).collect(),
    };
    let players = |name, of: fn(&crate::players::PlayersFigure) -> f64| Line {
        name,
        points: figures.players.iter().map(|at| (at.players as f64, of(at))).collect(),
    };
    vec![
        Panel {
            title: "Messages of a membership change",
            x_axis: "nodes",
            y_label: count,
            lines: vec![
                nodes("join", |at| at.join.traffic.frames as f64),
                nodes("crash", |at| at.crash.traffic.frames as f64),
            ],
        },
        Panel {
            title: "Time until all agree (network: 1 ms each way)",
            x_axis: "nodes",
            y_label: micros,
            lines: vec![
                nodes("join", |at| at.join.ms * 1e3),
                nodes("crash", |at| at.crash.ms * 1e3),
                nodes("master restarts", |at| at.restart.ms * 1e3),
            ],
        },
        Panel {
            title: "Memory at rest",
            x_axis: "nodes",
            y_label: bytes,
            lines: vec![
                nodes("a node", |at| at.rest_bytes as f64 / at.nodes as f64),
                nodes("all of them", |at| at.rest_bytes as f64),
            ],
        },
        Panel {
            title: "CPU time of the master",
            x_axis: "nodes",
            y_label: micros,
            lines: vec![
                nodes("a login", |at| at.login_us),
                nodes("a join", |at| at.join.master_us),
                nodes("its restart", |at| at.restart.master_us),
            ],
        },
        Panel {
            title: "CPU time of the master, 100 nodes",
            x_axis: "players",
            y_label: micros,
            lines: vec![
                players("a login", |at| at.login_us),
                players("its restart", |at| at.restart.master_us),
                players("a second at rest", |at| at.rest_us),
            ],
        },
        Panel {
            title: "Told at a restart of the master, 100 nodes",
            x_axis: "players",
            y_label: bytes,
            lines: vec![players("bytes", |at| at.restart.traffic.bytes as f64)],
        },
    ]
}

fn write_svg(to: &mut String, figures: &Figures) -> fmt::Result {
    let panels = panels(figures);
    let height = HEADER + HEIGHT * panels.len().div_ceil(2) as f64;
    writeln!(
        to,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">"
    )?;
    writeln!(to, "<title>How the cost of a cluster grows with its nodes and players</title>")?;
    writeln!(to, "<style>\n{STYLE}</style>")?;
    writeln!(to, "<text class=\"title\" x=\"20\" y=\"26\">How cost grows</text>")?;
    let note =
        format!("{}; real nodes in one thread on virtual time; both axes logarithmic", figures.machine);
    writeln!(to, "<text class=\"small\" x=\"20\" y=\"44\">{}</text>", escaped(&note))?;
    for (at, panel) in panels.iter().enumerate() {
        let (x, y) = ((at % 2) as f64 * COLUMN, HEADER + (at / 2) as f64 * HEIGHT);
        writeln!(to, "<g transform=\"translate({x} {y})\">")?;
        write_panel(to, panel)?;
        writeln!(to, "</g>")?;
    }
    writeln!(to, "</svg>")
}

fn write_panel(to: &mut String, panel: &Panel) -> fmt::Result {
    let (left, top, right, bottom) = PLOT;
    let points = || panel.lines.iter().flat_map(|line| &line.points);
    let (x_from, x_to) = decades(points().map(|at| at.0));
    let (y_from, y_to) = decades(points().map(|at| at.1));
    let x = |value: f64| left + (value.log10() - x_from) / (x_to - x_from) * (right - left);
    let y = |value: f64| {
        bottom
            - (value.max(f64::MIN_POSITIVE).log10().max(y_from) - y_from) / (y_to - y_from) * (bottom - top)
    };

    writeln!(to, "<text class=\"panel\" x=\"20\" y=\"18\">{}</text>", escaped(panel.title))?;
    for exponent in (x_from as i32)..=(x_to as i32) {
        let (value, at) = (10f64.powi(exponent), x(10f64.powi(exponent)));
        writeln!(to, "<line class=\"grid\" x1=\"{at:.1}\" y1=\"{top}\" x2=\"{at:.1}\" y2=\"{bottom}\"/>")?;
        let base = bottom + 16.0;
        writeln!(
            to,
            "<text class=\"small\" x=\"{at:.1}\" y=\"{base}\" text-anchor=\"middle\">{}</text>",
            count(value)
        )?;
    }
    // So many decades that their names would touch: every second one has its name.
    let step = if y_to - y_from > 7.0 { 2 } else { 1 };
    for exponent in ((y_from as i32)..=(y_to as i32)).step_by(step) {
        let (value, at) = (10f64.powi(exponent), y(10f64.powi(exponent)));
        writeln!(to, "<line class=\"grid\" x1=\"{left}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\"/>")?;
        let (name, edge, base) = ((panel.y_label)(value), left - 6.0, at + 4.0);
        writeln!(to, "<text class=\"small\" x=\"{edge}\" y=\"{base:.1}\" text-anchor=\"end\">{name}</text>")?;
    }
    let (middle, base) = ((left + right) / 2.0, bottom + 32.0);
    writeln!(
        to,
        "<text class=\"small\" x=\"{middle}\" y=\"{base}\" text-anchor=\"middle\">{}</text>",
        panel.x_axis
    )?;

    let mut names: Vec<(f64, usize)> = Vec::new();
    for (at, line) in panel.lines.iter().enumerate() {
        let places: Vec<String> =
            line.points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
        writeln!(to, "<polyline class=\"line{at}\" points=\"{}\"/>", places.join(" "))?;
        for place in &places {
            if let Some((x, y)) = place.split_once(',') {
                writeln!(to, "<circle class=\"dot{at}\" cx=\"{x}\" cy=\"{y}\" r=\"3\"/>")?;
            }
        }
        names.extend(line.points.last().map(|point| (y(point.1), at)));
    }
    // Names stand at the ends of their lines, and not on one another.
    names.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = f64::MIN;
    for (end, at) in names {
        let base = (end + 4.0).max(free);
        free = base + 14.0;
        let name = escaped(panel.lines[at].name);
        writeln!(to, "<text class=\"name{at}\" x=\"{}\" y=\"{base:.1}\">{name}</text>", right + 6.0)?;
    }
    Ok(())
}

/// The powers of ten around all values.
fn decades(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values = values.filter(|value| *value > 0.0).map(f64::log10);
    let (from, to) = values.fold((f64::MAX, f64::MIN), |(from, to), at| (from.min(at), to.max(at)));
    if from > to {
        return (0.0, 1.0);
    }
    (from.floor(), to.ceil().max(from.floor() + 1.0))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
