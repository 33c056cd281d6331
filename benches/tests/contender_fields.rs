//! A fair comparison: all contenders write the same fields with the same values, in any layout.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test are tests to everyone but clippy"
)]

use benches::{Contender, Workload, show};
use serde_json::{Map, Value};

/// The fields of the lines at one level, without the time, which differs, and the list of spans.
fn fields(lines: &str) -> Vec<Map<String, Value>> {
    lines
        .lines()
        .map(|line| {
            let mut line: Map<String, Value> = serde_json::from_str(line).unwrap();
            // Only the facade knows the name of the service.
            line.remove("service");
            let time = line.remove("timestamp").unwrap();
            assert_eq!(
                time.as_str().unwrap().len(),
                "2026-11-20T10:46:12.123456Z".len()
            );
            if let Some(Value::Object(fields)) = line.remove("fields") {
                line.extend(fields);
            }
            if let Some(Value::Array(spans)) = line.remove("spans") {
                for span in spans {
                    let Value::Object(mut span) = span else {
                        panic!("{span} is no span");
                    };
                    // The last one stays: the innermost.
                    let name = span.remove("name").unwrap();
                    line.insert("span".to_owned(), name);
                    line.extend(span);
                }
            }
            line
        })
        .collect()
}

fn check(workload: Workload, lines: usize, fields_in_last: usize) {
    let expected = fields(&show(Contender::Spanwise, workload));
    assert_eq!(expected.len(), lines);
    assert_eq!(expected.last().unwrap().len(), fields_in_last);
    for contender in [
        Contender::SpanwiseProd,
        Contender::SpanwiseStack,
        Contender::SpanwiseNested,
        Contender::FmtJson,
        Contender::JsonSubscriber,
        Contender::Microjson,
        Contender::Limit,
    ] {
        let shown = fields(&show(contender, workload));
        assert_eq!(shown, expected, "{}", contender.name());
    }
}

// Level, target and message are in every count, and inside of spans the name of the innermost.

#[test]
fn flat_lines_have_four_fields() {
    check(Workload::Flat, 1, 3 + 4);
}

#[test]
fn nested_lines_have_those_of_three_spans_too() {
    check(Workload::Nested, 1, 4 + 4 + 9);
}

#[test]
fn request_lines_have_what_was_recorded_late() {
    check(Workload::Request, 4, 4 + 4 + 5);
}

#[test]
fn escaped_text_reads_back() {
    check(Workload::Escape, 1, 3 + 1);
}

#[test]
fn text_with_numbers_reads_back() {
    check(Workload::Text2k, 1, 3 + 1);
}

/// Whether the facade hides the customer of the first event.
fn hides_customer(workload: Workload) -> bool {
    let shown = fields(&show(Contender::Spanwise, workload));
    let mut prod = fields(&show(Contender::SpanwiseProd, workload));
    let is_hidden = prod[0].remove("redacted").is_some();
    let others = |line: &Map<String, Value>| {
        let mut line = line.clone();
        line.remove("customer");
        line
    };
    assert_eq!(others(&prod[0]), others(&shown[0]));
    assert_eq!(is_hidden, prod[0]["customer"] != shown[0]["customer"]);
    is_hidden
}

#[test]
fn policy_hides_only_in_hidden_workloads() {
    for workload in [Workload::Flat, Workload::Nested, Workload::Request] {
        assert!(!hides_customer(workload), "{}", workload.name());
    }
    for workload in [
        Workload::FlatHidden,
        Workload::FlatMixed,
        Workload::NestedHidden,
        Workload::NestedMixed,
        Workload::RequestHidden,
    ] {
        assert!(hides_customer(workload), "{}", workload.name());
    }
}

#[test]
fn bunyan_lines_have_the_same_values() {
    let spanwise = fields(&show(Contender::Spanwise, Workload::Nested));
    let bunyan = show(Contender::Bunyan, Workload::Nested);
    let line = bunyan
        .lines()
        .find(|line| line.contains("order placed"))
        .unwrap();
    let line: Map<String, Value> = serde_json::from_str(line).unwrap();
    for (key, value) in &spanwise[0] {
        if !["level", "message", "span"].contains(&key.as_str()) {
            assert_eq!(line.get(key), Some(value), "{key}");
        }
    }
}

#[test]
fn peers_of_formats_write_all_values() {
    let spanwise = fields(&show(Contender::Spanwise, Workload::Nested));
    for contender in [
        Contender::Stackdriver,
        Contender::TracingLogfmt,
        Contender::TracingEcs,
        Contender::TracingLogstash,
    ] {
        let line = show(contender, Workload::Nested);
        for (key, value) in &spanwise[0] {
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            // Some have the innermost span elsewhere, and the level in another spelling.
            if !["level", "span"].contains(&key.as_str()) {
                assert!(line.contains(&value), "{}: {key}: {line}", contender.name());
            }
        }
    }
}

#[test]
fn nobody_writes_what_is_disabled() {
    for contender in Contender::ALL {
        assert_eq!(
            show(contender, Workload::Disabled),
            "",
            "{}",
            contender.name()
        );
    }
}
