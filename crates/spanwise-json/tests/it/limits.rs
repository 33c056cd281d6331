//! The maximum length of lines, for any values, names and spans.

use std::cell::Cell;

use serde_json::json;
use spanwise_json::{Format, JsonLayer, SpanEvents, as_json};
use tracing::{
    Dispatch, Event, Level, Metadata,
    callsite::Callsite,
    dispatcher,
    field::{Empty, FieldSet, Value},
    info, info_span, span,
};
use tracing_core::{Interest, Kind, identify_callsite};

use spanwise_testing::support::{Lines, parse_json};

use crate::support::lines;

#[test]
fn field_longer_than_the_limit_goes_first() {
    for (format, fields, span) in [
        (Format::Json, "", ""),
        (Format::JsonNested, "/fields", "/span"),
    ] {
        let line = lines(
            |layer| layer.max_line(1024).format(format),
            || {
                let _request = info_span!("request", request_id = "r-1").entered();
                info!(order_id = 7, body = "x".repeat(2000), items = 2, "received");
            },
        )
        .only();
        let value = |path: &str, key: &str| line.pointer(&format!("{path}/{key}")).cloned();
        assert_eq!(value(fields, "order_id"), Some(json!(7)), "{line}");
        assert_eq!(value(fields, "items"), Some(json!(2)), "{line}");
        assert_eq!(value(span, "request_id"), Some(json!("r-1")), "{line}");
        assert_eq!(value(fields, "body"), None, "{line}");
        assert_eq!(line["truncated"], json!(["body"]), "{line}");
    }
}

/// Creates a callsite with names known at run time.
fn callsite(
    kind: Kind,
    name: &str,
    target: &str,
    file: &str,
    fields: &[&str],
) -> &'static Metadata<'static> {
    struct Site;
    impl Callsite for Site {
        fn set_interest(&self, _: Interest) {}
        fn metadata(&self) -> &Metadata<'_> {
            unreachable!("never registered")
        }
    }
    let leak = |text: &str| -> &'static str { text.to_owned().leak() };
    let site: &'static Site = Box::leak(Box::new(Site));
    let names: Vec<&'static str> = fields.iter().map(|name| leak(name)).collect();
    let fields = FieldSet::new(names.leak(), identify_callsite!(site));
    Box::leak(Box::new(Metadata::new(
        leak(name),
        leak(target),
        Level::INFO,
        Some(leak(file)),
        Some(1),
        None,
        fields,
        kind,
    )))
}

fn values(count: usize) -> Vec<Option<&'static dyn Value>> {
    vec![Some(&1_u64 as &dyn Value); count]
}

/// Logs an event inside nested spans, with these names wherever there is a name.
fn log(dispatch: &Dispatch, names: &[&str], fields: &[&str], depth: usize) {
    dispatcher::with_default(dispatch, || {
        let name = |index: usize| names[index % names.len()];
        let values = values(fields.len());
        let spans: Vec<_> = (0..depth)
            .map(|index| {
                let site = callsite(Kind::SPAN, name(index), "t", "f", fields);
                let set = site.fields().value_set_all(&values);
                let id = dispatch.new_span(&span::Attributes::new(site, &set));
                dispatch.enter(&id);
                id
            })
            .collect();
        let site = callsite(Kind::EVENT, "e", name(0), name(1), fields);
        let set = site.fields().value_set_all(&values);
        dispatch.event(&Event::new(site, &set));
        for id in spans.iter().rev() {
            dispatch.exit(id);
        }
        spans.into_iter().rev().for_each(|id| {
            dispatch.try_close(id);
        });
    });
}

