//! Constant fields of every line: their position, and the names that they cannot have.

use std::fs;

use serde_json::{Value, json};
use spanwise::{Builder, Format, InitError, Output, Preset};
use tracing::{error, info, info_span};

use crate::support::Lines;

fn problems(builder: Builder) -> Vec<String> {
    match builder.output(Output::None).init() {
        Err(InitError::Settings(problems)) => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_json_line_has_static_fields() {
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
            // Fields from code and from the environment have the same type.
            assert_eq!(line["shard"], "7");
        }
        assert_eq!(lines[0]["fields.region"], "of the event");
        assert_eq!(lines[0]["fields.shard"], 9);
        assert_eq!(lines[1]["fields.region"], "of the record");
    }
}

#[test]
fn nested_json_has_static_fields_at_the_top() {
    alone!();
    let lines = Lines::default();
    let _telemetry = Builder::new(Preset::Prod)
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
fn console_lines_omit_static_fields() {
    alone!();
    let lines = Lines::default();
    let _telemetry = Builder::new(Preset::Test)
        .field("region", "eu-central-1")
        .with_writer(lines.clone())
        .init()
        .unwrap();
    info!("short");
    assert!(!lines.text().contains("eu-central-1"), "{}", lines.text());
}

#[test]
fn reserved_and_context_names_are_refused() {
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
        let code = problems(Builder::new(Preset::Prod).field(name, "mossy7"));
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
    let declared = "`order_id` is a key of the context, whose values change: choose another name";
    let by_code = Builder::new(Preset::Prod)
        .field("order_id", 1)
        .context_key("order_id");
    assert_eq!(
        problems(by_code),
        [format!("Builder::field(\"order_id\", …): {declared}")]
    );
    let vars = [
        ("LOG_STATIC_FIELDS", "order_id=1"),
        ("LOG_CONTEXT", "order_id"),
    ];
    let by_env = || Builder::from_vars(vars).unwrap();
    let of_env = format!("LOG_STATIC_FIELDS: {declared}");
    assert_eq!(problems(by_env()).join("; "), of_env);
    let both = by_env().field("region", "eu").field("shard", 7);
    assert_eq!(problems(both), [of_env]);

    for (name, value, part) in [
        ("", "eu", "\"\" is not a field name"),
        ("a b", "eu", "\"a b\" is not a field name"),
        ("a\nb", "eu", "is not a field name"),
        ("region", "", "\"region\" has no value"),
        ("region", &"x".repeat(1025), "has 1025 bytes"),
        (&"x".repeat(65), "eu", "is not a field name"),
    ] {
        let problems = problems(Builder::new(Preset::Prod).field(name, value));
        assert!(
            problems.len() == 1 && problems[0].contains(part),
            "{problems:?}"
        );
    }
    let names = |range: std::ops::Range<u8>| range.map(|index| format!("f{index}"));
    let in_code = |builder: Builder, range| {
        names(range).fold(builder, |builder, name| builder.field(name, 1))
    };
    let in_env = |range| {
        let fields: Vec<String> = names(range).map(|name| format!("{name}=1")).collect();
        Builder::from_vars([("LOG_STATIC_FIELDS", fields.join(","))]).unwrap()
    };
    for (builder, settings) in [
        (in_code(Builder::new(Preset::Prod), 0..65), "Builder::field"),
        (in_env(0..65), "LOG_STATIC_FIELDS"),
        (
            in_code(in_env(0..40), 30..65),
            "LOG_STATIC_FIELDS and Builder::field",
        ),
    ] {
        let begin = format!("{settings}: there are 65 static fields");
        assert!(problems(builder)[0].starts_with(&begin), "{settings}");
    }
}

#[test]
fn policy_hides_a_secret_from_the_start() {
    alone!();
    let lines = Lines::default();
    let builder = Builder::new(Preset::Prod)
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
fn sentry_events_have_static_fields_as_tags() {
    alone!();
    let receiver = crate::receiver::Receiver::start();
    let telemetry = Builder::new(Preset::Prod)
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

/// With and without a DSN, so that development reports the same mistakes as production.
#[cfg(feature = "sentry")]
#[test]
fn tag_that_sentry_refuses_stops_every_start() {
    alone!();
    let long = "a_".repeat(17);
    for name in [
        "release", "dist", "user", "filename", "function", &long, "größe",
    ] {
        for dsn in [None, Some("http://key@localhost:9/42")] {
            let env = format!("{name}=1");
            let vars = [("LOG_STATIC_FIELDS", env.as_str())];
            let vars = vars.into_iter().chain(dsn.map(|dsn| ("SENTRY_DSN", dsn)));
            let env = match Builder::from_vars(vars) {
                Err(InitError::Settings(problems)) => problems,
                other => panic!("{other:?}"),
            };
            let mut code = Builder::new(Preset::Prod).field(name, "1");
            if let Some(dsn) = dsn {
                code = code.sentry_dsn(dsn);
            }
            for (problems, setting) in [
                (env, "LOG_STATIC_FIELDS".to_owned()),
                (problems(code), format!("Builder::field({name:?}, …)")),
            ] {
                assert_eq!(problems.len(), 1, "{problems:?}");
                let begins = problems[0].starts_with(&format!("{setting}: "));
                assert!(begins, "{setting}: {problems:?}");
            }
        }
    }
}

#[cfg(feature = "sentry")]
#[test]
fn key_in_place_of_a_name_is_not_shown() {
    alone!();
    let key = "9f86d081884c7d659a2feaa0c55ad0159f86d081";
    let problems = problems(Builder::new(Preset::Prod).field(key, "1"));
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(!problems[0].contains("9f86d"), "{problems:?}");
}

#[cfg(feature = "sentry")]
#[test]
fn wrong_tag_of_a_change_names_its_setter() {
    alone!();
    let builder = Builder::new(Preset::Prod).sentry_dsn("http://key@localhost:9/42");
    let problems = problems(builder.sentry(|sentry| sentry.static_tag("release", "1")));
    assert_eq!(problems.len(), 1, "{problems:?}");
    let expected =
        "sentry::SentryBuilder::static_tag: `release` is not a tag that Sentry accepts: ";
    assert!(problems[0].starts_with(expected), "{problems:?}");
}

#[test]
fn blanks_around_a_value_are_not_part_of_it() {
    alone!();
    for blank in ["", " ", "\u{a0}\t", "\n"] {
        let problems = problems(Builder::new(Preset::Prod).field("region", blank));
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].contains("\"region\" has no value"),
            "{problems:?}"
        );
    }
    let builder = Builder::new(Preset::Prod).field("region", " eu west\n");
    let explained = builder.explain().to_string();
    assert!(
        explained.contains("LOG_STATIC_FIELDS = region=eu west (code)"),
        "{explained}"
    );
}
