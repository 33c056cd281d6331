//! Verdicts about keys, for values of each type, and for callsites that imitate the bridge of the
//! `log` crate.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex},
};

use crate::support::lines;
use serde_json::{Value, json};
use spanwise_core::{Context, ContextLayer, KeyVerdict, LayerExt, Redact};
use spanwise_json::Format;
use tracing::{Event, Span, Subscriber, field::Field, info, info_span, subscriber::with_default};
use tracing_core::field::Visit;
use tracing_subscriber::{Layer, layer::Context as LayerContext, prelude::*};

#[derive(Debug)]
struct Typed;

impl Redact for Typed {
    fn key(&self, key: &str) -> KeyVerdict {
        match key {
            "hidden" | "strict" | "log.password" => KeyVerdict::Redact,
            "gone" => KeyVerdict::Remove,
            "last" => KeyVerdict::Replace,
            "address" => KeyVerdict::Text,
            _ => KeyVerdict::Pass,
        }
    }

    fn key_of_bool(&self, key: &str) -> KeyVerdict {
        match key {
            "strict" => KeyVerdict::Redact,
            _ => KeyVerdict::Pass,
        }
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        text.into()
    }

    fn value<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        match (key, text) {
            ("address", "localhost") => text.into(),
            ("address", _) => "***".into(),
            _ => text.into(),
        }
    }
}

/// Returns the line of the flat format, and the fields of the nested one.
fn shown(log: impl Fn()) -> [Value; 2] {
    let of =
        |format: Format| lines(|layer| layer.format(format).redact(Arc::new(Typed)), &log).only();
    [of(Format::Json), of(Format::JsonNested)["fields"].clone()]
}

#[test]
fn boolean_has_its_own_verdict() {
    for fields in shown(|| info!(hidden = true, gone = false, last = true, strict = true, "m")) {
        assert_eq!(fields["hidden"], json!(true));
        assert_eq!(fields["gone"], json!(false));
        assert_eq!(fields["last"], json!(true));
        assert_eq!(fields["strict"], json!("[REDACTED]"));
    }
    let [flat, _] = shown(|| info!(hidden = true, strict = false));
    assert_eq!(flat["redacted"], json!(["strict"]));
    let [flat, _] = shown(|| info_span!("s", hidden = true).in_scope(|| info!("m")));
    assert_eq!(
        (&flat["hidden"], flat.get("redacted")),
        (&json!(true), None)
    );
}

#[test]
fn text_verdict_scans_text_and_redacts_numbers() {
    for fields in shown(|| info!(address = "localhost")) {
        assert_eq!(fields["address"], json!("localhost"));
        assert_eq!(fields.get("redacted"), None);
    }
    for fields in shown(|| info!(address = "Main Street 5")) {
        assert_eq!(fields["address"], json!("***"));
    }
    for numbers in [
        shown(|| info!(address = 5_u64)),
        shown(|| info!(address = -5_i64)),
        shown(|| info!(address = 0.5)),
    ] {
        for fields in &numbers {
            assert_eq!(fields["address"], json!("[REDACTED]"));
        }
        assert_eq!(numbers[0]["redacted"], json!(["address"]));
    }
    for fields in shown(|| info!(address = true)) {
        assert_eq!(fields["address"], json!(true));
    }
}

#[test]
fn callsite_imitating_the_bridge_is_redacted() {
    let [flat, nested] = shown(|| {
        info!(target: "log", { log.target = "x", log.password = "mossy7", log.offset = 12 }, "m");
    });
    for fields in [&flat, &nested] {
        assert_eq!(fields["log.target"], json!("x"));
        assert_eq!(fields["log.password"], json!("[REDACTED]"));
        assert_eq!(fields["log.offset"], json!(12));
    }
    assert_eq!(flat["target"], json!("log"));
}

/// Returns one verdict for the key `k`, possibly another for booleans, and redacts every text.
#[derive(Debug, Clone, Copy)]
struct Says {
    key: KeyVerdict,
    boolean: Option<KeyVerdict>,
}

impl Redact for Says {
    fn key(&self, key: &str) -> KeyVerdict {
        match key {
            "k" => self.key,
            "other" => KeyVerdict::Redact,
            _ => KeyVerdict::Pass,
        }
    }

    fn key_of_bool(&self, key: &str) -> KeyVerdict {
        self.boolean
            .filter(|_| key == "k")
            .unwrap_or_else(|| self.key(key))
    }

    fn text<'t>(&self, _: &'t str) -> Cow<'t, str> {
        "***".into()
    }

    fn replace(&self, _: &str, value: &str) -> String {
        format!("for {value}")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Number,
    Bool,
}

