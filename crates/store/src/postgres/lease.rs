//! The lease in PostgreSQL. Each change is one statement that names what it found, so that of two that want it one gets it.

use super::pipeline::{Call, Param, Session};
use super::read::NOW;
use crate::changes::Read;
use crate::columns::Cells;
use crate::lease::{Led, millis};
use crate::{Candidate, Lease, StoreError};
use chappe_wire::NodeId;
use tokio_postgres::Row;

pub(super) async fn read(session: &mut Session) -> Read<Lease> {
    let rows = session.call(Call::new(format!("SELECT {} FROM lease", columns()), Vec::new())).await?;
    of(&rows)
}

/// Reads it for a transaction, and keeps everybody else from changing it until that has ended.
pub(super) fn hold() -> Call {
    Call::new(format!("SELECT {} FROM lease FOR SHARE", columns()), Vec::new())
}

/// Takes it if the candidate may, as [`Lease::taken`](crate::Lease) has it. How it stands then.
pub(super) async fn take(session: &mut Session, by: &Candidate) -> Read<Lease> {
    // Looked at first, so that one who only waits does not hold up transactions.
    let found = read(session).await?;
    if found.taken(by).is_none() {
        return Ok(found);
    }
    let sql = format!(
        "UPDATE lease SET term = CASE WHEN holder = $1 AND incarnation = $2 THEN term ELSE term + 1 END,
         holder = $1, incarnation = $2, ends_ms = {NOW} + $3
         WHERE holder IS NULL OR ends_ms <= {NOW} OR (holder = $1 AND incarnation <= $2) RETURNING {}",
        columns()
    );
    let params: Vec<Param> = vec![
        Box::new(by.node.0),
        Box::new(by.incarnation.cast_signed()),
        Box::new(millis(by.lasts).cast_signed()),
    ];
    let rows = session.call(Call::new(sql, params)).await?;
    if rows.is_empty() { read(session).await } else { of(&rows) }
}

pub(super) async fn renew(session: &mut Session, led: &Led) -> Read<Lease> {
    let sql = format!(
        "UPDATE lease SET ends_ms = {NOW} + $4 WHERE term = $1 AND holder = $2 AND incarnation = $3 RETURNING {}",
        columns()
    );
    let mut params = whose(led);
    params.push(Box::new(millis(led.by.lasts).cast_signed()));
    let rows = session.call(Call::new(sql, params)).await?;
    if rows.is_empty() {
        let found = read(session).await?;
        led.holds(&found)?;
        return Err(StoreError::Corrupt("the lease has changed and is the same".to_owned()));
    }
    of(&rows)
}

pub(super) async fn resign(session: &mut Session, led: &Led) -> Read<()> {
    let sql =
        "UPDATE lease SET holder = NULL, ends_ms = 0 WHERE term = $1 AND holder = $2 AND incarnation = $3";
    session.call(Call::new(sql, whose(led))).await.map(drop)
}

fn whose(led: &Led) -> Vec<Param> {
    vec![
        Box::new(led.term.cast_signed()),
        Box::new(led.by.node.0),
        Box::new(led.by.incarnation.cast_signed()),
    ]
}

fn columns() -> String {
    format!("term, holder, incarnation, ends_ms, {NOW}")
}

/// As the columns of its one row have it.
pub(super) fn of(rows: &[Row]) -> Read<Lease> {
    let row = rows.first().ok_or_else(|| StoreError::Corrupt("the lease has no row".to_owned()))?;
    let holder = match (row.int_or_null(1)?, row.int_or_null(2)?) {
        (Some(node), Some(incarnation)) => Some((NodeId(node), incarnation.cast_unsigned())),
        _ => None,
    };
    Ok(Lease { term: row.number(0)?, holder, ends_ms: row.number(3)?, now_ms: row.number(4)? })
}
