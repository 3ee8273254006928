//! A master that stands by: it tells who asks that another leads, and why.

use crate::http::{Answer, HttpPort};
use axum::http::StatusCode;
use chappe_store::{Lease, StoreError};
use chappe_wire::NodeId;
use serde_json::json;
use std::cell::RefCell;
use std::rc::Rc;

/// What a master that stands by knows: a handle that is cheap to clone and stays on the node's thread.
#[derive(Debug, Clone)]
pub struct Standing(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    me: NodeId,
    found: RefCell<Option<Result<Lease, StoreError>>>,
}

impl Standing {
    /// Of the master `me`, which has not looked yet.
    pub fn new(me: NodeId) -> Standing {
        Standing(Rc::new(Inner { me, found: RefCell::default() }))
    }

    /// It has looked at the lease. Says so when that tells something new.
    pub fn see(&self, found: &Result<Lease, StoreError>) {
        let before = self.0.found.replace(Some(found.clone()));
        let (node, was_known) = (self.0.me, before.is_some());
        match (before.and_then(Result::ok).map(|lease| lease.term), found) {
            (Some(term), Ok(found)) if term == found.term => {}
            (_, Ok(found)) => match found.holder {
                Some((leader, _)) if leader != node => {
                    tracing::info!(%node, %leader, term = found.term, "stands by: another master leads");
                }
                _ => tracing::info!(%node, term = found.term, "nobody leads"),
            },
            (None, Err(_)) if was_known => {}
            (_, Err(error)) => {
                tracing::error!(%node, %error, "stands by without the store: it cannot lead until it can reach it");
            }
        }
    }

    /// Who leads, as far as is known, and the term.
    pub fn leader(&self) -> Option<(NodeId, u64)> {
        match &*self.0.found.borrow() {
            Some(Ok(Lease { holder: Some((leader, _)), term, .. })) => Some((*leader, *term)),
            _ => None,
        }
    }

    /// What those are told who would be led.
    pub fn text(&self) -> String {
        let me = self.0.me;
        match (self.leader(), &*self.0.found.borrow()) {
            (Some((leader, term)), _) if leader != me => {
                format!("master {me} stands by; node {leader} leads under term {term}")
            }
            (_, Some(Err(error))) => format!("master {me} stands by, and cannot reach the store: {error}"),
            _ => format!("master {me} stands by; nobody leads yet"),
        }
    }

    /// Answers what is asked over HTTP, for as long as it is polled.
    pub async fn answer(&self, port: &mut HttpPort) {
        while let Some(asked) = port.asked.recv().await {
            let _ = asked.reply.send(self.page(&asked.path));
        }
    }

    fn page(&self, path: &str) -> Answer {
        let is_well = matches!(*self.0.found.borrow(), Some(Ok(_)));
        let code = if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let leader = self.leader();
        let term = leader.map(|(_, term)| term);
        match path {
            "/healthz" => {
                let status = if is_well { "standby" } else { "standby without the store" };
                let leader = leader.map(|(leader, _)| leader);
                let master = json!({"leads": false, "leader": leader, "term": term});
                Answer::json(code, &json!({"status": status, "master": master, "why": self.text()}))
            }
            "/metrics" => Answer::metrics(&[
                ("chappe_master_leads", self.0.me, 0),
                ("chappe_master_term", self.0.me, term.unwrap_or_default()),
                ("chappe_store_degraded", self.0.me, u64::from(!is_well)),
            ]),
            _ => Answer::error(StatusCode::SERVICE_UNAVAILABLE, &self.text()),
        }
    }
}