impl Says {
    /// The expected output of each sink for a value that is written as `value`.
    fn shows(self, value_type: Type, value: &str) -> Option<String> {
        let verdict = match value_type {
            Type::Bool => self.boolean.unwrap_or(self.key),
            Type::Text | Type::Number => self.key,
        };
        let shown = match (verdict, value_type) {
            (KeyVerdict::Remove, _) => return None,
            (KeyVerdict::Replace, _) => return Some(format!("for {value}")),
            (KeyVerdict::Pass | KeyVerdict::Text, Type::Text) => "***",
            (KeyVerdict::Trust, _) | (KeyVerdict::Pass, _) => value,
            (_, _) => "[REDACTED]",
        };
        Some(shown.to_owned())
    }
}

/// Stores the value of `k` as the inner layer sees it.
#[derive(Clone, Default)]
struct Inside(Arc<Mutex<Option<String>>>);

impl Visit for Inside {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "k" {
            *self.0.lock().unwrap() = Some(format!("{value:?}"));
        }
    }
}

impl<S: Subscriber> Layer<S> for Inside {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        event.record(&mut self.clone());
    }
}

struct Case {
    value_type: Type,
    shown: &'static str,
    /// Logs the value as `k`: alone, or beside a redacted value.
    log: fn(bool),
    span: fn() -> Span,
}

macro_rules! case {
    ($value_type:ident, $shown:expr, $($value:tt)+) => {
        Case {
            value_type: Type::$value_type,
            shown: $shown,
            log: |is_alone| {
                if is_alone {
                    info!(k = $($value)+);
                } else {
                    info!(k = $($value)+, other = "x");
                }
            },
            span: || info_span!("span", k = $($value)+),
        }
    };
}

const CASES: &[Case] = &[
    case!(Text, "acme", "acme"),
    case!(Text, "acme", %"acme"),
    case!(Number, "5", 5_u64),
    case!(Number, "-5", -5_i64),
    case!(Number, "0.5", 0.5_f64),
    case!(Number, "7", 7_u128),
    case!(Number, "-7", -7_i128),
    case!(Number, "340282366920938463463374607431768211455", u128::MAX),
    case!(Bool, "true", true),
];

#[test]
fn all_sinks_follow_a_verdict_alike() {
    const VERDICTS: [KeyVerdict; 6] = [
        KeyVerdict::Pass,
        KeyVerdict::Text,
        KeyVerdict::Trust,
        KeyVerdict::Redact,
        KeyVerdict::Remove,
        KeyVerdict::Replace,
    ];
    let of_bools = [None].into_iter().chain(VERDICTS.map(Some));
    let policies = of_bools.flat_map(|boolean| VERDICTS.map(|key| Says { key, boolean }));
    for (policy, case) in policies.flat_map(|policy| CASES.iter().map(move |case| (policy, case))) {
        let expected = policy.shows(case.value_type, case.shown);
        let redact: Arc<dyn Redact> = Arc::new(policy);
        for is_alone in [true, false] {
            let what = format!("{policy:?} {} alone: {is_alone}", case.shown);
            for format in [Format::Json, Format::JsonNested] {
                let log = || (case.log)(is_alone);
                let line = lines(
                    |layer| layer.format(format.clone()).redact(redact.clone()),
                    log,
                )
                .only();
                let k = match format {
                    Format::JsonNested => line["fields"].get("k"),
                    _ => line.get("k"),
                };
                let k = k.map(|k| k.as_str().map_or_else(|| k.to_string(), str::to_owned));
                assert_eq!(k, expected, "{format:?} {what}");
                if format == Format::Json {
                    let is_hidden = expected.as_ref().is_some_and(|k| k != case.shown);
                    let redacted = line.get("redacted").and_then(Value::as_array);
                    let is_listed = redacted.is_some_and(|list| list.contains(&json!("k")));
                    assert_eq!(is_listed, is_hidden, "{what}");
                }
            }
            let inside = Inside::default();
            let layer = inside.clone().redacted(redact.clone());
            with_default(tracing_subscriber::registry().with(layer), || {
                (case.log)(is_alone);
            });
            assert_eq!(*inside.0.lock().unwrap(), expected, "redacted {what}");
        }
        let layer = ContextLayer::default().key("k").redact(redact);
        with_default(tracing_subscriber::registry().with(layer), || {
            let _span = (case.span)().entered();
            let context = Context::current();
            assert_eq!(context.get("k"), expected.as_deref(), "context {policy:?}");
        });
    }
}
