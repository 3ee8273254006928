//! Values for property tests, here and in the crates that carry values (feature `testing`).

use proptest::collection::vec;
use proptest::num::f64;
use proptest::prelude::{Just, Strategy, any, prop_oneof};

use super::Value;
use super::equal::keep_last;

/// Any value that may be sent: every kind, boundary integers, any float, keys of mixed kinds, names that mean
/// something elsewhere (`__uid__`, `$int`), a few levels deep.
pub fn any_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Value::List),
            vec((key(), inner), 0..20).prop_map(|pairs| Value::Map(keep_last(pairs))),
        ]
    })
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![key(), Just(Value::Float(f64::NAN))]
}

/// Any value that may be a map's key.
fn key() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        (any::<u64>(), 0..64_u32).prop_map(|(n, bits)| Value::from(n >> bits)),
        f64::ANY.prop_filter("NaN is no key", |x| !x.is_nan()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        proptest::sample::select(vec!["", "n", "__uid__", "$int", "$map", "雪だるま☃"]).prop_map(Value::from),
        vec(any::<u8>(), 0..40).prop_map(Value::from),
    ]
}
