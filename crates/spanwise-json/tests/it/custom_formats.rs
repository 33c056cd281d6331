//! Formats that a program builds, and the mistakes in them.

use proptest::{prelude::*, test_runner::TestRunner};
use spanwise_json::{ErrorLayout, FieldList, Format, FormatBuilder, OtherFields, Timestamp};
use tracing::{error, info, info_span};

use crate::{
    any_formats::{self, FixedMembers, HOSTILE, check, layer, read, run, values},
    support::{
        Failed,
        any::{Case, case_named},
        lines,
    },
};

fn acme() -> FormatBuilder {
    Format::custom("acme")
        .timestamp("ts", Timestamp::millis())
        .level("sev", ["t", "d", "i", "w", "e", "c"])
        .message("text")
        .target("logger")
        .span("scope")
        .field("request_id", "rid")
        .other_fields(OtherFields::Prefix("x_".to_owned()))
        .error(ErrorLayout::Text)
        .service_name("app")
        .constant("schema", 3)
        .constant("source", serde_json::json!({ "kind": "rust" }))
}

fn formats() -> [Format; 3] {
    let parts = ErrorLayout::Parts {
        message: "error.message".to_owned(),
        kind: "error.type".to_owned(),
        stack: "stack".to_owned(),
    };
    [
        acme().build().unwrap(),
        Format::custom("plain").build().unwrap(),
        Format::custom("parts")
            .error(parts)
            .field("user", "usr.id")
            .field("level", "lvl")
            .constant("user", "constant")
            .build()
            .unwrap(),
    ]
}

