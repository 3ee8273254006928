//! Checksums: what is read is what was written, in the place where it was written.

use crate::StoreError;

/// A checksum over everything that goes in, in order.
#[derive(Default)]
pub(crate) struct Sum(crc32fast::Hasher);

impl Sum {
    /// For a table, so that a row in another table never holds.
    pub(crate) fn of(table: &str) -> Sum {
        Sum::default().bytes(table.as_bytes())
    }

    pub(crate) fn number(mut self, number: u64) -> Sum {
        self.0.update(&number.to_le_bytes());
        self
    }

    pub(crate) fn option(self, number: Option<u64>) -> Sum {
        self.number(u64::from(number.is_some())).number(number.unwrap_or(0))
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Sum {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    pub(crate) fn done(self) -> u32 {
        self.0.finalize()
    }

    /// Passes when `stored` is this sum.
    pub(crate) fn check(self, stored: i64, what: impl FnOnce() -> String) -> Result<(), StoreError> {
        if i64::from(self.done()) == stored { Ok(()) } else { Err(StoreError::Corrupt(what())) }
    }
}
