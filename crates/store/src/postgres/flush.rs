//! One flush in PostgreSQL: two pipelines, the rows it needs and what it changes.

use super::lease;
use super::pipeline::{Call, Param, Session, failure};
use super::read::NOW;
use crate::changes::{Changes, Document, NoteWrite, PlayerRow, PlayerWrite, Read, Rows, Wanted};
use crate::columns::{self, Cells};
use crate::lease::Led;
use crate::{CommitId, Notification, StoreError, seal};
use chappe_wire::NodeId;
use tokio_postgres::Row;

/// Where the lease stands among the answers.
const LEASE: usize = 2;

/// Begins the transaction and reads.
///
/// # Errors
/// [`StoreError::LeaseLost`], [`StoreError::StoreUnavailable`]: work may not be done under `led`.
pub(super) async fn rows(session: &mut Session, wanted: &Wanted, led: Option<&Led>) -> Read<Rows> {
    let mut calls = vec![
        Call::new("BEGIN", Vec::new()),
        Call::new(format!("SELECT value, {NOW} FROM counter"), Vec::new()),
    ];
    let mut readers: Vec<Reader> = vec![nothing, counter];
    if led.is_some() {
        calls.push(lease::hold());
        readers.push(nothing);
    }
    let mut ask = |wanted: bool, sql: String, params: Vec<Param>, reader: Reader| {
        if wanted {
            calls.push(Call::new(sql, params));
            readers.push(reader);
        }
    };
    let uids = |with: bool| -> Vec<i64> {
        let players = wanted.players.iter().filter(|(_, document)| **document == with);
        players.map(|(uid, _)| uid.cast_signed()).collect()
    };
    let (heads, whole) = (uids(false), uids(true));
    let sql = |columns: &str, table: &str, key: &str| {
        format!("SELECT {columns} FROM {table} WHERE {key} = ANY($1)")
    };
    ask(!heads.is_empty(), sql(columns::HEAD, "players", "uid"), one(heads), players);
    ask(!whole.is_empty(), sql(columns::RECORD, "players", "uid"), one(whole), records);
    let ids: Vec<Vec<u8>> = wanted.notifications.iter().map(|id| id.bytes().to_vec()).collect();
    ask(!ids.is_empty(), sql(columns::NOTE_STATE, "notifications", "id"), one(ids), notifications);
    let ids: Vec<Vec<u8>> = wanted.commits.iter().map(|id| id.bytes().to_vec()).collect();
    ask(!ids.is_empty(), sql("id, committed", "commits", "id"), one(ids), commits);
    let (of, requests): (Vec<i64>, Vec<String>) =
        wanted.answers.iter().map(|(uid, request)| (uid.cast_signed(), request.clone())).unzip();
    let by_key = format!(
        "SELECT {} FROM answers WHERE (uid, request) IN (SELECT * FROM unnest($1::bigint[], $2::text[]))",
        columns::ANSWER
    );
    ask(!of.is_empty(), by_key, vec![Box::new(of), Box::new(requests)], answers);
    let uids: Vec<i64> = wanted.pushes.iter().map(|uid| uid.cast_signed()).collect();
    let waiting = sql("uid, sequence", "pushes", "uid") + " ORDER BY sequence";
    ask(!uids.is_empty(), waiting, one(uids), pushes);
    let sequences: Vec<i64> = wanted.letters.iter().map(|sequence| sequence.cast_signed()).collect();
    ask(!sequences.is_empty(), sql(columns::LETTER, "letters", "sequence"), one(sequences), letters);

    let answered = session.pipeline(calls).await.map_err(|(_, error)| failure(&error))?;
    if let Some(led) = led {
        led.permits(&lease::of(answered.get(LEASE).map_or(&[], Vec::as_slice))?)?;
    }
    let mut rows = Rows::default();
    for (found, reader) in answered.iter().zip(readers) {
        found.iter().try_for_each(|row| reader(&mut rows, row))?;
    }
    Ok(rows)
}

