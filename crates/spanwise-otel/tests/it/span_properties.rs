//! Properties that hold for all values.

use std::collections::{HashMap, HashSet};

use opentelemetry::{
    KeyValue,
    trace::{Span as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use proptest::prelude::*;
use spanwise_otel::SpanOptions;

use crate::support::traces::Traces;

/// What a test does with a span.
#[derive(Debug, Clone)]
enum Step {
    Attribute(u8, Setting),
    Event(u8),
}

#[derive(Debug, Clone)]
enum Setting {
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
}

fn setting() -> impl Strategy<Value = Setting> {
    prop_oneof![
        ".{0,40}".prop_map(Setting::Text),
        // Several of them exceed 64 KiB.
        (0..30_000_usize).prop_map(|len| Setting::Text("ä".repeat(len))),
        any::<i64>().prop_map(Setting::Int),
        any::<f64>().prop_map(Setting::Double),
        any::<bool>().prop_map(Setting::Bool),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_u8, setting()).prop_map(|(key, setting)| Step::Attribute(key, setting)),
        1 => (0..8_u8).prop_map(Step::Event),
    ]
}

/// Returns what is exported of a value, with the limits.
fn shown(setting: &Setting, max_chars: usize) -> Value {
    match setting {
        Setting::Text(text) => {
            let cut: String = text.chars().take(max_chars).collect();
            Value::StringValue(
                spanwise_core::internal::panic_safe::truncate_at(&cut, 16 * 1024).to_owned(),
            )
        }
        Setting::Int(int) => Value::IntValue(*int),
        Setting::Double(double) => Value::DoubleValue(*double),
        Setting::Bool(bool) => Value::BoolValue(*bool),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn attributes_decode_within_their_limits(
        steps in prop::collection::vec(step(), 0..60),
        max_attributes in 1..12_usize,
        max_chars in prop_oneof![Just(usize::MAX), 1..50_usize],
    ) {
        let options = SpanOptions::default()
            .max_attributes(max_attributes)
            .max_value_chars(max_chars)
            .max_events(3)
            .max_event_attributes(2);
        let traces = Traces::start(options);
        let tracer = traces.otel.tracer_provider().unwrap().tracer("client");
        let mut span = tracer.start("span");
        let (mut last, mut events, mut event_attributes) = (HashMap::new(), 0, Vec::new());
        let mut set = 0_u32;
        for step in &steps {
            match step {
                Step::Attribute(key, setting) => {
                    let key = format!("key{key}");
                    let value: opentelemetry::Value = match setting.clone() {
                        Setting::Text(text) => text.into(),
                        Setting::Int(int) => int.into(),
                        Setting::Double(double) => double.into(),
                        Setting::Bool(bool) => bool.into(),
                    };
                    span.set_attribute(KeyValue::new(key.clone(), value));
                    last.entry(key).or_insert_with(Vec::new).push(shown(setting, max_chars));
                    set += 1;
                }
                Step::Event(count) => {
                    let attributes = (0..*count).map(|n| KeyValue::new(format!("a{n}"), 1));
                    span.add_event("event", attributes.collect());
                    events += 1;
                    event_attributes.push(u32::from(*count));
                }
            }
        }
        drop(span);
        let spans = traces.finish();
        prop_assert_eq!(spans.len(), 1);
        let span = &spans[0];
        let keys = span.keys();
        prop_assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
        prop_assert!(keys.len() <= max_attributes);
        prop_assert!(prost::Message::encoded_len(&span.span) <= 65 * 1024);
        for key in &keys {
            let value = span.value(key).unwrap();
            let is_nan = |value: &Value| matches!(value, Value::DoubleValue(v) if v.is_nan());
            let known = last[*key].iter().any(|set| set == value || is_nan(set) && is_nan(value));
            prop_assert!(known, "{}", key);
        }
        // Whatever is not there was counted, and nothing is counted twice.
        let missing = last.len() - keys.len();
        prop_assert!(span.dropped_attributes_count as usize >= missing);
        prop_assert!(span.dropped_attributes_count <= set);
        if set == 0 {
            prop_assert_eq!(span.dropped_attributes_count, 0);
        }
        prop_assert_eq!(span.events.len() as u32 + span.dropped_events_count, events);
        prop_assert!(span.events.len() <= 3);
        // The first events are kept, unless the span has no room for them.
        for event in &span.events {
            let all = event.attributes.len() as u32 + event.dropped_attributes_count;
            prop_assert!(event.attributes.len() <= 2 && event_attributes.contains(&all));
        }
    }
}
