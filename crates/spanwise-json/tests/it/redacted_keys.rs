//! Verdicts about keys, for values of each type, and for callsites that imitate the bridge of the `log` crate.

use std::{borrow::Cow, sync::Arc};

use crate::support::lines;
use serde_json::{Value, json};
use spanwise_core::{KeyVerdict, Redact};
use spanwise_json::Format;
use tracing::{info, info_span};

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

/// The line of the flat format, and the fields of the nested one.
fn shown(log: impl Fn()) -> [Value; 2] {
    let of = |format| lines(|layer| layer.format(format).redact(Arc::new(Typed)), &log).only();
    [
        Value::Object(of(Format::Json)),
        of(Format::JsonNested)["fields"].clone(),
    ]
}

#[test]
fn a_boolean_has_a_verdict_of_its_own() {
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
fn the_value_decides_about_a_text_and_numbers_are_hidden() {
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
fn a_callsite_that_imitates_the_bridge_is_redacted() {
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