#[test]
fn long_names_are_cut_and_stay_different() {
    let long = ["a", "b"].map(|last| "long \"name\" ".repeat(90_000) + last);
    let names = names_of(&long);
    for format in [Format::Json, Format::JsonNested] {
        let written = Lines::default();
        let layer = JsonLayer::new()
            .format(format.clone())
            .with_span_list()
            .with_source_location()
            .with_writer(written.clone());
        log(&crate::support::dispatch(layer), &names, &names, 3);
        let text = written.text();
        assert!(text.len() < 8 * 1024, "{format:?}: {}", text.len());
        let line = parse_json(text.trim_end());
        let fields = match format {
            Format::Json => &line,
            _ => &line["fields"],
        };
        let cut = fields
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| key.contains('…'));
        assert_eq!(cut.count(), 2, "{text}");
        assert!(line["target"].as_str().unwrap().contains('…'));
    }
}

#[test]
fn max_line_counts_names_and_spans() {
    let names: Vec<String> = (0..64)
        .map(|index| format!("name_{index}_{}", "x".repeat(100)))
        .collect();
    let fields = names_of(&names);
    // Either all span fields have the names of the event's fields, or no span has a field.
    for (format, fields, max_line) in [
        (Format::Json, &fields[..], 6 * 1024),
        (Format::JsonNested, &fields[..], 6 * 1024),
        (Format::Json, &fields[..1], 6 * 1024),
        (Format::Json, &fields[..], 12 * 1024),
        (Format::JsonNested, &fields[..], 64 * 1024),
    ] {
        let written = Lines::default();
        let layer = JsonLayer::new()
            .format(format.clone())
            .with_span_list()
            .max_line(max_line)
            .with_writer(written.clone());
        log(
            &crate::support::dispatch(layer),
            &names_of(&names),
            fields,
            66,
        );
        let text = written.text();
        assert!(text.len() <= max_line, "{format:?}: {}", text.len());
        let line = parse_json(text.trim_end());
        let named = line["truncated"].as_array().unwrap();
        let last = named.last().unwrap();
        assert!(last == "…" || named.contains(&json!("spans")), "{named:?}");
    }
}

#[test]
fn list_of_names_ends_at_64() {
    let names: Vec<String> = (0..300).map(|index| format!("name_{index}")).collect();
    let written = Lines::default();
    let layer = JsonLayer::new()
        .max_line(2 * 1024)
        .with_writer(written.clone());
    log(
        &crate::support::dispatch(layer),
        &["s"; 2],
        &names_of(&names),
        0,
    );
    let line = parse_json(written.text().trim_end());
    let named = line["truncated"].as_array().unwrap();
    assert_eq!((named.len(), &named[64]), (65, &json!("…")));
}

fn names_of(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

#[test]
fn long_context_value_of_a_span_is_cut_at_1_kib() {
    let long = "é".repeat(500_000);
    let line = lines(
        |layer| layer.context_key("order_id"),
        || {
            let span = info_span!(
                "s",
                request_id = long.as_str(),
                order_id = %long,
                user_id = Empty,
                other = "short"
            );
            let _span = span.enter();
            span.record("user_id", long.as_str());
            info!(request_id = Empty, "m");
        },
    )
    .only();
    for key in ["request_id", "order_id", "user_id"] {
        assert_eq!(line[key].as_str().unwrap(), "é".repeat(512), "{key}");
    }
    assert_eq!(
        line["truncated"],
        json!(["request_id", "order_id", "user_id"])
    );
    // An event lists a field once.
    let event = lines(|layer| layer, || info!(request_id = long.as_str(), "m")).only();
    assert_eq!(event["request_id"].as_str().unwrap().len(), 16 * 1024);
}

#[test]
fn too_long_json_is_not_serialized_to_its_end() {
    struct Endless(Cell<u32>);
    impl serde_core::Serialize for Endless {
        fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq((0..100_000_000_u32).inspect(|number| self.0.set(*number)))
        }
    }
    let endless = Endless(Cell::new(0));
    let line = lines(|layer| layer, || info!(items = %as_json(&endless), "m")).only();
    assert!(endless.0.get() < 300_000, "{}", endless.0.get());
    assert!(line["items"].as_str().unwrap().starts_with("[0,1,2,"));
    assert_eq!(line["truncated"], json!(["items"]));
    let whole = as_json(&endless).to_string();
    assert!(whole.ends_with("<cut: the JSON is longer than 1 MiB>"));
}