/// Writes and commits; how many rows were pruned.
pub(super) async fn apply(session: &mut Session, changes: &Changes, now_ms: u64) -> Read<u64> {
    let mut calls = Vec::new();
    if let Some(sequence) = changes.sequence {
        calls.push(Call::new("UPDATE counter SET value = $1", one(sequence.cast_signed())));
    }
    if !changes.deleted.is_empty() {
        let uids: Vec<i64> = changes.deleted.iter().map(|uid| uid.cast_signed()).collect();
        for table in ["history", "answers", "pushes"] {
            calls.push(Call::new(format!("DELETE FROM {table} WHERE uid = ANY($1)"), one(uids.clone())));
        }
    }
    write_players(changes, &mut calls);
    write_history(changes, &mut calls);
    write_notes(changes, &mut calls);
    write_rest(changes, now_ms, &mut calls);
    let prunes = calls.len();
    prune(changes, &mut calls);
    let commit = calls.len();
    calls.push(Call::new("COMMIT", Vec::new()));
    match session.pipeline(calls).await {
        Ok(answers) => {
            let pruned = answers.get(prunes..commit).unwrap_or_default();
            Ok(pruned.iter().map(|rows| rows.len() as u64).sum())
        }
        // It said what failed before the commit, which so became a rollback.
        Err((at, error)) if at < commit && error.as_db_error().is_some() => {
            session.roll_back().await;
            Err(failure(&error))
        }
        Err((_, error)) => {
            session.give_up();
            Err(StoreError::AnswerLost(error.to_string()))
        }
    }
}

fn write_players(changes: &Changes, calls: &mut Vec<Call>) {
    let mut gone: Vec<i64> = Vec::new();
    let mut heads = Heads::default();
    let (mut whole, mut documents, mut sums) = (Heads::default(), Vec::new(), Vec::new());
    for write in &changes.players {
        match write {
            PlayerWrite::Gone(uid) => gone.push(uid.cast_signed()),
            PlayerWrite::Head { uid, epoch, version, owner } => heads.push(*uid, *epoch, *version, *owner),
            PlayerWrite::Whole { uid, epoch, version, owner, document } => {
                whole.push(*uid, *epoch, *version, *owner);
                sums.push(i64::from(seal::document(*uid, *version, document).done()));
                documents.push(document.clone());
            }
        }
    }
    if !gone.is_empty() {
        calls.push(Call::new("DELETE FROM players WHERE uid = ANY($1)", one(gone)));
    }
    if !heads.uid.is_empty() {
        let sql =
            "UPDATE players AS p SET epoch = n.epoch, version = n.version, owner = n.owner, head = n.head
                   FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[])
                   AS n (uid, epoch, version, owner, head) WHERE p.uid = n.uid";
        calls.push(Call::new(sql, heads.params()));
    }
    if !whole.uid.is_empty() {
        let sql = "INSERT INTO players (uid, epoch, version, owner, head, document, sum)
                   SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                   $6::bytea[], $7::bigint[])
                   ON CONFLICT (uid) DO UPDATE SET epoch = excluded.epoch, version = excluded.version,
                   owner = excluded.owner, head = excluded.head, document = excluded.document, sum = excluded.sum";
        let mut params = whole.params();
        params.extend([Box::new(documents) as Param, Box::new(sums)]);
        calls.push(Call::new(sql, params));
    }
}

#[derive(Default)]
struct Heads {
    uid: Vec<i64>,
    epoch: Vec<i64>,
    version: Vec<i64>,
    owner: Vec<Option<i64>>,
    head: Vec<i64>,
}

impl Heads {
    fn push(&mut self, uid: u64, epoch: u64, version: u64, owner: Option<NodeId>) {
        self.uid.push(uid.cast_signed());
        self.epoch.push(epoch.cast_signed());
        self.version.push(version.cast_signed());
        self.owner.push(owner.map(|id| id.0));
        self.head.push(i64::from(seal::player_head(uid, epoch, version, owner).done()));
    }

    fn params(self) -> Vec<Param> {
        vec![
            Box::new(self.uid),
            Box::new(self.epoch),
            Box::new(self.version),
            Box::new(self.owner),
            Box::new(self.head),
        ]
    }
}

