//! A bot: a player like any other, over a real WebSocket. Some come and go, some have a bad line, some log in
//! twice.

use crate::demo::Watch;
use crate::messages::{ARENA, Begin, End, Health, Hit, Mode, Queue, Queued, Say, Welcome, system};
use chappe::client::{Client, ClientEvent, Login, Received};
use chappe::{NodeId, Reason};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// How a bot behaves beside playing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Stays.
    Regular,
    /// Logs out now and then, and comes back.
    Visitor,
    /// Its socket drops now and then; it goes on where it was.
    BadLine,
    /// Logs in from elsewhere while it plays: the session before is ended.
    TwoHomes,
}

/// Where a bot is in the game.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Place {
    Out,
    Lobby,
    Queue,
    Game,
}

/// How long a session may outlive the player's next one.
const REPLACED: Duration = Duration::from_secs(10);

/// One bot.
pub(crate) struct Bot {
    uid: u64,
    habit: Habit,
    /// The proxies' addresses.
    urls: Vec<String>,
    random: Random,
    watch: Watch,
    chat: Option<NodeId>,
    place: Place,
    foes: Vec<u64>,
    next_move: Instant,
    next_say: Instant,
}

/// Why a session's play has ended.
enum Left {
    /// The demo is over.
    Over,
    /// The habit wants it.
    Habit,
    /// It was ended from outside.
    Closed,
}

