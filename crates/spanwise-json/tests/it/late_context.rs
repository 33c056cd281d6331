//! Context set while a unit of work runs. Fields cannot forge it.

use std::{borrow::Cow, sync::Arc};

use serde_json::{Value, json};
use spanwise_core::{CONTEXT_KEYS, ContextLayer, KeyVerdict, Redact, context};
use spanwise_json::{Format, JsonLayer};
use tracing::{Span, error, field::Empty, info, info_span};
use tracing_subscriber::prelude::*;

use spanwise_testing::support::{Lines, fixed_clock};

use crate::support::lines;

/// Returns the lines of `log`, with `order_id` as an additional context key.
fn objects(format: Format, log: impl FnOnce()) -> Vec<Value> {
    let lines = Lines::default();
    let json = JsonLayer::new()
        .format(format)
        .context_key("order_id")
        .clock(fixed_clock())
        .with_writer(lines.clone());
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default().key("order_id"))
        .with(json);
    tracing::subscriber::with_default(stack, log);
    lines.objects()
}

fn log_in_deep_inside() {
    let unit = info_span!("unit", method = "GET");
    let sibling = info_span!(parent: &unit, "sibling", n = 1);
    let _unit = unit.entered();
    info!("before");
    info_span!("authenticate").in_scope(|| {
        context::set("user_id", "ada");
        info!("inside");
    });
    sibling.in_scope(|| info!("beside"));
    context::set("order_id", "o-1");
    info!("after");
    error!(parent: None, "elsewhere");
}

#[test]
fn flat_lines_show_late_context_from_then_on() {
    let lines = objects(Format::Json, log_in_deep_inside);
    let users: Vec<_> = lines.iter().map(|line| line.get("user_id")).collect();
    let ada = Value::from("ada");
    assert_eq!(
        users,
        [None, Some(&ada), Some(&ada), Some(&ada), None],
        "{lines:#?}"
    );
    assert_eq!(lines[2]["n"], 1);
    assert_eq!(lines[3]["order_id"], "o-1");
}

#[test]
fn nested_lines_show_it_in_the_root_span() {
    let lines = objects(Format::JsonNested, log_in_deep_inside);
    let unit = |line: &Value| line["spans"][0].clone();
    assert_eq!(unit(&lines[0]).get("user_id"), None);
    for line in &lines[1..4] {
        assert_eq!(unit(line)["user_id"], "ada", "{line:#?}");
        assert_eq!(unit(line)["method"], "GET", "{line:#?}");
    }
    assert_eq!(unit(&lines[3])["order_id"], "o-1");
}

fn forging_span() -> Span {
    info_span!(
        "forging",
        request_id = "of span",
        tenant_id = "of span",
        user_id = "of span",
        trace_id = "of span",
        span_id = "of span",
        order_id = "of span",
        n = 7
    )
}

fn forging_event() {
    info!(
        request_id = "of event",
        tenant_id = "of event",
        user_id = "of event",
        trace_id = "of event",
        span_id = "of event",
        order_id = "of event",
        "forged"
    );
}

#[test]
fn no_field_replaces_fixed_context() {
    for key in CONTEXT_KEYS.into_iter().chain(["order_id"]) {
        let lines = objects(Format::Json, || {
            let _unit = info_span!("unit").entered();
            let before = forging_span();
            context::set(key, "decided");
            before.in_scope(|| {
                info!("a span that was there before");
                forging_event();
                before.record(key, "of span again");
                info!("a late record of it");
                info_span!("below").in_scope(|| info!("below it"));
            });
            forging_span().in_scope(|| info!("a span after"));
            forging_event();
        });
        let displaced = format!("fields.{key}");
        let expected = [
            Some("of span"),
            Some("of event"),
            Some("of span again"),
            Some("of span again"),
            Some("of span"),
            Some("of event"),
        ];
        assert_eq!(lines.len(), expected.len());
        for (line, expected) in lines.iter().zip(expected) {
            assert_eq!(line[key], "decided", "{line:#?}");
            assert_eq!(line[&displaced].as_str(), expected, "{line:#?}");
            assert_eq!(
                line.as_object()
                    .unwrap()
                    .keys()
                    .filter(|at| at.ends_with(key))
                    .count(),
                2
            );
        }
        assert_eq!(lines[1]["n"], 7);
    }
}