fn write_history(changes: &Changes, calls: &mut Vec<Call>) {
    let rows = &changes.history;
    if rows.is_empty() {
        return;
    }
    let sql = "INSERT INTO history (uid, slot, version, epoch, commit_id, handler, at_ms, document, sum)
               SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[], $6::text[],
               $7::bigint[], $8::bytea[], $9::bigint[])
               ON CONFLICT (uid, slot) DO UPDATE SET version = excluded.version, epoch = excluded.epoch,
               commit_id = excluded.commit_id, handler = excluded.handler, at_ms = excluded.at_ms,
               document = excluded.document, sum = excluded.sum";
    calls.push(Call::new(
        sql,
        vec![
            ints(rows, |(uid, ..)| uid.cast_signed()),
            ints(rows, |(_, slot, _)| i64::from(*slot)),
            ints(rows, |(.., entry)| entry.version.cast_signed()),
            ints(rows, |(.., entry)| entry.epoch.cast_signed()),
            many(rows, |(.., entry)| entry.commit.map(|id| id.bytes().to_vec())),
            many(rows, |(.., entry)| entry.handler.clone()),
            ints(rows, |(.., entry)| entry.at_ms.cast_signed()),
            many(rows, |(.., entry)| entry.document.clone()),
            ints(rows, |(uid, _, entry)| i64::from(seal::history(*uid, entry).done())),
        ],
    ));
}

fn write_notes(changes: &Changes, calls: &mut Vec<Call>) {
    let (mut gone, mut moved, mut new): (Vec<Vec<u8>>, Vec<_>, Vec<&Notification>) = Default::default();
    for write in &changes.notifications {
        match write {
            NoteWrite::Gone(id) => gone.push(id.bytes().to_vec()),
            NoteWrite::Insert(note) => new.push(note),
            NoteWrite::Move { id, order, step, deadline_ms, outcome } => {
                let head = i64::from(seal::note_head(*id, *order, *step, *deadline_ms).done());
                moved.push((*id, step.code(), head, outcome.as_deref()));
            }
        }
    }
    if !gone.is_empty() {
        calls.push(Call::new("DELETE FROM notifications WHERE id = ANY($1)", one(gone)));
    }
    if !moved.is_empty() {
        let sql = "UPDATE notifications AS o SET step = n.step, head = n.head, outcome = n.outcome,
                   outcome_sum = n.outcome_sum
                   FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bigint[])
                   AS n (id, step, head, outcome, outcome_sum) WHERE o.id = n.id";
        let params = vec![
            many(&moved, |(id, ..)| id.bytes().to_vec()),
            ints(&moved, |(_, step, ..)| *step),
            ints(&moved, |(_, _, head, _)| *head),
            many(&moved, |(.., outcome)| outcome.map(<[u8]>::to_vec)),
            many(&moved, |(id, .., outcome)| {
                outcome.map(|bytes| i64::from(seal::outcome(*id, bytes).done()))
            }),
        ];
        calls.push(Call::new(sql, params));
    }
    if !new.is_empty() {
        calls.push(insert_notes(&new));
    }
}

fn insert_notes(new: &[&Notification]) -> Call {
    let sql = format!(
        "INSERT INTO notifications ({}) SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[],
         $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], $10::bigint[], $11::bigint[],
         $12::bytea[], $13::bigint[], $14::bytea[], $15::bigint[])",
        columns::NOTE
    );
    let head =
        |note: &&Notification| seal::note_head(note.id, note.order, note.step, note.deadline_ms).done();
    let outcome_sum = |note: &&Notification| {
        note.outcome.as_ref().map(|outcome| i64::from(seal::outcome(note.id, outcome).done()))
    };
    let params = vec![
        many(new, |note| note.id.bytes().to_vec()),
        ints(new, |note| note.order.cast_signed()),
        ints(new, |note| note.step.code()),
        many(new, |note| note.deadline_ms.map(u64::cast_signed)),
        ints(new, |note| i64::from(head(note))),
        ints(new, |note| i64::from(note.sender.columns().0)),
        ints(new, |note| note.sender.columns().1),
        ints(new, |note| note.receiver.cast_signed()),
        many(new, |note| note.kind.clone()),
        ints(new, |note| note.created_ms.cast_signed()),
        ints(new, |note| i64::from(note.depth)),
        many(new, |note| note.payload.clone()),
        ints(new, |note| i64::from(seal::note_body(note).done())),
        many(new, |note| note.outcome.clone()),
        many(new, outcome_sum),
    ];
    Call::new(sql, params)
}

