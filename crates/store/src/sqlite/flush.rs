//! One flush in SQLite: the rows it needs, and what it changes. The caller begins and ends the transaction.

use super::{failure, read};
use crate::changes::{Changes, Document, NoteWrite, PlayerWrite, Prune, Read, Rows, Wanted};
use crate::columns;
use crate::seal;
use crate::seen::Seen;
use chappe_wire::NodeId;
use rusqlite::{Connection, Params, Statement};

/// Leaves out what is known not to be there.
pub(super) fn known(
    connection: &Connection,
    mut wanted: Wanted,
    commits: &mut Seen,
    notifications: &mut Seen,
) -> Read<Wanted> {
    let highest = |table: &str, from: u128, to: u128| {
        let sql = format!("SELECT id FROM {table} WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC LIMIT 1");
        let found = read::one(connection, &sql, [from.to_be_bytes(), to.to_be_bytes()], |row| {
            columns::notification_id(row, 0)
        });
        Ok(found?.map(|id| id.0))
    };
    commits.leave_known(&mut wanted.commits, |id| id.0, |from, to| highest("commits", from, to))?;
    notifications.leave_known(
        &mut wanted.notifications,
        |id| id.0,
        |from, to| highest("notifications", from, to),
    )?;
    Ok(wanted)
}

pub(super) fn rows(connection: &Connection, wanted: &Wanted, now_ms: u64) -> Read<Rows> {
    let counter =
        read::one(connection, "SELECT value FROM counter", [], |row| columns::Cells::number(row, 0))?;
    let mut rows = Rows { now_ms, sequence: counter.unwrap_or(0), ..Rows::default() };
    let uids = |whole: bool| {
        wanted.players.iter().filter(move |(_, document)| **document == whole).map(|(uid, _)| *uid)
    };
    let key = |uid: &u64| [uid.cast_signed()];
    let head = format!("SELECT {} FROM players WHERE uid = ?1", columns::HEAD);
    let found = read::each(connection, &head, uids(false), key, |row| Ok(columns::head(row).1))?;
    rows.players.extend(found);
    let whole = format!("SELECT {} FROM players WHERE uid = ?1", columns::RECORD);
    let found = read::each(connection, &whole, uids(true), key, |row| {
        Ok(columns::record(row).and_then(|record| {
            let document = Document::Stored(record.document);
            columns::head(row).1.map(|head| crate::changes::PlayerRow { document, ..head })
        }))
    })?;
    rows.players.extend(found);
    let note = format!("SELECT {} FROM notifications WHERE id = ?1", columns::NOTE_STATE);
    let ids = wanted.notifications.iter().copied();
    let found = read::each(connection, &note, ids, |id| [id.bytes()], |row| Ok(columns::note_state(row).1))?;
    rows.notifications.extend(found);
    for (uid, request) in &wanted.answers {
        let found = read::answer(connection, *uid, request)?;
        rows.answers.extend(found.map(|read| ((*uid, request.clone()), read)));
    }
    let ids = wanted.commits.iter().copied();
    let found = read::each(connection, read::COMMIT, ids, |id| [id.bytes()], read::is_committed)?;
    rows.commits.extend(found);
    for uid in &wanted.pushes {
        rows.pushes.insert(*uid, push_sequences(connection, *uid).map_err(failure)?);
    }
    for sequence in &wanted.letters {
        let found = read::letter(connection, *sequence)?;
        rows.letters.extend(found.map(|read| (*sequence, read)));
    }
    Ok(rows)
}

fn push_sequences(connection: &Connection, uid: u64) -> rusqlite::Result<Vec<u64>> {
    let mut statement =
        connection.prepare_cached("SELECT sequence FROM pushes WHERE uid = ?1 ORDER BY sequence")?;
    let rows = statement.query_map([uid.cast_signed()], |row| row.get::<_, i64>(0))?;
    rows.map(|sequence| sequence.map(i64::cast_unsigned)).collect()
}

