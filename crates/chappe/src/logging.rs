//! Log lines: compact for people, JSON for programs, each with its node's name in front where a process has several.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::SystemTime;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// What is logged when neither `--log` nor `RUST_LOG` says.
const DEFAULT: &str = "info";

thread_local! {
    /// What stands in front of this thread's log lines.
    static PREFIX: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Starts logging to standard error. `filter` is as in `RUST_LOG`, and goes before it.
///
/// # Errors
/// What is wrong with the filter.
pub(crate) fn start(filter: Option<&str>, as_json: bool) -> Result<(), String> {
    let from_env = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|filter| !filter.is_empty());
    let text = filter.map(str::to_owned).or(from_env).unwrap_or_else(|| DEFAULT.to_owned());
    let filter = EnvFilter::try_new(without_frames(&text))
        .map_err(|error| format!("the log filter `{text}`: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Prefixed);
    // Refused when there is a subscriber already: that of the program that this library is in.
    let _ = match as_json {
        true => builder.json().with_ansi(false).try_init(),
        false => builder.compact().with_timer(TimeOfDay).with_ansi(has_colors(&io::stderr())).try_init(),
    };
    Ok(())
}

/// The filter, but for what the WebSocket library says of each frame: the first one of a client has its login token in
/// it, and no filter must bring that into a log.
fn without_frames(filter: &str) -> String {
    const LIBRARY: &str = "tungstenite";
    let kept = filter.split(',').filter(|directive| !directive.trim_start().starts_with(LIBRARY));
    let mut kept: Vec<&str> = kept.collect();
    kept.push("tungstenite=info");
    kept.join(",")
}

/// Sets what stands in front of the log lines of the current thread.
pub(crate) fn set_prefix(prefix: String) {
    PREFIX.set(prefix);
}

/// Whether to write colours there (<https://no-color.org>, and `CLICOLOR_FORCE` for a pipe to a terminal).
pub(crate) fn has_colors(to: &impl IsTerminal) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    if is_set("NO_COLOR") { false } else { is_set("CLICOLOR_FORCE") || to.is_terminal() }
}

/// The time of day (UTC), in milliseconds: who reads along knows the date.
struct TimeOfDay;

impl FormatTime for TimeOfDay {
    fn format_time(&self, to: &mut Writer<'_>) -> fmt::Result {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let (seconds, millis) = (now.as_secs() % 86_400, now.subsec_millis());
        write!(to, "{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

/// Standard error, with the thread's prefix.
struct Prefixed;

impl<'w> MakeWriter<'w> for Prefixed {
    type Writer = Prefixed;

    fn make_writer(&'w self) -> Prefixed {
        Prefixed
    }
}

impl Write for Prefixed {
    /// The formatter hands over one whole event a call.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        PREFIX.with_borrow(|prefix| {
            if prefix.is_empty() {
                return io::stderr().write_all(event);
            }
            let line = [prefix.as_bytes(), event].concat();
            io::stderr().write_all(&line)
        })?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