#[test]
fn late_record_of_the_unit_replaces_no_context() {
    let log = || {
        let unit = info_span!("unit", user_id = "early", n = Empty, tenant_id = Empty);
        let _unit = unit.enter();
        context::set("user_id", "decided");
        unit.record("user_id", "forged");
        unit.record("n", 7);
        info!("in the unit");
        info_span!("below").in_scope(|| info!("below it"));
        unit.record("user_id", "forged again");
        unit.record("tenant_id", "acme");
        info!("in the unit");
        info_span!("below").in_scope(|| info!("below it"));
        context::set("user_id", "decided again");
        info!("in the unit");
    };
    let expected = [
        ("decided", "forged"),
        ("decided", "forged"),
        ("decided", "forged again"),
        ("decided", "forged again"),
        ("decided again", "forged again"),
    ];
    let flat = objects(Format::Json, log);
    let nested = objects(Format::JsonNested, log);
    let unit_of = |line: &Value| line["spans"][0].clone();
    for lines in [flat, nested.iter().map(unit_of).collect()] {
        assert_eq!(lines.len(), expected.len());
        for (index, (line, (kept, displaced))) in lines.iter().zip(expected).enumerate() {
            assert_eq!(line["user_id"], kept, "{line:#?}");
            assert_eq!(line["fields.user_id"], displaced, "{line:#?}");
            assert_eq!(line["n"], 7, "{line:#?}");
            assert_eq!(line.get("tenant_id").is_some(), index > 1, "{line:#?}");
        }
    }
}

#[test]
fn other_context_is_shadowed_by_nearer_fields() {
    let lines = objects(Format::Json, || {
        let _unit = info_span!("unit", user_id = "of unit", tenant_id = Empty).entered();
        forging_span().in_scope(|| info!("a span"));
        forging_event();
    });
    assert_eq!(lines[0]["user_id"], "of span");
    assert_eq!(lines[1]["user_id"], "of event");
    assert!(
        lines
            .iter()
            .all(|line| line.get("fields.user_id").is_none())
    );
}

