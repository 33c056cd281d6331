//! Encoded attributes, decoded by `prost` and compared with a model.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue as Decoded, KeyValue, any_value::Value},
    logs::v1::LogRecord,
};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::limits::MAX_VALUE_LEN;

const FIELD: u32 = 6;

fn decode(attributes: &Attributes) -> Vec<(String, Value)> {
    let record = LogRecord::decode(attributes.as_bytes()).expect("fields of a message");
    let pair = |pair: KeyValue| {
        let value = pair.value.and_then(|Decoded { value }| value);
        (pair.key, value.expect("a value"))
    };
    record.attributes.into_iter().map(pair).collect()
}

#[derive(Debug, Clone, PartialEq)]
enum OwnedValue {
    Text(String),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
}

impl OwnedValue {
    fn borrow(&self) -> AnyValue<'_> {
        match self {
            Self::Text(text) => AnyValue::Text(text),
            Self::Bool(bool) => AnyValue::Bool(*bool),
            Self::Int(int) => AnyValue::Int(*int),
            Self::Double(double) => AnyValue::Double(*double),
            Self::Bytes(bytes) => AnyValue::Bytes(bytes),
        }
    }

    /// Returns the value that must be decoded, if texts have at most `chars` characters.
    fn expected(&self, chars: usize) -> Value {
        match self {
            Self::Text(text) => {
                let mut kept: String = text.chars().take(chars).collect();
                while kept.len() > MAX_VALUE_LEN {
                    kept.pop();
                }
                Value::StringValue(kept)
            }
            Self::Bool(bool) => Value::BoolValue(*bool),
            Self::Int(int) => Value::IntValue(*int),
            Self::Double(double) => Value::DoubleValue(*double),
            Self::Bytes(bytes) => {
                Value::BytesValue(bytes[..bytes.len().min(chars).min(MAX_VALUE_LEN)].to_vec())
            }
        }
    }
}

fn any_value() -> impl Strategy<Value = OwnedValue> {
    prop_oneof![
        any::<String>().prop_map(OwnedValue::Text),
        "[a-zé日🎉]{0,300}".prop_map(OwnedValue::Text),
        (0_usize..30_000)
            .prop_map(|len| OwnedValue::Text("aé日🎉".chars().cycle().take(len).collect())),
        any::<bool>().prop_map(OwnedValue::Bool),
        any::<i64>().prop_map(OwnedValue::Int),
        prop_oneof![Just(0), Just(-1), Just(i64::MIN), Just(i64::MAX)].prop_map(OwnedValue::Int),
        any::<f64>()
            .prop_filter("NaN differs from itself", |double| !double.is_nan())
            .prop_map(OwnedValue::Double),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(OwnedValue::Bytes),
    ]
}

fn any_key() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-c]", 2 => "[a-z.]{0,12}", 1 => "[a-zé]{120,140}"]
}

proptest! {
    #[test]
    fn any_values_are_decoded(
        values in prop::collection::vec((any_key(), any_value(), any::<bool>()), 0..40),
        count in prop_oneof![Just(128_usize), 0_usize..6],
        value_chars in prop_oneof![Just(usize::MAX), 0_usize..20],
    ) {
        let limits = AttributeLimits { count, value_chars };
        let mut attributes = Attributes::new(FIELD, limits);
        let mut expected: Vec<(String, Value)> = Vec::new();
        let mut dropped = 0;
        // The model has no limit of the total length. Attributes that may exceed it are not
        // compared.
        let max_total: usize = values.iter().map(|(key, value, _)| match value {
            OwnedValue::Text(text) => key.len() + text.len() + 20,
            _ => key.len() + 80,
        }).sum();
        let fits = max_total < MAX_ITEM_LEN;
        for (key, value, pushes_name) in &values {
            let position = expected.iter().position(|(known, _)| known == key);
            prop_assert!(attributes.get(key).is_some() == position.is_some() || !fits);
            if *pushes_name && attributes.get(key).is_none() {
                attributes.push_named(key, value.borrow());
            } else {
                attributes.set(&Key::new(key), value.borrow());
            }
            let value = value.expected(value_chars);
            match position {
                Some(index) => expected[index].1 = value,
                None if expected.len() < count => expected.push((key.clone(), value)),
                None => dropped += 1,
            }
        }
        let keeps_limit = attributes.as_bytes().len() <= MAX_ITEM_LEN;
        prop_assert!(keeps_limit);
        if fits {
            prop_assert_eq!(decode(&attributes), expected);
            prop_assert_eq!(attributes.dropped(), dropped);
        }
    }

    #[test]
    fn combined_attributes_have_no_key_twice(
        first in prop::collection::vec((any_key(), any_value()), 0..20),
        second in prop::collection::vec((any_key(), any_value()), 0..20),
        count in prop_oneof![Just(128_usize), 0_usize..6],
    ) {
        let limits = AttributeLimits { count, ..AttributeLimits::default() };
        let build = |values: &[(String, OwnedValue)]| {
            let mut attributes = Attributes::new(FIELD, limits);
            for (key, value) in values {
                attributes.set(&Key::new(key), value.borrow());
            }
            attributes
        };
        let (first, second) = (build(&first), build(&second));
        let (of_first, of_second) = (decode(&first), decode(&second));
        let mut appended = first.clone();
        appended.append(&second);
        let mut merged = first.clone();
        merged.merge(&second, MAX_ITEM_LEN);
        for (combined, preferred) in [(&appended, &of_first), (&merged, &of_second)] {
            let decoded = decode(combined);
            let mut keys: Vec<&str> = decoded.iter().map(|(key, _)| &**key).collect();
            keys.sort_unstable();
            let len = keys.len();
            keys.dedup();
            prop_assert_eq!(keys.len(), len);
            prop_assert!(combined.as_bytes().len() <= MAX_ITEM_LEN);
            for (key, value) in &decoded {
                let mut candidates = preferred.iter().chain(&of_first).chain(&of_second);
                let expected = candidates.find(|(known, _)| known == key);
                prop_assert_eq!(Some(value), expected.map(|(_, value)| value));
                prop_assert_eq!(combined.get(key).is_some(), true);
            }
            let is_new = |key: &String| !of_first.iter().any(|(known, _)| known == key);
            let distinct = of_first.len() + of_second.iter().filter(|(key, _)| is_new(key)).count();
            let lost = distinct - decoded.len();
            let dropped = first.dropped() + second.dropped() + lost as u32;
            prop_assert_eq!(combined.dropped(), dropped);
        }
    }
}

