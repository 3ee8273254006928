//! Heartbeats: a connection beside the node's own, so that the master can tell a node whose handlers make no
//! progress (stuck) from one whose process is gone or frozen (lost).

use crate::connect::greet;
use crate::control::{self, Pulse};
use chappe_link::{Conn, Link};
use chappe_wire::frame::write_frame;
use chappe_wire::hello::Hello;
use chappe_wire::secret::Secrets;
use chappe_wire::{Body, Envelope, Meta, NodeId, Row, value};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{interval, sleep};

/// What beats for one node.
pub(crate) struct Heart {
    pub(crate) link: Arc<dyn Link + Send + Sync>,
    /// Where they go; the node says so when it has joined.
    pub(crate) to: watch::Receiver<Option<NodeId>>,
    pub(crate) hello: Hello,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) progress: Arc<AtomicU64>,
    pub(crate) period: Duration,
}

/// Beats on a thread of its own until the guard is dropped: a handler that blocks the node's thread does not
/// block this one.
pub(crate) fn on_thread(heart: Heart) -> std::io::Result<oneshot::Sender<()>> {
    let (guard, mut dropped) = oneshot::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let beat = move || {
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = &mut dropped => {}
                () = beat(heart) => {}
            }
        });
    };
    std::thread::Builder::new().name("chappe-pulse".into()).stack_size(256 * 1024).spawn(beat)?;
    Ok(guard)
}

/// Beats for ever: connects to the master that the node is with, again when that ends, and sends the node's progress each
/// period.
pub(crate) async fn beat(mut heart: Heart) {
    loop {
        let Ok(to) = heart.to.wait_for(Option::is_some).await.map(|to| *to) else { return };
        let mut moved = heart.to.clone();
        moved.mark_unchanged();
        tokio::select! {
            biased;
            changed = moved.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
            () = beat_at(&heart, to.unwrap_or_default()) => {}
        }
        sleep(heart.period.min(Duration::from_millis(500))).await;
    }
}

async fn beat_at(heart: &Heart, master: NodeId) {
    let hello = Hello { to: Some(master), ..heart.hello.clone() };
    if let Ok((_, conn, _buffer)) = greet(&*heart.link, master, hello, &heart.secrets).await {
        send_beats(heart, conn).await;
    }
}

async fn send_beats(heart: &Heart, conn: Rc<dyn Conn>) {
    let target = crate::listeners::target(control::MASTER, "pulse");
    let mut ticks = interval(heart.period);
    let mut seq = 0;
    loop {
        ticks.tick().await;
        let pulse = Pulse { progress: heart.progress.load(Ordering::Relaxed) };
        let Ok(payload) = value::encode(&pulse) else { return };
        let body = Body::Request { id: 0, timeout_ms: 0, one_way: true, target: &target };
        let envelope = Envelope { meta: Meta::of(Row::Internal), body, payload: &payload };
        let mut frame = Vec::new();
        seq += 1;
        write_frame(&mut frame, seq, 0, |out| envelope.encode_into(out));
        if crate::greet::write_all(&*conn, &frame).await.is_err() {
            return;
        }
    }
}
