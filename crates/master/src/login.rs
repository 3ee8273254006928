//! Where a login leads, when a mod decides it (`SetLoginStratege`, apollo.md section 5).

use chappe_wire::NodeId;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use tokio::sync::oneshot;

/// What a login strategy decides with: called once, now or later, with the id of the lobby or game that the
/// player goes to. Let go uncalled, or uncalled for 5 s, it refuses the login.
pub struct LoginChoice(oneshot::Sender<NodeId>);

/// A login strategy, called with the player's uid.
pub(crate) type Strategy = Rc<dyn Fn(u64, LoginChoice)>;

impl LoginChoice {
    /// A choice, and what waits for it.
    pub(crate) fn new() -> (LoginChoice, oneshot::Receiver<NodeId>) {
        let (sender, receiver) = oneshot::channel();
        (LoginChoice(sender), receiver)
    }

    /// Sends the player to `server`. A server that cannot take the player refuses the login by name.
    pub fn choose(self, server: NodeId) {
        // The login may have been given up meanwhile.
        let _ = self.0.send(server);
    }

    /// As a function that can be called again and is heard once, for callers that cannot give it up.
    pub fn into_fn(self) -> impl Fn(NodeId) {
        let choice = Cell::new(Some(self));
        move |server| match choice.take() {
            Some(choice) => choice.choose(server),
            None => tracing::warn!(%server, "a login was decided twice; the second decision is dropped"),
        }
    }
}

impl fmt::Debug for LoginChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginChoice")
    }
}
