//! Rust types and [`Value`](super::Value)s to MessagePack.
//!
//! A serializer of our own rather than rmp-serde's, because ours refuses what must not leave (integers of 128
//! bits, NaN or lists as keys, bottomless nesting), checks it in the same single pass, and can name the place.

use serde::ser::{self, Serialize};

use super::error::{Refusal, Step, ValueError};
use super::format::{Head, Reader, Shape, check_key, put, put_bytes, put_int, put_str, put_uint};
use super::{MAX_DEPTH, Value};

/// `value` as MessagePack, every number and length in its shortest form, structs as maps with their field names.
///
/// A `Vec<u8>` is a list of numbers to serde; use `serde_bytes` or [`Value::Bytes`] for bytes.
///
/// # Errors
/// When the data breaks a rule of spec/apollo.md section 2 ("Data"), with the path to the place.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, ValueError> {
    let mut out = Vec::with_capacity(128);
    encode_into(&mut out, value)?;
    Ok(out)
}

/// Appends `value` as MessagePack to `out`; see [`encode`].
///
/// # Errors
/// As [`encode`]; `out` is then as it was before.
pub fn encode_into<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), ValueError> {
    let start = out.len();
    let result = value.serialize(&mut Encoder { out, depth: 0, lead: None });
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Appends `value`, a struct or a map, as a map that begins with one more pair, of two texts; see [`encode`]. Returns where
/// in `out` the second of them begins.
///
/// # Errors
/// As [`encode`], when `value` is neither, and for a name in it that begins with `_`: those are the runtime's
/// (spec/snipe.md). `out` is then as it was before.
pub fn encode_led<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    lead: (&str, &str),
    value: &T,
) -> Result<usize, ValueError> {
    let start = out.len();
    let mut encoder = Encoder { out, depth: 0, lead: Some(lead) };
    let result = value.serialize(&mut encoder).and_then(|()| match encoder.lead {
        None => Ok(()),
        Some(_) => Err(no_map()),
    });
    if let Err(error) = result {
        out.truncate(start);
        return Err(error);
    }
    let mut input = Reader { rest: &out[start..] };
    input.head()?;
    if let Head::Str(len) = input.head()? {
        input.take(len)?;
    }
    input.head()?;
    Ok(out.len() - input.rest.len())
}

/// A name that is not for the data itself.
#[cold]
fn reserved(name: &str) -> ValueError {
    Refusal::Mismatch(format!("{name:?}: names that begin with `_` belong to the runtime")).into()
}

#[cold]
fn no_map() -> ValueError {
    Refusal::Mismatch("expected a struct or a map".to_owned()).into()
}

/// `value` as MessagePack of at most `max_bytes` bytes; errors call the data `label`. See [`encode`].
///
/// # Errors
/// As [`encode`], and [`Refusal::TooBig`] with the size and the limit.
pub fn encode_limited<T: Serialize + ?Sized>(
    label: &str,
    value: &T,
    max_bytes: usize,
) -> Result<Vec<u8>, ValueError> {
    let bytes = encode(value).map_err(|error| error.labelled(label))?;
    if bytes.len() > max_bytes {
        let refusal = Refusal::TooBig { size: bytes.len(), limit: max_bytes };
        return Err(ValueError::from(refusal).labelled(label));
    }
    Ok(bytes)
}

struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    /// How many lists and maps are open.
    depth: usize,
    /// The pair that the outermost map is to begin with.
    lead: Option<(&'a str, &'a str)>,
}

impl<'a, 'b> ser::Serializer for &'a mut Encoder<'b> {
    type Ok = ();
    type Error = ValueError;
    type SerializeSeq = Open<'a, 'b>;
    type SerializeTuple = Open<'a, 'b>;
    type SerializeTupleStruct = Open<'a, 'b>;
    type SerializeTupleVariant = Open<'a, 'b>;
    type SerializeMap = Open<'a, 'b>;
    type SerializeStruct = Open<'a, 'b>;
    type SerializeStructVariant = Open<'a, 'b>;

    /// Types with two forms (addresses, ids) use the one that other languages can read.
    fn is_human_readable(&self) -> bool {
        true
    }

