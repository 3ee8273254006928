//! JSON as a tree that keeps the place of every value and key, read leniently: comments, trailing commas and keys
//! that stand twice are warned about, not refused (files in the field have them; spec/apollo.md section 4).

use std::collections::HashMap;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use jsonc_parser::tokens::{Token, TokenAndRange};
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast};

use crate::error::{Notice, Problem};
use crate::report::Report;

/// A value and the byte offset it begins at.
#[derive(Debug)]
pub(crate) struct Json {
    pub(crate) offset: usize,
    pub(crate) value: Value,
}

/// What a JSON value is. A number stays as it was written, so that no digit is lost before its reader asks.
#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<Member>),
}

/// A key with its value. Keys are unique within an object.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) key_offset: usize,
    pub(crate) value: Json,
}

/// Reads `text`, which must be the report's own. `None` if it is broken, which the report then says.
pub(crate) fn parse(text: &str, report: &mut Report<'_>) -> Option<Json> {
    let collect = CollectOptions { comments: CommentCollectionStrategy::AsTokens, tokens: true };
    let parsed = match parse_to_ast(text, &collect, &leniency()) {
        Ok(parsed) => parsed,
        Err(error) => {
            let place = report.place(error.range().start, "");
            report.error(place, Problem::BrokenJson { reason: lower_first(&error.kind().to_string()) });
            return None;
        }
    };
    warn_of_extensions(parsed.tokens.as_deref().unwrap_or_default(), report);
    match parsed.value {
        Some(value) => Some(convert(value, "", report)),
        None => {
            let reason = "the file is empty".to_owned();
            report.error(report.place(0, ""), Problem::BrokenJson { reason });
            None
        }
    }
}

impl Json {
    /// The same as a plain value, for what is kept without being understood.
    pub(crate) fn to_plain(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            // A number that no machine number holds (1e999) is kept as its text.
            Value::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Json::to_plain).collect(),
            Value::Object(members) => {
                members.iter().map(|member| (member.key.clone(), member.value.to_plain())).collect()
            }
        }
    }
}

/// Comments and trailing commas are let through; whatever else is not JSON is more likely a slip than a habit.
fn leniency() -> ParseOptions {
    ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

/// One warning for all comments, one for all trailing commas: who writes them writes many.
fn warn_of_extensions(tokens: &[TokenAndRange<'_>], report: &mut Report<'_>) {
    let is_comment = |token: &Token<'_>| matches!(token, Token::CommentLine(_) | Token::CommentBlock(_));
    let comments: Vec<usize> =
        tokens.iter().filter(|t| is_comment(&t.token)).map(|t| t.range.start).collect();
    if let Some(&first) = comments.first() {
        report.warn(report.place(first, ""), Notice::Comments { count: comments.len() });
    }

    let code: Vec<_> = tokens.iter().filter(|t| !is_comment(&t.token)).collect();
    let trailing: Vec<usize> = code
        .windows(2)
        .filter(|pair| matches!(pair[0].token, Token::Comma))
        .filter(|pair| matches!(pair[1].token, Token::CloseBrace | Token::CloseBracket))
        .map(|pair| pair[0].range.start)
        .collect();
    if let Some(&first) = trailing.first() {
        report.warn(report.place(first, ""), Notice::TrailingCommas { count: trailing.len() });
    }
}

/// The parser bounds the depth of nesting, and so the depth of this recursion.
fn convert(value: ast::Value<'_>, path: &str, report: &mut Report<'_>) -> Json {
    let offset = value.start();
    let value = match value {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(literal) => Value::Bool(literal.value),
        ast::Value::NumberLit(literal) => Value::Number(literal.value.to_owned()),
        ast::Value::StringLit(literal) => Value::Text(literal.value.into_owned()),
        ast::Value::Array(array) => {
            let items = array.elements.into_iter().enumerate();
            Value::List(items.map(|(i, item)| convert(item, &format!("{path}[{i}]"), report)).collect())
        }
        ast::Value::Object(object) => Value::Object(members(object, path, report)),
    };
    Json { offset, value }
}

/// The members in their order, the last of a key in the place of the first.
fn members(object: ast::Object<'_>, path: &str, report: &mut Report<'_>) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::with_capacity(object.properties.len());
    let mut seen: HashMap<String, usize> = HashMap::new();
    for property in object.properties {
        let key_offset = property.name.start();
        let key = property.name.into_string();
        let path = join(path, &key);
        let value = convert(property.value, &path, report);
        let member = Member { key: key.clone(), key_offset, value };
        match seen.get(&key) {
            None => {
                seen.insert(key, members.len());
                members.push(member);
            }
            Some(&index) => {
                let first_line = report.place(members[index].key_offset, "").line;
                report.warn(report.place(key_offset, path), Notice::DuplicateKey { first_line });
                members[index] = member;
            }
        }
    }
    members
}

/// `key` under `path`, as places write it; a key that is no plain word is quoted: `game[0]["a b"]`.
pub(crate) fn join(path: &str, key: &str) -> String {
    let is_plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    match (path, is_plain) {
        ("", true) => key.to_owned(),
        (_, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{key:?}]"),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
