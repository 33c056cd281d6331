//! The error of an event in each format: which field it is, and what becomes of the others.

use std::{borrow::Cow, error::Error, sync::Arc};

use serde_json::{Value, json};
use spanwise_core::{KeyVerdict, Redact};
use spanwise_json::Format;
use tracing::{error, field::Empty, info_span};

use crate::support::{Failed, lines};

fn line(format: Format, log: impl FnOnce()) -> Value {
    lines(|layer| layer.format(format), log).only()
}

fn text(format: Format, log: impl FnOnce()) -> String {
    lines(|layer| layer.format(format), log).text()
}

/// An error with a cause.
fn refused() -> Failed {
    Failed("refused", Some(Box::new(Failed("reset", None))))
}

#[test]
fn error_is_the_first_error_value() {
    let refused = refused();
    let failed: &(dyn Error + 'static) = &refused;
    let log = || error!(e = 2.71, exception = "odd", error = failed, "m");
    let chain = "refused\n  caused by: reset";
    for (format, members) in [
        (
            Format::Ecs,
            json!({ "error.message": "refused", "error.stack_trace": chain,
                "numeric_labels.e": 2.71, "labels.exception": "odd" }),
        ),
        (
            Format::Datadog,
            json!({ "error.message": "refused", "error.stack": chain, "e": 2.71,
                "exception": "odd" }),
        ),
        (
            Format::Logstash,
            json!({ "error": "refused", "stack_trace": chain, "e": 2.71, "exception": "odd" }),
        ),
        (
            Format::Gelf,
            json!({ "_error": "refused", "full_message": chain, "_e": 2.71,
                "_exception": "odd" }),
        ),
        (
            Format::Bunyan,
            json!({ "err": { "message": "refused", "name": "Failed", "stack": chain }, "e": 2.71,
                "exception": "odd" }),
        ),
    ] {
        let shown = line(format.clone(), log);
        for (key, value) in members.as_object().unwrap() {
            assert_eq!(shown[key], *value, "{format}, {key}: {shown}");
        }
    }
    let words = text(Format::Logfmt, log);
    let expected = " msg=m e=2.71 exception=odd error=refused error.chain=reset\n";
    assert!(words.ends_with(expected), "{words}");
    let otlp = text(Format::Otlp, log);
    let message = r#"{"key":"exception.message","value":{"stringValue":"refused"}}"#;
    assert!(otlp.contains(message), "{otlp}");
    assert!(otlp.contains(r#"{"key":"e","value":{"doubleValue":2.71}}"#));
}

#[test]
fn text_is_the_error_if_there_is_no_error_value() {
    let shown = line(Format::Bunyan, || error!(err = 5, error = "refused", "m"));
    assert_eq!(shown["err"], json!({ "message": "refused" }));
    assert_eq!(shown["fields.err"], 5);
    let shown = line(Format::Ecs, || error!(error = true, e = "refused", "m"));
    assert_eq!(shown["error.message"], "refused");
    assert_eq!(shown["labels.error"], "true");
    let shown = line(Format::Bunyan, || error!(err = 5, "m"));
    assert_eq!(
        (&shown["err"], &shown["fields.err"]),
        (&Value::Null, &json!(5))
    );
    // No number or boolean is the message of an error.
    for value in [json!(true), json!({ "a": 1 })] {
        let shown = line(Format::Ecs, || {
            error!(error = %spanwise_json::as_json(&value), "m");
        });
        assert_eq!(shown["error.message"], Value::Null, "{shown}");
        assert_eq!(shown["labels.error"], value.to_string());
    }
    let shown = line(Format::Ecs, || error!(error = true, "m"));
    assert_eq!(shown["labels.error"], "true");
}

#[test]
fn second_error_of_an_event_is_whole() {
    let (refused, other) = (
        refused(),
        Failed("other", Some(Box::new(Failed("why", None)))),
    );
    let first: &(dyn Error + 'static) = &refused;
    let second: &(dyn Error + 'static) = &other;
    let log = || error!(err = first, error = second, cause = second, "m");
    let object = json!({ "message": "other", "chain": ["why"] });
    let chain = "refused\n  caused by: reset";
    let shown = line(Format::Logstash, log);
    assert_eq!(
        (&shown["error"], &shown["stack_trace"]),
        (&json!("refused"), &json!(chain))
    );
    assert_eq!(
        (&shown["fields.error"], &shown["cause"]),
        (&object, &object)
    );
    let shown = line(Format::Bunyan, || error!(error = first, err = second, "m"));
    assert_eq!(shown["err"]["stack"], chain);
    assert_eq!(shown["fields.err"], object);
    let shown = line(Format::Datadog, log);
    assert_eq!(
        (&shown["error.message"], &shown["error"]),
        (&json!("refused"), &object)
    );
    let shown = line(Format::Gelf, log);
    assert_eq!(
        (&shown["_error"], &shown["full_message"]),
        (&json!("refused"), &json!(chain))
    );
    assert_eq!(shown["_fields.error"], "other");
    assert_eq!(shown["_fields.error.chain"], "why");
    assert_eq!(
        (&shown["_cause"], &shown["_cause.chain"]),
        (&json!("other"), &json!("why"))
    );
    let words = text(Format::Logfmt, log);
    let expected = " error=refused error.chain=reset fields.error=other \
        fields.error.chain=why cause=other cause.chain=why\n";
    assert!(words.ends_with(expected), "{words}");
}

#[test]
fn field_beside_an_error_takes_no_part_of_it() {
    let refused = refused();
    let failed: &(dyn Error + 'static) = &refused;
    let shown = line(Format::Logstash, || {
        error!(e = failed, stack_trace = "mine", error = 7, "m");
    });
    assert_eq!(shown["error"], "refused");
    assert_eq!(shown["stack_trace"], "refused\n  caused by: reset");
    assert_eq!(
        (&shown["fields.stack_trace"], &shown["fields.error"]),
        (&json!("mine"), &json!(7))
    );
    let shown = line(Format::Ecs, || {
        error!(error = failed, error.message = "mine", error.type = "t", "m");
    });
    assert_eq!(shown["error.message"], "refused");
    assert_eq!(shown["error.type"], "Failed");
    assert_eq!(shown["labels.error_message"], "mine");
    assert_eq!(shown["labels.error_type"], "t");
    let shown = line(Format::Gelf, || {
        error!(error = failed, error_type = "mine", "m")
    });
    assert_eq!(
        (&shown["_error_type"], &shown["_fields.error_type"]),
        (&json!("Failed"), &json!("mine"))
    );
    let shown = line(Format::Gelf, || {
        error!(cause = failed, cause.chain = "mine", "m")
    });
    assert_eq!(shown["_cause.chain"], "mine");
    assert_eq!(shown["_fields.cause.chain"], "reset");
}

#[test]
fn error_of_a_span_is_its_first_error_value() {
    let refused = refused();
    let failed: &(dyn Error + 'static) = &refused;
    let shown = line(Format::Ecs, || {
        info_span!("s", e = 2.71, error = failed).in_scope(|| error!("m"));
    });
    assert_eq!(shown["error.message"], "refused");
    assert_eq!(shown["numeric_labels.e"], 2.71);
}

#[derive(Debug)]
struct HidesError;

impl Redact for HidesError {
    fn key(&self, key: &str) -> KeyVerdict {
        match key {
            "error" => KeyVerdict::Redact,
            _ => KeyVerdict::Pass,
        }
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        text.into()
    }
}

#[test]
fn redacted_error_is_listed_under_its_name() {
    let refused = refused();
    let failed: &(dyn Error + 'static) = &refused;
    let shown = lines(
        |layer| layer.format(Format::Ecs).redact(Arc::new(HidesError)),
        || error!(e = 1, error = failed, "m"),
    )
    .only();
    assert_eq!(shown["error.message"], "[REDACTED]");
    assert_eq!(shown["labels.redacted"], json!(["error.message"]));
}

#[test]
fn late_error_of_a_span_replaces_no_other() {
    let refused = refused();
    let failed: &(dyn Error + 'static) = &refused;
    let first_a_text = || {
        let span = info_span!("job", error = "first", err = Empty);
        span.record("err", failed);
        span.in_scope(|| error!("m"));
    };
    let first_an_error = || {
        let span = info_span!("job", error = Empty, err = failed);
        span.record("error", "first");
        span.in_scope(|| error!("m"));
    };
    let again = || {
        let span = info_span!("job", error = Empty, err = Empty);
        span.record("err", "old");
        span.record("err", failed);
        span.in_scope(|| error!("m"));
    };
    for format in [
        Format::Ecs,
        Format::Otlp,
        Format::Logfmt,
        Format::Gelf,
        Format::Json,
    ] {
        for shown in [
            text(format.clone(), first_a_text),
            text(format.clone(), first_an_error),
        ] {
            for value in ["first", "refused", "reset"] {
                assert!(shown.contains(value), "{format:?}: {value}: {shown}");
            }
        }
        let shown = text(format.clone(), again);
        assert!(
            shown.contains("refused") && !shown.contains("old"),
            "{shown}"
        );
    }
}
