//! The mail service: letters for players, and the badge that says how many wait.

use crate::matchmaking::hear_seasons;
use crate::messages::{ARENA, Badge, CountLetters, Mailed, Reward, data, sent, system};
use chappe::system::ServiceSystem;
use chappe::{Node, Reason};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The most letters in a box; the oldest go first.
const ROOM: usize = 20;

/// Sets the mail service up.
pub(crate) fn setup(node: &Node) -> Result<(), String> {
    let service = ServiceSystem::new(node, ARENA, system::MAIL);
    let boxes: Rc<RefCell<Boxes>> = Rc::default();
    let (here, letters) = (service.clone(), boxes.clone());
    service.register_rpc_method_for_mod("Count", move |call| {
        let count: CountLetters = match call.args() {
            Ok(count) => count,
            Err(error) => return call.fail(Reason::BadData, &error.to_string()),
        };
        let unread = letters.borrow().count(count.uid);
        let _ = call.respond(&unread);
        sent(here.remote_notify_to_client(count.uid, count.proxy, "Badge", &Badge { unread }));
    });
    let here = service.clone();
    service.listen(ARENA, system::SEASON, "Reward", move |event| {
        let Some(reward) = data::<Reward>(&event) else { return };
        let unread = boxes.borrow_mut().put(reward.uid, reward.text);
        sent(here.notify_to_master("Mailed", &Mailed { uid: reward.uid }));
        show_badge(&here, reward.uid, unread);
    });
    hear_seasons(&service);
    Ok(())
}

/// Tells the player, if they are online, wherever they are.
fn show_badge(service: &ServiceSystem, uid: u64, unread: u64) {
    let here = service.clone();
    let asked = service.online_server_info_of_player(uid);
    service.spawn(async move {
        if let Some(proxy) = asked.await.ok().and_then(|info| info.proxy_id) {
            sent(here.remote_notify_to_client(uid, proxy, "Badge", &Badge { unread }));
        }
    });
}

/// The letters, by player.
#[derive(Debug, Default)]
struct Boxes(HashMap<u64, Vec<String>>);

impl Boxes {
    fn count(&self, uid: u64) -> u64 {
        self.0.get(&uid).map_or(0, |letters| letters.len() as u64)
    }

    /// Puts a letter into the box; how many are in it now.
    fn put(&mut self, uid: u64, letter: String) -> u64 {
        let letters = self.0.entry(uid).or_default();
        if letters.len() >= ROOM {
            letters.remove(0);
        }
        letters.push(letter);
        letters.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_box_loses_its_oldest_letter_and_no_other() {
        let mut boxes = Boxes::default();
        for n in 0..=ROOM {
            boxes.put(1, n.to_string());
        }
        assert_eq!((boxes.count(1), boxes.count(2)), (ROOM as u64, 0));
        assert_eq!(boxes.0[&1][0], "1");
    }
}
