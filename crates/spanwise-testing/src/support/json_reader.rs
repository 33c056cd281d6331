//! A JSON reader that refuses repeated keys, which `serde_json` accepts.

use std::fmt;

use serde_core::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Parses JSON.
///
/// # Panics
/// If `text` is not valid JSON, or if an object repeats a key.
#[must_use]
#[track_caller]
pub fn parse_json(text: &str) -> Value {
    match serde_json::from_str::<Strict>(text) {
        Ok(Strict(value)) => value,
        Err(error) => panic!("{error}: {text}"),
    }
}

/// A JSON value in which no object repeats a key.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

macro_rules! visit {
    ($($visit:ident: $value:ty),+) => {
        $(fn $visit<E>(self, value: $value) -> Result<Value, E> {
            Ok(value.into())
        })+
    };
}

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    visit!(visit_bool: bool, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_str: &str);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated keys")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if map.insert(key.clone(), value).is_some() {
                return Err(A::Error::custom(format!("the key {key:?} is repeated")));
            }
        }
        Ok(map.into())
    }
}
