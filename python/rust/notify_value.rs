//! Data between Python and the values of records and notifications.

use crate::value::Out;
use chappe::Value;
use chappe::value::{self, MAX_DEPTH, ValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// What a Python object holds; the error names the place in it that cannot be stored or sent, from `label` on.
pub(crate) fn to_value(any: &Bound<'_, PyAny>, label: &str) -> Result<Value, ValueError> {
    if let Some(value) = quick(any, 0) {
        return Ok(value);
    }
    // What is unusual, or wrong: where, is found on the long way.
    let bytes = value::encode(&Out::new(any)).map_err(|error| error.labelled(label))?;
    value::decode(&bytes).map_err(|error: ValueError| error.labelled(label))
}

/// What most objects hold; none for whatever has to be looked at more closely.
fn quick(any: &Bound<'_, PyAny>, depth: usize) -> Option<Value> {
    if let Ok(text) = any.cast::<PyString>() {
        Some(text.to_str().ok()?.into())
    } else if let Ok(flag) = any.cast::<PyBool>() {
        Some(Value::Bool(flag.is_true()))
    } else if any.is_instance_of::<PyInt>() {
        any.extract::<i64>().ok().map(Value::Int)
    } else if any.is_none() {
        Some(Value::Nil)
    } else if let Ok(number) = any.cast::<PyFloat>() {
        Some(Value::Float(number.value()))
    } else if depth == MAX_DEPTH {
        None
    } else if let Ok(dict) = any.cast::<PyDict>() {
        let pair = |(key, value): (Bound<'_, PyAny>, _)| {
            let name = key.cast::<PyString>().ok()?.to_str().ok()?.into();
            Some((name, quick(&value, depth + 1)?))
        };
        dict.iter().map(pair).collect::<Option<_>>().map(Value::Map)
    } else if let Ok(list) = any.cast::<PyList>() {
        list.iter().map(|item| quick(&item, depth + 1)).collect::<Option<_>>().map(Value::List)
    } else if let Ok(tuple) = any.cast::<PyTuple>() {
        tuple.iter().map(|item| quick(&item, depth + 1)).collect::<Option<_>>().map(Value::List)
    } else {
        None
    }
}

/// A new Python object of a value.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Nil => py.None().into_bound(py),
        Value::Bool(flag) => PyBool::new(py, *flag).to_owned().into_any(),
        Value::Int(number) => PyInt::new(py, *number).into_any(),
        Value::UInt(number) => PyInt::new(py, *number).into_any(),
        Value::Float(number) => PyFloat::new(py, *number).into_any(),
        Value::Str(text) => PyString::new(py, text).into_any(),
        Value::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
        Value::List(items) => {
            let items = items.iter().map(|item| to_python(py, item)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, items)?.into_any()
        }
        Value::Map(_) => {
            let dict = PyDict::new(py);
            fill(&dict, value)?;
            dict.into_any()
        }
    })
}

/// Puts a map's fields into a dict.
pub(crate) fn fill(dict: &Bound<'_, PyDict>, fields: &Value) -> PyResult<()> {
    let Value::Map(pairs) = fields else { return Ok(()) };
    let py = dict.py();
    pairs.iter().try_for_each(|(key, value)| dict.set_item(to_python(py, key)?, to_python(py, value)?))
}
