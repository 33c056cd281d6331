//! The ids of spans whose traces are exported.

use serde_json::{Value, json};
use spanwise_core::{Context, ContextLayer};
use spanwise_json::{Format, JsonLayer};
use spanwise_testing::support::{Lines, fixed_clock};
use tracing::{field::Empty, info, info_span};
use tracing_subscriber::prelude::*;

use crate::identities::{Identities, UNKNOWN, move_to};

/// Returns the lines of `log`.
fn lines(
    identities: Identities,
    options: impl FnOnce(JsonLayer) -> JsonLayer,
    log: impl FnOnce(),
) -> Lines {
    let lines = Lines::default();
    let json = options(JsonLayer::new().clock(fixed_clock())).with_writer(lines.clone());
    let stack = tracing_subscriber::registry()
        .with(identities)
        .with(ContextLayer::default())
        .with(json);
    tracing::subscriber::with_default(stack, log);
    lines
}

/// Returns `trace_id`, `span_id` and `trace_flags` of an object.
fn ids(object: &Value) -> [String; 3] {
    ["trace_id", "span_id", "trace_flags"].map(|key| {
        let id = object.get(key).and_then(Value::as_str);
        id.unwrap_or_else(|| panic!("{key} of {object:#}"))
            .to_owned()
    })
}

/// Returns the ids that the context has.
fn context_ids() -> [String; 2] {
    let context = Context::current();
    ["trace_id", "span_id"].map(|key| context.get(key).unwrap().to_owned())
}

#[test]
fn flat_line_has_the_ids_of_its_span() {
    let mut expected = Vec::new();
    let lines = lines(
        Identities::default(),
        |json| json.with_span_list(),
        || {
            info!("outside");
            let root = info_span!("root", n = 1).entered();
            expected.push(context_ids());
            info!("in the root");
            let child = info_span!("child", m = 2).entered();
            expected.push(context_ids());
            info!(x = 3, "in the child");
            drop(child);
            info!("again in the root");
            drop(root);
            expected.push(expected[0].clone());
        },
    );
    let text = lines.text();
    let objects = lines.objects();
    assert_eq!(objects[0].get("trace_id"), None);
    for (object, expected) in objects[1..].iter().zip(&expected) {
        let [trace_id, span_id, flags] = ids(object);
        assert_eq!([trace_id, span_id], *expected);
        assert_eq!(flags, "03");
    }
    assert_eq!(objects[2]["n"], 1);
    assert_eq!(text.matches("\"trace_id\":").count(), 3);
    let [trace_id, span_id, _] = ids(&objects[2]);
    let tail = format!(
        r#""n":1,"trace_id":"{trace_id}","span_id":"{span_id}","trace_flags":"03","span":"child","spans":["root","child"]"#
    );
    assert!(text.contains(&tail), "{text}");
}

#[test]
fn fields_with_the_keys_of_ids_are_dropped() {
    for case in 0_u32..64 {
        let has = |bit: u32| (case >> bit & 1 == 1).then_some("field");
        for format in [Format::Json, Format::JsonNested] {
            let is_flat = format == Format::Json;
            let mut expected = Vec::new();
            let lines = lines(
                Identities::default(),
                |json| json.format(format),
                || {
                    // A span without an identity.
                    let _old = info_span!("old", trace_id = has(0), trace_flags = has(0), o = 1);
                    let old =
                        info_span!(target: UNKNOWN, "old", trace_id = has(0), o = 1).entered();
                    let root = info_span!(
                        "root",
                        trace_id = has(1),
                        span_id = has(1),
                        trace_flags = has(1),
                        late = Empty,
                        r = 1
                    );
                    if has(2).is_some() {
                        root.record("late", 5);
                        root.record("trace_id", "late");
                        root.record("span_id", "late");
                    }
                    let _root = root.entered();
                    let child = info_span!("child", span_id = has(3), c = 1).entered();
                    if has(4).is_some() {
                        // Records of outer spans rebuild those inside.
                        _root.record("late", 6);
                        old.record("o", 2);
                    }
                    expected.extend(context_ids());
                    match has(5) {
                        Some(id) if is_flat => {
                            info!(trace_id = id, e = 1, trace_flags = id, "event")
                        }
                        Some(_) | None => info!(e = 1, "event"),
                    }
                    drop(child);
                },
            );
            let object = &lines.objects()[0];
            let (fields, event) = if is_flat {
                (object, object)
            } else {
                (&object["span"], &object["fields"])
            };
            let [trace_id, span_id, _] = ids(fields);
            assert_eq!([trace_id, span_id], *expected, "{case}");
            assert_eq!(
                (&fields["c"], &event["e"]),
                (&1.into(), &1.into()),
                "{case}"
            );
            if is_flat {
                assert_eq!(fields["r"], 1, "{case}");
                assert!(!fields.to_string().contains("field"), "{case}: {object}");
                assert!(
                    !fields.to_string().contains("\"late\":\""),
                    "{case}: {object}"
                );
            }
        }
    }
}

#[test]
fn nested_spans_have_their_own_ids() {
    let nested = |json: JsonLayer| json.format(Format::JsonNested);
    let lines = lines(Identities::unsampled(), nested, || {
        let _root = info_span!("root", z = 1).entered();
        let _child = info_span!("child").entered();
        info!(trace_id = "of the event", "event");
    });
    let line = &lines.objects()[0];
    let [root, child] = [0, 1].map(|at| ids(&line["spans"][at]));
    assert_eq!(root[0], child[0], "one trace");
    assert_ne!(root[1], child[1], "two spans");
    assert_eq!(ids(&line["span"]), child);
    assert_eq!(child[2], "02");
    // It is in an object of its own.
    assert_eq!(line["fields"]["trace_id"], "of the event");
}

