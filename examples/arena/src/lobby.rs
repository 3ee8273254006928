//! A lobby: greets who comes, queues who wants to play, and takes the players of a match to their game.

use crate::messages::{
    ARENA, Added, CHAT_SERVICE, Chat, CountLetters, Enqueue, Leader, Letters, MAIL_SERVICE, MATCH_SERVICE,
    MatchFound, Queue, Queued, Removed, Unqueue, Welcome, channel, data, sent, service, system,
};
use chappe::system::ServerSystem;
use chappe::{Node, PlayerId, Reason};
use std::time::Duration;

/// How long the lobby waits for a service.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often, and how long apart, a lobby tries to find a game for a player whose game is gone.
const ATTEMPTS: usize = 8;
const RETRY: Duration = Duration::from_millis(250);

/// Sets a lobby up.
pub(crate) fn setup(node: &Node) -> Result<(), String> {
    let lobby = ServerSystem::new(node, ARENA, system::LOBBY);
    let here = lobby.clone();
    lobby.listen_engine("AddServerPlayerEvent", move |event| {
        if let Some(player) = data::<Added>(&event) {
            greet(&here, &player);
        }
    });
    let here = lobby.clone();
    lobby.listen_engine("DelServerPlayerEvent", move |event| {
        if let Some(player) = data::<Removed>(&event) {
            see_off(&here, &player);
        }
    });
    let here = lobby.clone();
    lobby.listen(ARENA, system::CLIENT, "Queue", move |event| {
        if let (Some(id), Some(queue)) = (event.player_id(), data::<Queue>(&event)) {
            enqueue(&here, id, queue);
        }
    });
    let here = lobby.clone();
    lobby.listen(ARENA, system::MATCH, "MatchFound", move |event| {
        if let Some(found) = data::<MatchFound>(&event) {
            take_to_game(&here, &found);
        }
    });
    relay(&lobby);
    Ok(())
}

/// What every lobby and game passes on to its players: chat to those of the channel, news to all.
pub(crate) fn relay(server: &ServerSystem) {
    let here = server.clone();
    server.listen(ARENA, system::CHAT, "Chat", move |event| {
        let Some(chat) = data::<Chat>(&event) else { return };
        let readers = here.players().into_iter().filter(|player| channel(player.uid) == channel(chat.uid));
        let readers: Vec<PlayerId> = readers.map(|player| player.id).collect();
        if !readers.is_empty() {
            sent(here.notify_to_multi_clients(&readers, "Chat", &chat));
        }
    });
    let here = server.clone();
    server.listen(ARENA, system::SEASON, "Leader", move |event| {
        if let Some(leader) = data::<Leader>(&event) {
            sent(here.broadcast_to_all_client("Leader", &leader));
        }
    });
}

fn greet(lobby: &ServerSystem, player: &Added) {
    let welcome = Welcome { server: lobby.id(), mode: None, chat: service(lobby, CHAT_SERVICE) };
    sent(lobby.notify_to_client(player.id, "Welcome", &welcome));
    let (here, id) = (lobby.clone(), player.id);
    let count = CountLetters { uid: player.uid, proxy: player.proxy_id };
    let asked = lobby.request_to_service_mod::<_, u64>(MAIL_SERVICE, "Count", &count, PATIENCE);
    let rating = {
        let key = player.uid.to_le_bytes();
        lobby.request_to_hash_service::<_, u64>(MATCH_SERVICE, &key, "Rating", &player.uid, PATIENCE)
    };
    lobby.spawn(async move {
        if let Ok(unread) = asked.await {
            sent(here.notify_to_client(id, "Letters", &Letters { unread }));
        }
        if let Ok(rating) = rating.await {
            sent(here.notify_to_client(id, "Rating", &rating));
        }
    });
}

fn see_off(lobby: &ServerSystem, player: &Removed) {
    // Who leaves for a game was taken out of the queue when the match was found.
    if !player.is_transfer
        && let Some(matches) = service(lobby, MATCH_SERVICE)
    {
        sent(lobby.notify_to_service_node(matches, "Unqueue", &Unqueue { uid: player.uid }));
    }
}

fn enqueue(lobby: &ServerSystem, id: PlayerId, queue: Queue) {
    let Some(player) = lobby.player(id) else { return };
    let enqueue = Enqueue { uid: player.uid, player: id, lobby: lobby.id(), mode: queue.mode };
    let here = lobby.clone();
    let asked = lobby.request_to_service::<_, usize>("match", "Enqueue", &enqueue, PATIENCE);
    lobby.spawn(async move {
        match asked.await {
            // Who was matched at once may be on the way already.
            Ok(place) if here.player(id).is_some() => {
                sent(here.notify_to_client(id, "Queued", &Queued { place }));
            }
            Ok(_) => {}
            Err(failure) => tracing::warn!(%failure, "a player could not be queued"),
        }
    });
}

/// Takes the players of a match to the game that was chosen; when that is gone, to any of its type, for a while:
/// one that has died is started again.
fn take_to_game(lobby: &ServerSystem, found: &MatchFound) {
    for &player in &found.players {
        let (here, found) = (lobby.clone(), found.clone());
        lobby.spawn(async move {
            let (param, server_type) = (found.ticket.to_param(), found.mode.server_type());
            if let Some(server) = found.server
                && here.transfer_to_other_server_by_id(player, server, &param).await.is_ok()
            {
                return;
            }
            for _ in 0..ATTEMPTS {
                match here.transfer_to_other_server(player, server_type, &param).await {
                    Ok(_) => return,
                    Err(failure) if failure.reason == Reason::PlayerOffline => return,
                    Err(failure) => tracing::debug!(%player, %failure, "no game takes the player yet"),
                }
                tokio::time::sleep(RETRY).await;
            }
        });
    }
}