    fn serialize_unit(self) -> Result<(), ValueError> {
        self.out.push(0xc0);
        Ok(())
    }

    fn serialize_bool(self, b: bool) -> Result<(), ValueError> {
        self.out.push(if b { 0xc3 } else { 0xc2 });
        Ok(())
    }

    fn serialize_i64(self, n: i64) -> Result<(), ValueError> {
        put_int(self.out, n);
        Ok(())
    }

    fn serialize_u64(self, n: u64) -> Result<(), ValueError> {
        put_uint(self.out, n);
        Ok(())
    }

    fn serialize_i128(self, n: i128) -> Result<(), ValueError> {
        if let Ok(n) = i64::try_from(n) {
            return self.serialize_i64(n);
        }
        let n = u64::try_from(n).map_err(|_| Refusal::IntegerTooWide(n.to_string()))?;
        self.serialize_u64(n)
    }

    fn serialize_u128(self, n: u128) -> Result<(), ValueError> {
        let n = u64::try_from(n).map_err(|_| Refusal::IntegerTooWide(n.to_string()))?;
        self.serialize_u64(n)
    }

    fn serialize_f32(self, x: f32) -> Result<(), ValueError> {
        put(self.out, 0xca, x.to_be_bytes());
        Ok(())
    }

    fn serialize_f64(self, x: f64) -> Result<(), ValueError> {
        put(self.out, 0xcb, x.to_be_bytes());
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), ValueError> {
        put_str(self.out, text)
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), ValueError> {
        put_bytes(self.out, bytes)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Open<'a, 'b>, ValueError> {
        self.open(Shape::List, len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Open<'a, 'b>, ValueError> {
        self.open(Shape::Map, len)
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Open<'a, 'b>, ValueError> {
        self.open(Shape::Map, Some(len))
    }

    // A unit variant is its name; any other a map of one pair, the name and the content.

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), ValueError> {
        put_str(self.out, variant)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        let mut map = self.open(Shape::Map, Some(1))?;
        put_str(map.encoder.out, variant)?;
        value.serialize(&mut *map.encoder).map_err(|error| error.within(Step::variant(variant)))?;
        map.count += 1;
        map.close()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Open<'a, 'b>, ValueError> {
        self.open_variant(variant, Shape::List, len)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Open<'a, 'b>, ValueError> {
        self.open_variant(variant, Shape::Map, len)
    }

    // The rest is one of the above under another name.

    fn serialize_i8(self, n: i8) -> Result<(), ValueError> {
        self.serialize_i64(n.into())
    }

    fn serialize_i16(self, n: i16) -> Result<(), ValueError> {
        self.serialize_i64(n.into())
    }

    fn serialize_i32(self, n: i32) -> Result<(), ValueError> {
        self.serialize_i64(n.into())
    }

    fn serialize_u8(self, n: u8) -> Result<(), ValueError> {
        self.serialize_u64(n.into())
    }

    fn serialize_u16(self, n: u16) -> Result<(), ValueError> {
        self.serialize_u64(n.into())
    }

    fn serialize_u32(self, n: u32) -> Result<(), ValueError> {
        self.serialize_u64(n.into())
    }

    fn serialize_char(self, c: char) -> Result<(), ValueError> {
        put_str(self.out, c.encode_utf8(&mut [0; 4]))
    }

    fn serialize_none(self) -> Result<(), ValueError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), ValueError> {
        value.serialize(self)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), ValueError> {
        self.serialize_unit()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), ValueError> {
        value.serialize(self)
    }

    fn serialize_tuple(self, len: usize) -> Result<Open<'a, 'b>, ValueError> {
        self.open(Shape::List, Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Open<'a, 'b>, ValueError> {
        self.open(Shape::List, Some(len))
    }
}

impl<'b> Encoder<'b> {
    fn open<'a>(&'a mut self, shape: Shape, len: Option<usize>) -> Result<Open<'a, 'b>, ValueError> {
        if self.depth == MAX_DEPTH {
            return Err(Refusal::TooDeep.into());
        }
        self.depth += 1;
        let head_at = self.out.len();
        let lead = self.lead.take();
        let count = usize::from(lead.is_some());
        let declared = len.unwrap_or(0) + count;
        shape.put_head(self.out, declared)?;
        if let Some((key, text)) = lead {
            if let Shape::List = shape {
                return Err(no_map());
            }
            put_str(self.out, key)?;
            put_str(self.out, text)?;
        }
        let key_at = self.out.len();
        let is_led = lead.is_some();
        Ok(Open { variant: None, head_at, declared, count, key_at, shape, is_led, encoder: self })
    }

    fn open_variant<'a>(
        &'a mut self,
        variant: &'static str,
        shape: Shape,
        len: usize,
    ) -> Result<Open<'a, 'b>, ValueError> {
        self.open(Shape::Map, Some(1))?;
        put_str(self.out, variant)?;
        let mut content = self.open(shape, Some(len))?;
        content.variant = Some(variant);
        Ok(content)
    }
}

/// A list or map whose items are being written.
struct Open<'a, 'b> {
    encoder: &'a mut Encoder<'b>,
    shape: Shape,
    /// The enum variant whose content this is; the map around it then ends with it.
    variant: Option<&'static str>,
    head_at: usize,
    /// The length its head says; corrected at the end if the type promised none or the wrong one.
    declared: usize,
    count: usize,
    /// It begins with a pair of the runtime's.
    is_led: bool,
    /// Where the current key begins, to be named should its value be refused.
    key_at: usize,
}

impl Open<'_, '_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let index = self.count;
        value.serialize(&mut *self.encoder).map_err(|error| self.within(error, Step::Index(index)))?;
        self.count += 1;
        Ok(())
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), ValueError> {
        if self.is_led && name.starts_with('_') {
            return Err(reserved(name));
        }
        put_str(self.encoder.out, name)?;
        value
            .serialize(&mut *self.encoder)
            .map_err(|error| self.within(error, Step::Field(name.to_owned())))?;
        self.count += 1;
        Ok(())
    }

    #[cold]
    fn within(&self, error: ValueError, step: Step) -> ValueError {
        let error = error.within(step);
        match self.variant {
            Some(variant) => error.within(Step::variant(variant)),
            None => error,
        }
    }

    fn close(self) -> Result<(), ValueError> {
        if self.count != self.declared {
            let mut head = Vec::new();
            self.shape.put_head(&mut head, self.count)?;
            let old = Shape::head_size(self.declared);
            self.encoder.out.splice(self.head_at..self.head_at + old, head);
        }
        self.encoder.depth -= if self.variant.is_some() { 2 } else { 1 };
        Ok(())
    }
}

impl ser::SerializeMap for Open<'_, '_> {
    type Ok = ();
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.key_at = self.encoder.out.len();
        key.serialize(&mut *self.encoder)?;
        let key = &self.encoder.out[self.key_at..];
        if self.is_led
            && let Some(name) = super::text_of(key).filter(|name| name.starts_with('_'))
        {
            return Err(reserved(name));
        }
        check_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let value_at = self.encoder.out.len();
        value
            .serialize(&mut *self.encoder)
            .map_err(|error| error.within(written_key(&self.encoder.out[self.key_at..value_at])))?;
        self.count += 1;
        Ok(())
    }

    fn end(self) -> Result<(), ValueError> {
        self.close()
    }
}

/// One of serde's ways to hand over a sequence of items or fields, all alike to us.
macro_rules! sequence {
    ($($trait:ident :: $method:ident),* $(,)?) => {$(
        impl ser::$trait for Open<'_, '_> {
            type Ok = ();
            type Error = ValueError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
                self.item(value)
            }

            fn end(self) -> Result<(), ValueError> {
                self.close()
            }
        }
    )*};
}
sequence!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
);

macro_rules! record {
    ($($trait:ident),*) => {$(
        impl ser::$trait for Open<'_, '_> {
            type Ok = ();
            type Error = ValueError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), ValueError> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), ValueError> {
                self.close()
            }
        }
    )*};
}
record!(SerializeStruct, SerializeStructVariant);

#[cold]
fn written_key(key: &[u8]) -> Step {
    Step::key(&super::decode(key).unwrap_or(Value::Nil))
}
