//! The golden vectors of `protocol/vectors/`, whose format `protocol/values.md` describes, hold here.

use std::path::Path;

use chappe_wire::value::{self, Value};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Vector {
    name: String,
    json: String,
    msgpack: String,
    only: Option<Direction>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Read,
}

#[derive(Deserialize)]
struct Refused {
    name: String,
    msgpack: String,
    path: String,
}

#[test]
fn both_forms_of_every_vector_match() {
    for Vector { name, json, msgpack, only } in vectors::<Vector>("values.json") {
        let read: Value = value::decode(&bytes(&msgpack)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let from_text = value::from_json(&json).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read, from_text, "{name}");
        assert_eq!(value::to_json(&read), json, "{name}");
        if only != Some(Direction::Read) {
            assert_eq!(hex(&value::encode(&from_text).unwrap()), msgpack, "{name}");
        }
    }
}

#[test]
fn every_refused_vector_is_refused_at_its_place() {
    for Refused { name, msgpack, path } in vectors::<Refused>("values_refused.json") {
        match value::decode::<Value>(&bytes(&msgpack)) {
            Ok(value) => panic!("{name}: read as {value}"),
            Err(error) => assert_eq!(error.path(), path, "{name}: {error}"),
        }
    }
}

fn vectors<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol/vectors").join(file);
    let text = std::fs::read_to_string(path).expect("the vectors are part of the repository");
    serde_json::from_str(&text).expect("the vectors are JSON of the documented shape")
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("vectors are hex"))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
