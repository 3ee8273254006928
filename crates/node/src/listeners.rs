//! Who listens to what (apollo.md section 2).

use crate::Event;
use chappe_wire::envelope::SEPARATOR;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::rc::Rc;

/// The largest priority of a listener.
pub const MAX_PRIORITY: i32 = 10;

/// Names one registration, for [`crate::Node::unlisten`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(u64);

/// A topic's bytes, on the stack for the usual lengths.
pub(crate) type Topic = SmallVec<[u8; 96]>;

pub(crate) type Handler = Rc<dyn Fn(Event<'_>)>;

/// The listeners of a node, by topic. A topic's list is shared with whoever walks it and copied when it
/// changes meanwhile: a handler may listen and un-listen freely.
#[derive(Default)]
pub(crate) struct Listeners {
    by_topic: FxHashMap<Rc<[u8]>, Walk>,
    topic_of: FxHashMap<ListenerId, Rc<[u8]>>,
    last: u64,
    /// How many were removed, ever.
    pub(crate) removals: u64,
    /// The topic that came last, and its listeners: what comes often comes in a row.
    recent: Option<(Rc<[u8]>, Walk)>,
}

/// A topic's listeners.
pub(crate) type Walk = Rc<Vec<Listener>>;

#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) id: ListenerId,
    priority: i32,
    pub(crate) handler: Handler,
}

impl Listeners {
    /// Larger priorities come first; equal ones in the order of registration.
    pub(crate) fn add(&mut self, topic: &[u8], priority: i32, handler: Handler) -> ListenerId {
        self.recent = None;
        self.last += 1;
        let id = ListenerId(self.last);
        let priority = priority.min(MAX_PRIORITY);
        let name: Rc<[u8]> = topic.into();
        let list = Rc::make_mut(self.by_topic.entry(name.clone()).or_default());
        let at = list.partition_point(|other| other.priority >= priority);
        list.insert(at, Listener { id, priority, handler });
        self.topic_of.insert(id, name);
        id
    }

    /// The removed listener: to be dropped when the table is no longer borrowed, because what a handler owns may
    /// call the node when it goes.
    pub(crate) fn remove(&mut self, id: ListenerId) -> Option<Listener> {
        self.recent = None;
        let topic = self.topic_of.remove(&id)?;
        let list = Rc::make_mut(self.by_topic.get_mut(&topic)?);
        let at = list.iter().position(|listener| listener.id == id)?;
        let removed = list.remove(at);
        if list.is_empty() {
            self.by_topic.remove(&topic);
        }
        self.removals += 1;
        Some(removed)
    }

    /// Whether a listener is still registered, for one who walks a list since there were so many `removals`.
    pub(crate) fn stands(&self, id: ListenerId, removals: u64) -> bool {
        self.removals == removals || self.topic_of.contains_key(&id)
    }

    pub(crate) fn of(&mut self, topic: &[u8]) -> Option<Walk> {
        if let Some((recent, listeners)) = &self.recent
            && **recent == *topic
        {
            return Some(listeners.clone());
        }
        let (name, listeners) = self.by_topic.get_key_value(topic)?;
        self.recent = Some((name.clone(), listeners.clone()));
        Some(listeners.clone())
    }
}

/// Joins the three names of a topic.
pub(crate) fn topic(namespace: &str, system: &str, event: &str) -> Topic {
    let mut topic = Topic::new();
    topic.extend_from_slice(namespace.as_bytes());
    topic.push(SEPARATOR);
    topic.extend_from_slice(system.as_bytes());
    topic.push(SEPARATOR);
    topic.extend_from_slice(event.as_bytes());
    topic
}

/// Joins a module and a method.
pub(crate) fn target(module: &str, method: &str) -> Topic {
    let mut target = Topic::new();
    target.extend_from_slice(module.as_bytes());
    target.push(SEPARATOR);
    target.extend_from_slice(method.as_bytes());
    target
}

#[cfg(test)]
mod tests {
    use super::*;
    use chappe_wire::{Meta, NodeId, Row};
    use std::cell::RefCell;

    #[test]
    fn priority_decides_and_then_the_order_of_registration() {
        let heard = Rc::new(RefCell::new(String::new()));
        let mut listeners = Listeners::default();
        let topic = topic("n", "s", "e");
        for (name, priority) in [("a", 0), ("b", 5), ("c", 0), ("d", 99), ("e", 10), ("f", -1)] {
            let heard = heard.clone();
            listeners.add(&topic, priority, Rc::new(move |_| heard.borrow_mut().push_str(name)));
        }
        let event = Event { topic: &topic, meta: Meta::of(Row::Internal), from: NodeId(1), data: &[] };
        listeners.of(&topic).unwrap().iter().for_each(|listener| (listener.handler)(event));
        assert_eq!(*heard.borrow(), "debacf", "99 counts as the largest, 10");
    }

    #[test]
    fn a_removed_listener_hears_nothing_more_and_leaves_nothing_behind() {
        let mut listeners = Listeners::default();
        let id = listeners.add(b"t", 0, Rc::new(|_| {}));
        assert!(listeners.remove(id).is_some());
        assert!(listeners.remove(id).is_none());
        assert!(listeners.of(b"t").is_none());
        assert!(listeners.by_topic.is_empty() && listeners.topic_of.is_empty());
    }
}
