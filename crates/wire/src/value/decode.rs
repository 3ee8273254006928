//! MessagePack to Rust types and [`Value`](super::Value)s.
//!
//! The input may come from anyone: no length in it is believed before as many bytes are there, recursion is
//! bounded, and whatever is wrong is an error that names the place.

use serde::de::{self, Deserialize, DeserializeOwned, DeserializeSeed, Unexpected, Visitor};

use super::error::{Refusal, Step, ValueError};
use super::format::{Head, Reader, check_key};
use super::{MAX_DEPTH, Value};

/// Reads a value that owns what it holds from all of `bytes`.
///
/// Structs are read from maps with their field names. A whole number may be read into a float, never a float into
/// an integer. Of pairs with the same key the last one counts, except in a struct, which refuses a repeated field.
///
/// # Errors
/// When the bytes are not MessagePack as spec/apollo.md section 2 ("Data") allows it, when bytes are left over, or
/// when the data does not fit `T`; always with the path to the place.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ValueError> {
    decode_borrowed(bytes)
}

/// Reads a value that may borrow its text and bytes from `bytes`, without copying them; otherwise as [`decode`].
///
/// # Errors
/// As [`decode`].
pub fn decode_borrowed<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ValueError> {
    let mut decoder = Decoder { input: Reader { rest: bytes }, depth: 0 };
    let value = T::deserialize(&mut decoder)?;
    match decoder.input.rest.len() {
        0 => Ok(value),
        extra => Err(Refusal::Trailing(extra).into()),
    }
}

struct Decoder<'de> {
    input: Reader<'de>,
    /// How many lists and maps are open.
    depth: usize,
}

impl<'de> de::Deserializer<'de> for &mut Decoder<'de> {
    type Error = ValueError;

    /// As in the encoder: types with two forms use the one that other languages can read.
    fn is_human_readable(&self) -> bool {
        true
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        match self.input.head()? {
            Head::Map(len) => self.map(len, Naming::Keys, visitor),
            head => self.after(head, visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self.input.head()? {
            Head::Map(len) => self.map(len, Naming::Fields, visitor),
            // serde would take a list by position; a reordered field would then change the meaning in silence.
            Head::List(_) => Err(de::Error::invalid_type(Unexpected::Seq, &visitor)),
            head => self.after(head, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if let [0xc0, rest @ ..] = self.input.rest {
            self.input.rest = rest;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        match self.input.head()? {
            Head::Str(len) => {
                visitor.visit_enum(de::value::BorrowedStrDeserializer::new(self.input.text(len)?))
            }
            Head::Map(1) => {
                self.enter()?;
                let value = visitor.visit_enum(Variant { decoder: self, name: "" })?;
                self.depth -= 1;
                Ok(value)
            }
            _ => {
                Err(de::Error::custom("expected the name of a variant, or a map of one name to its content"))
            }
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

impl<'de> Decoder<'de> {
    /// Hands `visitor` the value whose head was just read; a map as one with free keys.
    fn after<V: Visitor<'de>>(&mut self, head: Head, visitor: V) -> Result<V::Value, ValueError> {
        match head {
            Head::Nil => visitor.visit_unit(),
            Head::Bool(b) => visitor.visit_bool(b),
            Head::Unsigned(n) => visitor.visit_u64(n),
            Head::Negative(n) => visitor.visit_i64(n),
            Head::Float(x) => visitor.visit_f64(x),
            Head::Str(len) => visitor.visit_borrowed_str(self.input.text(len)?),
            Head::Bytes(len) => visitor.visit_borrowed_bytes(self.input.take(len)?),
            Head::List(len) => self.list(len, visitor),
            Head::Map(len) => self.map(len, Naming::Keys, visitor),
        }
    }

    fn list<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value, ValueError> {
        self.enter()?;
        let mut items = Items { decoder: self, left: len, index: 0 };
        let value = visitor.visit_seq(&mut items)?;
        if items.left > 0 {
            return Err(de::Error::invalid_length(len, &format!("{} items", len - items.left).as_str()));
        }
        self.depth -= 1;
        Ok(value)
    }

    fn map<V: Visitor<'de>>(
        &mut self,
        len: usize,
        naming: Naming,
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.enter()?;
        let mut pairs = Pairs { key: &[], decoder: self, left: len, naming };
        let value = visitor.visit_map(&mut pairs)?;
        if pairs.left > 0 {
            return Err(de::Error::invalid_length(len, &format!("{} pairs", len - pairs.left).as_str()));
        }
        self.depth -= 1;
        Ok(value)
    }

    fn enter(&mut self) -> Result<(), ValueError> {
        if self.depth == MAX_DEPTH {
            return Err(Refusal::TooDeep.into());
        }
        self.depth += 1;
        Ok(())
    }
}

/// Whether a path calls what is in a map `.x` or `['x']`.
#[derive(Clone, Copy)]
enum Naming {
    Fields,
    Keys,
}

/// No more than this many items are made room for on the word of a head alone. Lists inside lists could otherwise
/// each claim the same bytes that follow.
const MAX_HINT: usize = 1024;

struct Items<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
    index: usize,
}

impl<'de> de::SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = ValueError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ValueError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let item =
            seed.deserialize(&mut *self.decoder).map_err(|error| error.within(Step::Index(self.index)))?;
        self.index += 1;
        Ok(Some(item))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(MAX_HINT))
    }
}

struct Pairs<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
    naming: Naming,
    /// The input from the current key on, to name it should its value be refused.
    key: &'de [u8],
}

impl<'de> de::MapAccess<'de> for &mut Pairs<'_, 'de> {
    type Error = ValueError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ValueError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.key = self.decoder.input.rest;
        check_key(self.key)?;
        seed.deserialize(&mut *self.decoder).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ValueError> {
        seed.deserialize(&mut *self.decoder).map_err(|error| error.within(self.naming.step(self.key)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.min(MAX_HINT))
    }
}

impl Naming {
    #[cold]
    fn step(self, input: &[u8]) -> Step {
        let key =
            Value::deserialize(&mut Decoder { input: Reader { rest: input }, depth: 0 }).unwrap_or_default();
        match (self, key) {
            (Self::Fields, Value::Str(name)) => Step::Field(name),
            (_, key) => Step::key(&key),
        }
    }
}

/// An enum's variant given as a map of one pair.
struct Variant<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    name: &'de str,
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = ValueError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(mut self, seed: V) -> Result<(V::Value, Self), ValueError> {
        let Head::Str(len) = self.decoder.input.head()? else {
            return Err(de::Error::custom("expected the name of a variant"));
        };
        self.name = self.decoder.input.text(len)?;
        let value = seed.deserialize(de::value::BorrowedStrDeserializer::<ValueError>::new(self.name))?;
        Ok((value, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = ValueError;

    fn unit_variant(self) -> Result<(), ValueError> {
        self.newtype_variant_seed(std::marker::PhantomData)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ValueError> {
        seed.deserialize(self.decoder).map_err(|error| error.within(Step::variant(self.name)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ValueError> {
        de::Deserializer::deserialize_any(self.decoder, visitor)
            .map_err(|error| error.within(Step::variant(self.name)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        de::Deserializer::deserialize_struct(self.decoder, "", fields, visitor)
            .map_err(|error| error.within(Step::variant(self.name)))
    }
}
