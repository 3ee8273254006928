//! Opening a PostgreSQL database: what it must be before anything is read from it.

use super::pipeline::{Call, Session, failure};
use super::target::Target;
use super::{tls, told_by};
use crate::schema::{self, Dialect};
use crate::{Options, StoreError, Survey, owner};
use std::time::Duration;
use tokio_postgres::NoTls;

const DIALECT: Dialect = Dialect {
    int: "bigint",
    bytes: "bytea",
    text: "text",
    clustered: "",
    // Room on each page for the next version of a row, which then needs no new index entry.
    plain: "WITH (fillfactor = 80)",
};
/// The advisory lock's number: `Chpe`.
const LOCK: i64 = 0x4368_7065;
/// That of the one who brings the schema up to date: `Chpp`.
const PREPARE: i64 = 0x4368_7070;
/// Of this schema only: two clusters may share a database, each in a schema of its own.
const SCHEMA: &str = "(hashtext(current_schema())::bigint << 32)";
/// Every statement finds its rows by key. Left to itself the planner plans each array anew, at more cost than running
/// it, or goes by the size that a table had when it was new.
const SETTINGS: &str = "SET synchronous_commit = on; SET statement_timeout = '12s';
     SET client_min_messages = warning; SET plan_cache_mode = force_generic_plan; SET jit = off;
     SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;";
/// A master that is frozen or cut off within a transaction must not keep the row of the lease from the next one.
const LEASED: &str = "SET idle_in_transaction_session_timeout = '3s'; SET tcp_user_timeout = '5s'";
/// How often the lock is tried: a master that was killed leaves its session for a moment.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn open(target: &Target, options: &Options) -> Result<Session, StoreError> {
    let mut session = connect(target).await?;
    session.batch(SETTINGS).await?;
    if options.is_shared {
        session.batch(LEASED).await?;
    }
    lock(&mut session, target, options.is_shared).await?;
    if target.is_in_clear() {
        tracing::warn!(
            store = target.place,
            "records go to the database in clear: add sslmode=verify-full to the url"
        );
    }
    let fsync = session.call(Call::new("SELECT current_setting('fsync')", Vec::new())).await?;
    if fsync.first().and_then(|row| row.try_get::<_, String>(0).ok()).is_some_and(|value| value == "off") {
        tracing::warn!(
            store = target.place,
            "the database runs with fsync = off: a crash of it loses what was acknowledged"
        );
    }
    session
        .batch(&format!(
            "BEGIN; SELECT pg_advisory_xact_lock({PREPARE} # {SCHEMA});
             CREATE TABLE IF NOT EXISTS meta (key text PRIMARY KEY, value text NOT NULL)"
        ))
        .await?;
    match prepare(&mut session, target, options).await {
        Ok(()) => session.batch("COMMIT").await.map(|()| session),
        Err(error) => {
            session.roll_back().await;
            Err(error)
        }
    }
}

