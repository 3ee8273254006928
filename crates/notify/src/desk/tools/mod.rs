//! What the command line asks of the store ([`crate::tools`]).

mod letters;
mod notifications;
mod records;

use super::{Desk, Refusal, args, unavailable};
use crate::tools::BackUp;
use chappe_node::Call;
use chappe_store::{Refused, StoreError};
use chappe_wire::value::{self, Value};
use chappe_wire::{NodeId, Reason};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;

/// Lines on a page: by default, and at most.
const PAGE: (usize, usize) = (100, 1000);

impl Desk {
    pub(super) fn serve_tools(&self) {
        self.serve_records();
        self.serve_notifications();
        self.serve_letters();
        self.tool("back_up", |desk, BackUp { to }: BackUp| async move {
            let copied = desk.0.store.read(move |store| store.back_up(std::path::Path::new(&to))).await;
            copied.map_err(|error| match error {
                StoreError::BadPlace { .. } => (Reason::Refused, error.to_string()),
                error => unavailable(&error),
            })
        });
    }

    /// Registers a method for command-line tools that reads its arguments and answers later.
    fn tool<A, T, F>(&self, method: &'static str, work: impl Fn(Desk, A) -> F + 'static)
    where
        A: DeserializeOwned,
        T: Serialize,
        F: Future<Output = Result<T, Refusal>> + 'static,
    {
        let may_ask = |desk: &Desk, from: NodeId| desk.0.master.is_tool(from) || from == desk.0.node.id();
        self.register(chappe_wire::Row::Internal, method, may_ask, move |desk, call: Call<'_>| {
            match args(&call) {
                Ok(asked) => desk.answer_with(call.into_responder(), work(desk.clone(), asked)),
                Err((reason, text)) => call.fail(reason, &text),
            }
        });
    }

    /// The most bytes of data in one answer: there must be room for what goes with it.
    fn room(&self) -> usize {
        self.0.node.config().limits.message_bytes / 4 * 3
    }
}

/// How many lines are wanted.
fn limit(asked: Option<usize>) -> usize {
    asked.unwrap_or(PAGE.0).clamp(1, PAGE.1)
}

/// Stored bytes for a person: the value that they are, or the bytes.
fn shown(bytes: &[u8]) -> Value {
    value::decode(bytes).unwrap_or_else(|_| Value::Bytes(bytes.to_vec()))
}

fn refused(refused: &Refused) -> Refusal {
    let reason = match refused {
        Refused::NoSuchPlayer(_) => Reason::UserNotFound,
        Refused::NoSuchLetter(_) => Reason::NoRoute,
        Refused::TooLarge { .. } | Refused::Corrupt(_) | Refused::Malformed(_) => Reason::BadData,
        _ => Reason::Refused,
    };
    (reason, refused.to_string())
}
