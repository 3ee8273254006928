//! One side of a connection over NATS, as a machine without I/O: what is to be published, what has come, and when
//! the connection is over. The caller passes the time in, publishes in order what it is told to, and hands over what
//! arrives.
//!
//! NATS delivers at most once. Here each message has a number and is kept until the other side's node has read it, so
//! that what was lost (a server's restart, a slow consumer) is sent again, what comes twice is dropped, and the
//! stream has neither gaps nor repetitions. What cannot be made good in time ends the connection with an error.

use super::message::{Head, Kind};
use crate::Buffer;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

/// What a message counts for beside its bytes: many small ones cost memory too.
const COST: usize = 128;
/// The most data in one message, so that one peer's burst does not hold up what others are sent.
const CHUNK: usize = 128 << 10;
/// The other side is asked for a word when none came for so long.
const QUIET: Duration = Duration::from_secs(1);
/// How long the servers may say that the other side is not there before it counts as gone: it may be about to
/// connect again.
pub(super) const GONE: Duration = Duration::from_secs(1);
/// The same after our own connection to NATS was made anew: the other side may need longer.
const GONE_AFTER_UP: Duration = Duration::from_secs(4);
/// The least that may be on its way after something was lost: who is cut off for slowness would be cut off again by
/// everything at once.
const PACE: usize = 32 << 10;
/// After a loss the other side is told of so many reads at once, so that it finds its pace again.
const EAGER: u32 = 256;
/// How long missing messages may take to come before they are asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Why a connection is over.
#[derive(Debug, Clone)]
pub(super) struct Over {
    pub(super) kind: io::ErrorKind,
    pub(super) why: String,
}

impl Over {
    pub(super) fn new(kind: io::ErrorKind, why: impl Into<String>) -> Over {
        Over { kind, why: why.into() }
    }
}

impl From<Over> for io::Error {
    fn from(over: Over) -> io::Error {
        io::Error::new(over.kind, over.why)
    }
}

/// What a message that came has changed.
#[derive(Debug, Default)]
pub(super) struct Came {
    /// There is something to read, if only the end.
    pub(super) readable: bool,
    /// There is room to write, or nothing can be written any more.
    pub(super) writable: bool,
    /// What to answer.
    pub(super) answer: Option<Head>,
    pub(super) gap: bool,
    pub(super) duplicate: bool,
    /// How many messages are to be published once more.
    pub(super) again: usize,
}

#[derive(Debug)]
pub(super) struct Pipe {
    /// What the other side may send before it is read here.
    window: usize,
    patience: Duration,
    absence: Duration,
    // Outwards: what the other side's node has not read, and how much of that has been published.
    unread: VecDeque<Bytes>,
    published: usize,
    /// The last number that was ever published.
    highest: u64,
    acked: u64,
    under_way: usize,
    room: usize,
    ended: bool,
    /// How much may be published and not read, how much is, and from where on the former grows slowly.
    pace: usize,
    flying: usize,
    calm: usize,
    // Inwards.
    incoming: Buffer,
    waiting: usize,
    received: u64,
    read: u64,
    told: u64,
    untold: usize,
    eager: u32,
    has_end: bool,
    /// The last number that the other side is known to have sent.
    known: u64,
    asked_at: Option<Instant>,
    // Its life.
    heard_at: Instant,
    pinged_at: Instant,
    gone_at: Option<Instant>,
    over: Option<Over>,
}

impl Pipe {
    /// A side that takes `window` bytes unread. Nothing can be published until [`Pipe::connected`].
    pub(super) fn new(window: usize, patience: Duration, now: Instant) -> Pipe {
        Pipe {
            window,
            patience,
            absence: GONE,
            unread: VecDeque::new(),
            published: 0,
            highest: 0,
            acked: 0,
            under_way: 0,
            room: 0,
            ended: false,
            pace: usize::MAX,
            flying: 0,
            calm: usize::MAX,
            incoming: Buffer::default(),
            waiting: 0,
            received: 0,
            read: 0,
            told: 0,
            untold: 0,
            eager: 0,
            has_end: false,
            known: 0,
            asked_at: None,
            heard_at: now,
            pinged_at: now,
            gone_at: None,
            over: None,
        }
    }

    /// One whose other side may be away for that long.
    pub(super) fn with_absence(self, absence: Duration) -> Pipe {
        Pipe { absence, ..self }
    }

    /// The other side is there, and takes `room` bytes unread.
    pub(super) fn connected(&mut self, room: u64, now: Instant) {
        self.room = usize::try_from(room).unwrap_or(usize::MAX).clamp(1, self.window.max(1));
        self.heard_at = now;
        self.gone_at = None;
    }

    pub(super) fn window(&self) -> usize {
        self.window
    }

    pub(super) fn over(&self) -> Option<&Over> {
        self.over.as_ref()
    }

