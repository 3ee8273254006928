//! The commands of a running cluster, asked of whichever host has a master that answers.

use crate::told;
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a command may take that only looks.
const COMMAND: Duration = Duration::from_secs(20);
/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(10);

/// What a master says that stands by.
const NOT_LEADING: &str = "NotLeading";

/// The commands of a running cluster.
#[derive(Debug, Clone)]
pub struct Commands {
    pub(crate) program: PathBuf,
    /// deploy.json on each host that has a master.
    pub(crate) files: Vec<PathBuf>,
}

impl Commands {
    /// The commands of `program`, for a cluster of which a master runs with one of these files.
    #[must_use]
    pub fn new(program: PathBuf, files: Vec<PathBuf>) -> Commands {
        Commands { program, files }
    }

    /// The lines of a command's output, each of which is JSON. It is asked of each host with a master, until one answers.
    ///
    /// # Errors
    /// What the command says, or that it does not end.
    pub fn lines(&self, words: &[&str], options: &[&str]) -> Result<Vec<Value>, String> {
        self.lines_within(words, options, COMMAND)
    }

    /// As [`Commands::lines`], of a command that may take longer.
    ///
    /// # Errors
    /// As [`Commands::lines`].
    pub fn lines_within(
        &self,
        words: &[&str],
        options: &[&str],
        within: Duration,
    ) -> Result<Vec<Value>, String> {
        let mut failed = "there is no master".to_owned();
        let mut is_said = false;
        for file in &self.files {
            match self.ask(file, words, options, within) {
                Ok(lines) => return Ok(lines),
                // One that leads says more than one that stands by.
                Err(why) if !is_said => {
                    is_said = !why.contains(NOT_LEADING);
                    failed = why;
                }
                Err(_) => {}
            }
        }
        Err(failed)
    }

    /// As [`Commands::lines`], of a command that says one thing.
    ///
    /// # Errors
    /// As [`Commands::lines`].
    pub fn tell(&self, words: &[&str], options: &[&str]) -> Result<Value, String> {
        let lines = self.lines(words, options)?;
        lines.into_iter().next().ok_or_else(|| format!("`{}` says nothing", words.join(" ")))
    }

    fn ask(
        &self,
        file: &Path,
        words: &[&str],
        options: &[&str],
        within: Duration,
    ) -> Result<Vec<Value>, String> {
        let name = words.join(" ");
        let said = tempfile::tempfile().map_err(told(&name))?;
        let mut command = Command::new(&self.program);
        command.args(words).arg(file).args(options).arg("--json").stdin(Stdio::null());
        command.stdout(said.try_clone().map_err(told(&name))?);
        command.stderr(said.try_clone().map_err(told(&name))?);
        let mut child = command.spawn().map_err(told(&name))?;
        let deadline = Instant::now() + within;
        let status = loop {
            match child.try_wait().map_err(told(&name))? {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("`{name}` does not end within {within:?}"));
                }
                None => std::thread::sleep(LOOK),
            }
        };
        let text = read(said).map_err(told(&name))?;
        if !status.success() {
            return Err(format!("`{name}` has failed: {}", text.trim()));
        }
        // Warnings stand between them.
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}

fn read(mut file: File) -> std::io::Result<String> {
    use std::io::{Read as _, Seek as _};
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