impl Bot {
    pub(crate) fn new(uid: u64, habit: Habit, urls: Vec<String>, watch: Watch) -> Bot {
        let now = Instant::now();
        Bot {
            uid,
            habit,
            urls,
            random: Random(uid.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            watch,
            chat: None,
            place: Place::Out,
            foes: Vec::new(),
            next_move: now,
            next_say: now,
        }
    }

    /// Plays until the demo is over, then logs out.
    pub(crate) async fn play(mut self) {
        let mut home = self.uid as usize;
        sleep(self.random.millis(0, 1500)).await;
        let mut client = None;
        while !self.watch.is_over() {
            let Some(here) = (match client.take() {
                Some(client) => Some(client),
                None => self.log_in(home).await,
            }) else {
                continue;
            };
            match self.session(&here).await {
                Left::Habit if self.habit == Habit::TwoHomes => {
                    // The proxies end the session before; it hears so, and what was on its way to it still comes.
                    home += 1;
                    client = self.log_in(home).await;
                    // It stays where whoever let the second one in could not reach it: its proxy was cut off from there.
                    let is_replaced =
                        client.is_some() && timeout(REPLACED, self.hear_out(&here)).await.is_ok();
                    if !is_replaced {
                        self.log_out(&here).await;
                    }
                    if matches!(here.end(), Some((Reason::Replaced, _))) {
                        self.watch.count("replaced by a second login");
                    }
                }
                Left::Over | Left::Habit => self.log_out(&here).await,
                Left::Closed => {}
            }
            self.watch.took_part(&here.counts());
            self.move_to(Place::Out, None);
            if !self.watch.is_over() && client.is_none() {
                sleep(self.random.millis(200, 800)).await;
            }
        }
        if let Some(client) = client {
            self.log_out(&client).await;
            self.watch.took_part(&client.counts());
        }
        self.move_to(Place::Out, None);
    }

    async fn log_in(&mut self, home: usize) -> Option<Client> {
        let url = &self.urls[home % self.urls.len()];
        let nickname = format!("bot{}", self.uid);
        match Client::connect(url.clone(), Login::new(self.uid).nickname(nickname)).await {
            Ok(client) => {
                self.watch.let_in();
                Some(client)
            }
            Err(error) => {
                self.watch.trouble(format!("bot {}: {error}", self.uid));
                sleep(self.random.millis(200, 800)).await;
                None
            }
        }
    }

    async fn log_out(&mut self, client: &Client) {
        if let Err(error) = client.logout().await {
            self.watch.trouble(format!("bot {}: logging out: {error}", self.uid));
        } else {
            self.watch.count("logouts");
        }
        self.hear_out(client).await;
    }

    /// Takes what still comes until the session has ended.
    async fn hear_out(&mut self, client: &Client) {
        while let Some(event) = client.next_event().await {
            if let ClientEvent::Event(event) = event {
                self.watch.heard(&event);
            }
        }
    }

    async fn session(&mut self, client: &Client) -> Left {
        self.place = Place::Out;
        self.next_move = Instant::now() + Duration::from_secs(5);
        self.next_say = Instant::now() + self.random.millis(500, 4000);
        let mut habit_at = Instant::now() + self.random.millis(3000, 7000);
        loop {
            tokio::select! {
                biased;
                () = self.watch.over() => return Left::Over,
                event = client.next_event() => match event {
                    Some(ClientEvent::Event(event)) => self.on_event(&event),
                    Some(ClientEvent::Reconnected { resumed }) => {
                        self.watch.count(if resumed { "resumed" } else { "not resumed" });
                        if !resumed {
                            self.watch.lose();
                        }
                    }
                    Some(ClientEvent::Closed { reason, message }) => {
                        self.watch.trouble(format!("bot {}: {reason}: {message}", self.uid));
                        self.watch.lose();
                        return Left::Closed;
                    }
                    None => return Left::Closed,
                    Some(ClientEvent::Moved { .. } | ClientEvent::Announce(_) | ClientEvent::Dropped { .. }) => {}
                },
                () = sleep_until(habit_at), if self.habit != Habit::Regular => {
                    habit_at = Instant::now() + self.random.millis(4000, 8000);
                    match self.habit {
                        Habit::BadLine => {
                            self.watch.count("sockets dropped");
                            client.drop_socket();
                        }
                        _ => return Left::Habit,
                    }
                }
                () = sleep_until(self.next_say) => self.say(client),
                () = sleep_until(self.next_move) => self.act(client),
            }
        }
    }

    fn on_event(&mut self, event: &Received) {
        self.watch.heard(event);
        let now = Instant::now();
        match event.name() {
            "Welcome" => {
                let Some(welcome) = read::<Welcome>(event) else { return };
                self.chat = welcome.chat;
                if let (Place::Game, Some(_)) = (self.place, welcome.mode) {
                    // Greeted again after a dropped socket.
                    return self.move_to(Place::Game, Some(welcome.server));
                }
                self.foes.clear();
                let place = if welcome.mode.is_some() { Place::Game } else { Place::Lobby };
                self.move_to(place, Some(welcome.server));
                self.next_move = now + self.random.millis(300, 1000);
            }
            "Queued" if self.place == Place::Lobby && read::<Queued>(event).is_some() => {
                self.move_to(Place::Queue, None);
            }
            "Begin" => {
                let Some(begin) = read::<Begin>(event) else { return };
                self.foes = begin.players.into_iter().filter(|uid| *uid != self.uid).collect();
                self.watch.plays(self.uid);
                self.next_move = now + self.random.millis(50, 300);
            }
            "State" => {
                if let Some(health) = read::<Health>(event).filter(|health| health.left == 0) {
                    self.foes.retain(|uid| *uid != health.uid);
                    if health.uid == self.uid {
                        self.foes.clear();
                    }
                }
            }
            "End" if read::<End>(event).is_some() => self.foes.clear(),
            _ => {}
        }
    }

    fn act(&mut self, client: &Client) {
        let wait = match self.place {
            Place::Game => {
                if let Some(&uid) = self.foes.get(self.random.below(self.foes.len())) {
                    self.notify(client, "Hit", &Hit { uid });
                }
                self.random.millis(150, 400)
            }
            // Asks again when nothing has come of it.
            Place::Lobby | Place::Queue => {
                let mode = if self.random.below(10) < 6 { Mode::Duel } else { Mode::Brawl };
                self.notify(client, "Queue", &Queue { mode });
                self.random.millis(4000, 6000)
            }
            Place::Out => self.random.millis(1000, 2000),
        };
        self.next_move = Instant::now() + wait;
    }

    fn say(&mut self, client: &Client) {
        self.next_say = Instant::now() + self.random.millis(3000, 7000);
        let Some(chat) = self.chat else { return };
        let text = format!("{} sagt hallo, 你好", self.uid);
        if let Err(error) = client.notify_to_service_node(chat, ARENA, system::CLIENT, "Say", &Say { text }) {
            self.watch.trouble(format!("bot {}: {error}", self.uid));
        }
    }

    fn notify<T: Serialize>(&self, client: &Client, event: &str, data: &T) {
        if let Err(error) = client.notify_to_server(ARENA, system::CLIENT, event, data) {
            self.watch.trouble(format!("bot {}: {error}", self.uid));
        }
    }

    fn move_to(&mut self, place: Place, server: Option<NodeId>) {
        self.place = place;
        self.watch.moved(self.uid, place, server);
    }
}

fn read<T: DeserializeOwned>(event: &Received) -> Option<T> {
    event.data().inspect_err(|error| tracing::warn!(event = event.name(), %error, "not understood")).ok()
}

/// A small generator of numbers (xorshift): each bot's play follows from its uid.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `end`; 0 for 0.
    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() >> 11) as usize % end }
    }

    fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.next() % (to - from))
    }
}
