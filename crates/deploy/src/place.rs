//! Where something stands in deploy.json, and the step from a byte offset to a line and a column.

use std::fmt;

use serde::Serialize;

/// Where something stands in the file. Places order as they stand: by line, then by column.
///
/// It prints as `12:15: game[2].serverid`; without the parts that are not known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// The line, from 1; 0 when it is the file as a whole.
    pub line: u32,
    /// The column in characters, from 1; 0 when it is the file as a whole.
    pub column: u32,
    /// The way there through the JSON, such as `game[2].serverid`; empty at the top and in broken JSON.
    pub path: String,
}

impl Place {
    /// The file as a whole: no line, no path.
    pub(crate) fn whole_file() -> Place {
        Place { line: 0, column: 0, path: String::new() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.path.as_str()) {
            (0, path) => f.write_str(path),
            (line, "") => write!(f, "{line}:{}", self.column),
            (line, path) => write!(f, "{line}:{}: {path}", self.column),
        }
    }
}

/// A text with its line starts, to turn byte offsets into places.
#[derive(Debug)]
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn new(text: &'t str) -> Lines<'t> {
        let after_breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n').map(|(at, _)| at + 1);
        Lines { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    /// The place of byte `offset`; an offset past the end is the end.
    pub(crate) fn place(&self, offset: usize, path: impl Into<String>) -> Place {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|&start| start <= offset);
        let start = self.starts[line - 1]; // the first start is 0, so there is always one at or before the offset
        let before = self.text.as_bytes()[start..offset].iter();
        // Counted by the bytes that begin a character, so an offset inside a character cannot hurt.
        let column = before.filter(|&&byte| byte & 0xC0 != 0x80).count() + 1;
        Place { line: saturate(line), column: saturate(column), path: path.into() }
    }
}

fn saturate(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_not_counted_in_bytes_nor_lines_from_zero() {
        let lines = Lines::new("{\r\n  \"信\": 1}");
        let one = "{\r\n  \"信\": ".len();
        assert_eq!(lines.place(0, ""), Place { line: 1, column: 1, path: String::new() });
        assert_eq!(lines.place(one, "信").to_string(), "2:8: 信");
        assert_eq!(lines.place(usize::MAX, "").to_string(), "2:10");
    }
}
