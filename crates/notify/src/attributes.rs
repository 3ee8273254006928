//! What modules declare of a player's record: names, defaults, versions (snipe.md section 3, "player record").

use crate::params::type_name;
use chappe_wire::Value;
use chappe_wire::value::{self, ValueError};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Under this name a document keeps the version that each module's attributes are of.
pub(crate) const VERSIONS: &str = "_versions";

/// A player's attributes, by name.
pub(crate) type Document = BTreeMap<String, Value>;

/// Brings a document of an older version up to date.
type Upgrade = Rc<dyn Fn(i64, &mut BTreeMap<String, Value>) -> Result<(), String>>;

/// A module's attributes: their defaults, and the version that they are of.
#[derive(Clone)]
pub struct Attributes {
    version: i64,
    defaults: Document,
    upgrade: Option<Upgrade>,
}

impl Attributes {
    /// Attributes of that version; 1 is the first.
    pub fn new(version: u32) -> Attributes {
        Attributes { version: i64::from(version.max(1)), defaults: Document::new(), upgrade: None }
    }

    /// An attribute with what a new player has. Its type stands: a value of another one is refused. Nil takes any.
    #[must_use]
    pub fn default(mut self, name: &str, value: impl Into<Value>) -> Attributes {
        self.defaults.insert(name.to_owned(), value.into());
        self
    }

    /// Brings a record of an older version up to date when it is loaded: `upgrade` gets the version that it is of and
    /// the whole document. What is missing afterwards gets its default.
    #[must_use]
    pub fn upgrade(self, upgrade: impl Fn(i64, &mut BTreeMap<String, Value>) + 'static) -> Attributes {
        self.try_upgrade(move |from, document| {
            upgrade(from, document);
            Ok(())
        })
    }

    /// As [`Attributes::upgrade`], with one that may fail: then the record is not loaded, and stays as it is.
    #[must_use]
    pub fn try_upgrade(
        mut self,
        upgrade: impl Fn(i64, &mut BTreeMap<String, Value>) -> Result<(), String> + 'static,
    ) -> Attributes {
        self.upgrade = Some(Rc::new(upgrade));
        self
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.defaults.keys().map(String::as_str)
    }

    pub(crate) fn default_of(&self, name: &str) -> Option<&Value> {
        self.defaults.get(name)
    }
}

impl std::fmt::Debug for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attributes")
            .field("version", &self.version)
            .field("defaults", &self.defaults)
            .finish()
    }
}

/// The document of a player who has never been here.
pub(crate) fn fresh(declared: &[(String, Attributes)]) -> Document {
    let mut document = Document::new();
    // From no version at all: nothing is there to upgrade.
    for (module, attributes) in declared {
        fill(&mut document, module, attributes);
    }
    document
}

/// Reads a document and brings it up to date; the second is whether that changed it.
///
/// # Errors
/// When it is no document, or one that a newer version of a module has written.
pub(crate) fn load(declared: &[(String, Attributes)], bytes: &[u8]) -> Result<(Document, bool), String> {
    let mut document: Document =
        value::decode(bytes).map_err(|error| format!("the record cannot be read: {error}"))?;
    let mut is_changed = false;
    for (module, attributes) in declared {
        let found = version_of(&document, module);
        if found > attributes.version {
            let ours = attributes.version;
            return Err(format!(
                "its attributes of {module:?} are of version {found}; this node knows {ours}"
            ));
        }
        if found == attributes.version {
            continue;
        }
        if found > 0
            && let Some(upgrade) = &attributes.upgrade
        {
            upgrade(found, &mut document).map_err(|error| {
                let ours = attributes.version;
                format!(
                    "its attributes of {module:?} cannot be brought from version {found} to {ours}: {error}"
                )
            })?;
        }
        fill(&mut document, module, attributes);
        is_changed = true;
    }
    Ok((document, is_changed))
}

pub(crate) fn encode(document: &Document) -> Result<Vec<u8>, ValueError> {
    value::encode(document)
}

/// The type that modules declared for an attribute, when `given` is of another one.
pub(crate) fn mismatch(
    declared: &[(String, Attributes)],
    name: &str,
    given: &Value,
) -> Option<(&'static str, &'static str)> {
    let default = declared.iter().find_map(|(_, attributes)| attributes.default_of(name))?;
    let (wanted, found) = (type_name(default), type_name(given));
    let fits = default.is_nil() || wanted == found || (wanted == "a float" && found == "an int");
    (!fits).then_some((wanted, found))
}

/// What is missing gets its default, and the version is noted.
fn fill(document: &mut Document, module: &str, attributes: &Attributes) {
    for (name, value) in &attributes.defaults {
        document.entry(name.clone()).or_insert_with(|| value.clone());
    }
    let versions = document.entry(VERSIONS.to_owned()).or_insert_with(|| Value::Map(Vec::new()));
    if let Value::Map(pairs) = versions {
        pairs.retain(|(key, _)| key.as_str() != Some(module));
        pairs.push((Value::from(module), Value::Int(attributes.version)));
    }
}

fn version_of(document: &Document, module: &str) -> i64 {
    let versions = document.get(VERSIONS);
    versions.and_then(|versions| versions.field(module)).and_then(Value::as_int).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(version: u32) -> Vec<(String, Attributes)> {
        let attributes =
            Attributes::new(version).default("money", 1000).default("luck", 0.5).upgrade(|from, document| {
                if from < 2
                    && let Some(Value::Int(gold)) = document.remove("gold")
                {
                    document.insert("money".into(), Value::Int(gold * 100));
                }
            });
        vec![("user".to_owned(), attributes)]
    }

    #[test]
    fn an_older_record_is_upgraded_once_and_loses_nothing() {
        let mut old = fresh(&[("user".into(), Attributes::new(1).default("gold", 7))]);
        old.insert("title".into(), Value::from("knight"));
        let bytes = encode(&old).unwrap();
        let (document, changed) = load(&declared(2), &bytes).unwrap();
        assert!(changed);
        assert_eq!((&document["money"], &document["title"]), (&Value::Int(700), &Value::from("knight")));
        let (again, changed) = load(&declared(2), &encode(&document).unwrap()).unwrap();
        assert_eq!((again, changed), (document, false));
    }

    #[test]
    fn a_newer_record_is_refused_by_name_and_not_cut_down() {
        let bytes = encode(&fresh(&declared(3))).unwrap();
        let error = load(&declared(2), &bytes).unwrap_err();
        assert_eq!(error, "its attributes of \"user\" are of version 3; this node knows 2");
    }

    #[test]
    fn a_type_change_of_a_declared_attribute_is_seen() {
        let declared = declared(1);
        assert_eq!(mismatch(&declared, "money", &Value::from("much")), Some(("an int", "a string")));
        assert_eq!(mismatch(&declared, "luck", &Value::Int(1)), None);
        assert_eq!(mismatch(&declared, "other", &Value::Nil), None);
    }
}