fn write_rest(changes: &Changes, now_ms: u64, calls: &mut Vec<Call>) {
    let rows = &changes.answers;
    if !rows.is_empty() {
        let sql = "INSERT INTO answers (uid, request, at_ms, response, sum)
                   SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bytea[], $5::bigint[])";
        let params = vec![
            ints(rows, |(uid, ..)| uid.cast_signed()),
            many(rows, |(_, request, _)| request.clone()),
            ints(rows, |(.., row)| row.at_ms.cast_signed()),
            many(rows, |(.., row)| row.response.clone()),
            ints(rows, |(uid, request, row)| {
                i64::from(seal::answer(*uid, request, row.at_ms, &row.response).done())
            }),
        ];
        calls.push(Call::new(sql, params));
    }
    let rows = &changes.commits;
    if !rows.is_empty() {
        let sql = "INSERT INTO commits (id, committed, at_ms)
                   SELECT id, committed, $3::bigint FROM unnest($1::bytea[], $2::bigint[]) AS n (id, committed)";
        let params = vec![
            many(rows, |(id, _)| id.bytes().to_vec()),
            ints(rows, |(_, committed)| i64::from(*committed)),
            Box::new(now_ms.cast_signed()) as Param,
        ];
        calls.push(Call::new(sql, params));
    }
    let rows = &changes.pushes_gone;
    if !rows.is_empty() {
        let sql = "DELETE FROM pushes AS p USING unnest($1::bigint[], $2::bigint[]) AS n (uid, up_to)
                   WHERE p.uid = n.uid AND p.sequence <= n.up_to";
        let up_to = ints(rows, |(_, up_to)| i64::try_from(*up_to).unwrap_or(i64::MAX));
        calls.push(Call::new(sql, vec![ints(rows, |(uid, _)| uid.cast_signed()), up_to]));
    }
    let rows = &changes.pushes;
    if !rows.is_empty() {
        let sql = "INSERT INTO pushes (uid, sequence, payload, sum)
                   SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bigint[])";
        let params = vec![
            ints(rows, |(uid, _)| uid.cast_signed()),
            ints(rows, |(_, push)| push.sequence.cast_signed()),
            many(rows, |(_, push)| push.payload.clone()),
            ints(rows, |(uid, push)| i64::from(seal::push(*uid, push).done())),
        ];
        calls.push(Call::new(sql, params));
    }
    write_letters(changes, calls);
}

fn write_letters(changes: &Changes, calls: &mut Vec<Call>) {
    if !changes.letters_gone.is_empty() {
        let gone = ints(&changes.letters_gone, |sequence| sequence.cast_signed());
        calls.push(Call::new("DELETE FROM letters WHERE sequence = ANY($1)", vec![gone]));
    }
    let rows = &changes.letters;
    if rows.is_empty() {
        return;
    }
    let sql = format!(
        "INSERT INTO letters ({}) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bytea[],
         $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::bytea[], $10::bigint[], $11::bigint[],
         $12::bigint[])",
        columns::LETTER
    );
    let params = vec![
        ints(rows, |letter| letter.sequence.cast_signed()),
        ints(rows, |letter| letter.at_ms.cast_signed()),
        many(rows, |letter| letter.reason.clone()),
        many(rows, |letter| letter.notification.id.bytes().to_vec()),
        ints(rows, |letter| i64::from(letter.notification.sender.columns().0)),
        ints(rows, |letter| letter.notification.sender.columns().1),
        ints(rows, |letter| letter.notification.receiver.cast_signed()),
        many(rows, |letter| letter.notification.kind.clone()),
        many(rows, |letter| letter.notification.payload.clone()),
        many(rows, |letter| letter.notification.deadline_in_ms.map(u64::cast_signed)),
        ints(rows, |letter| i64::from(letter.notification.depth)),
        ints(rows, |letter| i64::from(seal::letter(letter).done())),
    ];
    calls.push(Call::new(sql, params));
}

