//! JSON with its order and its duplicate names, and the changes that redaction may make.

use std::fmt;

use serde_core::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use spanwise_core::{KeyVerdict, REDACTED, Redact};

#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Text(String),
    /// A number, a boolean or null, as written.
    Other(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Panics if `shown` differs from `self` in a part that is not hidden.
    pub fn check(&self, shown: &Self, policy: &dyn Redact, under_hidden_key: bool) {
        let is_hidden = matches!(shown, Self::Text(text) if text.contains(REDACTED));
        match (self, shown) {
            _ if self == shown => {}
            (Self::Text(_), _) | (_, Self::Text(_)) if under_hidden_key => {
                assert!(is_hidden, "{self:?} became {shown:?}");
            }
            (Self::Text(_), Self::Text(_)) => assert!(is_hidden, "{self:?} became {shown:?}"),
            // The number may be a card number.
            (Self::Other(number), Self::Text(_)) => {
                assert!(is_hidden && number.len() > 8, "{self:?} became {shown:?}");
            }
            (Self::List(values), Self::List(shown)) => {
                assert_eq!(values.len(), shown.len());
                for (value, shown) in values.iter().zip(shown) {
                    value.check(shown, policy, under_hidden_key);
                }
            }
            (Self::Object(members), Self::Object(shown)) => {
                assert_eq!(members.len(), shown.len());
                for ((name, value), (shown_name, shown)) in members.iter().zip(shown) {
                    assert!(
                        name == shown_name || shown_name.contains(REDACTED),
                        "{name} became {shown_name}"
                    );
                    // Numbers under a `Text` key are hidden, because such a verdict needs a text.
                    let hidden = matches!(
                        policy.key(name),
                        KeyVerdict::Redact | KeyVerdict::Replace | KeyVerdict::Text
                    );
                    // The verdict depends only on the end of a long name or of a name with quotes.
                    let odd = name.contains(|c: char| matches!(c, '"' | '\\') || c.is_control())
                        || name.len() > 64;
                    let hidden = under_hidden_key || hidden || odd || name.contains("badge");
                    value.check(shown, policy, hidden);
                }
            }
            _ => panic!("{self:?} became {shown:?}"),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsJson;
        impl<'de> Visitor<'de> for AsJson {
            type Value = Json;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Other("null".to_owned()))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Other(value.to_string()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Other(value.to_string()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Other(value.to_string()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
                Ok(Json::Other(format!("{value:e} a float")))
            }
            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::Text(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Json, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = values.next_element()? {
                    list.push(value);
                }
                Ok(Json::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
                let mut object = Vec::new();
                while let Some(member) = members.next_entry()? {
                    object.push(member);
                }
                Ok(Json::Object(object))
            }
        }
        deserializer.deserialize_any(AsJson)
    }
}
