//! Tests of the encoding of fields of any kind, as the macros of `tracing` record them.

use std::{
    error::Error,
    fmt::{self, Write as _},
    sync::Arc,
};

use opentelemetry_proto::tonic::{common::v1::any_value::Value, logs::v1::LogRecord};
use prost::Message as _;
use spanwise_core::{err, internal::sync::Mutex};
use tracing::{Event, Subscriber, info, info_span};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

use super::*;
use crate::{
    limits::AttributeLimits,
    plan::{CallsitePlan, PlanOptions},
};

/// The field number of the attributes in a `LogRecord`.
const ATTRIBUTES: u32 = 6;

/// The fields of an event, encoded by [`EncodingLayer`] and decoded again.
#[derive(Debug, Clone, Default)]
struct DecodedFields {
    attributes: Vec<(String, Value)>,
    dropped: u32,
    special: Vec<(SpecialField, String)>,
}

impl DecodedFields {
    #[track_caller]
    fn value(&self, key: &str) -> Value {
        let mut values = self.attributes.iter().filter(|(known, _)| known == key);
        let (_, value) = values.next().expect("the attribute");
        assert!(values.next().is_none(), "{key} occurs twice");
        value.clone()
    }

    #[track_caller]
    fn text(&self, key: &str) -> String {
        match self.value(key) {
            Value::StringValue(text) => text,
            other => panic!("{key} is not a text: {other:?}"),
        }
    }

    fn has(&self, key: &str) -> bool {
        self.attributes.iter().any(|(known, _)| known == key)
    }
}

struct EncodingLayer {
    limits: AttributeLimits,
    decoded: Arc<Mutex<Vec<DecodedFields>>>,
}

impl<S: Subscriber> Layer<S> for EncodingLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let options = PlanOptions {
            attributes_field: ATTRIBUTES,
            limits: self.limits,
            has_source_location: false,
        };
        let plan = CallsitePlan::new(event.metadata(), options);
        let mut attributes = Attributes::new(ATTRIBUTES, self.limits);
        let (mut text, mut special) = (String::new(), Vec::new());
        let mut encoder = FieldEncoder::new(
            &plan.fields,
            plan.has_repeated_keys,
            &mut attributes,
            &mut text,
            |field, value| special.push((field, format!("{value:?}"))),
        );
        event.record(&mut encoder);
        let record = LogRecord::decode(attributes.as_bytes()).expect("a message");
        let decoded_attributes = record.attributes.into_iter().map(|pair| {
            let value = pair.value.and_then(|value| value.value);
            (pair.key, value.expect("a value"))
        });
        self.decoded.lock().push(DecodedFields {
            attributes: decoded_attributes.collect(),
            dropped: attributes.dropped(),
            special,
        });
    }
}

/// Returns the fields of the last event that `log` logs.
fn encode_with(limits: AttributeLimits, log: impl FnOnce()) -> DecodedFields {
    let decoded = Arc::default();
    let layer = EncodingLayer {
        limits,
        decoded: Arc::clone(&decoded),
    };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
    let last = decoded.lock().pop();
    last.expect("an event")
}

fn encode(log: impl FnOnce()) -> DecodedFields {
    encode_with(AttributeLimits::default(), log)
}

