//! PostgreSQL: for clusters over several machines, whose database is elsewhere.
//!
//! Through tokio-postgres, because it alone sends statements one after another without waiting for each answer: a
//! flush costs two round trips, whatever is in it. Each statement carries the rows of all commits as arrays.
//!
//! An advisory lock, held by the session, keeps a second user out, or several masters and anyone else apart; a session that
//! is lost loses its lock and its transaction together. Of several masters the lease says which one may write: each
//! transaction holds its row, so that nobody else can take it before the transaction has ended.

mod connect;
mod flush;
mod lease;
mod pipeline;
mod read;
mod target;
mod tls;

use crate::changes::Wanted;
use crate::judge::judge;
use crate::lease::Led;
use crate::work::tell_pruned;
use crate::{
    Candidate, CommitId, DeadLetter, Done, HistoryEntry, Lease, Notification, NotificationId, Options, Push,
    Record, Store, StoreError, Survey, Verdict, Work,
};
use pipeline::Session;
use std::error::Error;
use std::time::Duration;
use target::Target;
use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout, timeout_at};

/// What a look from outside may take.
const SURVEY: Duration = Duration::from_secs(6);
/// What one flush or read may take, connecting included; after that the session is given up.
const PATIENCE: Duration = Duration::from_secs(15);

/// A store in a PostgreSQL database.
pub struct PostgresStore {
    target: Target,
    options: Options,
    /// Drives the session, on the store's own thread and only within a call.
    runtime: Runtime,
    /// `None` after it was lost; the next call connects again.
    session: Option<Session>,
    led: Option<Led>,
}