/// Looks at the database and changes nothing; whoever has it open does not notice.
pub(super) async fn survey(target: &Target) -> Result<Survey, StoreError> {
    let mut session = connect(target).await?;
    session.batch("SET default_transaction_read_only = on").await?;
    let sql = format!(
        "SELECT coalesce(to_regclass('meta')::text, ''), coalesce(current_schema(), ''), pg_is_in_recovery(),
                has_schema_privilege(current_schema(), 'CREATE'),
                EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted
                        AND (classid::bigint << 32 | objid::bigint) = ({LOCK} # {SCHEMA})),
                coalesce((SELECT bool_or(NOT has_table_privilege(c.oid, 'INSERT')) FROM pg_class c
                          WHERE c.oid = to_regclass('meta')), false)"
    );
    let rows = session.call(Call::new(sql, Vec::new())).await?;
    let row = rows.first().ok_or_else(|| StoreError::StoreUnavailable("no answer".to_owned()))?;
    let text = |at| row.try_get::<_, String>(at).unwrap_or_default();
    let flag = |at| row.try_get::<_, Option<bool>>(at).ok().flatten().unwrap_or_default();
    let (has_tables, schema) = (!text(0).is_empty(), text(1));
    let hindrance = match () {
        () if schema.is_empty() => Some("the user has no schema to make tables in (search_path)".to_owned()),
        () if flag(2) => Some("the server is a standby, which takes no writes: name the primary".to_owned()),
        () if !has_tables && !flag(3) => {
            let grant = format!("the user may not make tables: GRANT CREATE ON SCHEMA {schema}");
            Some(grant)
        }
        () if flag(5) => Some("the user may not write to the tables that are there".to_owned()),
        () => None,
    };
    let mut found =
        Survey { hindrance, is_in_use: flag(4), is_in_clear: target.is_in_clear(), ..Survey::default() };
    if has_tables {
        found.owner = meta(&mut session, owner::KEYS[0]).await?;
        found.owner_id = meta(&mut session, owner::KEYS[1]).await?;
        let schema = meta(&mut session, "schema").await?;
        found.schema = schema.and_then(|text| text.parse().ok());
    }
    Ok(found)
}

async fn connect(target: &Target) -> Result<Session, StoreError> {
    let place = || target.place.clone();
    let refused = |error: tokio_postgres::Error| {
        let hint = tls::hint(&error);
        match error.as_db_error() {
            // Class 28: authorization; 3D: no such database.
            Some(told) if ["28", "3D"].iter().any(|class| told.code().code().starts_with(class)) => {
                let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                StoreError::BadPlace { place: place(), why: format!("{told}{hint}") }
            }
            None => match hint {
                Some(hint) => {
                    StoreError::BadPlace { place: place(), why: format!("{}; {hint}", told_by(&error)) }
                }
                None => StoreError::StoreUnavailable(format!("{}: {}", place(), told_by(&error))),
            },
            Some(_) => failure(&error),
        }
    };
    let (config, tls) = target.ready()?;
    Ok(match tls {
        None => {
            let (client, connection) = config.connect(NoTls).await.map_err(refused)?;
            Session::new(client, tokio::spawn(async move { drop(connection.await) }))
        }
        Some(tls) => {
            let (client, connection) = config.connect(tls).await.map_err(refused)?;
            Session::new(client, tokio::spawn(async move { drop(connection.await) }))
        }
    })
}

async fn lock(session: &mut Session, target: &Target, is_shared: bool) -> Result<(), StoreError> {
    let how = if is_shared { "pg_try_advisory_lock_shared" } else { "pg_try_advisory_lock" };
    let sql = format!("SELECT {how}({LOCK} # {SCHEMA})");
    for _ in 0..LOCK_TRIES {
        let rows = session.call(Call::new(sql.clone(), Vec::new())).await?;
        if rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(false) {
            return Ok(());
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    Err(StoreError::InUse { place: target.place.clone() })
}

/// Schema and owner, within a transaction.
async fn prepare(session: &mut Session, target: &Target, options: &Options) -> Result<(), StoreError> {
    let place = || target.place.clone();
    let found = meta(session, "schema").await?.map_or(Ok(0), |text| text.parse::<u32>());
    let found = found.map_err(|_| StoreError::Corrupt(format!("the schema's version at {}", place())))?;
    if found > schema::latest() {
        return Err(StoreError::NewerSchema { place: place(), found, known: schema::latest() });
    }
    // Before the migration: another cluster's store is not touched at all.
    let ours = [meta(session, owner::KEYS[0]).await?, meta(session, owner::KEYS[1]).await?];
    for (key, value) in owner::settle(ours, options, place)? {
        set_meta(session, key, &value).await?;
    }
    for from in found..schema::latest() {
        let Some(step) = schema::migration(from, &DIALECT) else { break };
        session.batch(&step).await?;
        set_meta(session, "schema", &(from + 1).to_string()).await?;
    }
    Ok(())
}

async fn meta(session: &mut Session, key: &str) -> Result<Option<String>, StoreError> {
    let call = Call::new("SELECT value FROM meta WHERE key = $1", vec![Box::new(key.to_owned())]);
    let rows = session.call(call).await?;
    Ok(rows.first().and_then(|row| row.try_get(0).ok()))
}

async fn set_meta(session: &mut Session, key: &str, value: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO meta VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    let call = Call::new(sql, vec![Box::new(key.to_owned()), Box::new(value.to_owned())]);
    session.call(call).await.map(drop)
}