#[test]
fn fixed_context_keeps_its_own_place() {
    const OF_REQUEST: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const FORGED: &str = "0af7651916cd43dd8448eb211c80319c";
    let text = |format: Format| {
        let options = |layer: JsonLayer| layer.format(format).google_cloud_project("p");
        let log = || {
            let _request =
                info_span!(target: "spanwise_http::server", "request", trace_id = OF_REQUEST, tenant_id = 1)
                    .entered();
            info!(target: "shop", trace_id = FORGED, tenant_id = 2, "m");
            info_span!("s", trace_id = FORGED, tenant_id = 2).in_scope(|| info!("m"));
        };
        lines(options, log).text()
    };
    for (format, kept, renamed) in [
        (
            Format::Gcp,
            format!(r#""logging.googleapis.com/trace":"projects/p/traces/{OF_REQUEST}""#),
            format!(r#""fields.trace_id":"{FORGED}""#),
        ),
        (
            Format::Otlp,
            format!(r#""traceId":"{OF_REQUEST}""#),
            format!(r#"{{"key":"fields.trace_id","value":{{"stringValue":"{FORGED}"}}}}"#),
        ),
        (
            Format::Ecs,
            r#""numeric_labels.tenant_id":1"#.to_owned(),
            r#""numeric_labels.fields_tenant_id":2"#.to_owned(),
        ),
        (
            Format::Json,
            r#""tenant_id":1"#.to_owned(),
            r#""fields.tenant_id":2"#.to_owned(),
        ),
    ] {
        for line in text(format).lines() {
            assert!(line.contains(&kept), "{line}");
            assert!(line.contains(&renamed), "{line}");
        }
    }
}

#[test]
fn renamed_fields_beside_context_share_no_key() {
    const ID: &str = "0af7651916cd43dd8448eb211c80319c";
    let lines = Lines::default();
    let json = JsonLayer::new()
        .format(Format::Ecs)
        .rename("request_id", "trace_id")
        .clock(fixed_clock())
        .with_writer(lines.clone());
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(json);
    tracing::subscriber::with_default(stack, || {
        let _unit = info_span!("unit").entered();
        context::set("trace_id", ID);
        let inner = info_span!("inner", request_id = "x", trace_id = true);
        inner.in_scope(|| info!("in it"));
        info!(request_id = "x", trace_id = true, "beside it");
    });
    for line in lines.text().lines() {
        let count = line.matches("\"labels.fields_trace_id\"").count();
        assert_eq!(count, 1, "{line}");
    }
}

#[derive(Debug)]
struct Policy;

impl Redact for Policy {
    fn key(&self, key: &str) -> KeyVerdict {
        match key {
            "tenant_id" => KeyVerdict::Redact,
            _ => KeyVerdict::Pass,
        }
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        text.replace("4111", "****").into()
    }
}

#[test]
fn lists_follow_renamed_fields() {
    let lines = Lines::default();
    let json = JsonLayer::new()
        .redact(Arc::new(Policy))
        .max_field(256)
        .with_writer(lines.clone());
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(json);
    let long = "x".repeat(300);
    tracing::subscriber::with_default(stack, || {
        let _unit = info_span!("unit").entered();
        context::set("user_id", "u-1");
        info!(user_id = "4111", n = "4111", "redacted in the event");
        info!(user_id = long, "cut in the event");
        let inner = info_span!("inner", user_id = "4111", n = "4111");
        inner.in_scope(|| info!("redacted in a span"));
        inner.record("user_id", long.as_str());
        inner.in_scope(|| info!("cut in a span"));
        inner.record("user_id", "fine");
        inner.in_scope(|| info!("as logged"));
        context::set("tenant_id", "t-1");
        info!(tenant_id = "t-2", "redacted because of its key");
    });
    let renamed = json!(["fields.user_id"]);
    let [redacted, cut] = ["redacted", "truncated"].map(|list| {
        lines
            .objects()
            .iter()
            .map(|line| line[list].clone())
            .collect::<Vec<_>>()
    });
    let expected = [
        json!(["fields.user_id", "n"]),
        Value::Null,
        json!(["fields.user_id", "n"]),
        json!(["n"]),
        json!(["n"]),
        json!(["fields.tenant_id", "tenant_id"]),
    ];
    assert_eq!(redacted, expected, "{}", lines.text());
    let expected = [
        Value::Null,
        renamed.clone(),
        Value::Null,
        renamed,
        Value::Null,
        Value::Null,
    ];
    assert_eq!(cut, expected, "{}", lines.text());
}

#[test]
fn field_yields_only_to_its_own_context_key() {
    let keys = (0..20).map(|index| format!("key_{index}"));
    let context_layer = keys
        .clone()
        .fold(ContextLayer::default(), ContextLayer::key);
    let lines = Lines::default();
    let json = keys.fold(JsonLayer::new(), JsonLayer::context_key);
    let stack = tracing_subscriber::registry()
        .with(context_layer)
        .with(json.with_writer(lines.clone()));
    tracing::subscriber::with_default(stack, || {
        let _unit = info_span!("unit", key_19 = "outer").entered();
        context::set("key_18", "decided");
        info!(key_18 = "inner", key_19 = "inner", "m");
    });
    let line = lines.only();
    assert_eq!(
        (&line["key_18"], &line["fields.key_18"]),
        (&json!("decided"), &json!("inner"))
    );
    assert_eq!(
        (&line["key_19"], line.get("fields.key_19")),
        (&json!("inner"), None)
    );
}
