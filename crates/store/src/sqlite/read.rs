//! Reading from SQLite.

use super::failure;
use crate::changes::{AnswerRow, Read};
use crate::columns::{self, Cells};
use crate::{CommitId, DeadLetter, HistoryEntry, Notification, NotificationId, Push, Record, StoreError};
use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Params, Row};

pub(super) fn record(connection: &Connection, uid: u64) -> Read<Option<Record>> {
    let sql = format!("SELECT {} FROM players WHERE uid = ?1", columns::RECORD);
    one(connection, &sql, [uid.cast_signed()], |row| columns::record(row))
}

pub(super) fn commit(connection: &Connection, id: CommitId) -> rusqlite::Result<Option<bool>> {
    let mut statement = connection.prepare_cached("SELECT committed FROM commits WHERE id = ?1")?;
    statement.query_row([id.bytes()], |row| row.get(0)).optional()
}

pub(super) fn answer(connection: &Connection, uid: u64, request: &str) -> Read<Option<Read<AnswerRow>>> {
    let sql = format!("SELECT {} FROM answers WHERE uid = ?1 AND request = ?2", columns::ANSWER);
    let found = one(connection, &sql, (uid.cast_signed(), request), |row| columns::answer(row))?;
    Ok(found.map(|(_, row)| row))
}

pub(super) fn unsettled(connection: &Connection, after: u64, limit: u32) -> Read<Vec<Notification>> {
    let sql = format!("SELECT {} FROM notifications WHERE ord > ?1 ORDER BY ord LIMIT ?2", columns::NOTE);
    all(connection, &sql, (after.cast_signed(), limit), |row| columns::note(row))
}

pub(super) fn notification(connection: &Connection, id: NotificationId) -> Read<Option<Notification>> {
    let sql = format!("SELECT {} FROM notifications WHERE id = ?1", columns::NOTE);
    one(connection, &sql, [id.bytes()], |row| columns::note(row))
}

pub(super) fn pushes(connection: &Connection, uid: u64) -> Read<Vec<Push>> {
    let sql = format!("SELECT {} FROM pushes WHERE uid = ?1 ORDER BY sequence", columns::PUSH);
    all(connection, &sql, [uid.cast_signed()], |row| columns::push(row))
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
    let sql = "SELECT uid FROM players WHERE ?1 IS NULL OR uid > ?1 ORDER BY uid LIMIT ?2";
    all(connection, sql, (after.map(u64::cast_signed), limit), |row| row.number(0))
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
