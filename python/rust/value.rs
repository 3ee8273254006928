//! Data between Python and MessagePack, with nothing in between (spec/apollo.md section 2, "Data").

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};
use std::fmt;

/// A Python object on its way out. What cannot be sent is refused, with the way to it in the error.
#[derive(Clone, Copy)]
pub(crate) struct Out<'a, 'py> {
    any: &'a Bound<'py, PyAny>,
    /// The list or dict that it is in: what holds itself is found before it is followed.
    within: Option<&'a Out<'a, 'py>>,
}

impl<'a, 'py> Out<'a, 'py> {
    pub(crate) fn new(any: &'a Bound<'py, PyAny>) -> Self {
        Out { any, within: None }
    }

    fn serialize_items<S: Serializer>(
        &self,
        len: usize,
        items: impl Iterator<Item = Bound<'py, PyAny>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        self.check_cycle()?;
        let mut seq = to.serialize_seq(Some(len))?;
        for item in items {
            seq.serialize_element(&Out { any: &item, within: Some(self) })?;
        }
        seq.end()
    }

    /// Refuses a list or dict that stands inside itself.
    fn check_cycle<E: Error>(&self) -> Result<(), E> {
        let mut around = self.within;
        while let Some(outer) = around {
            if outer.any.is(self.any) {
                let kind =
                    self.any.get_type().name().map_or_else(|_| "list".to_owned(), |name| name.to_string());
                return Err(E::custom(format_args!("a {kind} that holds itself cannot be sent")));
            }
            around = outer.within;
        }
        Ok(())
    }
}

impl Serialize for Out<'_, '_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let any = self.any;
        if let Ok(text) = any.cast::<PyString>() {
            let text = text
                .to_str()
                .map_err(|_| S::Error::custom("text with half a surrogate pair cannot be sent"))?;
            to.serialize_str(text)
        } else if let Ok(flag) = any.cast::<PyBool>() {
            to.serialize_bool(flag.is_true())
        } else if any.is_instance_of::<PyInt>() {
            serialize_int(any, to)
        } else if let Ok(dict) = any.cast::<PyDict>() {
            self.check_cycle()?;
            let mut map = to.serialize_map(Some(dict.len()))?;
            for (key, value) in dict {
                map.serialize_key(&Out { any: &key, within: Some(self) })?;
                map.serialize_value(&Out { any: &value, within: Some(self) })?;
            }
            map.end()
        } else if let Ok(list) = any.cast::<PyList>() {
            self.serialize_items(list.len(), list.iter(), to)
        } else if let Ok(number) = any.cast::<PyFloat>() {
            to.serialize_f64(number.value())
        } else if any.is_none() {
            to.serialize_unit()
        } else if let Ok(tuple) = any.cast::<PyTuple>() {
            self.serialize_items(tuple.len(), tuple.iter(), to)
        } else if let Ok(bytes) = any.cast::<PyBytes>() {
            to.serialize_bytes(bytes.as_bytes())
        } else if let Ok(bytes) = any.cast::<PyByteArray>() {
            to.serialize_bytes(&bytes.to_vec())
        } else {
            Err(S::Error::custom(format_args!("{} cannot be sent", kind(any))))
        }
    }
}

fn serialize_int<S: Serializer>(any: &Bound<'_, PyAny>, to: S) -> Result<S::Ok, S::Error> {
    if let Ok(number) = any.extract::<i64>() {
        return to.serialize_i64(number);
    }
    match any.extract::<u64>() {
        Ok(number) => to.serialize_u64(number),
        Err(_) => {
            let mut digits = any.to_string();
            if digits.len() > 40 {
                digits.truncate(37);
                digits.push_str("...");
            }
            Err(S::Error::custom(format_args!("the integer {digits} does not fit 64 bits")))
        }
    }
}

/// What an object that cannot be sent is, in words.
#[cold]
fn kind(any: &Bound<'_, PyAny>) -> String {
    let name = any.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    match name.as_str() {
        "function" | "builtin_function_or_method" | "method" => "a function".to_owned(),
        "type" => "a class".to_owned(),
        "set" | "frozenset" | "module" | "generator" => format!("a {name}"),
        _ => format!("an object of the class {name}"),
    }
}

/// A Python object made of what has come.
pub(crate) struct In(pub(crate) Py<PyAny>);

impl<'de> Deserialize<'de> for In {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<In, D::Error> {
        Python::attach(|py| Make(py).deserialize(from).map(|object| In(object.unbind())))
    }
}

/// Makes one object.
#[derive(Clone, Copy)]
struct Make<'py>(Python<'py>);

impl<'de, 'py> DeserializeSeed<'de> for Make<'py> {
    type Value = Bound<'py, PyAny>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de, 'py> Visitor<'de> for Make<'py> {
    type Value = Bound<'py, PyAny>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(self.0.None().into_bound(self.0))
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(PyBool::new(self.0, flag).to_owned().into_any())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(PyInt::new(self.0, number).into_any())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(PyInt::new(self.0, number).into_any())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(PyFloat::new(self.0, number).into_any())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(PyString::new(self.0, text).into_any())
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(PyBytes::new(self.0, bytes).into_any())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(4096));
        while let Some(item) = seq.next_element_seed(self)? {
            items.push(item);
        }
        Ok(PyList::new(self.0, items).map_err(de::Error::custom)?.into_any())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let dict = PyDict::new(self.0);
        while let Some(key) = map.next_key_seed(self)? {
            let value = map.next_value_seed(self)?;
            dict.set_item(key, value).map_err(de::Error::custom)?;
        }
        Ok(dict.into_any())
    }
}
