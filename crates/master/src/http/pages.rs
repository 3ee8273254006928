//! The fixed pages: is the cluster well, who is there, who is online.

use super::{Answer, Asked, metrics};
use crate::Master;
use axum::http::{Method, StatusCode};
use chappe_node::State;
use chappe_node::control_tool::PlayersQuery;
use chappe_wire::Role;
use serde_json::json;

impl Master {
    pub(super) fn on_http(&self, asked: Asked) {
        let is_get = asked.method == Method::GET;
        let answer = match (asked.path.as_str(), is_get) {
            ("/healthz", true) => self.health(),
            ("/nodes", true) => Answer::json(StatusCode::OK, &self.nodes()),
            ("/players", true) => self.players_page(&asked.query),
            ("/metrics", true) => {
                let (reports, master) = (self.reports(), self.clone());
                self.0.node.spawn(async move {
                    let page = metrics::render(&reports.await, &master.nodes(), master.online());
                    let answer = Answer::new(StatusCode::OK, metrics::CONTENT_TYPE, page);
                    // The client may have hung up.
                    let _ = asked.reply.send(answer);
                });
                return;
            }
            (path, true) if path.starts_with("/players/") => self.player_page(&path["/players/".len()..]),
            (path, _) if self.has_url(path) => {
                if asked.method == Method::POST {
                    return self.on_registered(asked);
                }
                Answer::error(StatusCode::METHOD_NOT_ALLOWED, "this url takes POST")
            }
            ("/healthz" | "/nodes" | "/players" | "/metrics", false) => {
                Answer::error(StatusCode::METHOD_NOT_ALLOWED, "this url takes GET")
            }
            (path, _) => Answer::error(StatusCode::NOT_FOUND, &format!("no such url: {path}")),
        };
        let _ = asked.reply.send(answer);
    }

    /// Well is a cluster that players can log in to, as far as it is declared to be one.
    fn health(&self) -> Answer {
        let declared = self.0.node.with_view(|view| view.declared().nodes.clone());
        let is_ready = |role: Role| {
            !self.members_where(|member| member.role == role && member.state == State::Ready).is_empty()
        };
        let is_missing =
            |role: &Role| declared.iter().any(|(_, declared, _)| declared == role) && !is_ready(*role);
        let missing: Vec<&str> = [Role::Proxy, Role::Lobby]
            .iter()
            .filter(|role| is_missing(role))
            .map(|role| role.as_str())
            .collect();
        let status = match (self.is_recovering(), missing.is_empty()) {
            (true, _) => "recovering",
            (false, false) => "not ready",
            (false, true) => "ok",
        };
        let code = if status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let nodes = self.0.node.with_view(|view| view.members().count());
        let mut body =
            json!({"status": status, "nodes": nodes, "players": self.online(), "missing": missing});
        if let Some(leadership) = self.leadership() {
            let has_lease = leadership.is_valid();
            body["master"] = json!({"leads": true, "term": leadership.term(), "lease": has_lease});
        }
        Answer::json(code, &body)
    }

    fn players_page(&self, query: &str) -> Answer {
        let field = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .filter(|(key, _)| *key == name)
                .map(|(_, value)| value.parse::<u64>())
                .next_back()
                .transpose()
        };
        match (field("after"), field("limit")) {
            (Ok(after), Ok(limit)) => {
                let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
                Answer::json(StatusCode::OK, &self.players(&PlayersQuery { uids: None, after, limit }))
            }
            _ => Answer::error(StatusCode::BAD_REQUEST, "`after` and `limit` are whole numbers"),
        }
    }

    fn player_page(&self, uid: &str) -> Answer {
        let Ok(uid) = uid.parse::<u64>() else {
            return Answer::error(StatusCode::BAD_REQUEST, &format!("{uid:?} is no uid"));
        };
        let info = self.player_info(uid);
        if info.server_id.is_none() {
            return Answer::error(StatusCode::NOT_FOUND, &format!("player {uid} is offline"));
        }
        Answer::json(StatusCode::OK, &info)
    }
}
