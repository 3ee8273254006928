//! Urls that mods register (`RegisterMasterHttp`, `SendHttpResponse`; apollo.md section 5).

use super::{Answer, Asked};
use crate::Master;
use axum::http::StatusCode;
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a handler may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Names one request that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// Why an answer was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// It was answered before, or the 10 s for it have passed.
    #[error("HTTP request {} has had its answer", .0.0)]
    Answered(ClientId),
}

type Handler = Rc<dyn Fn(ClientId, &[u8])>;

/// The registered urls, and the requests that wait.
#[derive(Default)]
pub(crate) struct Urls {
    handlers: FxHashMap<String, Handler>,
    waiting: BTreeMap<ClientId, oneshot::Sender<Answer>>,
    last: u64,
}

impl Master {
    /// Calls `handler` with the client's id and the body for each POST to `url`, an absolute path
    /// (`RegisterMasterHttp`). What stood under the same url is replaced. The answer is sent by
    /// [`Master::send_http_response`], in the handler or later; after 10 s without one the client gets 504.
    pub fn register_http(&self, url: &str, handler: impl Fn(ClientId, &[u8]) + 'static) {
        let url = format!("/{}", url.trim_start_matches('/'));
        self.0.urls.borrow_mut().handlers.insert(url, Rc::new(handler));
    }

    /// Answers a request to a registered url (`SendHttpResponse`) with the status 200.
    ///
    /// # Errors
    /// [`HttpError::Answered`] for a second or a late answer, which is dropped, with a warning in the log.
    pub fn send_http_response(&self, client: ClientId, body: impl Into<Vec<u8>>) -> Result<(), HttpError> {
        let waiting = self.0.urls.borrow_mut().waiting.remove(&client);
        let Some(waiting) = waiting else {
            tracing::warn!(client = client.0, "a second or late HTTP answer is dropped");
            self.0.node.stats().count("late_http_answers");
            return Err(HttpError::Answered(client));
        };
        let body = body.into();
        // Mods answer JSON or plain text; what it is can be told from its first byte.
        let is_json =
            body.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| b"{[".contains(byte));
        let content_type = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
        // The client may have hung up.
        let _ = waiting.send(Answer::new(StatusCode::OK, content_type, body));
        Ok(())
    }

    /// Whether a mod has registered that url.
    pub(super) fn has_url(&self, path: &str) -> bool {
        self.0.urls.borrow().handlers.contains_key(path)
    }

    /// Hands a request to the handler of its url.
    pub(super) fn on_registered(&self, asked: Asked) {
        let (client, handler) = {
            let mut urls = self.0.urls.borrow_mut();
            let Some(handler) = urls.handlers.get(&asked.path).cloned() else { return };
            urls.last += 1;
            let client = ClientId(urls.last);
            urls.waiting.insert(client, asked.reply);
            (client, handler)
        };
        let master = self.clone();
        self.0.node.add_timer(ANSWER, move || {
            let waiting = master.0.urls.borrow_mut().waiting.remove(&client);
            if let Some(waiting) = waiting {
                let text = "the handler of this url did not answer in time";
                let _ = waiting.send(Answer::error(StatusCode::GATEWAY_TIMEOUT, text));
            }
        });
        // On a task of its own: a handler that panics is counted, and the next request is served.
        self.0.node.spawn(async move { handler(client, &asked.body) });
    }
}
