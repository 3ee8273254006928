//! A JSON value on its way to a typed one: each reader either gives the value or reports why not, with the place.

use std::ops::RangeInclusive;

use crate::error::{Notice, Problem};
use crate::json::{Json, Member, Value, join};
use crate::place::Place;
use crate::report::Report;
use crate::suggest::nearest;

/// A value and the way to it.
#[derive(Debug, Clone)]
pub(crate) struct Field<'j> {
    pub(crate) json: &'j Json,
    pub(crate) path: String,
}

/// The members of an object and the way to it.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'j> {
    pub(crate) members: &'j [Member],
    pub(crate) path: String,
}

impl<'j> Fields<'j> {
    /// The value of `key`. A null counts as absent: nulls happen in the field.
    pub(crate) fn find(&self, key: &str) -> Option<Field<'j>> {
        let member = self.members.iter().find(|member| member.key == key)?;
        let absent = matches!(member.value.value, Value::Null);
        (!absent).then(|| Field { json: &member.value, path: join(&self.path, key) })
    }

    /// Warns of every key that is not in `known`, and gives those members as plain values.
    pub(crate) fn unknown(&self, known: &[&str], report: &mut Report<'_>) -> Extra {
        let unknown = self.members.iter().filter(|member| !known.contains(&member.key.as_str()));
        unknown
            .map(|member| {
                let place = report.place(member.key_offset, join(&self.path, &member.key));
                report.warn(place, Notice::UnknownKey { suggestion: nearest(&member.key, known) });
                (member.key.clone(), member.value.to_plain())
            })
            .collect()
    }
}

/// What is kept without being understood.
pub(crate) type Extra = serde_json::Map<String, serde_json::Value>;

impl<'j> Field<'j> {
    pub(crate) fn place(&self, report: &Report<'_>) -> Place {
        report.place(self.json.offset, self.path.as_str())
    }

    pub(crate) fn error(&self, problem: Problem, report: &mut Report<'_>) {
        report.error(self.place(report), problem);
    }

    /// Text that is not blank, without the blanks around it.
    pub(crate) fn text(&self, report: &mut Report<'_>) -> Option<String> {
        let text = self.verbatim(report)?.trim().to_owned();
        if text.is_empty() {
            self.error(Problem::Empty, report);
            return None;
        }
        Some(text)
    }

    /// Text as it is, also empty.
    pub(crate) fn verbatim(&self, report: &mut Report<'_>) -> Option<&'j str> {
        match &self.json.value {
            Value::Text(text) => Some(text),
            _ => self.wrong_type("a string", report),
        }
    }

    pub(crate) fn boolean(&self, report: &mut Report<'_>) -> Option<bool> {
        match self.json.value {
            Value::Bool(value) => Some(value),
            _ => self.wrong_type("true or false", report),
        }
    }

    /// A whole number within `range`.
    pub(crate) fn integer(&self, range: RangeInclusive<i64>, report: &mut Report<'_>) -> Option<i64> {
        let Value::Number(text) = &self.json.value else {
            return self.wrong_type("an integer", report);
        };
        if text.contains(['.', 'e', 'E']) {
            return self.wrong_type("an integer", report);
        }
        // What still does not parse is past 64 bits.
        match text.parse::<i64>() {
            Ok(value) if range.contains(&value) => Some(value),
            _ => self.out_of_range(text, range.start(), range.end(), report),
        }
    }

    /// A whole number within `range`, which the target type must hold.
    pub(crate) fn unsigned<N: TryFrom<i64>>(
        &self,
        range: RangeInclusive<i64>,
        report: &mut Report<'_>,
    ) -> Option<N> {
        let (least, most) = (*range.start(), *range.end());
        let value = self.integer(range, report)?;
        match N::try_from(value) {
            Ok(value) => Some(value),
            Err(_) => self.out_of_range(&value.to_string(), least, most, report),
        }
    }

    /// A number within `range`, whole or not.
    pub(crate) fn number(&self, range: RangeInclusive<f64>, report: &mut Report<'_>) -> Option<f64> {
        let Value::Number(text) = &self.json.value else {
            return self.wrong_type("a number", report);
        };
        match text.parse::<f64>() {
            Ok(value) if range.contains(&value) => Some(value),
            _ => self.out_of_range(text, range.start(), range.end(), report),
        }
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self.json.value, Value::Text(_))
    }

    pub(crate) fn object(&self, report: &mut Report<'_>) -> Option<Fields<'j>> {
        match &self.json.value {
            Value::Object(members) => Some(Fields { members, path: self.path.clone() }),
            _ => self.wrong_type("an object", report),
        }
    }

    /// The items of a list, each with its own way; `wanted` names what the list should hold.
    pub(crate) fn list(&self, wanted: &'static str, report: &mut Report<'_>) -> Option<Vec<Field<'j>>> {
        match &self.json.value {
            Value::List(items) => Some(self.items(items)),
            _ => self.wrong_type(wanted, report),
        }
    }

    /// Names written in any of the forms in use: `"a, b"` or `["a", "b"]`. Each comes with the place it stands at;
    /// blank ones are skipped.
    pub(crate) fn names(&self, report: &mut Report<'_>) -> Vec<(String, Place)> {
        let fields = match &self.json.value {
            Value::Text(_) => vec![self.clone()],
            Value::List(items) => self.items(items),
            _ => self.wrong_type("a string or a list of strings", report).unwrap_or_default(),
        };
        let mut names = Vec::new();
        for field in fields {
            match &field.json.value {
                Value::Text(text) => {
                    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                    names.extend(parts.map(|part| (part.to_owned(), field.place(report))));
                }
                Value::Null => {}
                _ => drop(field.wrong_type::<()>("a string", report)),
            }
        }
        names
    }

    fn items(&self, items: &'j [Json]) -> Vec<Field<'j>> {
        let items = items.iter().enumerate();
        items.map(|(index, json)| Field { json, path: format!("{}[{index}]", self.path) }).collect()
    }

    /// Reports that this is not `expected`. Always `None`, as the reader's answer.
    pub(crate) fn wrong_type<T>(&self, expected: &'static str, report: &mut Report<'_>) -> Option<T> {
        self.error(Problem::WrongType { expected, found: self.found() }, report);
        None
    }

    fn out_of_range<T>(
        &self,
        value: &str,
        least: impl ToString,
        most: impl ToString,
        report: &mut Report<'_>,
    ) -> Option<T> {
        let (least, most) = (least.to_string(), most.to_string());
        self.error(Problem::OutOfRange { value: value.to_owned(), least, most }, report);
        None
    }

    /// What it is, in words; short things are quoted, since `"6001"` for `6001` is the common slip.
    fn found(&self) -> String {
        match &self.json.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(text) if text.len() <= 24 => format!("the number {text}"),
            Value::Number(_) => "a number".to_owned(),
            Value::Text(text) if text.len() <= 24 => format!("the string {text:?}"),
            Value::Text(_) => "a string".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        }
    }
}
