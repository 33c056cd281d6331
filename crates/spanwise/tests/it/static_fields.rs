//! Constant fields of every line: where they are, and which names they cannot have.

use std::fs;

use serde_json::{Value, json};
use spanwise::{Builder, Format, InitError, Output};
use tracing::{error, info, info_span};

use crate::support::Lines;

fn problems(builder: Builder) -> Vec<String> {
    match builder.output(Output::None).init() {
        Err(InitError::Settings(problems)) => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_line_of_json_has_them_in_every_output() {
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let (path, errors) = (
        directory.path().join("shop.log"),
        directory.path().join("error.log"),
    );
    let output = Lines::default();
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_STATIC_FIELDS", "region=eu,cluster=blue"),
    ];
    let telemetry = Builder::from_vars(vars)
        .unwrap()
        .field("region", "us")
        .field("shard", 7)
        .file(&path)
        .error_file(&errors)
        .with_writer(output.clone())
        .init()
        .unwrap();
    info_span!("work", region = "of the span").in_scope(|| {
        error!(region = "of the event", shard = 9, "in a span");
    });
    log::error!(region = "of the record"; "by the log crate");
    drop(telemetry);
    let text = [
        output.text(),
        fs::read_to_string(path).unwrap(),
        fs::read_to_string(errors).unwrap(),
    ];
    for text in text {
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2, "{text}");
        for line in &lines {
            assert_eq!(line["region"], "us", "{line}");
            assert_eq!(line["cluster"], "blue");
            // One type, whoever sets it.
            assert_eq!(line["shard"], "7");
        }
        assert_eq!(lines[0]["fields.region"], "of the event");
        assert_eq!(lines[0]["fields.shard"], 9);
        assert_eq!(lines[1]["fields.region"], "of the record");
    }
}

#[test]
fn nested_lines_have_them_beside_their_fields() {
    alone!();
    let lines = Lines::default();
    let _telemetry = Builder::prod()
        .format(Format::JsonNested)
        .field("region", "eu")
        .with_writer(lines.clone())
        .init()
        .unwrap();
    info!(region = "of the event", "nested");
    let line = &lines.objects()[0];
    assert_eq!(line["region"], "eu");
    assert_eq!(
        line["fields"],
        json!({"message": "nested", "region": "of the event"})
    );
    assert_eq!(line.get("service"), None);
}

#[test]
fn lines_for_people_do_not_repeat_them() {
    alone!();
    let lines = Lines::default();
    let _telemetry = Builder::test()
        .field("region", "eu-central-1")
        .with_writer(lines.clone())
        .init()
        .unwrap();
    info!("short");
    assert!(!lines.text().contains("eu-central-1"), "{}", lines.text());
}

#[test]
fn names_of_the_line_and_of_the_context_stop_the_start() {
    alone!();
    let reserved = [
        "timestamp",
        "level",
        "target",
        "message",
        "span",
        "spans",
        "file",
        "line",
        "filename",
        "line_number",
        "thread_name",
        "thread_id",
        "threadName",
        "threadId",
        "truncated",
        "redacted",
        "sample_rate",
        "buffered",
        "spans_omitted",
        "service",
        "fields",
        "fields.a",
        "added.a",
        "request_id",
        "tenant_id",
        "user_id",
        "trace_id",
        "span_id",
    ];
    for name in reserved {
        let code = problems(Builder::prod().field(name, "mossy7"));
        let expected = format!("Builder::field({name:?}, …): `{name}` is a key of the ");
        assert!(
            code.len() == 1 && code[0].starts_with(&expected),
            "{code:?}"
        );
        let value = format!("region=eu,{name}=mossy7");
        let env = match Builder::from_vars([("LOG_STATIC_FIELDS", &*value)]) {
            Err(InitError::Settings(problems)) => problems,
            other => panic!("{other:?}"),
        };
        let expected = format!("LOG_STATIC_FIELDS: `{name}` is a key of the ");
        assert!(env.len() == 1 && env[0].starts_with(&expected), "{env:?}");
        assert!(!format!("{code:?}{env:?}").contains("mossy7"));
    }
    let declared = "LOG_STATIC_FIELDS: `order_id` is a key of the context, whose values change: choose another name";
    let by_code = Builder::prod().field("order_id", 1).context_key("order_id");
    assert_eq!(problems(by_code), [declared]);
    let vars = [
        ("LOG_STATIC_FIELDS", "order_id=1"),
        ("LOG_CONTEXT", "order_id"),
    ];
    assert_eq!(problems(Builder::from_vars(vars).unwrap()), [declared]);

    for (name, value, part) in [
        ("", "eu", "\"\" is not a field name"),
        ("a b", "eu", "\"a b\" is not a field name"),
        ("a\nb", "eu", "is not a field name"),
        ("region", "", "\"region\" has no value"),
        ("region", &"x".repeat(1025), "has 1025 bytes"),
        (&"x".repeat(65), "eu", "is not a field name"),
    ] {
        let problems = problems(Builder::prod().field(name, value));
        assert!(
            problems.len() == 1 && problems[0].contains(part),
            "{problems:?}"
        );
    }
    let many = (0..65).fold(Builder::prod(), |builder, index| {
        builder.field(format!("f{index}"), 1)
    });
    assert!(problems(many)[0].contains("65 static fields"));
}

#[test]
fn policy_hides_a_secret_from_the_start() {
    alone!();
    let lines = Lines::default();
    let builder = Builder::prod()
        .field("password", "mossy7")
        .field("note", "token ghp_abcdefghijklmnopqrstuvwxyz0123456789")
        .field("employee_no", "E-4711")
        .field("region", "eu")
        .redact_with(|policy| policy.hide("employee_no"));
    let explained = builder.explain().to_string();
    let _telemetry = builder.with_writer(lines.clone()).init().unwrap();
    info!("hidden");
    let line = lines.with_message("hidden");
    assert_eq!(line["password"], "[REDACTED]");
    assert_eq!(line["employee_no"], "[REDACTED]");
    assert_eq!(line["region"], "eu");
    for secret in ["mossy7", "ghp_abc", "E-4711"] {
        assert!(!lines.text().contains(secret), "{}", lines.text());
        assert!(!explained.contains(secret), "{explained}");
    }
}

#[cfg(feature = "sentry")]
#[test]
fn sentry_has_them_as_tags() {
    alone!();
    let receiver = crate::receiver::Receiver::start();
    let telemetry = Builder::prod()
        .output(Output::None)
        .field("region", "eu")
        .field("password", "mossy7")
        .sentry_dsn(receiver.dsn())
        .init()
        .unwrap();
    error!(tags.region = "of the event", "payment failed");
    drop(telemetry);
    let event = receiver.events().remove(0);
    assert_eq!(event["tags"]["region"], "eu", "{event}");
    assert_eq!(event["tags"].get("password"), None);
    assert!(!event.to_string().contains("mossy7"));
}

#[cfg(feature = "sentry")]
#[test]
fn tag_that_sentry_does_not_take_stops_the_start() {
    alone!();
    let builder = Builder::prod()
        .field("release", "1")
        .sentry_dsn("http://key@localhost:9/42");
    let problems = problems(builder);
    assert!(
        problems[0].starts_with("LOG_STATIC_FIELDS: `release` is no tag that Sentry takes: "),
        "{problems:?}"
    );
}
