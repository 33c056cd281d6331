//! Attributes against a model, read by an independent decoder.

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
enum Owned {
    Text(String),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(Vec<u8>),
}

impl Owned {
    fn borrow(&self) -> AnyValue<'_> {
        match self {
            Self::Text(text) => AnyValue::Text(text),
            Self::Bool(bool) => AnyValue::Bool(*bool),
            Self::Int(int) => AnyValue::Int(*int),
            Self::Double(double) => AnyValue::Double(*double),
            Self::Bytes(bytes) => AnyValue::Bytes(bytes),
        }
    }

    /// Returns the value that the decoder must return, if texts have at most `chars` characters.
    fn limited(&self, chars: usize) -> Value {
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

fn any_value() -> impl Strategy<Value = Owned> {
    prop_oneof![
        any::<String>().prop_map(Owned::Text),
        "[a-zé日🎉]{0,300}".prop_map(Owned::Text),
        (0_usize..30_000).prop_map(|len| Owned::Text("aé日🎉".chars().cycle().take(len).collect())),
        any::<bool>().prop_map(Owned::Bool),
        any::<i64>().prop_map(Owned::Int),
        prop_oneof![Just(0), Just(-1), Just(i64::MIN), Just(i64::MAX)].prop_map(Owned::Int),
        any::<f64>()
            .prop_filter("NaN differs from itself", |double| !double.is_nan())
            .prop_map(Owned::Double),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Owned::Bytes),
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
        // The model does not know the limit of all bytes.
        let total: usize = values.iter().map(|(key, value, _)| match value {
            Owned::Text(text) => key.len() + text.len() + 20,
            _ => key.len() + 80,
        }).sum();
        let fits = total < MAX_ITEM_LEN;
        for (key, value, by_name) in &values {
            let is_known = expected.iter().any(|(known, _)| known == key);
            prop_assert!(attributes.get(key).is_some() == is_known || !fits);
            if *by_name && attributes.get(key).is_none() {
                attributes.push_named(key, value.borrow());
            } else {
                attributes.set(&Key::new(key), value.borrow());
            }
            let value = value.limited(value_chars);
            let known = expected.iter().position(|(known, _)| known == key);
            match known {
                Some(at) => expected[at].1 = value,
                None if expected.len() < count => expected.push((key.clone(), value)),
                None => dropped += 1,
            }
        }
        let is_within = attributes.as_bytes().len() <= MAX_ITEM_LEN;
        prop_assert!(is_within);
        if fits {
            prop_assert_eq!(decode(&attributes), expected);
            prop_assert_eq!(attributes.dropped(), dropped);
        }
    }

    #[test]
    fn joined_attributes_have_no_key_twice(
        first in prop::collection::vec((any_key(), any_value()), 0..20),
        second in prop::collection::vec((any_key(), any_value()), 0..20),
        count in prop_oneof![Just(128_usize), 0_usize..6],
    ) {
        let limits = AttributeLimits { count, ..AttributeLimits::default() };
        let build = |values: &[(String, Owned)]| {
            let mut attributes = Attributes::new(FIELD, limits);
            for (key, value) in values {
                attributes.set(&Key::new(key), value.borrow());
            }
            attributes
        };
        let (first, second) = (build(&first), build(&second));
        let (own, others) = (decode(&first), decode(&second));
        let mut appended = first.clone();
        appended.append(&second);
        let mut updated = first.clone();
        updated.merge(&second, MAX_ITEM_LEN);
        for (joined, winner) in [(&appended, &own), (&updated, &others)] {
            let decoded = decode(joined);
            let mut keys: Vec<&str> = decoded.iter().map(|(key, _)| &**key).collect();
            keys.sort_unstable();
            let len = keys.len();
            keys.dedup();
            prop_assert_eq!(keys.len(), len);
            prop_assert!(joined.as_bytes().len() <= MAX_ITEM_LEN);
            for (key, value) in &decoded {
                let won = winner.iter().find(|(known, _)| known == key);
                let of_other = own.iter().chain(&others).find(|(known, _)| known == key);
                prop_assert_eq!(Some(value), won.or(of_other).map(|(_, value)| value));
                prop_assert_eq!(joined.get(key).is_some(), true);
            }
            let all = own.len() + others.iter().filter(|(key, _)| !own.iter().any(|(known, _)| known == key)).count();
            let lost = all - decoded.len();
            let dropped = first.dropped() + second.dropped() + lost as u32;
            prop_assert_eq!(joined.dropped(), dropped);
        }
    }
}

#[test]
fn late_value_replaces_the_first_at_its_place() {
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
fn values_of_an_owner_have_64_kib() {
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
    // A value that no longer fits is not shown with its old value.
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