#[test]
fn line_has_the_names_and_values_of_the_format() {
    let format = acme().build().unwrap();
    let cause = Failed("reset", None);
    let failed = Failed("refused", Some(Box::new(cause)));
    let log = || {
        info_span!("request", request_id = "r-1", user.id = 7).in_scope(|| {
            let error: &(dyn std::error::Error + 'static) = &failed;
            error!(target: "shop", error, password = true, level = "x", "charge failed");
        });
    };
    let set = |layer: spanwise_json::JsonLayer| layer.format(format).service_name("shop");
    assert_eq!(
        lines(set, log).text(),
        concat!(
            r#"{"ts":"2026-11-20T09:08:07.123Z","sev":"e","logger":"shop","text":"charge failed","#,
            r#""error":"refused","error.chain":"reset","x_password":true,"x_level":"x","#,
            r#""rid":"r-1","x_user.id":7,"scope":"request","app":"shop","schema":3,"#,
            r#""source":{"kind":"rust"}}"#,
            "\n"
        )
    );
}

#[test]
fn field_with_the_key_of_a_part_has_its_own_key() {
    let format = Format::custom("acme")
        .field("level", "lvl")
        .field("span", "scope");
    let format = format.build().unwrap();
    let log = || info_span!("s", span = 1).in_scope(|| info!(level = "x", target = "y", "m"));
    let shown = lines(|layer| layer.format(format), log).only();
    assert_eq!(shown["level"], "INFO");
    assert_eq!(shown["lvl"], "x");
    assert_eq!((&shown["span"], &shown["scope"]), (&"s".into(), &1.into()));
    assert_eq!(shown["fields.target"], "y");
    assert_eq!(shown.get("fields.level"), None);
}

#[test]
fn format_without_changes_writes_json() {
    let log = || {
        info_span!("s", a = 1).in_scope(|| info!(level = "x", b = true, "m"));
    };
    let plain = Format::custom("plain").build().unwrap();
    let shown = |format: Format| lines(|layer| layer.format(format), log).text();
    assert_eq!(shown(plain), shown(Format::Json));
}

#[test]
fn format_takes_changes_of_fields() {
    let format = acme().build().unwrap();
    let list: FieldList = "schema>version,-sev,level>severity,a>b,@seconds"
        .parse()
        .unwrap();
    let error = list.check(&format).unwrap_err().to_string();
    assert!(error.contains("`sev` is omitted, too"), "{error}");
    let list: FieldList = "schema>version,-source,sev>severity,a>b,@seconds"
        .parse()
        .unwrap();
    list.check(&format).unwrap();
    let set = |layer: spanwise_json::JsonLayer| layer.format(format).fields(&list);
    assert_eq!(
        lines(set, || info!(target: "t", a = 1, version = 2, "m")).text(),
        concat!(
            r#"{"ts":"2026-11-20T09:08:07Z","severity":"i","logger":"t","text":"m","x_b":1,"#,
            r#""x_version":2,"version":3}"#,
            "\n"
        )
    );
}

#[test]
fn mistakes_are_all_reported() {
    let wrong = |builder: FormatBuilder| builder.build().unwrap_err().to_string();
    for (builder, expected) in [
        (Format::custom(""), "is not a valid name of a format"),
        (Format::custom("a b"), "is not a valid name of a format"),
        (Format::custom("ECS"), "`ECS` is a format already"),
        (
            acme().message(""),
            "the message has the key \"\", which is empty",
        ),
        (acme().message("a\nb"), "has control characters"),
        (
            acme().target("ts"),
            "the timestamp and the target have the key `ts`",
        ),
        (
            acme().field("a", "sev"),
            "the level and the field `a` have the key `sev`",
        ),
        (acme().field("a", "k").field("b", "k"), "have the key `k`"),
        (
            acme().field("request_id", "k"),
            "the field `request_id` has two keys",
        ),
        (
            acme().constant("rid", 1),
            "the field `request_id` and a constant have the key `rid`",
        ),
        (
            acme().constant("x_truncated", 1),
            "`truncated` and a constant",
        ),
        (acme().constant("fields.x", 1), "begins with `fields.`"),
        (
            acme().message("error"),
            "the message and a part of the error",
        ),
        (
            acme().service_node("sev"),
            "the level and the node of the service have the key `sev`",
        ),
        (
            Format::custom("a").message("critical"),
            "the mark of critical events",
        ),
    ] {
        let error = wrong(builder);
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let two = Format::custom("").message("");
    assert_eq!(two.build().unwrap_err().problems().len(), 2);
}

#[test]
fn formats_are_equal_if_built_together() {
    let format = acme().build().unwrap();
    assert_eq!(format.clone(), format);
    assert_ne!(acme().build().unwrap(), format);
    assert_eq!(format.name(), "acme");
    assert!(!format.has_time_zone() && !format.is_human_readable());
}

#[test]
fn any_event_is_one_valid_line() {
    for format in &formats() {
        let mut config = ProptestConfig::with_cases(64);
        config.failure_persistence = None;
        let fixed = std::cell::RefCell::new(FixedMembers::new());
        TestRunner::new(config)
            .run(&case_named(names()), |case| {
                check(&case, format, &mut fixed.borrow_mut());
                Ok(())
            })
            .unwrap();
    }
}

/// The keys of the formats above, and names that any format may take for its own.
fn names() -> BoxedStrategy<String> {
    prop_oneof![
        1 => any_formats::name(),
        1 => prop::sample::select(&OWN[..]).prop_map(str::to_owned),
    ]
    .boxed()
}

const OWN: [&str; 14] = [
    "ts",
    "sev",
    "text",
    "logger",
    "scope",
    "rid",
    "request_id",
    "app",
    "schema",
    "lvl",
    "usr.id",
    "stack",
    "error.chain",
    "x_rid",
];

#[test]
fn any_event_with_changed_fields_is_one_valid_line() {
    let lists = [
        "level>severity,timestamp>ts,-target,-span,a>b,b>c,error>failure",
        "-level,a>level,+location,+spans,+pid,only=a|b|error",
        "message>text,span>scope,host>machine,+host,region=eu,spans>message",
    ];
    for list in lists {
        let list: FieldList = list.parse().unwrap();
        for format in [Format::Json, Format::Datadog, formats()[0].clone()] {
            let mut config = ProptestConfig::with_cases(32);
            config.failure_persistence = None;
            TestRunner::new(config)
                .run(&case_named(names()), |case| {
                    let text = run(&case, layer(&format).fields(&list));
                    assert_eq!(text.lines().count(), 1, "{text}");
                    read(&text, &format);
                    Ok(())
                })
                .unwrap();
        }
    }
}

#[test]
fn no_field_is_lost_whatever_its_name() {
    for (of_format, format) in formats().iter().enumerate() {
        let mut fixed = FixedMembers::new();
        for (of_name, name) in HOSTILE.iter().copied().chain(OWN).enumerate() {
            // Each format has a fourth of the pairs.
            let values = values().into_iter().enumerate();
            let chosen = values.filter(|(index, _)| (of_format + of_name + index) % 4 == 0);
            for (value, needle) in chosen.map(|(_, value)| value) {
                let field = vec![(name.to_owned(), value)];
                for (spans, event) in [(vec![Vec::new()], field.clone()), (vec![field], Vec::new())]
                {
                    let records = Vec::new();
                    let case = Case {
                        spans,
                        records,
                        event,
                    };
                    let line = check(&case, format, &mut fixed);
                    assert!(line.contains(needle), "{format}, {name}: {line}");
                }
            }
        }
    }
}

#[test]
fn requested_part_takes_no_key_of_the_format() {
    for builder in [
        Format::custom("constant").constant("host", "a"),
        Format::custom("renamed").message("host"),
    ] {
        let format = builder.build().unwrap();
        let list: FieldList = "+host".parse().unwrap();
        let error = list.check(&format).unwrap_err().to_string();
        let expected = format!("`+host`: `host` is already a key of `{format}`: remove the word");
        assert_eq!(error, expected);
        let text = lines(|layer| layer.format(format).fields(&list), || info!("m")).text();
        assert_eq!(text.matches("\"host\":").count(), 1, "{text}");
    }
}
