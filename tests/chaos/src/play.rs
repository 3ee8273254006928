//! All players together.

use crate::books::Books;
use crate::player::Player;
use crate::report::say;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, interval, timeout};

/// The first player's uid: beyond 32 bits, as real ones are.
const FIRST: u64 = 5_000_000_000;
/// How long players may take to hear how what they began has ended, and to log out.
const FINISH: Duration = Duration::from_secs(60);
/// Between two lines about how far it is.
const SHOW: Duration = Duration::from_secs(5);

/// Players who play.
pub(crate) struct Play {
    pub(crate) uids: Rc<Vec<u64>>,
    pub(crate) books: Rc<RefCell<Books>>,
    over: watch::Sender<bool>,
    end: Rc<Cell<Option<Instant>>>,
    players: Vec<JoinHandle<()>>,
    shown: JoinHandle<()>,
}

impl Play {
    /// So many begin; each logs in at any of `urls`.
    pub(crate) fn start(seed: u64, count: u64, urls: Vec<String>) -> Play {
        let uids: Rc<Vec<u64>> = Rc::new((0..count).map(|n| FIRST + n).collect());
        let books: Rc<RefCell<Books>> = Rc::default();
        let (over, playing) = watch::channel(false);
        let (end, urls) = (Rc::default(), Rc::new(urls));
        let players = uids.iter();
        let players = players
            .map(|uid| Player::new((*uid, seed), &uids, &urls, &books, playing.clone(), &end))
            .map(|player| spawn_local(player.play()));
        let players = players.collect();
        let shown = spawn_local(show(books.clone()));
        Play { uids, books, over, end, players, shown }
    }

    /// Has them end what they have begun, and log out; what went wrong.
    pub(crate) async fn finish(&mut self) -> Vec<String> {
        self.end.set(Some(Instant::now() + FINISH));
        let _ = self.over.send(true);
        let mut failed = Vec::new();
        // Those who wait for nothing that comes give up by themselves.
        for player in std::mem::take(&mut self.players) {
            match timeout(FINISH * 2, player).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failed.push(format!("a player: {error}")),
                Err(_) => failed.push("a player does not end".to_owned()),
            }
        }
        self.shown.abort();
        failed
    }
}

/// Tells how far it is.
async fn show(books: Rc<RefCell<Books>>) {
    let (mut tick, since) = (interval(SHOW), Instant::now());
    loop {
        tick.tick().await;
        let (seconds, books) = (since.elapsed().as_secs(), books.borrow());
        let (asked, ok) = (books.gifts.len(), books.latencies.len());
        say(&format!("{seconds:4} s  {asked} gifts asked for, {ok} told as given"));
    }
}