/// Returns the line of an event with a field of this name, from a file with this path.
fn line_named(field: &str, path: &str) -> String {
    let written = Lines::default();
    let layer = JsonLayer::new().with_source_location();
    let layer = layer.without_timestamp().with_writer(written.clone());
    log(&crate::support::dispatch(layer), &["t", path], &[field], 0);
    written.text()
}

#[test]
fn cut_names_fill_their_limit_and_stay_different() {
    const MAX_NAME_LEN: usize = 256;
    // The name as it is in the line, with its escapes.
    let shown = |name: &str| {
        let line = line_named(name, "f");
        let (before, _) = line.split_once("\":1,\"").unwrap();
        let (_, name) = before.rsplit_once(",\"").unwrap();
        name.to_owned()
    };
    let at_the_bound = "x".repeat(MAX_NAME_LEN);
    assert_eq!(shown(&at_the_bound), at_the_bound);
    let [a, b] = ["a", "b"].map(|last| shown(&("x".repeat(1_000_000) + last)));
    assert_eq!((a.len(), b.len()), (MAX_NAME_LEN, MAX_NAME_LEN));
    assert_ne!(a, b);
    for name in ["\u{1}", "é", "\u{202e}", "\"", "\u{1f600}"] {
        let shown = shown(&name.repeat(300));
        assert!(
            shown.len() <= MAX_NAME_LEN && shown.len() > MAX_NAME_LEN - 16,
            "{shown}"
        );
        assert!(shown.contains('…'));
    }
}

#[test]
fn cut_paths_keep_their_end() {
    let path = format!("{}/src/main.rs", "x".repeat(2_000));
    let line = parse_json(line_named("n", &path).trim_end());
    let shown = line["file"].as_str().unwrap();
    assert!(shown.len() <= 1024 && shown.starts_with('…'));
    assert!(shown.ends_with("x/src/main.rs"), "{shown}");
}

#[test]
fn truncated_json_ends_at_a_character() {
    let text = "é".repeat(600_000);
    let shown = as_json(&text).to_string();
    assert!(shown.starts_with("\"éé") && shown.len() < 1024 * 1024 + 64);
}

#[test]
fn nested_close_without_timestamp_has_no_times() {
    let close = |layer: JsonLayer| {
        let lines = lines(
            |_| layer.span_events(SpanEvents::CLOSE),
            || drop(info_span!("s")),
        );
        lines.text()
    };
    let nested = JsonLayer::new().format(Format::JsonNested);
    assert!(close(nested).contains("time.busy"));
    let nested = JsonLayer::new().format(Format::JsonNested);
    assert!(!close(nested.without_timestamp()).contains("time."));
    assert!(close(JsonLayer::new().without_timestamp()).contains("time.idle"));
}

#[test]
fn long_value_is_truncated_at_a_character() {
    let long = "é".repeat(300);
    let line = lines(
        |layer| layer.max_field(257),
        || {
            let _span = info_span!("s", span_value = long.as_str(), short = "x").entered();
            info!(shown = %long, debug = ?long, text = long.as_str(), nested = %as_json(&long), n = 1, "{long}");
        },
    )
    .only();
    for key in ["message", "shown", "text", "span_value"] {
        assert_eq!(line[key].as_str().unwrap(), "é".repeat(128), "{key}");
    }
    assert!(line["nested"].as_str().unwrap().starts_with("\"éé"));
    assert_eq!(
        line["truncated"],
        json!(["message", "shown", "debug", "text", "nested", "span_value"])
    );
    assert_eq!((&line["n"], &line["short"]), (&json!(1), &json!("x")));
}

