//! Reading from PostgreSQL.

use super::pipeline::{Call, Session};
use crate::changes::Read;
use crate::columns::{self, Cells};
use crate::legible::legible;
use crate::{CommitId, DeadLetter, HistoryEntry, Notification, NotificationId, Push, Record, StoreError};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

pub(super) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

pub(super) async fn now_ms(session: &mut Session) -> Read<u64> {
    let rows = session.call(Call::new(format!("SELECT {NOW}"), Vec::new())).await?;
    rows.first().map_or(Ok(0), |row| row.number(0))
}

pub(super) async fn record(session: &mut Session, uid: u64) -> Read<Option<Record>> {
    let sql = format!("SELECT {} FROM players WHERE uid = $1", columns::RECORD);
    let rows = session.call(Call::new(sql, vec![Box::new(uid.cast_signed())])).await?;
    rows.first().map(columns::record).transpose()
}

pub(super) async fn commit(session: &mut Session, id: CommitId) -> Read<Option<bool>> {
    let sql = "SELECT committed FROM commits WHERE id = $1";
    let rows = session.call(Call::new(sql, vec![Box::new(id.bytes().to_vec())])).await?;
    rows.first().map(|row| row.int(0).map(|committed| committed != 0)).transpose()
}

pub(super) async fn answer(session: &mut Session, uid: u64, request: &str) -> Read<Option<Vec<u8>>> {
    let sql = format!("SELECT {} FROM answers WHERE uid = $1 AND request = $2", columns::ANSWER);
    let params: Vec<super::pipeline::Param> = vec![Box::new(uid.cast_signed()), Box::new(request.to_owned())];
    let rows = session.call(Call::new(sql, params)).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (_, read) = columns::answer(row)?;
    read.map(|row| Some(row.response))
}

pub(super) async fn unsettled(session: &mut Session, after: u64, limit: u32) -> Read<Vec<Notification>> {
    let sql = format!("SELECT {} FROM notifications WHERE ord > $1 ORDER BY ord LIMIT $2", columns::NOTE);
    let rows = session.call(Call::new(sql, page(after, limit))).await?;
    legible("notification", rows.iter().map(columns::note))
}

pub(super) async fn notification(session: &mut Session, id: NotificationId) -> Read<Option<Notification>> {
    let sql = format!("SELECT {} FROM notifications WHERE id = $1", columns::NOTE);
    let rows = session.call(Call::new(sql, vec![Box::new(id.bytes().to_vec())])).await?;
    rows.first().map(columns::note).transpose()
}

pub(super) async fn pushes(session: &mut Session, uid: u64) -> Read<Vec<Push>> {
    let sql = format!("SELECT {} FROM pushes WHERE uid = $1 ORDER BY sequence", columns::PUSH);
    let rows = session.call(Call::new(sql, vec![Box::new(uid.cast_signed())])).await?;
    legible("push", rows.iter().map(columns::push))
}

pub(super) async fn letters(session: &mut Session, after: u64, limit: u32) -> Read<Vec<DeadLetter>> {
    let sql =
        format!("SELECT {} FROM letters WHERE sequence > $1 ORDER BY sequence LIMIT $2", columns::LETTER);
    let rows = session.call(Call::new(sql, page(after, limit))).await?;
    rows.iter().map(columns::letter).collect()
}

pub(super) async fn history(session: &mut Session, uid: u64) -> Read<Vec<HistoryEntry>> {
    let sql = format!("SELECT {} FROM history WHERE uid = $1 ORDER BY version DESC", columns::HISTORY);
    let rows = session.call(Call::new(sql, vec![Box::new(uid.cast_signed())])).await?;
    rows.iter().map(columns::history).collect()
}

pub(super) async fn players(session: &mut Session, after: Option<u64>, limit: u32) -> Read<Vec<u64>> {
    // Two statements: with one for both cases the key's order is walked from its beginning.
    let call = match after {
        Some(after) => {
            Call::new("SELECT uid FROM players WHERE uid > $1 ORDER BY uid LIMIT $2", page(after, limit))
        }
        None => Call::new("SELECT uid FROM players ORDER BY uid LIMIT $1", vec![Box::new(i64::from(limit))]),
    };
    let rows = session.call(call).await?;
    rows.iter().map(|row| row.number(0)).collect()
}

fn page(after: u64, limit: u32) -> Vec<super::pipeline::Param> {
    vec![Box::new(after.cast_signed()), Box::new(i64::from(limit))]
}

impl Cells for Row {
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

fn cell<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Read<T> {
    row.try_get(at).map_err(|error| StoreError::Corrupt(error.to_string()))
}
