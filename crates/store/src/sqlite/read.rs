//! Reading from SQLite.

use super::failure;
use crate::changes::{AnswerRow, Read};
use crate::columns::{self, Cells};
use crate::legible::legible;
use crate::{CommitId, DeadLetter, HistoryEntry, Notification, NotificationId, Push, Record, StoreError};
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Params, Row};

pub(super) fn record(connection: &Connection, uid: u64) -> Read<Option<Record>> {
    let sql = format!("SELECT {} FROM players WHERE uid = ?1", columns::RECORD);
    one(connection, &sql, [uid.cast_signed()], |row| columns::record(row))
}

pub(super) const COMMIT: &str = "SELECT committed FROM commits WHERE id = ?1";

pub(super) fn commit(connection: &Connection, id: CommitId) -> Read<Option<bool>> {
    one(connection, COMMIT, [id.bytes()], is_committed)
}

/// A row of [`COMMIT`].
pub(super) fn is_committed(row: &Row<'_>) -> Read<bool> {
    cell(row, 0)
}

pub(super) fn answer(connection: &Connection, uid: u64, request: &str) -> Read<Option<Read<AnswerRow>>> {
    let sql = format!("SELECT {} FROM answers WHERE uid = ?1 AND request = ?2", columns::ANSWER);
    let found = one(connection, &sql, (uid.cast_signed(), request), |row| columns::answer(row))?;
    Ok(found.map(|(_, row)| row))
}

pub(super) fn unsettled(connection: &Connection, after: u64, limit: u32) -> Read<Vec<Notification>> {
    let sql = format!("SELECT {} FROM notifications WHERE ord > ?1 ORDER BY ord LIMIT ?2", columns::NOTE);
    legible(
        "notification",
        all(connection, &sql, (after.cast_signed(), limit), |row| Ok(columns::note(row)))?,
    )
}

pub(super) fn notification(connection: &Connection, id: NotificationId) -> Read<Option<Notification>> {
    let sql = format!("SELECT {} FROM notifications WHERE id = ?1", columns::NOTE);
    one(connection, &sql, [id.bytes()], |row| columns::note(row))
}

pub(super) fn pushes(connection: &Connection, uid: u64) -> Read<Vec<Push>> {
    let sql = format!("SELECT {} FROM pushes WHERE uid = ?1 ORDER BY sequence", columns::PUSH);
    legible("push", all(connection, &sql, [uid.cast_signed()], |row| Ok(columns::push(row)))?)
}

pub(super) fn letter(connection: &Connection, sequence: u64) -> Read<Option<Read<DeadLetter>>> {
    let sql = format!("SELECT {} FROM letters WHERE sequence = ?1", columns::LETTER);
    one(connection, &sql, [sequence.cast_signed()], |row| Ok(columns::letter(row)))
}

pub(super) fn letters(connection: &Connection, after: u64, limit: u32) -> Read<Vec<DeadLetter>> {
    let sql =
        format!("SELECT {} FROM letters WHERE sequence > ?1 ORDER BY sequence LIMIT ?2", columns::LETTER);
    all(connection, &sql, (after.cast_signed(), limit), |row| columns::letter(row))
}

pub(super) fn history(connection: &Connection, uid: u64) -> Read<Vec<HistoryEntry>> {
    let sql = format!("SELECT {} FROM history WHERE uid = ?1 ORDER BY version DESC", columns::HISTORY);
    all(connection, &sql, [uid.cast_signed()], |row| columns::history(row))
}

pub(super) fn players(connection: &Connection, after: Option<u64>, limit: u32) -> Read<Vec<u64>> {
    // Two statements: with one for both cases the key's order is walked from its beginning.
    let Some(after) = after else {
        let sql = "SELECT uid FROM players ORDER BY uid LIMIT ?1";
        return all(connection, sql, [limit], |row| row.number(0));
    };
    let sql = "SELECT uid FROM players WHERE uid > ?1 ORDER BY uid LIMIT ?2";
    all(connection, sql, (after.cast_signed(), limit), |row| row.number(0))
}

pub(super) fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Read<T>,
) -> Read<Option<T>> {
    let mut statement = connection.prepare_cached(sql).map_err(failure)?;
    let found = statement.query_row(params, |row| Ok(read(row))).optional().map_err(failure)?;
    found.transpose()
}

/// The rows of many keys, each read by the same statement; it is looked up once.
pub(super) fn each<K, P: Params, T>(
    connection: &Connection,
    sql: &str,
    keys: impl Iterator<Item = K>,
    params: impl Fn(&K) -> P,
    read: impl Fn(&Row<'_>) -> Read<T>,
) -> Read<Vec<(K, T)>> {
    let (mut keys, mut found) = (keys.peekable(), Vec::new());
    if keys.peek().is_none() {
        return Ok(found);
    }
    let mut statement = connection.prepare_cached(sql).map_err(failure)?;
    for key in keys {
        let row = statement.query_row(params(&key), |row| Ok(read(row))).optional().map_err(failure)?;
        found.extend(row.transpose()?.map(|row| (key, row)));
    }
    Ok(found)
}

fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&Row<'_>) -> Read<T>,
) -> Read<Vec<T>> {
    let mut statement = connection.prepare_cached(sql).map_err(failure)?;
    let rows = statement.query_map(params, |row| Ok(read(row))).map_err(failure)?;
    rows.map(|row| row.map_err(failure)?).collect()
}

impl Cells for Row<'_> {
    fn int(&self, at: usize) -> Read<i64> {
        cell(self, at)
    }

    fn int_or_null(&self, at: usize) -> Read<Option<i64>> {
        cell(self, at)
    }

    fn text(&self, at: usize) -> Read<String> {
        cell(self, at)
    }

    fn bytes(&self, at: usize) -> Read<Vec<u8>> {
        cell(self, at)
    }

    fn bytes_or_null(&self, at: usize) -> Read<Option<Vec<u8>>> {
        cell(self, at)
    }
}

fn cell<T: FromSql>(row: &Row<'_>, at: usize) -> Read<T> {
    row.get(at).map_err(|error| StoreError::Corrupt(error.to_string()))
}