#[test]
fn late_record_keeps_ids_of_a_nested_request() {
    let nested = |json: JsonLayer| json.format(Format::JsonNested);
    let mut expected = Vec::new();
    let lines = lines(Identities::default(), nested, || {
        // The HTTP layer pins the ids of the caller.
        let request = info_span!(
            target: "spanwise_http::server",
            "request",
            trace_id = "x",
            span_id = "y",
            n = Empty
        );
        request.record("n", 1);
        let _request = request.entered();
        expected.extend(context_ids());
        info!("event");
    });
    let span = &lines.objects()[0]["span"];
    let keys: Vec<&String> = span.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["n", "name", "span_id", "trace_flags", "trace_id"]);
    let [trace_id, span_id, _] = ids(span);
    assert_eq!([trace_id, span_id], *expected);
    assert_eq!(span["n"], 1);
}

#[test]
fn moved_span_shows_its_new_ids() {
    for format in [Format::Json, Format::JsonNested] {
        let is_flat = format == Format::Json;
        let lines = lines(
            Identities::default(),
            |json| json.format(format),
            || {
                let span = info_span!("consume", trace_id = "field", n = 1);
                move_to(&span, 0xabc, 7).unwrap();
                move_to(&span, 0xdef, 8).unwrap();
                let _span = span.entered();
                let _inner = info_span!("inner").entered();
                info!("event");
            },
        );
        let line = &lines.objects()[0];
        let expected = [format!("{:032x}", 0xdef), format!("{:016x}", 8)];
        if is_flat {
            assert_eq!(ids(line)[0], expected[0]);
            assert_eq!(line["n"], 1);
        } else {
            let consume = ids(&line["spans"][0]);
            assert_eq!(consume[..2], expected);
            assert_eq!(consume[2], "01");
            assert_eq!(ids(&line["spans"][1])[0], expected[0]);
        }
    }
}

#[test]
fn ids_follow_the_rules_for_keys() {
    let log = || {
        let _span = info_span!("span", trace_id = "field", n = 1).entered();
        info!(span_id = "field", "event");
    };
    let renamed = |json: JsonLayer| json.rename("trace_id", "trace.id").exclude(["trace_flags"]);
    let line = &lines(Identities::default(), renamed, log).objects()[0];
    assert_eq!(line["trace.id"].as_str().unwrap().len(), 32);
    assert_eq!(line["span_id"], "0000000000000002");
    assert_eq!(
        (line.get("trace_id"), line.get("trace_flags")),
        (None, None)
    );

    let excluded = |json: JsonLayer| json.exclude(["trace_id", "span_id", "trace_flags"]);
    let line = &lines(Identities::default(), excluded, log).objects()[0];
    assert!(!line.to_string().contains("_id\":"), "{line}");
    assert_eq!(line["n"], 1);
}

#[test]
fn truncated_line_keeps_its_ids() {
    let short = |json: JsonLayer| json.max_line(4096);
    let lines = lines(Identities::default(), short, || {
        let _root = info_span!("root", big = "x".repeat(3000)).entered();
        let _span = info_span!("span", big2 = "x".repeat(3000), trace_id = "field").entered();
        info!(text = "y".repeat(5000), span_id = "field", "event");
    });
    let line = &lines.objects()[0];
    assert_eq!(ids(line)[1], "0000000000000003");
    assert!(lines.text().len() <= 4096);
}

#[test]
fn removed_field_is_in_no_list() {
    let lines = lines(
        Identities::default(),
        |json| json.max_field(256).with_span_list(),
        || {
            let _span = info_span!("span").entered();
            info!(trace_id = "x".repeat(300), text = "x".repeat(300), "event");
        },
    );
    let line = &lines.objects()[0];
    assert_eq!(line["truncated"], json!(["text"]));
}

#[test]
fn long_line_keeps_fields_rather_than_the_span_list() {
    let short = |json: JsonLayer| json.with_span_list().max_line(380);
    let lines = lines(Identities::default(), short, || {
        let _outer = info_span!("a_span_whose_name_takes_some_of_the_line_by_itself").entered();
        let _inner = info_span!("b").entered();
        info!(a = 1, text = "x".repeat(100), "event");
    });
    let line = &lines.objects()[0];
    assert_eq!(line["truncated"], json!(["spans"]));
    assert_eq!((&line["a"], line.get("spans")), (&json!(1), None));
}

#[test]
fn late_ids_replace_fields_of_the_span() {
    let lines = Lines::default();
    let json = JsonLayer::new().max_field(256).with_writer(lines.clone());
    // The identity of a span is attached after the JSON layer has seen the span.
    let stack = tracing_subscriber::registry()
        .with(json)
        .with(Identities::default());
    tracing::subscriber::with_default(stack, || {
        let span = info_span!("span", trace_id = "x".repeat(300), n = 1, late = Empty);
        span.record("late", 2);
        span.in_scope(|| info!("event"));
        span.in_scope(|| info_span!("inner", m = 3).in_scope(|| info!("event")));
    });
    let objects = lines.objects();
    assert_eq!(objects.len(), 2);
    assert_eq!(lines.text().matches("\"trace_id\":").count(), 2);
    for line in objects {
        assert_eq!(ids(&line)[0].len(), 32, "{line}");
        assert_eq!((&line["n"], &line["late"]), (&json!(1), &json!(2)));
        assert_eq!(line.get("truncated"), None, "{line}");
    }
}
