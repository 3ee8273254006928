//! The tables, the same in both databases, and how an older schema becomes the latest.

/// One step from each version to the next. A step that was released is never changed.
const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql"), include_str!("schema/2.sql")];

/// The schema that this program reads and writes.
pub(crate) fn latest() -> u32 {
    MIGRATIONS.len() as u32
}

/// A database's words for what the migrations leave open.
pub(crate) struct Dialect {
    pub(crate) int: &'static str,
    pub(crate) bytes: &'static str,
    pub(crate) text: &'static str,
    /// After a table whose rows lie in the order of their key.
    pub(crate) clustered: &'static str,
    /// After any other table.
    pub(crate) plain: &'static str,
}

/// The statements that lead from version `from` to the next; `None`: it is the latest.
pub(crate) fn migration(from: u32, dialect: &Dialect) -> Option<String> {
    let text = MIGRATIONS.get(from as usize)?;
    let text = text.replace("{int}", dialect.int).replace("{bytes}", dialect.bytes);
    let text = text.replace("{text}", dialect.text).replace("{plain}", dialect.plain);
    Some(text.replace("{clustered}", dialect.clustered))
}