#[test]
fn long_line_drops_least_important_fields_first() {
    let some = "x".repeat(200);
    let log = || {
        let _outer = info_span!("outer", outer = some.as_str(), small = 1).entered();
        let _inner = info_span!("inner", inner = some.as_str()).entered();
        info!(first = some.as_str(), last = some.as_str(), "kept");
    };
    for (max, dropped) in [
        (900, vec!["small", "outer"]),
        (700, vec!["small", "outer", "inner"]),
    ] {
        let lines = lines(|layer| layer.max_line(max), log);
        let line = lines.only();
        assert!(lines.text().len() <= max, "{} > {max}", lines.text().len());
        assert_eq!(line["truncated"], json!(dropped));
        assert_eq!(
            (&line["message"], &line["first"]),
            (&json!("kept"), &json!(some))
        );
    }
    let least = lines(|layer| layer.max_line(0), log).only();
    assert_eq!(
        (&least["message"], &least["level"]),
        (&json!("kept"), &json!("INFO"))
    );
    let mut dropped: Vec<_> = least["truncated"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key.as_str().unwrap())
        .collect();
    dropped.sort_unstable();
    assert_eq!(dropped, ["first", "inner", "last", "outer", "small"]);
    let nested = lines(|layer| layer.max_line(400).format(Format::JsonNested), log).only();
    assert_eq!(nested["fields"]["message"], "kept");
    assert!(
        nested["truncated"]
            .as_array()
            .unwrap()
            .contains(&json!("spans")),
        "{nested:?}"
    );
}

#[test]
fn dropped_field_is_listed_in_its_own_line_only() {
    let some = "x".repeat(200);
    let own = json!({ "a": 1, "truncated": ["theirs"] });
    let line = lines(
        |layer| layer.max_line(300).add("service", &own),
        || info!(first = some.as_str(), last = some.as_str(), "kept"),
    )
    .only();
    assert_eq!(
        (&line["service"], &line["truncated"]),
        (&own, &json!(["last", "first"]))
    );
}

#[test]
fn span_list_ends_at_sixty_four() {
    let deep = |format: Format| {
        lines(
            |layer| layer.with_span_list().format(format),
            || {
                let mut entered = Vec::new();
                for depth in 0..70 {
                    entered.push(info_span!("level", depth).entered());
                }
                info!("m");
                while entered.pop().is_some() {}
            },
        )
        .only()
    };
    let flat = deep(Format::Json);
    assert_eq!(
        (
            flat["spans"].as_array().unwrap().len(),
            &flat["spans_omitted"]
        ),
        (64, &json!(6))
    );
    assert_eq!(flat["depth"], 69);
    let nested = deep(Format::JsonNested);
    assert_eq!(
        (
            nested["spans"].as_array().unwrap().len(),
            &nested["spans_omitted"]
        ),
        (64, &json!(6))
    );
    assert_eq!(nested["span"], json!({ "depth": 69, "name": "level" }));
}

#[test]
fn message_longer_than_the_line_is_truncated() {
    for format in [Format::Json, Format::JsonNested] {
        let line = lines(
            |layer| layer.max_line(8 * 1024).format(format),
            || info!("{}", "x".repeat(20_000)),
        )
        .only();
        assert_eq!(line["truncated"], json!(["message"]));
    }
}

#[test]
fn dropped_parent_field_is_listed_in_children() {
    let (some, long) = ("x".repeat(200), "y".repeat(600));
    let lines_of_spans = lines(
        |layer| layer.max_line(256),
        || {
            let _a = info_span!("a", big = some.as_str()).entered();
            let _b = info_span!("b", big2 = &some[..100]).entered();
            let _c = info_span!("c").entered();
            info!("m");
        },
    );
    let named = lines_of_spans.only()["truncated"].clone();
    assert!(named.as_array().unwrap().contains(&json!("big")), "{named}");
    let line = lines(
        |layer| layer.max_field(256),
        || {
            let _span = info_span!("s", body = long.as_str()).entered();
            info!(body = "short", "m");
        },
    )
    .only();
    assert_eq!(
        (&line["body"], line.get("truncated")),
        (&json!("short"), None)
    );
}