/// Writes; how many rows were pruned.
pub(super) fn apply(connection: &Connection, changes: &Changes, now_ms: u64) -> rusqlite::Result<u64> {
    let run = |sql: &str, params: &[&dyn rusqlite::ToSql]| run(connection, sql, params);
    let now = now_ms.cast_signed();
    if let Some(sequence) = changes.sequence {
        run("UPDATE counter SET value = ?1", &[&sequence.cast_signed()])?;
    }
    for uid in &changes.deleted {
        for table in ["history", "answers", "pushes"] {
            run(&format!("DELETE FROM {table} WHERE uid = ?1"), &[&uid.cast_signed()])?;
        }
    }
    write_players(connection, &changes.players)?;
    write_history(connection, changes)?;
    write_notes(connection, &changes.notifications)?;
    let sql =
        "INSERT OR REPLACE INTO answers (uid, request, at_ms, response, sum) VALUES (?1, ?2, ?3, ?4, ?5)";
    each(connection, sql, &changes.answers, |statement, (uid, request, row)| {
        let sum = seal::answer(*uid, request, row.at_ms, &row.response).done();
        statement.execute((uid.cast_signed(), request, row.at_ms.cast_signed(), &row.response, sum))
    })?;
    let sql = "INSERT INTO commits (id, committed, at_ms) VALUES (?1, ?2, ?3)";
    each(connection, sql, &changes.commits, |statement, (id, committed)| {
        statement.execute((id.bytes(), committed, now))
    })?;
    for (uid, up_to) in &changes.pushes_gone {
        let up_to = i64::try_from(*up_to).unwrap_or(i64::MAX);
        run("DELETE FROM pushes WHERE uid = ?1 AND sequence <= ?2", &[&uid.cast_signed(), &up_to])?;
    }
    for (uid, push) in &changes.pushes {
        let sum = seal::push(*uid, push).done();
        run(
            "INSERT INTO pushes (uid, sequence, payload, sum) VALUES (?1, ?2, ?3, ?4)",
            &[&uid.cast_signed(), &push.sequence.cast_signed(), &push.payload, &sum],
        )?;
    }
    write_letters(connection, changes)?;
    changes.prune.as_ref().map_or(Ok(0), |by| prune(connection, by))
}

fn write_players(connection: &Connection, writes: &[PlayerWrite]) -> rusqlite::Result<()> {
    let gone = writes.iter().filter_map(|write| match write {
        PlayerWrite::Gone(uid) => Some(uid),
        _ => None,
    });
    each(connection, "DELETE FROM players WHERE uid = ?1", gone, |statement, uid| {
        statement.execute([uid.cast_signed()])
    })?;
    let heads = writes.iter().filter_map(|write| match write {
        PlayerWrite::Head { uid, epoch, version, owner } => Some((*uid, *epoch, *version, *owner)),
        _ => None,
    });
    let sql = "UPDATE players SET epoch = ?2, version = ?3, owner = ?4, head = ?5 WHERE uid = ?1";
    each(connection, sql, heads, |statement, (uid, epoch, version, owner)| {
        let head = seal::player_head(uid, epoch, version, owner).done();
        let (uid, epoch, version) = (uid.cast_signed(), epoch.cast_signed(), version.cast_signed());
        statement.execute((uid, epoch, version, number(owner), head))
    })?;
    let whole = writes.iter().filter_map(|write| match write {
        PlayerWrite::Whole { uid, epoch, version, owner, document } => {
            Some((*uid, *epoch, *version, *owner, document))
        }
        _ => None,
    });
    let sql = "INSERT OR REPLACE INTO players (uid, epoch, version, owner, head, document, sum)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    each(connection, sql, whole, |statement, (uid, epoch, version, owner, document)| {
        let head = seal::player_head(uid, epoch, version, owner).done();
        let sum = seal::document(uid, version, document).done();
        let (uid, epoch, version) = (uid.cast_signed(), epoch.cast_signed(), version.cast_signed());
        statement.execute((uid, epoch, version, number(owner), head, document, sum))
    })
}

fn write_history(connection: &Connection, changes: &Changes) -> rusqlite::Result<()> {
    let sql =
        "INSERT OR REPLACE INTO history (uid, slot, version, epoch, commit_id, handler, at_ms, document, sum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    each(connection, sql, &changes.history, |statement, (uid, slot, entry)| {
        statement.execute((
            uid.cast_signed(),
            slot,
            entry.version.cast_signed(),
            entry.epoch.cast_signed(),
            entry.commit.map(|id| id.bytes()),
            &entry.handler,
            entry.at_ms.cast_signed(),
            &entry.document,
            seal::history(*uid, entry).done(),
        ))
    })
}

