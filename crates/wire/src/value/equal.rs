//! When two [`Value`]s are the same data, and with it what happens to a repeated key.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use super::Value;

/// Up to this many pairs, comparing keys one by one beats hashing them, and allocates nothing.
const FEW: usize = 16;

impl Eq for Value {}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nil, Self::Nil) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::UInt(a), Self::UInt(b)) => a == b,
            // Only a `UInt` built by hand can be equal here: it should have been an `Int`.
            (Self::Int(a), Self::UInt(b)) | (Self::UInt(b), Self::Int(a)) => u64::try_from(*a) == Ok(*b),
            (Self::Float(a), Self::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => same_pairs(a, b),
            _ => false,
        }
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Nil => 0_u8.hash(state),
            Self::Bool(b) => (1_u8, b).hash(state),
            Self::Int(n) => (2_u8, i128::from(*n)).hash(state),
            Self::UInt(n) => (2_u8, i128::from(*n)).hash(state),
            Self::Float(x) if x.is_nan() => 3_u8.hash(state),
            // 0.0 and -0.0 are equal, and adding 0.0 makes them the same bits.
            Self::Float(x) => (4_u8, (x + 0.0).to_bits()).hash(state),
            Self::Str(text) => (5_u8, text).hash(state),
            Self::Bytes(bytes) => (6_u8, bytes).hash(state),
            Self::List(items) => (7_u8, items).hash(state),
            // Order is no part of a map, so its pairs are no part of its hash; no map is ever a key of another.
            Self::Map(pairs) => (8_u8, pairs.len()).hash(state),
        }
    }
}

/// The pairs with every key once: at the place of its first pair, with the value of its last, as in a dict.
pub(super) fn keep_last(pairs: Vec<(Value, Value)>) -> Vec<(Value, Value)> {
    if has_repeats(&pairs) { without_repeats(pairs) } else { pairs }
}

fn has_repeats(pairs: &[(Value, Value)]) -> bool {
    if pairs.len() <= FEW {
        return pairs
            .iter()
            .enumerate()
            .any(|(at, (key, _))| pairs[..at].iter().any(|(other, _)| other == key));
    }
    let mut seen = HashSet::with_capacity(pairs.len());
    !pairs.iter().all(|(key, _)| seen.insert(key))
}

#[cold]
fn without_repeats(pairs: Vec<(Value, Value)>) -> Vec<(Value, Value)> {
    let mut places = HashMap::with_capacity(pairs.len());
    let mut kept: Vec<(Value, Value)> = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        match places.get(&key) {
            Some(&place) => {
                let pair: &mut (Value, Value) = &mut kept[place];
                pair.1 = value;
            }
            None => {
                places.insert(key.clone(), kept.len());
                kept.push((key, value));
            }
        }
    }
    kept
}

fn same_pairs(a: &[(Value, Value)], b: &[(Value, Value)]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // Values are compared once, after the keys have paired them: comparing them first in order and then by key
    // would double the work at every level of nesting.
    if a.iter().zip(b).all(|((key, _), (other, _))| key == other) {
        return a.iter().zip(b).all(|((_, value), (_, other))| value == other);
    }
    if a.len() <= FEW {
        return a.iter().all(|(key, value)| {
            b.iter().find(|(other, _)| other == key).is_some_and(|(_, other)| other == value)
        });
    }
    let by_key: HashMap<_, _> = b.iter().map(|(key, value)| (key, value)).collect();
    a.iter().all(|(key, value)| by_key.get(key).is_some_and(|other| *other == value))
}
