//! What the tests of lines share: a place where lines go, a clock that stands still, and a reader that accepts no key twice.

#![allow(dead_code, unreachable_pub, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something is wrong"
)]

pub mod any;

use std::{
    fmt,
    io::{self, Write},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use serde_core::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use spanwise_core::Clock;
use spanwise_json::JsonLayer;
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::{fmt::MakeWriter, prelude::*};

/// Keeps what is written.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).expect("output is UTF-8")
    }

    /// The lines as objects. Panics if one is no JSON, or has a key twice.
    pub fn objects(&self) -> Vec<Map<String, Value>> {
        self.text().lines().map(object).collect()
    }

    pub fn only(&self) -> Map<String, Value> {
        let mut objects = self.objects();
        assert_eq!(objects.len(), 1, "{}", self.text());
        objects.remove(0)
    }

    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

pub fn object(line: &str) -> Map<String, Value> {
    match serde_json::from_str::<Strict>(line) {
        Ok(Strict(Value::Object(object))) => object,
        other => panic!("{:?}: {line}", other.map(|strict| strict.0)),
    }
}

/// 2026-11-20T09:08:07.123456Z
pub fn clock() -> Clock {
    Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_nanos(1_795_165_687_123_456_000))
}

/// Runs `log` under a layer that `options` made, and returns what it wrote.
pub fn lines(options: impl FnOnce(JsonLayer) -> JsonLayer, log: impl FnOnce()) -> Lines {
    let lines = Lines::default();
    let layer = options(JsonLayer::new().clock(clock())).with_writer(lines.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
    lines
}

pub fn dispatch<L>(layer: L) -> Dispatch
where
    L: tracing_subscriber::Layer<tracing_subscriber::Registry> + Send + Sync,
    tracing_subscriber::layer::Layered<L, tracing_subscriber::Registry>: Subscriber + Send + Sync,
{
    Dispatch::new(tracing_subscriber::registry().with(layer))
}

/// JSON in which a repeated key is an error.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON without repeated keys")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(value.into())
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
                        return Err(A::Error::custom(format!("the key {key:?} is there twice")));
                    }
                }
                Ok(map.into())
            }
        }

        deserializer.deserialize_any(Any).map(Strict)
    }
}