/// Those that go are first: one of their ids may be used again.
fn write_notes(connection: &Connection, writes: &[NoteWrite]) -> rusqlite::Result<()> {
    let gone = writes.iter().filter_map(|write| match write {
        NoteWrite::Gone(id) => Some(id),
        _ => None,
    });
    each(connection, "DELETE FROM notifications WHERE id = ?1", gone, |statement, id| {
        statement.execute([id.bytes()])
    })?;
    let moved = writes.iter().filter_map(|write| match write {
        NoteWrite::Move { id, order, step, deadline_ms, outcome } => {
            Some((*id, *order, *step, *deadline_ms, outcome))
        }
        _ => None,
    });
    let sql = "UPDATE notifications SET step = ?2, head = ?3, outcome = ?4, outcome_sum = ?5 WHERE id = ?1";
    each(connection, sql, moved, |statement, (id, order, step, deadline_ms, outcome)| {
        let head = seal::note_head(id, order, step, deadline_ms).done();
        let sum = outcome.as_ref().map(|outcome| seal::outcome(id, outcome).done());
        statement.execute((id.bytes(), step.code(), head, outcome, sum))
    })?;
    let fresh = writes.iter().filter_map(|write| match write {
        NoteWrite::Insert(note) => Some(note),
        _ => None,
    });
    let sql = format!(
        "INSERT INTO notifications ({})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        columns::NOTE
    );
    each(connection, &sql, fresh, |statement, note| {
        let head = seal::note_head(note.id, note.order, note.step, note.deadline_ms).done();
        let outcome_sum = note.outcome.as_ref().map(|outcome| seal::outcome(note.id, outcome).done());
        let (is_player, sender) = note.sender.columns();
        statement.execute((
            note.id.bytes(),
            note.order.cast_signed(),
            note.step.code(),
            note.deadline_ms.map(u64::cast_signed),
            head,
            is_player,
            sender,
            note.receiver.cast_signed(),
            &note.kind,
            note.created_ms.cast_signed(),
            note.depth,
            &note.payload,
            seal::note_body(note).done(),
            &note.outcome,
            outcome_sum,
        ))
    })
}

fn write_letters(connection: &Connection, changes: &Changes) -> rusqlite::Result<()> {
    for sequence in &changes.letters_gone {
        run(connection, "DELETE FROM letters WHERE sequence = ?1", [sequence.cast_signed()])?;
    }
    for letter in &changes.letters {
        let note = &letter.notification;
        let (is_player, sender) = note.sender.columns();
        let sql = format!(
            "INSERT INTO letters ({}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            columns::LETTER
        );
        let row = (
            letter.sequence.cast_signed(),
            letter.at_ms.cast_signed(),
            &letter.reason,
            note.id.bytes(),
            is_player,
            sender,
            note.receiver.cast_signed(),
            &note.kind,
            &note.payload,
            note.deadline_in_ms.map(u64::cast_signed),
            note.depth,
            seal::letter(letter).done(),
        );
        run(connection, &sql, row)?;
    }
    Ok(())
}

fn prune(connection: &Connection, by: &Prune) -> rusqlite::Result<u64> {
    let before = by.before_ms.cast_signed();
    let keep = i64::try_from(by.keep_letters).unwrap_or(i64::MAX);
    let commits = connection.execute(
        "DELETE FROM commits WHERE id IN (SELECT id FROM commits WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2)",
        (before, by.at_once),
    )?;
    let answers = connection.execute(
        "DELETE FROM answers WHERE (uid, request) IN
         (SELECT uid, request FROM answers WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2)",
        (before, by.at_once),
    )?;
    let letters = connection.execute(
        "DELETE FROM letters WHERE sequence IN (SELECT sequence FROM letters ORDER BY sequence
         LIMIT min(?2, max(0, (SELECT count(*) FROM letters) - ?1)))",
        (keep, by.at_once),
    )?;
    Ok((commits + answers + letters) as u64)
}

/// Runs a statement for each row; it is looked up once.
fn each<T>(
    connection: &Connection,
    sql: &str,
    rows: impl IntoIterator<Item = T>,
    run: impl Fn(&mut Statement<'_>, T) -> rusqlite::Result<usize>,
) -> rusqlite::Result<()> {
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    let mut statement = connection.prepare_cached(sql)?;
    rows.try_for_each(|row| run(&mut statement, row).map(drop))
}

fn run(connection: &Connection, sql: &str, params: impl Params) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(params).map(drop)
}

fn number(owner: Option<NodeId>) -> Option<i64> {
    owner.map(|id| id.0)
}
