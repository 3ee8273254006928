//! What a node counts and what it warns of stands in the pages that operators read at night, in both languages, and those pages
//! tell of nothing that is not there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use chappe_wire::Reason;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const LANGUAGES: [&str; 2] = ["en", "zh"];
/// Where names are counted and lines are logged; not the benchmarks, nor what only a test's store says.
const SOURCES: [&str; 9] = [
    "crates/chappe/src",
    "crates/link/src",
    "crates/master/src",
    "crates/node/src",
    "crates/notify/src",
    "crates/proxy/src",
    "crates/store/src",
    "crates/deploy/src",
    "python/rust",
];
const NOT: [&str; 2] = ["crates/chappe/src/bench", "python/rust/records.rs"];

/// How counters begin whose names stand in a `match`.
const FAMILIES: [&str; 2] = ["tls_", "login_token_"];
/// Words that begin as metrics do.
const CRATES: [&str; 2] = ["chappe_node", "chappe_wire"];

#[test]
fn something_is_counted_or_logged_that_no_page_explains() {
    let known = Known::collect();
    assert!(known.counters.len() > 50 && known.metrics.len() > 10 && known.lines.len() > 50, "{known:#?}");
    for language in LANGUAGES {
        let place = format!("docs/{language}/operations/metrics.md");
        let explained = first_cells(&page(language, "metrics"));
        let missing: Vec<&String> = known.all().filter(|name| !explained.contains(*name)).collect();
        assert!(missing.is_empty(), "{place} has no row for {missing:#?}");
        let gone: Vec<&String> = explained.iter().filter(|name| !known.has(name)).collect();
        assert!(gone.is_empty(), "{place} explains what nothing says: {gone:#?}");
    }
}

#[test]
fn a_reason_is_given_that_no_page_explains() {
    for language in LANGUAGES {
        let text = read(&format!("docs/{language}/messages.md"));
        let is_missing = |reason: &&Reason| !text.contains(&format!("`{}`", reason.as_str()));
        let missing: Vec<&Reason> = Reason::ALL.iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "docs/{language}/messages.md does not tell of {missing:?}");
    }
}

#[test]
fn an_alert_or_a_page_waits_for_a_metric_that_never_comes() {
    let known = Known::collect();
    let rules = read("dist/prometheus/chappe.rules.yml");
    let mut texts = vec![("dist/prometheus/chappe.rules.yml".to_owned(), rules.clone())];
    for language in LANGUAGES {
        texts.extend(
            ["night", "backup", "three-machines", "upgrades"]
                .map(|name| (name.to_owned(), page(language, name))),
        );
    }
    for (place, text) in texts {
        let (metrics, incidents) = (words(&text, "chappe_"), labels(&text));
        for metric in metrics {
            assert!(known.metrics.contains(&metric), "{place} names {metric}");
        }
        for name in incidents {
            assert!(known.counters.contains(&name), "{place} names the incident {name}");
        }
    }
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 5, "{alerts:?}");
    for language in LANGUAGES {
        for alert in &alerts {
            let night = page(language, "night");
            assert!(
                night.contains(&format!("`{alert}`")),
                "docs/{language}/operations/night.md has nothing on {alert}"
            );
        }
    }
}

#[test]
fn a_command_is_shown_in_one_language_only() {
    for name in ["night", "backup", "three-machines", "upgrades"] {
        let [en, zh] = LANGUAGES.map(|language| commands(&page(language, name)));
        assert!(!en.is_empty(), "{name}.md shows no command");
        assert_eq!(en, zh, "{name}.md");
    }
}

/// What the sources count, publish and log.
#[derive(Debug, Default)]
struct Known {
    counters: BTreeSet<String>,
    metrics: BTreeSet<String>,
    lines: BTreeSet<String>,
}

impl Known {
    fn collect() -> Known {
        let (mut known, mut own) = (Known::default(), BTreeSet::new());
        for file in SOURCES.iter().flat_map(|dir| sources(&root().join(dir))) {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            for call in ["count(", "count_many(", "gauge(", "named.insert(", "refused("] {
                let names = code.split(call).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
                known.counters.extend(
                    names
                        .filter_map(|rest| rest.split('"').next())
                        .filter(|name| is_name(name))
                        .map(str::to_owned),
                );
            }
            // Counted by what is found in them.
            if file.starts_with(root().join("crates/proxy/src")) {
                let names = literals(code).into_iter().filter(|name| is_name(name));
                let is_counter = |name: &String| FAMILIES.iter().any(|family| name.starts_with(family));
                known.counters.extend(names.filter(is_counter));
            }
            if file.ends_with("nats/stats.rs") && code.contains("fn named") {
                let fields = code.split("\ncounters! {").nth(1).unwrap().split("\n}").next().unwrap();
                let fields = fields.lines().map(str::trim).filter(|line| is_name(line));
                known.counters.extend(fields.map(|name| format!("nats_{name}")));
            }
            if file.ends_with("http/metrics.rs") {
                known.metrics.extend(literals(code).iter().flat_map(|text| words(text, "chappe_")));
                for name in code.split("\nconst ").skip(1).flat_map(listed) {
                    own.insert(name.strip_suffix("_total").unwrap_or(&name).to_owned());
                    known.metrics.insert(format!("chappe_{name}"));
                }
            }
            for (at, _) in code.match_indices("tracing::warn!(").chain(code.match_indices("tracing::error!("))
            {
                let arguments = literals(balanced(&code[at..]));
                known.lines.extend(arguments.last().and_then(|text| line_of(text)));
            }
            if file.ends_with("supervisor/output.rs") {
                let said = code.split("impl fmt::Display for Event").nth(1).unwrap();
                known.lines.extend(
                    literals(said)
                        .iter()
                        .filter(|text| text.contains(' ') && text.starts_with(char::is_alphabetic))
                        .filter_map(|text| line_of(text)),
                );
            }
        }
        // Those with a metric of their own are no incidents.
        known.counters.retain(|name| !own.contains(name));
        known
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.counters.iter().chain(&self.metrics).chain(&self.lines)
    }

