//! Which RPC modules a cluster declares, and by whom (spec/apollo.md section 3: a call to a declared module waits for
//! its node to start; a call to one that nobody declares fails at once).

use std::collections::{BTreeMap, BTreeSet};

use chappe_wire::Role;

use crate::deploy::Deploy;
use crate::mod_json;

impl Deploy {
    /// Every module name that the file declares, with the types of the nodes that declare it: what stands in any
    /// `module_names`, the type of each service, which is one of its modules, and what the mod.json of its mods
    /// declare. Reads those files.
    #[must_use]
    pub fn declared_modules(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut declared: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in &self.nodes {
            let own_type = (node.role == Role::Service).then_some(&node.node_type);
            let of_mods = node.mods.iter().flat_map(|dir| mod_json::modules(dir));
            for module in node.module_names.iter().chain(own_type).cloned().chain(of_mods) {
                declared.entry(module).or_default().insert(node.node_type.clone());
            }
        }
        declared
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::read;

    #[test]
    fn a_declared_module_is_not_taken_for_one_that_nobody_has() {
        let (deploy, _) = read(
            r#"{
  "master": {"serverid": 1, "module_names": "login"},
  "lobby": [{"serverid": 2, "module_names": null}],
  "game": [{"serverid": 3, "type": "bw4", "module_names": ["rank, bank", "rank"]}],
  "service": [{"serverid": 4, "type": "service_mail", "module_names": ["mail", "bank"]}, {"serverid": 5}]
}"#,
        );
        let declared = deploy.declared_modules();
        let shown: Vec<String> =
            declared.iter().map(|(module, types)| format!("{module}: {types:?}")).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
    bank: {"bw4", "service_mail"}
    login: {"master"}
    mail: {"service_mail"}
    rank: {"bw4"}
    service: {"service"}
    service_mail: {"service_mail"}
    "#);
    }
}
