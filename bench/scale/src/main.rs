//! `chappe-bench-scale`: measures clusters of several sizes, each in a process of its own, and draws the chart of docs/en/scale.md.

use chappe_bench_scale::cluster::on_virtual_time;
use chappe_bench_scale::report::Figures;
use chappe_bench_scale::{chart, nodes, players};
use clap::{Parser, Subcommand};
use serde::de::DeserializeOwned;
use std::error::Error;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs, thread};

/// Measures how the cost of a cluster grows: real nodes in one thread, on virtual time. Prints tables as Markdown.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    /// Numbers of nodes, at least 5 each.
    #[arg(long, value_delimiter = ',', default_value = "10,30,100,300,1000")]
    nodes: Vec<usize>,
    /// Numbers of players, at least 100 each.
    #[arg(long, value_delimiter = ',', default_value = "1000,10000,100000,1000000")]
    players: Vec<u64>,
    /// Where the chart is written, as SVG.
    #[arg(long)]
    chart: Option<PathBuf>,
    /// Where the figures are written, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measures nothing and shows the figures of that file.
    #[arg(long, value_name = "JSON")]
    show: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What this program is when it has started itself.
#[derive(Subcommand)]
enum Part {
    /// Measures one number of nodes, and prints the figure as JSON.
    #[command(hide = true)]
    Nodes { count: usize },
    /// Measures one number of players, and prints the figure as JSON.
    #[command(hide = true)]
    Players { count: u64 },
}

fn main() -> ExitCode {
    match act(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chappe-bench-scale: {error}");
            ExitCode::FAILURE
        }
    }
}

fn act(cli: &Cli) -> Result<(), Box<dyn Error>> {
    match cli.part {
        Some(Part::Nodes { count }) => say(&serde_json::to_string(&on_virtual_time(nodes::measure(count)))?),
        Some(Part::Players { count }) => {
            say(&serde_json::to_string(&on_virtual_time(players::measure(count)))?)
        }
        None => compare(cli),
    }
}

fn compare(cli: &Cli) -> Result<(), Box<dyn Error>> {
    let figures = match &cli.show {
        Some(path) => serde_json::from_str(&fs::read_to_string(path)?)?,
        None => measure(cli)?,
    };
    say(&figures.to_string())?;
    if let Some(path) = &cli.json {
        fs::write(path, serde_json::to_string_pretty(&figures)?)?;
    }
    if let Some(path) = &cli.chart {
        fs::write(path, chart::svg(&figures))?;
    }
    Ok(())
}

fn measure(cli: &Cli) -> Result<Figures, Box<dyn Error>> {
    let mut figures = Figures { machine: machine(), ..Figures::default() };
    for count in &cli.nodes {
        eprintln!("{count} nodes ...");
        figures.nodes.push(alone("nodes", &count.to_string())?);
    }
    for count in &cli.players {
        eprintln!("{count} players ...");
        figures.players.push(alone("players", &count.to_string())?);
    }
    Ok(figures)
}

/// Measures in a process of its own.
fn alone<T: DeserializeOwned>(part: &str, count: &str) -> Result<T, Box<dyn Error>> {
    let output = Command::new(env::current_exe()?).args([part, count]).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{count} {part}: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Cores, CPU model and kernel.
fn machine() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpus.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    let model = model.map_or("unknown CPU", |(_, model)| model.trim());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // A distribution's own suffix tells nothing about speed.
    let kernel = kernel.trim().split('-').next().unwrap_or_default();
    format!("{cores} cores, {model}, Linux {kernel}; one of them used")
}

fn say(text: &str) -> Result<(), Box<dyn Error>> {
    Ok(writeln!(stdout(), "{text}")?)
}