    /// The connection is over. What has arrived can still be read.
    pub(super) fn end_with(&mut self, over: Over) {
        self.over.get_or_insert(over);
        self.unread.clear();
        (self.published, self.under_way, self.flying) = (0, 0, 0);
    }

    /// Takes out of `from` what the other side has room for, in messages of at most `most` bytes.
    pub(super) fn write(&mut self, from: &mut Buffer, most: usize) -> io::Result<()> {
        if let Some(over) = &self.over {
            return Err(over.clone().into());
        }
        if self.ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let most = most.saturating_sub(super::message::HEADER).clamp(1, CHUNK);
        while !from.is_empty() && self.has_room() {
            let data = &from.filled()[..from.len().min(most)];
            let count = data.len();
            let head = self.numbered(Kind::Data);
            self.push(head.with(data));
            from.consume(count);
        }
        Ok(())
    }

    pub(super) fn has_room(&self) -> bool {
        self.under_way < self.room
    }

    /// Nothing more will be written.
    pub(super) fn end(&mut self) {
        if !self.ended && self.over.is_none() {
            self.ended = true;
            let head = self.numbered(Kind::End);
            self.push(head.with(&[]));
        }
    }

    /// Whether everything written, and its end, has been read, so that nothing is left to be done.
    pub(super) fn is_settled(&self) -> bool {
        self.over.is_some() || (self.ended && self.unread.is_empty())
    }

    fn numbered(&mut self, kind: Kind) -> Head {
        self.tell();
        Head::new(kind, self.told, self.acked + self.unread.len() as u64 + 1)
    }

    fn push(&mut self, message: Bytes) {
        self.under_way += cost(&message);
        self.unread.push_back(message);
    }

    /// The next message to be published; when it was, [`Pipe::was_published`].
    pub(super) fn to_publish(&self) -> Option<&Bytes> {
        if self.room == 0 || self.flying >= self.pace { None } else { self.unread.get(self.published) }
    }

    pub(super) fn was_published(&mut self) {
        self.flying += self.unread.get(self.published).map_or(0, cost);
        self.published += 1;
        self.highest = self.highest.max(self.acked + self.published as u64);
    }

    /// Everything unread is to be published again. Returns how much that is.
    pub(super) fn publish_again(&mut self) -> usize {
        self.slow_down();
        self.flying = 0;
        std::mem::take(&mut self.published)
    }

    /// Something was lost on the way.
    fn slow_down(&mut self) {
        self.calm = (self.pace.min(self.flying) / 2).max(PACE);
        self.pace = PACE;
    }

    /// A message of the other side has come.
    pub(super) fn came(&mut self, head: Head, data: &[u8], now: Instant) -> Came {
        let mut came = Came::default();
        if self.over.is_some() {
            return came;
        }
        self.heard_at = now;
        self.gone_at = None;
        self.acknowledged(head.ack, &mut came);
        match head.kind {
            Kind::Data | Kind::End => self.numbered_came(head, data, now, &mut came),
            Kind::Ack | Kind::Ping => self.known = self.known.max(head.seq),
            Kind::Ask => self.asked_for(head.seq, &mut came),
            Kind::Reset => {
                let why = String::from_utf8_lossy(data).into_owned();
                self.end_with(Over::new(io::ErrorKind::ConnectionReset, why));
                (came.readable, came.writable) = (true, true);
            }
            _ => {}
        }
        if self.over.is_none() {
            let answer = self.ask(now).inspect(|_| came.gap = true);
            came.answer = match head.kind {
                Kind::Ping => Some(answer.unwrap_or_else(|| self.status(Kind::Ack))),
                // It has missed our acknowledgement.
                Kind::Data if came.duplicate => Some(self.status(Kind::Ack)),
                _ => answer,
            };
        }
        came
    }

    fn acknowledged(&mut self, ack: u64, came: &mut Came) {
        let had_room = self.has_room();
        // Never more than was published: what comes from outside is not trusted.
        let count = (ack.min(self.highest).saturating_sub(self.acked) as usize).min(self.unread.len());
        for (at, message) in self.unread.drain(..count).enumerate() {
            self.under_way -= cost(&message);
            self.flying -= if at < self.published { cost(&message) } else { 0 };
        }
        if count > 0 {
            let more = if self.pace < self.calm { self.pace } else { PACE };
            self.pace = self.pace.saturating_add(more);
        }
        self.acked += count as u64;
        self.published = self.published.saturating_sub(count);
        came.writable = !had_room && self.has_room();
    }

