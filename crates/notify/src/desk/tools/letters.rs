//! Dead letters, for the command line: durable ones in the store, plain ones in memory.

use super::{limit, refused, shown};
use crate::desk::dead::Letter;
use crate::desk::{Desk, Refusal, unavailable};
use crate::protocol::{Plain, Sealed};
use crate::tools::{LetterId, LetterLine, LetterQuery, LetterShown, LettersPage, LettersQuery};
use chappe_store::{DeadLetter, Done, Work};
use chappe_wire::Reason;
use chappe_wire::value::{self, Value};

impl Desk {
    pub(super) fn serve_letters(&self) {
        self.tool("dead_letters", |desk, query| async move { desk.letters(query).await });
        self.tool("dead_letter", |desk, LetterQuery { id }| async move { desk.letter(id).await });
        self.tool("dead_letter_retry", |desk, LetterQuery { id }| async move { desk.retry(id).await });
        self.tool("dead_letter_drop", |desk, LetterQuery { id }| async move { desk.drop_letter(id).await });
    }

    async fn letters(&self, query: LettersQuery) -> Result<LettersPage, Refusal> {
        let limit = limit(query.limit);
        let mut letters: Vec<LetterLine> = Vec::new();
        let plain_after = match query.after {
            Some(LetterId::Plain(after)) => after,
            after => {
                let after = match after {
                    Some(LetterId::Durable(after)) => after,
                    _ => 0,
                };
                // One more than wanted tells whether there are more.
                let most = u32::try_from(limit + 1).unwrap_or(u32::MAX);
                let stored = self.0.store.dead_letters(after, most).await;
                letters.extend(stored.map_err(|error| unavailable(&error))?.iter().map(durable));
                0
            }
        };
        let room = (limit + 1).saturating_sub(letters.len());
        letters.extend(self.0.dead.borrow().after(plain_after).take(room).map(plain));
        let more = letters.len() > limit;
        letters.truncate(limit);
        Ok(LettersPage { letters, more })
    }

    async fn letter(&self, id: LetterId) -> Result<LetterShown, Refusal> {
        match id {
            LetterId::Plain(number) => {
                let dead = self.0.dead.borrow();
                let letter = dead.get(number).ok_or_else(|| none(id))?;
                let depth = letter.dead.depth;
                Ok(LetterShown { line: plain(letter), record: shown(&letter.dead.record), depth })
            }
            LetterId::Durable(number) => {
                let letter = self.0.store.read(move |store| store.dead_letter(number)).await;
                let letter = letter.map_err(|error| unavailable(&error))?.ok_or_else(|| none(id))?;
                let sealed = value::decode::<Sealed>(&letter.notification.payload);
                let record = match &sealed {
                    Ok(sealed) => shown(&sealed.record),
                    Err(_) => shown(&letter.notification.payload),
                };
                Ok(LetterShown { line: durable(&letter), record, depth: letter.notification.depth })
            }
        }
    }

    /// Answers with the new notification's id, or nothing for a plain one.
    async fn retry(&self, id: LetterId) -> Result<Option<String>, Refusal> {
        let number = match id {
            LetterId::Durable(number) => number,
            LetterId::Plain(number) => return self.retry_plain(number).map(|()| None),
        };
        let new = self.next_notification();
        let retried = self.0.store.work(Work::RetryLetter { sequence: number, id: new }).await;
        self.note(&retried);
        match retried.map_err(|error| unavailable(&error))? {
            Ok(Done::Retried(_)) => {
                self.read_again(vec![new]).await;
                Ok(Some(new.to_string()))
            }
            Ok(_) => Ok(None),
            Err(why) => Err(refused(&why)),
        }
    }

    fn retry_plain(&self, number: u64) -> Result<(), Refusal> {
        let id = LetterId::Plain(number);
        let uid = self.0.dead.borrow().get(number).ok_or_else(|| none(id))?.dead.uid;
        let uid = uid.ok_or_else(|| (Reason::Refused, format!("dead letter {id} was for no player")))?;
        let letter = self.0.dead.borrow_mut().take(number).ok_or_else(|| none(id))?;
        let (dead, mut plain) = (letter.dead, Vec::new());
        Plain { uid, id: dead.id, depth: dead.depth, record: &dead.record }.write(&mut plain);
        self.take_plain(&plain);
        Ok(())
    }

    async fn drop_letter(&self, id: LetterId) -> Result<(), Refusal> {
        match id {
            LetterId::Plain(number) => {
                self.0.dead.borrow_mut().take(number).map(drop).ok_or_else(|| none(id))
            }
            LetterId::Durable(sequence) => {
                let dropped = self.0.store.work(Work::DropLetter { sequence }).await;
                self.note(&dropped);
                dropped.map_err(|error| unavailable(&error))?.map(drop).map_err(|why| refused(&why))
            }
        }
    }
}

fn none(id: LetterId) -> Refusal {
    (Reason::NoRoute, format!("there is no dead letter {id}"))
}

fn durable(letter: &DeadLetter) -> LetterLine {
    LetterLine {
        id: LetterId::Durable(letter.sequence),
        at_ms: letter.at_ms,
        reason: letter.reason.clone(),
        kind: letter.notification.kind.clone(),
        sender: Some(letter.notification.sender),
        receiver: Some(letter.notification.receiver),
    }
}

fn plain(letter: &Letter) -> LetterLine {
    let record = shown(&letter.dead.record);
    let kind = record.field("_type").and_then(Value::as_str).unwrap_or_default().to_owned();
    LetterLine {
        id: LetterId::Plain(letter.number),
        at_ms: letter.at_ms,
        reason: letter.dead.reason.clone(),
        kind,
        sender: None,
        receiver: letter.dead.uid,
    }
}
