//! Law 4: no lock is held while a value is formatted. A `Debug` that logs, opens spans and records
//! re-enters every layer.

use std::fmt;

use tracing::{Span, field::Empty, info, info_span};

struct Logs(&'static str);

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = info_span!("inside a debug", user_id = "u-1", late = Empty);
        inner.in_scope(|| info!(of = self.0, "logged by a debug"));
        inner.record("late", 1);
        // Records on the span of this field, if the value is a field of a span.
        Span::current().record("other", "recorded by a debug");
        write!(f, "value of {}", self.0)
    }
}

#[test]
fn debug_that_logs_does_not_deadlock() {
    alone!();
    crate::support::bounded(|| {
        let (json, console, _telemetry) = crate::support::install();
        let span = info_span!("outer", request_id = ?Logs("a new span"), late = Empty, tenant_id = Empty, other = Empty);
        let _entered = span.enter();
        span.record("late", tracing::field::debug(Logs("a record")));
        span.record("tenant_id", tracing::field::debug(Logs("a context record")));
        info!(field = ?Logs("a field"), "{:?}", Logs("a message"));

        let line = json.with_message("value of a message");
        assert_eq!(line["field"], "value of a field");
        assert_eq!(line["request_id"], "value of a new span");
        assert_eq!(line["late"], "value of a record");
        assert_eq!(line["tenant_id"], "value of a context record");
        assert_eq!(line["other"], "recorded by a debug");
        // Each value is formatted once by each layer that shows it.
        let inner = json
            .objects()
            .iter()
            .filter(|line| line["message"] == "logged by a debug")
            .count();
        assert!(inner >= 5, "{}", json.text());
        assert!(
            console.text().contains("field=\"value of a field\""),
            "{}",
            console.text()
        );
    });
}
