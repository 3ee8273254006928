//! Records, for the command line: looked at as they are stored, changed only while no server owns them.

use super::{limit, refused, shown};
use crate::desk::{Desk, Refusal, unavailable};
use crate::tools::{
    RecordChanged, RecordExport, RecordHistory, RecordLine, RecordPage, RecordQuery, RecordSet, RecordShown,
    VersionLine,
};
use chappe_store::{Commit, Record, RecordChange, Store, StoreError, Work};
use chappe_wire::Reason;
use chappe_wire::value::{self, Value};

/// What a record's history calls an operator's change.
const OPERATOR: &str = "operator";

impl Desk {
    pub(super) fn serve_records(&self) {
        self.tool("record_show", |desk, RecordQuery { uid }| async move { desk.show_record(uid).await });
        self.tool("record_set", |desk, set| async move { desk.set_record(set).await });
        self.tool("record_history", |desk, asked| async move { desk.history(asked).await });
        self.tool("record_export", |desk, asked| async move { desk.export(asked).await });
        self.tool("record_delete", |desk, RecordQuery { uid }| async move { desk.delete(uid).await });
    }

    async fn show_record(&self, uid: u64) -> Result<RecordShown, Refusal> {
        let (record, pushes) = (self.0.store.load(uid), self.0.store.pushes(uid));
        let record = record.await.map_err(|error| unavailable(&error))?.ok_or_else(|| nobody(uid))?;
        let pushes = pushes.await.map_err(|error| unavailable(&error))?.len();
        let known = self.known_owner(uid);
        let is_owner_up = match record.owner {
            Some(owner) if known.is_none() => self.life_of(owner).is_some(),
            owner => owner.is_some() && self.live_owner(known) == owner,
        };
        Ok(RecordShown {
            uid,
            epoch: record.epoch,
            version: record.version,
            owner: record.owner,
            is_owner_up,
            online: self.0.master.session_of(uid).is_some(),
            document: shown(&record.document),
            pushes,
        })
    }

    async fn set_record(&self, set: RecordSet) -> Result<RecordChanged, Refusal> {
        let uid = set.uid;
        if !matches!(set.document, Value::Map(_)) {
            return Err((Reason::BadData, "a record's document is a map of attributes".to_owned()));
        }
        let bad = |error: value::ValueError| (Reason::BadData, error.to_string());
        let document = value::encode(&set.document).map_err(bad)?;
        let _turn = self.turn(uid).await?;
        self.have_released(uid).await?;
        let create = set.create.then(|| value::encode(&Value::Map(Vec::new())).map_err(bad)).transpose()?;
        let me = (self.0.node.id(), self.0.node.config().incarnation);
        let claimed = self.0.store.claim(uid, me.0, create).await;
        let claimed = self.claimed(uid, me, claimed)?.ok_or_else(|| nobody(uid))?;
        let changed = self.change(&claimed.record, document, set.version).await;
        self.release(uid, claimed.record.epoch).await;
        changed
    }

    async fn change(
        &self,
        record: &Record,
        document: Vec<u8>,
        wanted: Option<u64>,
    ) -> Result<RecordChanged, Refusal> {
        let (uid, epoch, version) = (record.uid, record.epoch, record.version);
        if wanted.is_some_and(|wanted| wanted != version) {
            return Err((Reason::Refused, format!("the record of player {uid} has version {version}")));
        }
        let mut commit = Commit::new(self.next_commit(), OPERATOR);
        commit.records.push(RecordChange { uid, epoch, version, document: Some(document) });
        match self.commit_own(commit).await.map_err(|error| unavailable(&error))? {
            Ok(_) => Ok(RecordChanged { version: version + 1 }),
            Err(why) => Err(refused(&why)),
        }
    }

    async fn delete(&self, uid: u64) -> Result<(), Refusal> {
        if self.0.master.session_of(uid).is_some() {
            return Err((Reason::Refused, format!("player {uid} is online: kick them first")));
        }
        let _turn = self.turn(uid).await?;
        match self.have_released(uid).await {
            // A corrupt record is got rid of in this way.
            Ok(()) | Err((Reason::BadData, _)) => {}
            Err(refusal) => return Err(refusal),
        }
        if self.0.master.session_of(uid).is_some() {
            return Err((Reason::Refused, format!("player {uid} has just logged in")));
        }
        let deleted = self.0.store.work(Work::Delete { uid }).await;
        self.note(&deleted);
        self.forget_record(uid);
        deleted.map_err(|error| unavailable(&error))?.map(drop).map_err(|why| refused(&why))
    }

    /// Has the server that owns a record let it go.
    async fn have_released(&self, uid: u64) -> Result<(), Refusal> {
        let Some(owner) = self.owner_of(uid).await? else { return Ok(()) };
        self.ask_release(uid, owner).await.map_err(|failure| {
            (Reason::Refused, format!("node {} does not let go of player {uid}: {failure}", owner.node))
        })
    }

    async fn history(&self, asked: RecordHistory) -> Result<Vec<VersionLine>, Refusal> {
        let history = self.0.store.history(asked.uid).await.map_err(|error| unavailable(&error))?;
        let wanted = history.into_iter().filter(|entry| asked.version.is_none_or(|of| of == entry.version));
        let line = |entry: chappe_store::HistoryEntry| VersionLine {
            version: entry.version,
            epoch: entry.epoch,
            commit: entry.commit.map(|id| id.to_string()),
            handler: entry.handler,
            at_ms: entry.at_ms,
            bytes: entry.document.len(),
            document: asked.version.map(|_| shown(&entry.document)),
        };
        Ok(wanted.map(line).collect())
    }

    async fn export(&self, asked: RecordExport) -> Result<RecordPage, Refusal> {
        let (after, limit, room) = (asked.after, limit(asked.limit), self.room());
        let page = self.0.store.read(move |store| read_page(store, after, limit, room)).await;
        page.map_err(|error| unavailable(&error))
    }
}

/// Records from after `after`, until `room` bytes are full; at least one.
fn read_page(
    store: &mut dyn Store,
    after: Option<u64>,
    limit: usize,
    room: usize,
) -> Result<RecordPage, StoreError> {
    let uids = store.players(after, u32::try_from(limit).unwrap_or(u32::MAX))?;
    let is_last = uids.len() < limit;
    let (mut page, mut bytes) = (RecordPage::default(), 0);
    for uid in uids {
        let record = match store.load(uid) {
            Ok(record) => record,
            Err(StoreError::Corrupt(why)) => {
                page.corrupt.push((uid, why));
                page.next = Some(uid);
                continue;
            }
            Err(error) => return Err(error),
        };
        let Some(Record { version, document, .. }) = record else { continue };
        bytes += document.len() + 64;
        if bytes > room && !page.records.is_empty() {
            return Ok(page);
        }
        page.records.push(RecordLine { uid, version, document: shown(&document) });
        page.next = Some(uid);
    }
    page.next = page.next.filter(|_| !is_last);
    Ok(page)
}

fn nobody(uid: u64) -> Refusal {
    (Reason::UserNotFound, format!("there is no player {uid}"))
}
