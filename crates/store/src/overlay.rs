//! A table as a flush sees it: what was read, and over it what the pieces before have written.

use crate::changes::Read;
use crate::{Refused, StoreError};
use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct Overlay<K, V> {
    read: BTreeMap<K, Read<V>>,
    written: BTreeMap<K, Option<V>>,
}

impl<K: Ord + Clone, V> Overlay<K, V> {
    pub(crate) fn new(read: BTreeMap<K, Read<V>>) -> Overlay<K, V> {
        Overlay { read, written: BTreeMap::new() }
    }

    /// The row as the pieces before have left it.
    pub(crate) fn row(&self, key: &K) -> Result<Option<&V>, Refused> {
        match (self.written.get(key), self.read.get(key)) {
            (Some(written), _) => Ok(written.as_ref()),
            (None, Some(Ok(read))) => Ok(Some(read)),
            (None, Some(Err(StoreError::Corrupt(why)))) => Err(Refused::Corrupt(why.clone())),
            (None, Some(Err(why))) => Err(Refused::Corrupt(why.to_string())),
            (None, None) => Ok(None),
        }
    }

    pub(crate) fn put(&mut self, key: K, row: V) {
        self.written.insert(key, Some(row));
    }

    pub(crate) fn remove(&mut self, key: K) {
        self.written.insert(key, None);
    }

    /// Takes back what was written below keys that `of` picks.
    pub(crate) fn forget(&mut self, of: impl Fn(&K) -> bool) {
        self.written.retain(|key, _| !of(key));
        self.read.retain(|key, _| !of(key));
    }

    /// What the store is to do: rows to write, and rows to remove. A row that came and went within the flush is
    /// neither.
    pub(crate) fn changes(self) -> impl Iterator<Item = (K, Option<V>)> {
        let read = self.read;
        self.written.into_iter().filter(move |(key, row)| row.is_some() || read.contains_key(key))
    }

    /// The rows to write.
    pub(crate) fn written(&self) -> impl Iterator<Item = (&K, &V)> {
        self.written.iter().filter_map(|(key, row)| row.as_ref().map(|row| (key, row)))
    }

    /// Was the row there before the flush?
    pub(crate) fn was_there(&self, key: &K) -> bool {
        self.read.contains_key(key)
    }
}