#[test]
fn values_keep_their_types() {
    let event = encode(|| {
        info!(
            status = 404_u16,
            negative = -3_i8,
            large = i64::MAX as u64,
            larger = i64::MAX as u64 + 1,
            huge = u128::MAX,
            lowest = i128::MIN,
            fits = 7_u128,
            fits_too = -7_i128,
            yes = true,
            ratio = 0.5,
            single = 0.25_f32,
            text = "é\0\n",
            bytes = &b"\xff\x00"[..],
            debug = ?Some(1),
            display = %'x',
            "the {}", "message"
        );
    });
    let expected = [
        ("status", Value::IntValue(404)),
        ("negative", Value::IntValue(-3)),
        ("large", Value::IntValue(i64::MAX)),
        ("larger", Value::StringValue("9223372036854775808".into())),
        ("huge", Value::StringValue(u128::MAX.to_string())),
        ("lowest", Value::StringValue(i128::MIN.to_string())),
        ("fits", Value::IntValue(7)),
        ("fits_too", Value::IntValue(-7)),
        ("yes", Value::BoolValue(true)),
        ("ratio", Value::DoubleValue(0.5)),
        ("single", Value::DoubleValue(0.25)),
        ("text", Value::StringValue("é\0\n".into())),
        ("bytes", Value::BytesValue(b"\xff\x00".to_vec())),
        ("debug", Value::StringValue("Some(1)".into())),
        ("display", Value::StringValue("x".into())),
    ];
    for (key, value) in &expected {
        assert_eq!(event.value(key), *value, "{key}");
    }
    assert_eq!(event.attributes.len(), expected.len());
    let message = (SpecialField::Message, r#"Text("the message")"#.to_owned());
    assert_eq!(event.special, [message]);
}

#[test]
fn raw_identifiers_lose_their_prefix() {
    let event = encode(|| info!(r#type = "t", r#as.r#in = 1));
    assert_eq!(event.text("type"), "t");
}

#[derive(Debug)]
struct Declined {
    cause: Option<Box<Self>>,
    text: String,
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Declined {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| &**cause as _)
    }
}

fn chain(len: usize) -> Declined {
    let mut error = Declined {
        cause: None,
        text: "cause 0".to_owned(),
    };
    for number in 1..len {
        error = Declined {
            cause: Some(Box::new(error)),
            text: format!("cause {number}"),
        };
    }
    error
}

#[test]
fn errors_become_exceptions() {
    let error = chain(3);
    let event = encode(|| info!(failure = &error as &(dyn Error + 'static), n = 1));
    assert_eq!(event.text("failure"), "cause 2");
    assert_eq!(event.text("exception.message"), "cause 2");
    assert_eq!(event.text("exception.type"), "Declined");
    assert_eq!(
        event.text("exception.stacktrace"),
        "cause 2\ncaused by: cause 1\ncaused by: cause 0"
    );
    assert_eq!(event.value("n"), Value::IntValue(1));

    let event = encode(|| info!(error = err(&chain(1))));
    assert_eq!(
        event.text("exception.type"),
        concat!(module_path!(), "::Declined")
    );
    assert!(!event.has("exception.stacktrace"));

    // Only the first error becomes an exception. Fields of the application with the same keys are
    // not exported twice.
    let (one, other) = (chain(1), chain(2));
    let event = encode(|| {
        info!(
            exception.r#type = "mine",
            a = err(&one),
            b = err(&other),
            exception.message = "mine too"
        );
    });
    assert_eq!(event.text("a"), "cause 0");
    assert_eq!(event.text("b"), "cause 1");
    assert_eq!(event.text("exception.message"), "mine too");
    // Checks that the key occurs once.
    event.value("exception.type");
}

#[test]
fn long_chains_end() {
    let error = chain(100);
    let event = encode(|| info!(error = err(&error)));
    assert_eq!(
        event
            .text("exception.stacktrace")
            .matches("caused by")
            .count(),
        32
    );

    let long = Declined {
        cause: Some(Box::new(chain(2))),
        text: "é".repeat(MAX_VALUE_LEN),
    };
    let event = encode(|| info!(error = err(&long)));
    assert_eq!(event.text("exception.message").len(), MAX_VALUE_LEN);
    assert_eq!(event.text("exception.stacktrace").len(), MAX_VALUE_LEN);
}

#[test]
fn limits_cut_between_characters_and_count() {
    let limits = AttributeLimits {
        count: 3,
        value_chars: 4,
    };
    let event = encode_with(limits, || {
        info!(
            text = "éééééé",
            debug = ?"日本語日本語",
            bytes = &b"123456"[..],
            further = 1,
            one_more = ?vec![1],
        );
    });
    assert_eq!(event.text("text"), "éééé");
    assert_eq!(event.text("debug"), "\"日本語");
    assert_eq!(event.value("bytes"), Value::BytesValue(b"1234".to_vec()));
    assert_eq!((event.attributes.len(), event.dropped), (3, 2));

    let none = AttributeLimits {
        count: 0,
        value_chars: 0,
    };
    let event = encode_with(none, || info!(a = 1, b = "b", c = ?'c'));
    assert_eq!((event.attributes.len(), event.dropped), (0, 3));
}

/// Writes without end.
struct Endless;

impl fmt::Debug for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        loop {
            f.write_str("日本")?;
        }
    }
}

/// Ignores errors of the formatter, and ends after 100,000 characters.
struct IgnoresErrors;

impl fmt::Debug for IgnoresErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for _ in 0..100_000 {
            let _ = f.write_char('é');
        }
        Ok(())
    }
}

struct Panics;

impl fmt::Debug for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half a ")?;
        panic!("a value")
    }
}

struct Fails;

impl fmt::Debug for Fails {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Err(fmt::Error)
    }
}

/// Opens a span, logs an event in it and records a field of the span, while it is formatted.
struct Logs;

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = info_span!("inner", late = tracing::field::Empty);
        span.in_scope(|| info!(inner = ?Panics, "from a value"));
        span.record("late", 1);
        f.write_str("logged")
    }
}

#[test]
fn hostile_values_lose_only_their_text() {
    let event = encode(|| {
        info!(
            before = 1,
            endless = ?Endless,
            ignores_errors = ?IgnoresErrors,
            panics = ?Panics,
            fails = ?Fails,
            logs = ?Logs,
            after = 2,
            "{:?}", Panics
        );
    });
    for key in ["endless", "ignores_errors"] {
        let text = event.text(key);
        assert!(
            text.len() <= MAX_VALUE_LEN && text.len() > MAX_VALUE_LEN - 3,
            "{key}"
        );
    }
    assert_eq!(event.text("panics"), panic_safe::PANICKED);
    assert_eq!(event.text("fails"), panic_safe::FORMAT_ERROR);
    assert_eq!(event.text("logs"), "logged");
    assert_eq!(event.value("before"), Value::IntValue(1));
    assert_eq!(event.value("after"), Value::IntValue(2));
    assert_eq!(event.dropped, 0);
}

/// Panics in each method.
#[derive(Debug)]
struct PanickingError;

impl fmt::Display for PanickingError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("its text")
    }
}

impl Error for PanickingError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        panic!("its source")
    }
}

#[test]
fn panicking_error_is_replaced() {
    let event = encode(|| {
        info!(
            a = 1,
            error = &PanickingError as &(dyn Error + 'static),
            b = 2
        )
    });
    assert_eq!(event.text("error"), panic_safe::PANICKED);
    assert_eq!(event.text("exception.message"), panic_safe::PANICKED);
    assert_eq!(event.text("exception.type"), "PanickingError");
    assert_eq!(event.value("b"), Value::IntValue(2));
}

#[test]
fn values_beyond_the_count_are_not_formatted() {
    let limits = AttributeLimits {
        count: 1,
        ..AttributeLimits::default()
    };
    struct Never;
    impl fmt::Debug for Never {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            unreachable!("it is not shown")
        }
    }
    let event = encode_with(limits, || info!(a = 1, b = ?Never));
    assert_eq!((event.attributes.len(), event.dropped), (1, 1));
}