impl PostgresStore {
    /// Connects to `url` (`postgres://user@host/database`, or `host=/run/postgresql dbname=game`), and brings the
    /// schema up to date. A url may say `sslmode` (`require` and `verify-ca` check the certificate's authority and dates,
    /// `verify-full` its name too; without it nothing is encrypted), `sslrootcert`, `sslcert` and `sslkey`, and
    /// `passfile`; the password may stand in `PGPASSWORD` or in a password file.
    ///
    /// # Errors
    /// All but [`StoreError::AnswerLost`] and [`StoreError::Overloaded`].
    pub fn open(url: &str, options: Options) -> Result<PostgresStore, StoreError> {
        let target = Target::parse(url)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| StoreError::StoreUnavailable(error.to_string()))?;
        let session = runtime.block_on(connect::open(&target, &options))?;
        Ok(PostgresStore { target, options, runtime, session: Some(session), led: None })
    }

    /// Whether `url` is one that can be opened, and its files are there; nobody is asked.
    ///
    /// # Errors
    /// [`StoreError::BadPlace`].
    pub(crate) fn check_url(url: &str) -> Result<(), StoreError> {
        Target::parse(url)?.ready().map(drop)
    }

    /// Runs `task` on the session, within [`PATIENCE`]. A session that is lost or late is given up. Where one that was kept
    /// turns out to be lost and nothing of `task` was done, it runs once more, on a new one: so nobody hears of a database
    /// that was restarted meanwhile.
    fn on_session<T>(
        &mut self,
        late: fn(String) -> StoreError,
        mut task: impl AsyncFnMut(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (target, options) = (&self.target, &self.options);
        let kept = self.session.take().filter(|session| !session.is_closed());
        let mut now = None;
        let ran = self.runtime.block_on(async {
            let until = Instant::now() + PATIENCE;
            let silent = || format!("{} does not answer", target.place);
            if let Some(session) = kept {
                let session = now.insert(session);
                let ran = timeout_at(until, task(session)).await.unwrap_or_else(|_| {
                    session.give_up();
                    Err(late(silent()))
                });
                // It says that nothing was done; of a commit whose answer was lost it is not said.
                let is_undone = matches!(ran, Err(StoreError::StoreUnavailable(_)));
                if !is_undone || timeout_at(until, session.is_open()).await.unwrap_or(true) {
                    return ran;
                }
                now = None;
            }
            let session = timeout_at(until, connect::open(target, options)).await;
            let session = session.map_err(|_| StoreError::StoreUnavailable(silent()))?;
            let session = now.insert(session.map_err(still_lost)?);
            timeout(PATIENCE, task(session)).await.unwrap_or_else(|_| {
                session.give_up();
                Err(late(silent()))
            })
        });
        self.session = now.filter(|session| !session.is_closed());
        ran
    }

    fn read<T>(
        &mut self,
        task: impl AsyncFnMut(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.on_session(StoreError::StoreUnavailable, task)
    }
}

/// Looks at the database and changes nothing.
pub(crate) fn survey(url: &str) -> Result<Survey, StoreError> {
    let target = Target::parse(url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| StoreError::StoreUnavailable(error.to_string()))?;
    let looking = async { timeout(SURVEY, connect::survey(&target)).await };
    let late = || StoreError::StoreUnavailable(format!("{} does not answer", target.place));
    runtime.block_on(looking).unwrap_or_else(|_| Err(late()))
}

impl Store for PostgresStore {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn flush(&mut self, work: &[Work]) -> Result<Vec<Done>, StoreError> {
        let limits = self.options.limits.clone();
        let wanted = Wanted::by(work);
        let led = match self.options.is_shared {
            true => Some(self.led.ok_or_else(crate::lease::not_led)?),
            false => None,
        };
        self.on_session(StoreError::AnswerLost, async |session| {
            let rows = match flush::rows(session, &wanted, led.as_ref()).await {
                Ok(rows) => rows,
                Err(error) => {
                    session.roll_back().await;
                    return Err(error);
                }
            };
            let now_ms = rows.now_ms;
            let (mut done, changes) = judge(work, rows, &limits);
            if changes.is_empty() {
                session.roll_back().await;
                return Ok(done);
            }
            let pruned = flush::apply(session, &changes, now_ms).await?;
            tell_pruned(&mut done, pruned);
            Ok(done)
        })
    }

    fn lease(&mut self) -> Result<Option<Lease>, StoreError> {
        match self.options.is_shared {
            true => self.read(lease::read).map(Some),
            false => Ok(None),
        }
    }

    fn lead(&mut self, by: &Candidate) -> Result<Lease, StoreError> {
        if !self.options.is_shared {
            return Ok(Lease::needless(by, self.now_ms()?));
        }
        let found = self.read(async |session| lease::take(session, by).await)?;
        if found.is_of(by) {
            self.led = Some(Led { by: *by, term: found.term });
        }
        Ok(found)
    }

    fn renew(&mut self) -> Result<Lease, StoreError> {
        let led = self.led.ok_or_else(crate::lease::not_led)?;
        self.read(async |session| lease::renew(session, &led).await)
    }

    fn resign(&mut self) -> Result<(), StoreError> {
        let Some(led) = self.led.take() else { return Ok(()) };
        self.read(async |session| lease::resign(session, &led).await)
    }

    fn now_ms(&mut self) -> Result<u64, StoreError> {
        self.read(read::now_ms)
    }

    fn load(&mut self, uid: u64) -> Result<Option<Record>, StoreError> {
        self.read(async |session| read::record(session, uid).await)
    }

    fn outcome_of(&mut self, id: CommitId) -> Result<Verdict, StoreError> {
        self.read(async |session| read::commit(session, id).await.map(Verdict::of))
    }

    fn answer(&mut self, uid: u64, request: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(async |session| read::answer(session, uid, request).await)
    }

    fn unsettled(&mut self, after: u64, limit: u32) -> Result<Vec<Notification>, StoreError> {
        self.read(async |session| read::unsettled(session, after, limit).await)
    }

    fn notification(&mut self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        self.read(async |session| read::notification(session, id).await)
    }

    fn pushes(&mut self, uid: u64) -> Result<Vec<Push>, StoreError> {
        self.read(async |session| read::pushes(session, uid).await)
    }

    fn dead_letters(&mut self, after: u64, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        self.read(async |session| read::letters(session, after, limit).await)
    }

    fn history(&mut self, uid: u64) -> Result<Vec<HistoryEntry>, StoreError> {
        self.read(async |session| read::history(session, uid).await)
    }

    fn players(&mut self, after: Option<u64>, limit: u32) -> Result<Vec<u64>, StoreError> {
        self.read(async |session| read::players(session, after, limit).await)
    }
}

/// An error with its causes, each said once.
fn told_by(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Why a database that was open cannot be opened again: at the moment.
fn still_lost(error: StoreError) -> StoreError {
    match error {
        StoreError::BadPlace { .. } | StoreError::InUse { .. } => {
            StoreError::StoreUnavailable(error.to_string())
        }
        error => error,
    }
}
