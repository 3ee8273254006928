//! The chat service: what one player says is heard on all servers, and nobody talks too fast.

use crate::matchmaking::hear_seasons;
use crate::messages::{ARENA, Chat, Outcome, Say, data, sent, system};
use chappe::Node;
use chappe::system::ServiceSystem;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// The longest text, in characters.
const LONGEST: usize = 200;
/// How many of the last lines are kept.
const HISTORY: usize = 50;
/// How many lines one player may have among them.
const SHARE: usize = 10;
/// Where the chat is heard.
const SERVER_TYPES: [&str; 3] = ["lobby", "duel", "brawl"];

/// Sets the chat service up.
pub(crate) fn setup(node: &Node) -> Result<(), String> {
    let service = ServiceSystem::new(node, ARENA, system::CHAT);
    let history: Rc<RefCell<History>> = Rc::default();
    let (here, said) = (service.clone(), history.clone());
    service.listen(ARENA, system::CLIENT, "Say", move |event| {
        // Who says it is what the proxy knows, not what the client wrote.
        let (Some(origin), Some(say)) = (event.origin(), data::<Say>(&event)) else { return };
        let text: String = say.text.chars().take(LONGEST).collect();
        let chat = Chat { uid: origin.uid, text };
        if said.borrow_mut().take(&chat) {
            for server_type in SERVER_TYPES {
                sent(here.broadcast_to_server_by_type(server_type, "Chat", &chat));
            }
        }
    });
    let lines = history.clone();
    service.register_rpc_method("chat", "History", move |call| {
        let _ = call.respond(&lines.borrow().lines);
    });
    service.listen(ARENA, system::GAME, "RoundOver", move |event| {
        if let Some(winner) = data::<Outcome>(&event).and_then(|outcome| outcome.standings.first().copied()) {
            history.borrow_mut().forgive(winner.uid);
        }
    });
    hear_seasons(&service);
    Ok(())
}

/// The last lines.
#[derive(Debug, Default)]
struct History {
    lines: VecDeque<Chat>,
    by_uid: HashMap<u64, usize>,
}

impl History {
    /// Takes a line, unless it is empty or its player has said too many of the last ones.
    fn take(&mut self, chat: &Chat) -> bool {
        let said = self.by_uid.entry(chat.uid).or_default();
        if chat.text.is_empty() || *said >= SHARE {
            return false;
        }
        *said += 1;
        self.lines.push_back(chat.clone());
        if self.lines.len() > HISTORY
            && let Some(oldest) = self.lines.pop_front()
            && let Some(said) = self.by_uid.get_mut(&oldest.uid)
        {
            *said = said.saturating_sub(1);
            if *said == 0 {
                self.by_uid.remove(&oldest.uid);
            }
        }
        true
    }

    /// Winners may talk on.
    fn forgive(&mut self, uid: u64) {
        self.by_uid.remove(&uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(history: &mut History, uid: u64) -> bool {
        history.take(&Chat { uid, text: "hi".into() })
    }

    #[test]
    fn one_player_cannot_fill_the_chat_and_can_speak_again_later() {
        let mut history = History::default();
        assert!((0..SHARE).all(|_| say(&mut history, 1)));
        assert!(!say(&mut history, 1), "enough of you");
        assert!((2..=60).all(|uid| say(&mut history, uid)), "others are heard");
        assert_eq!(history.lines.len(), HISTORY);
        assert!(say(&mut history, 1), "the old lines are gone");
        assert!(!history.take(&Chat { uid: 99, text: String::new() }), "nothing said");
    }
}