    fn has(&self, name: &str) -> bool {
        self.counters.contains(name) || self.metrics.contains(name) || self.lines.contains(name)
    }
}

/// The names in a constant that lists them, alone or each as the first of its row.
fn listed(constant: &str) -> Vec<String> {
    let list = constant.split_once("= [").map_or("", |(_, list)| list.split("];").next().unwrap());
    let names: Vec<String> = match list.contains('(') {
        true => list.split('(').filter_map(|row| literals(row).into_iter().next()).collect(),
        false => literals(list),
    };
    names.into_iter().filter(|name| is_name(name)).collect()
}

/// A log line as a page names it: what changes from line to line is `...`. `None` for one that is all of it.
fn line_of(text: &str) -> Option<String> {
    let mut line = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        line.push_str(before);
        line.push_str("...");
        rest = behind.split_once('}').map_or("", |(_, rest)| rest);
    }
    line.push_str(rest);
    let line = line.trim().replace('`', "'");
    line.chars().any(char::is_alphabetic).then_some(line)
}

/// The texts in double quotes, without escapes and with continued lines put together.
fn literals(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(char) = chars.next() {
        // A quote as a character, and comments' apostrophes, are not begun here.
        if char != '"' {
            continue;
        }
        let mut text = String::new();
        while let Some(char) = chars.next().filter(|char| *char != '"') {
            match char {
                '\\' => match chars.next() {
                    Some('\n') => while chars.next_if(|char| char.is_whitespace()).is_some() {},
                    Some(escaped) => text.push(escaped),
                    None => {}
                },
                char => text.push(char),
            }
        }
        found.push(text);
    }
    found
}

/// From its start to the bracket that closes the first one.
fn balanced(code: &str) -> &str {
    let (mut depth, mut in_text, mut was_escape) = (0, false, false);
    for (at, char) in code.char_indices() {
        match char {
            '"' if !was_escape => in_text = !in_text,
            '(' if !in_text => depth += 1,
            ')' if !in_text => {
                depth -= 1;
                if depth == 0 {
                    return &code[..at];
                }
            }
            _ => {}
        }
        was_escape = char == '\\' && !was_escape;
    }
    code
}

fn is_name(text: &str) -> bool {
    text.contains(char::is_alphabetic) && text.chars().all(|char| char.is_ascii_lowercase() || char == '_')
}

/// The metrics' names in a text: words that begin so.
fn words(text: &str, start: &str) -> BTreeSet<String> {
    let is_of_name = |char: char| char.is_ascii_lowercase() || char == '_';
    let words = text.split(|char: char| !is_of_name(char)).filter(|word| word.starts_with(start));
    words.filter(|word| !word.ends_with('_') && !CRATES.contains(word)).map(str::to_owned).collect()
}

/// The values of the label `name`, alternatives one by one.
fn labels(text: &str) -> BTreeSet<String> {
    let values = text.split("name=").skip(1).map(|rest| rest.trim_start_matches('~'));
    let values = values.filter_map(|rest| rest.strip_prefix('"')?.split('"').next());
    values.flat_map(|value| value.split('|')).filter(|name| is_name(name)).map(str::to_owned).collect()
}

/// What stands in backticks in the first cells of a page's tables.
fn first_cells(page: &str) -> BTreeSet<String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells
        .flat_map(|cell| cell.split('`').step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .filter(|name| !name.is_empty())
        .collect()
}

/// The lines with a prompt.
fn commands(page: &str) -> Vec<String> {
    page.lines().filter(|line| line.starts_with("$ ")).map(str::to_owned).collect()
}

fn page(language: &str, name: &str) -> String {
    read(&format!("docs/{language}/operations/{name}.md"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let is_left_out = NOT.iter().any(|left| path.strip_prefix(root()).unwrap().starts_with(left));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_a_test = name == "tests" || name.ends_with("tests.rs");
        if is_left_out || is_a_test {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path));
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    found
}
