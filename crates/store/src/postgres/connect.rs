//! Opening a PostgreSQL database: what it must be before anything is read from it.

use super::pipeline::{Call, Session, failure};
use crate::schema::{self, Dialect};
use crate::{Options, StoreError};
use std::time::Duration;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Config, NoTls};

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
const CONNECT: Duration = Duration::from_secs(5);
/// How often the lock is tried: a master that was killed leaves its session for a moment.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Where the database is.
pub(super) struct Target {
    config: Config,
    /// Without secrets, for errors.
    pub(super) place: String,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Target, StoreError> {
        // The text may hold a password, and is not repeated.
        let bad = |why: String| StoreError::BadPlace { place: "the PostgreSQL url".to_owned(), why };
        let mut config: Config =
            url.parse().map_err(|error: tokio_postgres::Error| bad(error.to_string()))?;
        config.connect_timeout(CONNECT).application_name("chappe").keepalives_idle(Duration::from_secs(10));
        let hosts = config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        });
        let hosts = hosts.collect::<Vec<_>>().join(",");
        let place = format!("postgres {hosts} {}", config.get_dbname().unwrap_or_default());
        if config.get_ssl_mode() == SslMode::Require {
            return Err(StoreError::BadPlace { place, why: "TLS is not supported".to_owned() });
        }
        Ok(Target { config, place })
    }
}

pub(super) async fn open(target: &Target, options: &Options) -> Result<Session, StoreError> {
    let place = || target.place.clone();
    let refused = |error: tokio_postgres::Error| match error.as_db_error() {
        // Class 28: authorization; 3D: no such database.
        Some(told) if ["28", "3D"].iter().any(|class| told.code().code().starts_with(class)) => {
            StoreError::BadPlace { place: place(), why: told.to_string() }
        }
        _ => failure(&error),
    };
    let (client, connection) = target.config.connect(NoTls).await.map_err(refused)?;
    let driven = tokio::spawn(async move { drop(connection.await) });
    let mut session = Session::new(client, driven);
    session.batch(SETTINGS).await?;
    if options.is_shared {
        session.batch(LEASED).await?;
    }
    lock(&mut session, target, options.is_shared).await?;
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
    match meta(session, "cluster").await? {
        Some(owner) if owner == options.cluster => {}
        Some(found) => {
            return Err(StoreError::OtherCluster { place: place(), found, ours: options.cluster.clone() });
        }
        None => set_meta(session, "cluster", &options.cluster).await?,
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
