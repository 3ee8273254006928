//! From the cluster to clients.

use crate::conn::Format;
use crate::proxy::Proxy;
use crate::replay::Kept;
use crate::session::SharedSession;
use chappe_wire::client::{Names, ToClient};
use chappe_wire::envelope::split_topic;
use chappe_wire::{Meta, PushTo, Reason};
use std::rc::Rc;

/// One push's frame, in each form that a receiver asked for: encoded once for all of them.
struct Frames<'a> {
    meta: Meta,
    topic: &'a [u8],
    data: &'a [u8],
    binary: Option<Rc<[u8]>>,
    text: Option<Rc<[u8]>>,
}

impl Proxy {
    /// Hands a push to the clients that it is for. Each of them is counted once: delivered to a socket, kept for
    /// one that is away, or dropped.
    pub(crate) fn on_push(&self, meta: Meta, to: PushTo<'_>, topic: &[u8], data: &[u8]) {
        let mut frames = Frames { meta, topic, data, binary: None, text: None };
        match to {
            PushTo::Uid(uid) => {
                let epoch = self.0.by_uid.borrow().get(&uid).copied();
                self.push_to(epoch.and_then(|epoch| self.session(epoch)), &mut frames);
            }
            PushTo::Epochs(_) => {
                to.epochs().for_each(|epoch| self.push_to(self.session(epoch), &mut frames));
            }
        }
    }

    fn push_to(&self, session: Option<SharedSession>, frames: &mut Frames<'_>) {
        let meta = frames.meta;
        let Some(shared) = session else {
            return self.stats().dropped(meta.row, Reason::PlayerOffline);
        };
        let mut session = shared.borrow_mut();
        let Some(frame) = frames.of(session.format) else {
            return self.stats().dropped(meta.row, Reason::BadData);
        };
        let options = self.options();
        let Some(conn) = session.live() else {
            let kept = Kept { frame, meta, is_sent: false };
            if let Err(reason) = session.replay.push(kept, options.resume_bytes) {
                self.stats().dropped(meta.row, reason);
            }
            return;
        };
        if let Err(reason) = conn.queue(&frame, options.queue_bytes) {
            self.stats().dropped(meta.row, reason);
            drop(session);
            return self.slow(&conn, Some(&shared));
        }
        self.delivered(meta);
        let _ = session.replay.push(Kept { frame, meta, is_sent: true }, options.resume_bytes);
    }

    /// Counts an event that was handed to a client's socket.
    pub(crate) fn delivered(&self, meta: Meta) {
        self.stats().delivered(meta.row, meta.stamp);
        self.stats().count("to_clients");
    }
}

impl Frames<'_> {
    fn of(&mut self, format: Format) -> Option<Rc<[u8]>> {
        let slot = match format {
            Format::Binary => &mut self.binary,
            Format::Text => &mut self.text,
        };
        if slot.is_none() {
            let (namespace, system, event) = split_topic(self.topic).ok()?;
            let names = Names { namespace, system, event };
            let measured = (self.meta.stamp, self.meta.row.code());
            let mut frame = Vec::with_capacity(self.topic.len() + self.data.len() + 32);
            ToClient::Event { names, data: self.data, measured }.encode_into(&mut frame).ok()?;
            *slot = Some(format.body(frame)?.into());
        }
        slot.clone()
    }
}
