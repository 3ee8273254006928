//! The ways to build a [`Value`]: conversions, and the [`value!`](crate::value!) macro.

use super::Value;

/// Builds a [`Value`] from text that looks like the data: `value!({"n": 3, "items": [1, nil], 7: name})`.
///
/// Keys are single tokens (a literal or a name; anything longer in parentheses). Everything else is any expression
/// that `Value::from` takes.
#[macro_export]
macro_rules! value {
    (@list [$($done:expr,)*]) => { $crate::value::Value::List(::std::vec![$($done),*]) };
    (@list [$($done:expr,)*] nil $(, $($rest:tt)*)?) => {
        $crate::value!(@list [$($done,)* $crate::value!(nil),] $($($rest)*)?)
    };
    (@list [$($done:expr,)*] [$($item:tt)*] $(, $($rest:tt)*)?) => {
        $crate::value!(@list [$($done,)* $crate::value!([$($item)*]),] $($($rest)*)?)
    };
    (@list [$($done:expr,)*] {$($item:tt)*} $(, $($rest:tt)*)?) => {
        $crate::value!(@list [$($done,)* $crate::value!({$($item)*}),] $($($rest)*)?)
    };
    (@list [$($done:expr,)*] $item:expr $(, $($rest:tt)*)?) => {
        $crate::value!(@list [$($done,)* $crate::value!($item),] $($($rest)*)?)
    };
    (@map [$($done:expr,)*]) => { $crate::value::Value::Map(::std::vec![$($done),*]) };
    (@map [$($done:expr,)*] $key:tt : nil $(, $($rest:tt)*)?) => {
        $crate::value!(@map [$($done,)* ($crate::value!($key), $crate::value!(nil)),] $($($rest)*)?)
    };
    (@map [$($done:expr,)*] $key:tt : [$($item:tt)*] $(, $($rest:tt)*)?) => {
        $crate::value!(@map [$($done,)* ($crate::value!($key), $crate::value!([$($item)*])),] $($($rest)*)?)
    };
    (@map [$($done:expr,)*] $key:tt : {$($item:tt)*} $(, $($rest:tt)*)?) => {
        $crate::value!(@map [$($done,)* ($crate::value!($key), $crate::value!({$($item)*})),] $($($rest)*)?)
    };
    (@map [$($done:expr,)*] $key:tt : $item:expr $(, $($rest:tt)*)?) => {
        $crate::value!(@map [$($done,)* ($crate::value!($key), $crate::value!($item)),] $($($rest)*)?)
    };
    (nil) => { $crate::value::Value::Nil };
    ([$($items:tt)*]) => { $crate::value!(@list [] $($items)*) };
    ({$($pairs:tt)*}) => { $crate::value!(@map [] $($pairs)*) };
    ($other:expr) => { $crate::value::Value::from($other) };
}

macro_rules! from_integer {
    ($($small:ty),*) => {$(
        impl From<$small> for Value {
            fn from(n: $small) -> Self {
                Self::Int(n.into())
            }
        }
    )*};
}
from_integer!(i8, i16, i32, i64, u8, u16, u32);

impl From<u64> for Value {
    fn from(n: u64) -> Self {
        i64::try_from(n).map_or(Self::UInt(n), Self::Int)
    }
}

impl From<usize> for Value {
    fn from(n: usize) -> Self {
        (n as u64).into()
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Nil
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

impl From<f32> for Value {
    fn from(x: f32) -> Self {
        Self::Float(x.into())
    }
}

impl From<f64> for Value {
    fn from(x: f64) -> Self {
        Self::Float(x)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::List(items)
    }
}

impl From<Vec<(Value, Value)>> for Value {
    fn from(pairs: Vec<(Value, Value)>) -> Self {
        Self::Map(pairs)
    }
}

/// `None` is nil.
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, Into::into)
    }
}

/// Collects a list, from anything that is a value: `[1, 2].into_iter().collect::<Value>()`.
impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}