#[test]
fn truncated_list_names_a_field_once() {
    let line = lines(
        |layer| layer.max_field(256).max_line(512),
        || {
            info!(
                a = "x".repeat(300),
                b = "x".repeat(300),
                c = "x".repeat(300),
                "m"
            )
        },
    )
    .only();
    let mut names: Vec<_> = line["truncated"].as_array().unwrap().clone();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "{line:?}");
}

/// Logs an event with short fields in spans with long names.
fn log_in_long_spans() {
    let _first = info_span!("first_of_the_spans_with_names_that_take_much_of_a_line").entered();
    let _second = info_span!("second_of_the_spans_with_names_that_take_much_of_a_line").entered();
    let _third = info_span!("third_of_the_spans_with_names_that_take_much_of_a_line").entered();
    let _last = info_span!("last_of_the_spans_with_names_that_take_much_of_a_line").entered();
    info!(a = 1, text = "x".repeat(100), "m");
}

#[test]
fn span_list_is_dropped_before_fields_of_an_event() {
    let shown = |layer: JsonLayer| layer.with_span_list().max_line(400);
    let hidden = |layer: JsonLayer| shown(layer).exclude(["span"]);
    for line in [
        lines(shown, log_in_long_spans).only(),
        lines(hidden, log_in_long_spans).only(),
    ] {
        assert_eq!(line["truncated"], json!(["spans"]), "{line}");
        assert_eq!((&line["a"], &line["spans"]), (&json!(1), &json!(null)));
    }
    let template: Format = "text:{message} {spans} {fields}".parse().unwrap();
    let text = lines(|layer| shown(layer).format(template), log_in_long_spans).text();
    assert!(text.contains(" a=1 text=xxx"), "{text}");
    assert!(text.ends_with(" truncated=spans\n"), "{text}");
}

#[test]
fn nested_line_keeps_a_renamed_message() {
    let renamed = |layer: JsonLayer| {
        layer
            .format(Format::JsonNested)
            .rename("message", "msg")
            .max_line(256)
            .span_events(SpanEvents::CLOSE)
    };
    let lines = lines(renamed, || {
        info!(n = 1, "{}", "x".repeat(300));
        drop(info_span!("s"));
    });
    let [long, close] = &lines.objects()[..] else {
        panic!("{}", lines.text());
    };
    assert_eq!(long["fields"]["msg"].as_str().unwrap().len(), 300);
    assert_eq!(long["truncated"], json!(["n"]));
    assert_eq!(close["fields"]["msg"], "close");
}

#[test]
fn bytes_of_a_nested_span_are_cut() {
    let bytes = vec![255_u8; 100_000];
    let nested = |layer: JsonLayer| layer.format(Format::JsonNested).max_field(256);
    let line = lines(nested, || {
        let _span = info_span!("s", long = bytes.as_slice(), short = &bytes[..2]).entered();
        info!("m");
    })
    .only();
    assert_eq!(line["span"]["long"].as_array().unwrap().len(), 63);
    assert_eq!(line["span"]["short"], json!([255, 255]));
    assert_eq!(line["truncated"], json!(["long"]));
}

#[test]
fn names_in_a_source_location_are_limited() {
    let (target, file) = ("t".repeat(5_000), "f".repeat(5_000));
    for format in [Format::Gcp, Format::Bunyan] {
        let shown = lines(
            |layer| layer.format(format.clone()).with_source_location(),
            || {
                let mut record = log::Record::builder();
                record.level(log::Level::Error).target(&target);
                record.file(Some(&file)).line(Some(1));
                tracing_log::format_trace(&record.args(format_args!("m")).build()).unwrap();
            },
        );
        let text = shown.text();
        assert!(text.contains("ttt…"), "{format}: {text}");
        // Two paths of 1,024 bytes, three names of 256 bytes, and the rest of the line.
        assert!(text.len() < 3_500, "{format}: {}", text.len());
    }
}