#[test]
fn later_value_keeps_the_position_of_its_key() {
    let mut attributes = Attributes::new(FIELD, AttributeLimits::default());
    let [a, b, c] = ["a", "b", "c"].map(Key::new);
    attributes.set(&a, AnyValue::Int(1));
    attributes.set(&b, AnyValue::Text("a first text"));
    attributes.set(&c, AnyValue::Bool(true));
    attributes.set(&b, AnyValue::Int(404));
    attributes.set(&a, AnyValue::Text(&"long".repeat(100)));
    let keys: Vec<String> = decode(&attributes)
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(keys, ["a", "b", "c"]);
    assert_eq!(attributes.get("b"), Some(AnyValue::Int(404)));
    assert_eq!(
        attributes.get("a"),
        Some(AnyValue::Text(&"long".repeat(100)))
    );
    assert_eq!(attributes.get("c"), Some(AnyValue::Bool(true)));
    assert_eq!(attributes.get("d"), None);
}

#[test]
fn attributes_of_an_owner_have_64_kib() {
    let mut attributes = Attributes::new(FIELD, AttributeLimits::default());
    let long = "é".repeat(MAX_VALUE_LEN);
    for n in 0..10 {
        attributes.push_named(&format!("k{n}"), AnyValue::Text(&long));
    }
    attributes.push_named("small", AnyValue::Int(1));
    // Three long values, and the small one.
    assert_eq!(decode(&attributes).len(), 4);
    assert_eq!(attributes.dropped(), 7);
    assert!(attributes.as_bytes().len() <= MAX_ITEM_LEN);
    // If the new value does not fit, the old value is dropped as well.
    attributes.set(&Key::new("small"), AnyValue::Text(&long));
    assert_eq!(attributes.get("small"), None);
    assert_eq!(attributes.dropped(), 8);
    attributes.truncate(MAX_VALUE_LEN + 100);
    assert_eq!((decode(&attributes).len(), attributes.dropped()), (1, 10));
    assert_eq!(decode(&attributes).len(), 1);
}

#[test]
fn displaced_attribute_keeps_its_value() {
    let mut attributes = Attributes::new(FIELD, AttributeLimits::default());
    attributes.push_named("buffered", AnyValue::Double(1.5));
    attributes.push_named("other", AnyValue::Int(-1));
    attributes.displace("buffered");
    attributes.displace("none");
    attributes.push_named("buffered", AnyValue::Bool(true));
    let expected = [
        ("other".to_owned(), Value::IntValue(-1)),
        ("fields.buffered".to_owned(), Value::DoubleValue(1.5)),
        ("buffered".to_owned(), Value::BoolValue(true)),
    ];
    assert_eq!(decode(&attributes), expected);
}

#[test]
fn nan_and_infinities_are_doubles() {
    let mut attributes = Attributes::new(FIELD, AttributeLimits::default());
    for (key, value) in [
        ("nan", f64::NAN),
        ("inf", f64::INFINITY),
        ("-inf", f64::NEG_INFINITY),
    ] {
        attributes.push_named(key, AnyValue::Double(value));
    }
    let values: Vec<f64> = decode(&attributes)
        .into_iter()
        .map(|(_, value)| match value {
            Value::DoubleValue(double) => double,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(values[0].is_nan());
    assert_eq!(values[1..], [f64::INFINITY, f64::NEG_INFINITY]);
}
