//! Random keys, values, span depths and late records: each gives one line of valid JSON without
//! repeated keys, and every value reads back as it was.

use std::{cell::Cell, collections::BTreeMap};

use crate::support::any::{self, Any, Case, case};
use proptest::{prelude::*, strategy::ValueTree as _};
use serde_json::{Map, Value, json};
use spanwise_json::{Format, JsonLayer};
use spanwise_testing::support::{Lines, fixed_clock, parse_json};

fn run(case: &Case, layer: JsonLayer) -> String {
    let lines = Lines::default();
    any::log(
        case,
        &crate::support::dispatch(layer.clock(fixed_clock()).with_writer(lines.clone())),
    );
    lines.text()
}

/// Renames `file` and `line`: these lines have no source location.
const OWN: [&str; 10] = [
    "timestamp",
    "level",
    "target",
    "message",
    "span",
    "spans",
    "thread_name",
    "thread_id",
    "truncated",
    "spans_omitted",
];

/// The key under which a flat line shows a field.
fn key(name: &str) -> String {
    let name = name.strip_prefix("r#").unwrap_or(name);
    if OWN.contains(&name) || name == "service" || name.starts_with("fields.") {
        format!("fields.{name}")
    } else {
        name.to_owned()
    }
}

/// The fields of each span after the late records, by key.
fn span_fields(case: &Case) -> Vec<BTreeMap<String, Value>> {
    let set = |fields: &mut BTreeMap<String, Value>, name: &str, value: &Any| {
        if let Some(shown) = value.shown() {
            fields.insert(key(name), shown);
        }
    };
    let mut spans: Vec<BTreeMap<String, Value>> = Vec::new();
    for fields in &case.spans {
        let mut shown = BTreeMap::new();
        fields
            .iter()
            .for_each(|(name, value)| set(&mut shown, name, value));
        spans.push(shown);
    }
    for (span, field, value) in &case.records {
        if spans.is_empty() {
            continue;
        }
        let span = span.index(spans.len());
        if let Some(count) = Some(case.spans[span].len()).filter(|count| *count > 0) {
            let (name, _) = &case.spans[span][field.index(count)];
            set(&mut spans[span], name, value);
        }
    }
    spans
}

/// The expected flat line.
fn expected(case: &Case) -> Value {
    let mut line = Map::new();
    for fields in span_fields(case) {
        line.extend(fields);
    }
    let mut message = None;
    for (name, value) in &case.event {
        let Some(shown) = value.shown() else { continue };
        if name.strip_prefix("r#").unwrap_or(name) == "message" {
            message = Some(shown);
        } else {
            line.insert(key(name), shown);
        }
    }
    line.insert("timestamp".into(), json!("2026-11-20T09:08:07.123456Z"));
    line.insert("level".into(), json!("INFO"));
    line.insert("target".into(), json!("prop"));
    line.insert("service".into(), json!("shop"));
    if let Some(message) = message {
        line.insert("message".into(), message);
    }
    if let Some(depth) = case.spans.len().checked_sub(1) {
        line.insert("span".into(), json!(format!("s{depth}")));
    }
    line.into()
}

/// Checks that a flat line has everything that was logged.
fn check_flat(case: &Case) {
    let text = run(case, JsonLayer::new().add("service", "shop"));
    assert_eq!(text.lines().count(), 1);
    assert!(text.ends_with('\n'));
    let raw = text.contains(['\u{7f}', '\u{85}', '\u{2028}', '\u{202e}']);
    assert!(!raw, "{text}");
    assert_eq!(parse_json(text.trim_end()), expected(case));
}

/// Checks that a nested line repeats no key and has all spans.
fn check_nested(case: &Case) {
    let text = run(case, JsonLayer::new().format(Format::JsonNested));
    assert_eq!(text.lines().count(), 1);
    let line = parse_json(text.trim_end());
    let spans = line.get("spans").and_then(Value::as_array);
    assert_eq!(spans.map_or(0, Vec::len), case.spans.len());
    assert_eq!(line.get("span"), spans.and_then(|spans| spans.last()));
}

/// Checks that a line with small limits is still valid.
fn check_limits(case: &Case, max_line: usize) {
    for format in [Format::Json, Format::JsonNested] {
        let layer = JsonLayer::new()
            .format(format)
            .max_field(256)
            .max_line(max_line)
            .with_span_list();
        let text = run(case, layer);
        assert_eq!(text.lines().count(), 1);
        assert!(parse_json(text.trim_end()).is_object());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, ..ProptestConfig::default() })]

    // One property for all checks: creating a case costs more than logging it.
    #[test]
    fn any_line_is_valid_and_reads_back(case in case(), max_line in 256_usize..1024) {
        check_flat(&case);
        check_nested(&case);
        check_limits(&case, max_line);
    }
}

#[test]
fn generator_covers_collisions_and_every_type() {
    // The properties above would also pass for empty cases, so check what the cases contain.
    let seen = Cell::new((0, 0, 0));
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..100 {
        let case = case().new_tree(&mut runner).unwrap().current();
        let keys: Vec<String> = case
            .spans
            .iter()
            .flatten()
            .chain(&case.event)
            .map(|(name, _)| key(name))
            .collect();
        let unique: std::collections::BTreeSet<_> = keys.iter().collect();
        let (collisions, records, displaced) = seen.get();
        seen.set((
            collisions + usize::from(unique.len() < keys.len()),
            records + case.records.len(),
            displaced + usize::from(keys.iter().any(|key| key.starts_with("fields."))),
        ));
    }
    let (collisions, records, displaced) = seen.get();
    assert!(
        collisions > 25 && records > 50 && displaced > 50,
        "{:?}",
        seen.get()
    );
}
