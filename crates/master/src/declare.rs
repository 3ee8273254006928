//! deploy.json changes while the cluster runs (`chappe apply`): the master takes the change in, and tells everyone.

use crate::master::{Master, answer};
use crate::sessions::args;
use chappe_node::Call;
use chappe_node::control::{self, Declare};
use chappe_wire::{NodeId, Reason, Role};
use std::collections::BTreeSet;

impl Master {
    pub(crate) fn serve_declare(&self) {
        self.serve("declare", |master, call: Call<'_>| {
            if !master.is_tool(call.from()) {
                return call.fail(Reason::Refused, "only a tool may say that deploy.json has changed");
            }
            let declared = args(&call).and_then(|declare| master.declare(declare));
            answer(call, declared);
        });
    }

    /// Takes in that deploy.json has changed, and tells every member, also those that join later. Returns how many were
    /// told. A restart of the master reads the file anew.
    ///
    /// # Errors
    /// Nothing has changed then: an id twice, another master, or a node that is up in another role.
    fn declare(&self, declare: Declare) -> Result<usize, (Reason, String)> {
        self.check(&declare)?;
        let node = &self.0.node;
        node.declare(declare.clone());
        *self.0.declare.borrow_mut() = Some(declare);
        let joined: Vec<NodeId> = self.0.membership.borrow().joined().collect();
        joined.iter().for_each(|id| self.tell_declared(*id));
        Ok(joined.len())
    }

    /// Tells a member what has been declared anew in this life of the master, if anything has.
    pub(crate) fn tell_declared(&self, id: NodeId) {
        let declare = self.0.declare.borrow();
        if let Some(declare) = &*declare
            && !self.0.node.tell(id, control::NODE, "declare", declare)
        {
            self.0.behind.borrow_mut().insert(id);
        }
    }

    fn check(&self, declare: &Declare) -> Result<(), (Reason, String)> {
        let refuse = |text: String| Err((Reason::Refused, text));
        let mut seen = BTreeSet::new();
        for (id, role, _) in &declare.declared.nodes {
            if !seen.insert(*id) {
                return refuse(format!("deploy.json has node {id} twice"));
            }
            let is_up_as = self.0.node.with_view(|view| view.member(*id).map(|member| member.role));
            if let Some(is) = is_up_as.filter(|is| is != role) {
                return refuse(format!("node {id} is up as a {is}; it must leave before it can be a {role}"));
            }
        }
        let me = self.0.node.id();
        if !declare.declared.nodes.iter().any(|(id, role, _)| (*id, *role) == (me, Role::Master)) {
            return refuse(format!("the master is node {me}; another needs a restart of the cluster"));
        }
        Ok(())
    }
}
