//! What deploy.json declares, and its changes while the cluster runs (`chappe apply`).

use crate::control::Declare;
use crate::node::Node;
use std::rc::Rc;

/// Hears what is declared anew.
pub(crate) type DeclareHook = Rc<dyn Fn(&Declare)>;

impl Node {
    /// Takes in that deploy.json has changed: from now on calls to what it declares are waited for, and what it does not
    /// is unknown. Nodes that are up stay members, declared or not.
    pub fn declare(&self, declare: Declare) {
        let hook = self.0.on_declare.borrow().clone();
        if let Some(hook) = hook {
            hook(&declare);
        }
        let (nodes, modules) = (declare.declared.nodes.len(), declare.declared.modules.len());
        tracing::info!(node = %self.id(), nodes, modules, "deploy.json has changed");
        self.0.view.borrow_mut().declare(declare.declared);
    }

    /// Calls `hook` with each change of deploy.json, before it is in force. Replaces the hook before.
    pub fn on_declare(&self, hook: impl Fn(&Declare) + 'static) {
        let before = self.0.on_declare.borrow_mut().replace(Rc::new(hook));
        drop(before);
    }
}
