//! A player: gives money as fast as it can, one request at a time, and does not let go of one whose answer was lost.

use crate::books::{Books, Gift, How};
use chappe::client::{Client, ClientEvent, Login, Response};
use chappe::value;
use chappe::value::Value;
use chappe_hosts::Rng;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

/// After so long without an answer a request is sent again, under its id.
const AGAIN: Duration = Duration::from_secs(5);
/// So long a player waits who will not ask again.
const ONCE: Duration = Duration::from_millis(1500);
/// Between two attempts, of logins and of requests that were refused for now.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a player stays away, in ms.
const AWAY: (u64, u64) = (100, 2_500);
/// A uid that nobody has.
const NOBODY: u64 = 404_000_000;
/// More than anyone ever has.
const TOO_MUCH: i64 = 100_000_000;

/// A player.
pub(crate) struct Player {
    uid: u64,
    others: Rc<Vec<u64>>,
    urls: Rc<Vec<String>>,
    rng: Rng,
    client: Option<Client>,
    books: Rc<RefCell<Books>>,
    /// No new requests.
    over: watch::Receiver<bool>,
    /// When what was begun must have ended.
    end: Rc<std::cell::Cell<Option<Instant>>>,
    last_gift: i64,
    last_other: u64,
}

/// What came of waiting for a response.
enum Waited {
    Answer(Response),
    /// It may have been lost.
    Lost,
    /// The player will not wait any longer.
    GaveUp,
}

impl Player {
    /// The player `uid`, one of `players`.
    pub(crate) fn new(
        (uid, seed): (u64, u64),
        players: &Rc<Vec<u64>>,
        urls: &Rc<Vec<String>>,
        books: &Rc<RefCell<Books>>,
        over: watch::Receiver<bool>,
        end: &Rc<std::cell::Cell<Option<Instant>>>,
    ) -> Player {
        Player {
            uid,
            others: players.clone(),
            urls: urls.clone(),
            rng: Rng::part(seed, uid),
            client: None,
            books: books.clone(),
            over,
            end: end.clone(),
            last_gift: 0,
            last_other: 0,
        }
    }

    /// Plays until it is over, and logs out.
    pub(crate) async fn play(mut self) {
        while !*self.over.borrow() {
            match self.rng.range(0, 100) {
                0 => self.stay_away().await,
                1 => self.client.iter().for_each(Client::drop_socket),
                2..=15 => drop(self.ask_other("bank.reset").await),
                16..=18 => drop(self.ask_other("bank.balance").await),
                _ => self.give().await,
            }
        }
        // Whoever has no session has nothing to end; one that was lost ends by itself.
        if let Some(client) = self.client.take() {
            let ended = client.logout().await;
            self.hear_rest(&client);
            drop(ended);
        }
    }

    async fn stay_away(&mut self) {
        let away = Duration::from_millis(self.rng.range(AWAY.0, AWAY.1));
        if let Some(client) = self.client.take() {
            drop(client.logout().await);
            self.hear_rest(&client);
            self.books.borrow_mut().logouts += 1;
        }
        let mut over = self.over.clone();
        let _ = tokio::time::timeout(away, over.wait_for(|over| *over)).await;
    }

    async fn give(&mut self) {
        self.last_gift += 1;
        let gift = self.last_gift;
        let to = loop {
            match self.rng.pick(&self.others) {
                Some(other) if *other != self.uid => break *other,
                Some(_) => {}
                None => return,
            }
        };
        let amount = i64::try_from(self.rng.range(1, 200)).unwrap_or(1);
        let (how, to, amount) = match self.rng.range(0, 100) {
            0..=1 => (How::Plain, to, TOO_MUCH),
            2 => (How::Plain, NOBODY, amount),
            3..=4 => (How::Unchecked, NOBODY, amount),
            5..=7 => (How::Raise, to, amount),
            8..=9 => (How::Nobody, to, amount),
            _ => (How::Plain, to, amount),
        };
        let is_once = self.rng.percent(8);
        let begun = Instant::now();
        let asked = Gift { to, amount, how, is_once, told: None, is_refused: false, begun };
        self.books.borrow_mut().begin(self.uid, gift, asked);
        let params = value!({"to": to, "amount": amount, "gift": gift, "how": how.as_str(), "once": is_once});
        self.ask("bank.give", &format!("g{gift}"), &params, is_once).await;
    }

