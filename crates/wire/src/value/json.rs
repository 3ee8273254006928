//! The JSON text form, for clients and people that debug by hand; nodes never speak it among themselves.
//!
//! Plain JSON wherever JSON can say it. What it cannot say is an object with one key that begins with `$`; the
//! table stands in `protocol/values.md`. Text form and value convert into each other without loss.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::DeserializeSeed as _;

use super::equal::keep_last;
use super::error::{Refusal, Step, ValueError};
use super::model::AnyValue;
use super::{MAX_DEPTH, Value, decode, encode};

/// The largest integer that every JSON reader takes exactly, JavaScript's among them.
const MAX_PLAIN_INTEGER: u64 = (1 << 53) - 1;

/// From here on a float is not written as a plain number: cut to its digits it could be a 65-bit integer, and a
/// reader could not tell which of the two was meant.
const MIN_ESCAPED_FLOAT: f64 = 9_223_372_036_854_775_808.0;

/// The value as JSON text, on one line, without spaces.
#[must_use]
pub fn to_json(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

/// Reads a value from its JSON text form. Plain integers may have any size that fits 64 bits.
///
/// # Errors
/// When the text is not JSON, an escape is malformed, or the data breaks a rule of spec/apollo.md section 2
/// ("Data"), with the path to the place.
pub fn from_json(text: &str) -> Result<Value, ValueError> {
    let mut source = serde_json::Deserializer::from_str(text);
    // serde_json's own limit is too low for `$map`, which takes three levels of JSON for one of ours.
    source.disable_recursion_limit();
    let plain = AnyValue { levels: 3 * MAX_DEPTH + 1 }
        .deserialize(&mut source)
        .and_then(|value| source.end().map(|()| value))
        .map_err(|error| Refusal::Json(error.to_string()))?;
    unescape(plain, 0)
}

/// A client's JSON text as the MessagePack that a node would have sent.
///
/// # Errors
/// As [`from_json`].
pub fn json_to_msgpack(text: &str) -> Result<Vec<u8>, ValueError> {
    encode(&from_json(text)?)
}

/// MessagePack as the JSON text for a client that asked for text.
///
/// # Errors
/// As [`decode`].
pub fn msgpack_to_json(bytes: &[u8]) -> Result<String, ValueError> {
    decode(bytes).map(|value| to_json(&value))
}

fn write(out: &mut String, value: &Value) {
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Nil => write!(out, "null"),
        Value::Bool(b) => write!(out, "{b}"),
        Value::Int(n) if n.unsigned_abs() <= MAX_PLAIN_INTEGER => write!(out, "{n}"),
        Value::Int(n) => write!(out, r#"{{"$int":"{n}"}}"#),
        Value::UInt(n) if *n <= MAX_PLAIN_INTEGER => write!(out, "{n}"),
        Value::UInt(n) => write!(out, r#"{{"$int":"{n}"}}"#),
        Value::Float(x) if x.is_nan() => write!(out, r#"{{"$float":"nan"}}"#),
        Value::Float(x) if x.abs() >= MIN_ESCAPED_FLOAT => write!(out, r#"{{"$float":"{x:?}"}}"#),
        Value::Float(x) => write!(out, "{x:?}"),
        Value::Str(text) => write!(out, "{}", serde_json::Value::from(text.as_str())),
        Value::Bytes(bytes) => write!(out, r#"{{"$bytes":"{}"}}"#, BASE64.encode(bytes)),
        Value::List(items) => {
            write_all(out, ['[', ']'], items, write);
            Ok(())
        }
        Value::Map(pairs) if pairs.iter().all(|(key, _)| is_plain_key(key)) => {
            write_all(out, ['{', '}'], pairs, |out, (key, value)| {
                write(out, key);
                out.push(':');
                write(out, value);
            });
            Ok(())
        }
        Value::Map(pairs) => {
            out.push_str(r#"{"$map":"#);
            write_all(out, ['[', ']'], pairs, |out, (key, value)| {
                write_all(out, ['[', ']'], &[key, value], |out, part| write(out, part));
            });
            out.push('}');
            Ok(())
        }
    };
}

fn write_all<T>(
    out: &mut String,
    [open, close]: [char; 2],
    items: &[T],
    write_one: impl Fn(&mut String, &T),
) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_one(out, item);
    }
    out.push(close);
}

fn is_plain_key(key: &Value) -> bool {
    key.as_str().is_some_and(|key| !key.starts_with('$'))
}

/// Turns what JSON said into what it stands for. `depth` counts the lists and maps around it.
fn unescape(plain: Value, depth: usize) -> Result<Value, ValueError> {
    match plain {
        Value::Float(x) if x.abs() >= MIN_ESCAPED_FLOAT => Err(Refusal::Json(format!(
            r#"the number {x:?} does not fit a 64-bit integer; a float of this size is written {{"$float":"{x:?}"}}"#
        ))
        .into()),
        Value::List(items) => {
            let depth = inside(depth)?;
            let item = |(index, item)| {
                unescape(item, depth).map_err(|error: ValueError| error.within(Step::Index(index)))
            };
            items.into_iter().enumerate().map(item).collect::<Result<_, _>>().map(Value::List)
        }
        Value::Map(mut pairs) if !pairs.iter().all(|(key, _)| is_plain_key(key)) => match pairs.pop() {
            Some((Value::Str(name), content)) if pairs.is_empty() => escaped(&name, content, depth),
            _ => Err(Refusal::Json(
                r#"a map with a key that begins with "$" is written {"$map":[[key,value],...]}"#.to_owned(),
            )
            .into()),
        },
        Value::Map(pairs) => {
            let depth = inside(depth)?;
            let pair = |(key, value)| pair(key, value, depth);
            pairs.into_iter().map(pair).collect::<Result<_, _>>().map(Value::Map)
        }
        scalar => Ok(scalar),
    }
}

/// The value that the object `{name: content}` stands for.
fn escaped(name: &str, content: Value, depth: usize) -> Result<Value, ValueError> {
    match (name, content) {
        ("$bytes", Value::Str(text)) => match BASE64.decode(&text) {
            Ok(bytes) => Ok(Value::Bytes(bytes)),
            Err(error) => Err(Refusal::Json(format!("$bytes is not base64: {error}")).into()),
        },
        ("$int", Value::Str(text)) => integer(&text),
        ("$float", Value::Str(text)) => match text.parse() {
            Ok(x) => Ok(Value::Float(x)),
            Err(_) => Err(Refusal::Json(format!("$float is not a number: {text:?}")).into()),
        },
        ("$map", Value::List(entries)) => {
            let depth = inside(depth)?;
            let entry = |entry| match entry {
                Value::List(parts) => match <[Value; 2]>::try_from(parts) {
                    Ok([key, value]) => pair(unescape(key, depth)?, value, depth),
                    Err(_) => Err(not_pairs()),
                },
                _ => Err(not_pairs()),
            };
            entries.into_iter().map(entry).collect::<Result<_, _>>().map(keep_last).map(Value::Map)
        }
        ("$map", _) => Err(not_pairs()),
        ("$bytes" | "$int" | "$float", _) => Err(Refusal::Json(format!("{name} takes a text")).into()),
        _ => Err(Refusal::Json(format!("{name:?} is none of $bytes, $int, $float and $map")).into()),
    }
}

fn integer(text: &str) -> Result<Value, ValueError> {
    if let Ok(n) = text.parse::<i64>() {
        return Ok(n.into());
    }
    if let Ok(n) = text.parse::<u64>() {
        return Ok(n.into());
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::IntegerTooWide(text.to_owned()).into());
    }
    Err(Refusal::Json(format!("$int is not an integer: {text:?}")).into())
}

fn pair(key: Value, value: Value, depth: usize) -> Result<(Value, Value), ValueError> {
    match &key {
        Value::Float(x) if x.is_nan() => return Err(Refusal::NanKey.into()),
        Value::List(_) => return Err(Refusal::KeyKind("list").into()),
        Value::Map(_) => return Err(Refusal::KeyKind("map").into()),
        _ => {}
    }
    match unescape(value, depth) {
        Ok(value) => Ok((key, value)),
        Err(error) => Err(error.within(Step::key(&key))),
    }
}

fn inside(depth: usize) -> Result<usize, ValueError> {
    if depth == MAX_DEPTH { Err(Refusal::TooDeep.into()) } else { Ok(depth + 1) }
}

fn not_pairs() -> ValueError {
    Refusal::Json("$map takes a list of [key, value] pairs".to_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value;

    #[test]
    fn what_json_cannot_say_is_escaped() {
        let cases = [
            (value!(1), "1"),
            (value!(1.0), "1.0"),
            (value!(-0.0), "-0.0"),
            (value!(9_007_199_254_740_991_i64), "9007199254740991"),
            (value!(9_007_199_254_740_992_i64), r#"{"$int":"9007199254740992"}"#),
            (value!(i64::MIN), r#"{"$int":"-9223372036854775808"}"#),
            (value!(u64::MAX), r#"{"$int":"18446744073709551615"}"#),
            (value!(f64::NAN), r#"{"$float":"nan"}"#),
            (value!(f64::NEG_INFINITY), r#"{"$float":"-inf"}"#),
            (value!(1e20), r#"{"$float":"1e20"}"#),
            (value!(1e17), "1e17"),
            (value!(b"hi"), r#"{"$bytes":"aGk="}"#),
            (value!({}), "{}"),
            (value!({"a": [nil, "雪\n\""]}), r#"{"a":[null,"雪\n\""]}"#),
            (value!({7: "x", "a": 1}), r#"{"$map":[[7,"x"],["a",1]]}"#),
            (value!({"$int": "1"}), r#"{"$map":[["$int","1"]]}"#),
        ];
        for (value, text) in cases {
            assert_eq!(to_json(&value), text);
            assert_eq!(from_json(text).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn plain_integers_are_read_up_to_64_bits_and_never_rounded() {
        assert_eq!(from_json("18446744073709551615").unwrap(), Value::UInt(u64::MAX));
        assert_eq!(from_json("-9223372036854775808").unwrap(), Value::Int(i64::MIN));
        for text in ["18446744073709551616", "-9223372036854775809"] {
            let error = from_json(text).unwrap_err().to_string();
            assert!(error.starts_with("data: the number "), "{error}");
        }
    }

    #[test]
    fn a_refusal_names_the_place() {
        let cases = [
            (r#"{"a":[1,{"$int":"x"}]}"#, r#"data['a'][1]: $int is not an integer: "x""#),
            (
                r#"{"$map":[[7,{"$bytes":"!"}]]}"#,
                "data[7]: $bytes is not base64: Invalid symbol 33, offset 0.",
            ),
            (
                r#"{"$int":"18446744073709551616"}"#,
                "data: the integer 18446744073709551616 does not fit 64 bits",
            ),
            (r#"{"$map":[[[],1]]}"#, "data: a list cannot be a key"),
            (r#"{"$map":[[{"$float":"nan"},1]]}"#, "data: NaN cannot be a key"),
            (r#"{"$map":[[1]]}"#, "data: $map takes a list of [key, value] pairs"),
            (r#"{"$set":[]}"#, r#"data: "$set" is none of $bytes, $int, $float and $map"#),
            (
                r#"{"$int":"1","b":2}"#,
                r#"data: a map with a key that begins with "$" is written {"$map":[[key,value],...]}"#,
            ),
            ("[1", "data: EOF while parsing a list at line 1 column 2"),
            ("1 2", "data: trailing characters at line 1 column 3"),
        ];
        for (text, expected) in cases {
            assert_eq!(from_json(text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn depth_is_bounded_whatever_the_notation() {
        let nested = |open: &str, close: &str, levels| open.repeat(levels) + "0" + &close.repeat(levels);
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}"), (r#"{"$map":[[0,"#, "]]}")] {
            let deepest = nested(open, close, MAX_DEPTH);
            assert_eq!(to_json(&from_json(&deepest).unwrap()), deepest);
            // Found while the text is read or after, depending on the notation.
            for levels in [MAX_DEPTH + 1, 2 * MAX_DEPTH] {
                let error = from_json(&nested(open, close, levels)).unwrap_err().to_string();
                assert!(error.contains("deeper than 64 levels"), "{error}");
            }
            let bottomless = open.repeat(100_000);
            assert!(from_json(&bottomless).unwrap_err().to_string().contains("deeper than 64 levels"));
        }
    }
}