fn prune(changes: &Changes, calls: &mut Vec<Call>) {
    let Some(prune) = &changes.prune else { return };
    let (before, at_once) = (prune.before_ms.cast_signed(), i64::from(prune.at_once));
    let keep = i64::try_from(prune.keep_letters).unwrap_or(i64::MAX);
    let commits = "DELETE FROM commits WHERE id IN
                   (SELECT id FROM commits WHERE at_ms < $1 ORDER BY at_ms LIMIT $2) RETURNING 1";
    let answers = "DELETE FROM answers WHERE (uid, request) IN
                   (SELECT uid, request FROM answers WHERE at_ms < $1 ORDER BY at_ms LIMIT $2) RETURNING 1";
    let letters = "DELETE FROM letters WHERE sequence IN (SELECT sequence FROM letters ORDER BY sequence
                   LIMIT least($2, greatest(0, (SELECT count(*) FROM letters) - $1))) RETURNING 1";
    calls.push(Call::new(commits, vec![Box::new(before), Box::new(at_once)]));
    calls.push(Call::new(answers, vec![Box::new(before), Box::new(at_once)]));
    calls.push(Call::new(letters, vec![Box::new(keep), Box::new(at_once)]));
}

type Reader = fn(&mut Rows, &Row) -> Read<()>;

fn nothing(_: &mut Rows, _: &Row) -> Read<()> {
    Ok(())
}

fn counter(rows: &mut Rows, row: &Row) -> Read<()> {
    (rows.sequence, rows.now_ms) = (row.number(0)?, row.number(1)?);
    Ok(())
}

fn players(rows: &mut Rows, row: &Row) -> Read<()> {
    let (uid, read) = columns::head(row);
    rows.players.insert(uid?, read);
    Ok(())
}

fn records(rows: &mut Rows, row: &Row) -> Read<()> {
    let (uid, head) = columns::head(row);
    let read = columns::record(row).and_then(|record| {
        let document = Document::Stored(record.document);
        head.map(|head| PlayerRow { document, ..head })
    });
    rows.players.insert(uid?, read);
    Ok(())
}

fn notifications(rows: &mut Rows, row: &Row) -> Read<()> {
    let (id, read) = columns::note_state(row);
    rows.notifications.insert(id?, read);
    Ok(())
}

fn commits(rows: &mut Rows, row: &Row) -> Read<()> {
    let id = row.bytes(0)?;
    let id = CommitId::from_bytes(&id).ok_or_else(|| StoreError::Corrupt("the id of a commit".to_owned()))?;
    rows.commits.insert(id, row.int(1)? != 0);
    Ok(())
}

fn answers(rows: &mut Rows, row: &Row) -> Read<()> {
    let (key, read) = columns::answer(row)?;
    rows.answers.insert(key, read);
    Ok(())
}

fn pushes(rows: &mut Rows, row: &Row) -> Read<()> {
    rows.pushes.entry(row.number(0)?).or_default().push(row.number(1)?);
    Ok(())
}

fn letters(rows: &mut Rows, row: &Row) -> Read<()> {
    rows.letters.insert(row.number(0)?, columns::letter(row));
    Ok(())
}

fn one(param: impl tokio_postgres::types::ToSql + Sync + Send + 'static) -> Vec<Param> {
    vec![Box::new(param)]
}

fn ints<T>(rows: &[T], column: impl Fn(&T) -> i64) -> Param {
    many(rows, column)
}

fn many<T, C>(rows: &[T], column: impl Fn(&T) -> C) -> Param
where
    Vec<C>: tokio_postgres::types::ToSql + Sync + Send + 'static,
{
    Box::new(rows.iter().map(column).collect::<Vec<C>>())
}