    async fn ask_other(&mut self, kind: &str) -> Option<Response> {
        self.last_other += 1;
        let id = format!("o{}", self.last_other);
        self.ask(kind, &id, &value!({}), false).await
    }

    /// Asks, until there is an answer that stands; one that `is_once` is asked for once and waited for a little.
    async fn ask(&mut self, kind: &str, id: &str, params: &Value, is_once: bool) -> Option<Response> {
        loop {
            let client = self.online().await?;
            if client.request(kind, params, Some(id)).is_err() {
                self.leave_behind(&client);
                sleep(PAUSE).await;
                continue;
            }
            match self.wait(&client, id, is_once).await {
                Waited::Answer(answer) if answer.error_code().is_some_and(is_passing) => {
                    self.books.borrow_mut().passed(self.uid, id, answer.error_code().unwrap_or_default());
                    if is_once {
                        return None;
                    }
                    sleep(PAUSE).await;
                }
                Waited::Answer(answer) => return Some(answer),
                Waited::Lost if !is_once => self.books.borrow_mut().repeats += 1,
                Waited::Lost | Waited::GaveUp => return None,
            }
        }
    }

    async fn wait(&mut self, client: &Client, id: &str, is_once: bool) -> Waited {
        let limit = if is_once { ONCE } else { AGAIN };
        let limit = Instant::now() + limit;
        loop {
            let event = match timeout_at(limit, client.next_event()).await {
                Ok(Some(event)) => event,
                Ok(None) => {
                    self.leave_behind(client);
                    return Waited::Lost;
                }
                Err(_) if is_once => return Waited::GaveUp,
                Err(_) => return Waited::Lost,
            };
            if let ClientEvent::Reconnected { resumed: false } = event {
                self.books.borrow_mut().lose("not resumed".to_owned());
            }
            match event {
                ClientEvent::Event(event) => {
                    let Some(response) = event.response() else { continue };
                    self.books.borrow_mut().hear(self.uid, &response);
                    if response.request_id() == Some(id) {
                        return Waited::Answer(response);
                    }
                }
                ClientEvent::Moved { is_transfer: false, .. }
                | ClientEvent::Reconnected { resumed: false }
                | ClientEvent::Dropped { .. }
                    if !is_once =>
                {
                    sleep(PAUSE).await;
                    return Waited::Lost;
                }
                _ => {}
            }
        }
    }

    /// A session: the one that there is, or a new one. `None` when there is none before all must have ended.
    async fn online(&mut self) -> Option<Client> {
        loop {
            if self.end.get().is_some_and(|end| Instant::now() >= end) {
                return None;
            }
            match self.client.take() {
                Some(client) if client.end().is_none() => {
                    self.client = Some(client.clone());
                    return Some(client);
                }
                Some(client) => self.leave_behind(&client),
                None => {}
            }
            let url = self.rng.pick(&self.urls)?.clone();
            match Client::connect(url, Login::new(self.uid)).await {
                Ok(client) => {
                    self.books.borrow_mut().let_in();
                    self.client = Some(client);
                }
                Err(_) => sleep(PAUSE * 4).await,
            }
        }
    }

    /// The session is over; what came before its end counts.
    fn leave_behind(&mut self, client: &Client) {
        self.hear_rest(client);
        self.client = None;
        if let Some((reason, _)) = client.end() {
            self.books.borrow_mut().lose(reason.to_string());
        }
    }

    fn hear_rest(&self, client: &Client) {
        while let Some(event) = client.try_next_event() {
            if let ClientEvent::Event(event) = event
                && let Some(response) = event.response()
            {
                self.books.borrow_mut().hear(self.uid, &response);
            }
        }
    }
}

/// Whether a code says that it was not done now, and may be asked again: the runtime's own begin with a capital.
pub(crate) fn is_passing(code: &str) -> bool {
    code.starts_with(|first: char| first.is_ascii_uppercase())
}
