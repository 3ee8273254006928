//! What a reading found so far: errors and warnings, collected while it goes on.

use crate::error::{DeployError, DeployErrors, Notice, Problem, Warning};
use crate::place::{Lines, Place};

/// Collects what is wrong, so that one reading tells it all. Reading goes on with a default after each error.
#[derive(Debug)]
pub(crate) struct Report<'t> {
    lines: Lines<'t>,
    errors: Vec<DeployError>,
    warnings: Vec<Warning>,
}

impl<'t> Report<'t> {
    /// An empty report on `text`.
    pub(crate) fn new(text: &'t str) -> Report<'t> {
        Report { lines: Lines::new(text), errors: Vec::new(), warnings: Vec::new() }
    }

    /// The place of a byte offset of the text.
    pub(crate) fn place(&self, offset: usize, path: impl Into<String>) -> Place {
        self.lines.place(offset, path)
    }

    pub(crate) fn error(&mut self, place: Place, problem: Problem) {
        self.errors.push(DeployError { place, problem });
    }

    pub(crate) fn warn(&mut self, place: Place, notice: Notice) {
        self.warnings.push(Warning { place, notice });
    }

    /// Ends the reading: the warnings, or all errors; each sorted by place.
    pub(crate) fn finish(mut self, file: &str) -> Result<Vec<Warning>, DeployErrors> {
        // A stable sort: several errors at one place stay in the order they were found.
        self.warnings.sort_by(|a, b| a.place.cmp(&b.place));
        match DeployErrors::new(file, self.errors, Vec::new()) {
            None => Ok(self.warnings),
            Some(errors) => Err(DeployErrors { warnings: self.warnings, ..errors }),
        }
    }
}