    fn numbered_came(&mut self, head: Head, data: &[u8], now: Instant, came: &mut Came) {
        self.known = self.known.max(head.seq);
        if head.seq <= self.received {
            (came.duplicate, self.eager) = (true, EAGER);
            return;
        }
        if head.seq != self.received + 1 || self.has_end {
            return;
        }
        self.received += 1;
        self.asked_at = self.asked_at.filter(|_| self.known > self.received).map(|_| now);
        came.readable = true;
        if head.kind == Kind::End {
            self.has_end = true;
            return;
        }
        self.waiting += data.len() + COST;
        if self.waiting > 2 * self.window + CHUNK + COST {
            let why = "the other side sends more than it may";
            return self.end_with(Over::new(io::ErrorKind::InvalidData, why));
        }
        self.incoming.tail(data.len()).extend_from_slice(data);
    }

    fn asked_for(&mut self, after: u64, came: &mut Came) {
        let from = after.saturating_sub(self.acked).min(self.published as u64) as usize;
        came.again = self.published - from;
        if came.again > 0 {
            self.slow_down();
            self.flying = self.unread.iter().take(from).map(cost).sum();
            self.published = from;
        }
    }

    /// What to ask for, when something is missing and it was not asked for just now.
    fn ask(&mut self, now: Instant) -> Option<Head> {
        let is_due = self.asked_at.is_none_or(|at| now.saturating_duration_since(at) >= ASK_AGAIN);
        if self.known <= self.received || self.has_end || !is_due {
            return None;
        }
        self.asked_at = Some(now);
        self.eager = EAGER;
        self.tell();
        Some(Head::new(Kind::Ask, self.told, self.received))
    }

    /// Appends to `into` what has come. `Ok(Some(0))` at the end, `Ok(None)` when there is nothing yet.
    pub(super) fn read(&mut self, into: &mut Buffer) -> io::Result<Option<usize>> {
        let count = self.incoming.len();
        if count > 0 {
            into.append(&mut self.incoming);
            self.untold += std::mem::take(&mut self.waiting);
            // The end has a number too, and has been read when it is returned.
            self.read = self.received - u64::from(self.has_end);
            return Ok(Some(count));
        }
        if self.has_end {
            self.read = self.received;
            return Ok(Some(0));
        }
        match &self.over {
            Some(over) => Err(over.clone().into()),
            None => Ok(None),
        }
    }

    /// Drops what has come, because nobody will read it.
    pub(super) fn discard(&mut self) {
        self.incoming.consume(usize::MAX);
        self.untold += std::mem::take(&mut self.waiting);
        self.read = self.received;
    }

    /// What is to be told the other side at once, after a read: that it has room again, or that its end was seen.
    pub(super) fn news(&mut self) -> Option<Head> {
        let is_due = self.untold >= self.window / 4 || (self.has_end && self.read == self.received);
        let is_eager = self.eager > 0 && self.untold > 0;
        self.eager -= u32::from(is_eager);
        ((is_due || is_eager) && self.read > self.told && self.over.is_none()).then(|| self.status(Kind::Ack))
    }

    fn tell(&mut self) {
        (self.told, self.untold) = (self.read, 0);
    }

    /// Says how far both streams are.
    pub(super) fn status(&mut self, kind: Kind) -> Head {
        self.tell();
        Head::new(kind, self.told, self.highest)
    }

    /// The servers say that nobody listens at the other side.
    pub(super) fn nobody_there(&mut self, now: Instant) {
        self.gone_at.get_or_insert(now);
    }

    /// To be called several times a second: what is to be told the other side, and whether it is still there.
    /// `up_since` is when this process's connection to NATS was made; `None` while there is none.
    pub(super) fn tick(&mut self, now: Instant, up_since: Option<Instant>) -> Option<Head> {
        if self.over.is_some() {
            return None;
        }
        let since = |at: Instant| now.saturating_duration_since(at);
        if since(self.heard_at) >= self.patience {
            let why = format!("nothing was heard of the other side for {:?}", self.patience);
            self.end_with(Over::new(io::ErrorKind::TimedOut, why));
            return None;
        }
        let up = up_since?;
        if self.gone_at.is_some_and(|at| since(at) >= self.absence && since(up) >= GONE_AFTER_UP) {
            let why = "the other side has no connection to NATS any more";
            self.end_with(Over::new(io::ErrorKind::ConnectionReset, why));
            return None;
        }
        if let Some(ask) = self.ask(now) {
            return Some(ask);
        }
        let is_quiet = since(self.heard_at) >= QUIET || !self.unread.is_empty();
        // Whether one that seemed gone is back is to be known before it is given up.
        let has_waited = since(self.pinged_at) >= if self.gone_at.is_some() { QUIET / 5 } else { QUIET };
        if (is_quiet || self.gone_at.is_some()) && has_waited {
            self.pinged_at = now;
            return Some(self.status(Kind::Ping));
        }
        (self.read > self.told).then(|| self.status(Kind::Ack))
    }
}

fn cost(message: &Bytes) -> usize {
    message.len() + COST
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;
