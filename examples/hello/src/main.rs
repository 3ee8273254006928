//! A lobby that greets its players, and a mail service that it asks.

use chappe::system::{ServerSystem, ServiceSystem};
use chappe::{App, DEFAULT_TIMEOUT, Node, PlayerId, value};

#[derive(serde::Deserialize)]
struct Entered {
    id: PlayerId,
    uid: u64,
}

fn main() -> std::process::ExitCode {
    App::new().server("lobby", lobby).service("service_mail", mail).main()
}

fn lobby(node: &Node) -> Result<(), String> {
    let lobby = ServerSystem::new(node, "hello", "lobby");
    let here = lobby.clone();
    lobby.listen_engine("AddServerPlayerEvent", move |event| {
        let (Ok(player), lobby) = (event.data::<Entered>(), here.clone()) else { return };
        here.spawn(async move {
            let count = lobby.request_to_service_mod("service_mail", "Count", &player.uid, DEFAULT_TIMEOUT);
            let letters: u64 = count.await.unwrap_or(0);
            let _ = lobby.notify_to_client(player.id, "Welcome", &value!({"letters": letters}));
        });
    });
    Ok(())
}

fn mail(node: &Node) -> Result<(), String> {
    let mail = ServiceSystem::new(node, "hello", "mail");
    mail.register_rpc_method_for_mod("Count", |call| call.answer(|uid: u64| uid % 7));
    Ok(())
}
