//! What a line says, value by value and option by option.

use std::{error::Error, fmt};

use spanwise_testing::support::fixed_clock;

use crate::support::lines;
use serde_json::json;
use spanwise_core::{KeyVerdict, Redact, SelfReport};
use spanwise_json::{Format, JsonLayer, SpanEvents, Timestamp};
use tracing::{Level, field::Empty, info, info_span};

fn default(layer: JsonLayer) -> JsonLayer {
    layer
}

/// What one value becomes.
macro_rules! check_value {
    ($($value:tt)*) => {
        lines(default, || info!(value = $($value)*)).only()["value"].clone()
    };
}

#[test]
fn line_parts_follow_the_order_of_the_format() {
    let lines = lines(
        |layer| {
            layer
                .add("service", json!({ "name": "shop" }))
                .with_span_list()
                .with_source_location()
        },
        || {
            let request =
                info_span!(target: "shop", "request", request_id = "r-1", tenant_id = "acme");
            let _request = request.enter();
            let _order = info_span!(target: "shop", "create_order", order_id = 42).entered();
            info!(target: "shop::orders", total = 19.5, paid = true, "order created");
        },
    );
    let expected = format!(
        "{}\"file\":\"{}\",\"line\":{},\"service\":{{\"name\":\"shop\"}}}}\n",
        concat!(
            r#"{"timestamp":"2026-11-20T09:08:07.123456Z","level":"INFO","target":"shop::orders","#,
            r#""message":"order created","total":19.5,"paid":true,"order_id":42,"request_id":"r-1","#,
            r#""tenant_id":"acme","span":"create_order","spans":["request","create_order"],"#
        ),
        file!(),
        line!() - 11,
    );
    assert_eq!(lines.text(), expected);
}

#[test]
fn empty_event_is_a_line() {
    let lines = lines(default, || tracing::event!(target: "t", Level::WARN, {}));
    assert_eq!(
        lines.text(),
        "{\"timestamp\":\"2026-11-20T09:08:07.123456Z\",\"level\":\"WARN\",\"target\":\"t\"}\n"
    );
}

#[test]
fn integers_past_64_bits_are_strings() {
    assert_eq!(check_value!(u64::MAX), json!(u64::MAX));
    assert_eq!(check_value!(i64::MIN), json!(i64::MIN));
    assert_eq!(check_value!(7_u128), json!(7));
    assert_eq!(check_value!(u128::from(u64::MAX)), json!(u64::MAX));
    assert_eq!(check_value!(i128::from(i64::MIN)), json!(i64::MIN));
    assert_eq!(check_value!(u128::MAX), json!(u128::MAX.to_string()));
    assert_eq!(check_value!(i128::MIN), json!(i128::MIN.to_string()));
}

#[test]
fn floats_round_trip_and_non_numbers_are_named() {
    for value in [0.1 + 0.2, -0.0, 1.0, 1e300, f64::MIN_POSITIVE, f64::MAX] {
        let read = check_value!(value).as_f64().unwrap();
        assert_eq!(read.to_bits(), value.to_bits(), "{value:e}");
    }
    assert_eq!(check_value!(f64::NAN), json!("NaN"));
    assert_eq!(check_value!(f64::INFINITY), json!("Infinity"));
    assert_eq!(check_value!(f64::NEG_INFINITY), json!("-Infinity"));
}

#[test]
fn texts_are_escaped_strings_and_bytes_are_hex() {
    assert_eq!(
        check_value!("quote \" line \n esc \u{1b}"),
        json!("quote \" line \n esc \u{1b}")
    );
    assert_eq!(check_value!(%"shown"), json!("shown"));
    assert_eq!(check_value!(?"debug"), json!("\"debug\""));
    assert_eq!(check_value!(&[0x0A_u8, 0xFF][..]), json!("0aff"));
    assert_eq!(check_value!(Some(true)), json!(true));
    let forged = lines(default, || {
        info!("a\n{{\"level\":\"ERROR\"}}\u{2028}\u{85}\u{7f}\u{202e}")
    });
    assert_eq!(forged.text().lines().count(), 1);
    assert!(forged.text().is_ascii(), "{}", forged.text());
}

#[derive(Debug)]
struct Failed(&'static str, Option<Box<Self>>);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

#[test]
fn error_shows_message_and_causes_in_order() {
    let error = Failed(
        "order failed",
        Some(Box::new(Failed(
            "payment",
            Some(Box::new(Failed("reset", None))),
        ))),
    );
    assert_eq!(
        check_value!(&error as &dyn Error),
        json!({ "message": "order failed", "chain": ["payment", "reset"] })
    );
}

#[test]
fn file_and_line_fields_yield_to_source_location() {
    let log = || info!(file = "invoice.csv", line = 7, "m");
    let without = lines(default, log).only();
    assert_eq!(
        (&without["file"], &without["line"]),
        (&json!("invoice.csv"), &json!(7))
    );
    let with = lines(JsonLayer::with_source_location, log).only();
    assert_eq!(
        (&with["fields.file"], &with["fields.line"]),
        (&json!("invoice.csv"), &json!(7))
    );
    assert_eq!(with["file"], json!(file!()));
}

#[test]
fn nested_error_is_one_text_with_its_causes() {
    let causes = Failed(
        "no connection",
        Some(Box::new(Failed("connection refused", None))),
    );
    let error = Failed("charge failed", Some(Box::new(causes)));
    let lines = lines(
        |layer| layer.format(Format::JsonNested),
        || {
            let span = info_span!("s", late = Empty).entered();
            span.record("late", &error as &dyn Error);
            let alone = Failed("alone", None);
            info!(
                error = &error as &dyn Error,
                alone = &alone as &dyn Error,
                "m"
            );
        },
    );
    let line = lines.only();
    let text = json!("charge failed: no connection: connection refused");
    assert_eq!(
        (&line["fields"]["error"], &line["span"]["late"]),
        (&text, &text)
    );
    assert_eq!(line["fields"]["alone"], json!("alone"));
}

/// The end of one text and the start of the next are no name with its value.
#[test]
fn policy_scans_each_text_of_a_nested_error() {
    let error = Failed("card 41", Some(Box::new(Failed("4111 late", None))));
    let lines = lines(
        |layer| {
            layer
                .format(Format::JsonNested)
                .redact(std::sync::Arc::new(Policy))
        },
        || info!(error = &error as &dyn Error, "m"),
    );
    let line = lines.only();
    assert_eq!(line["fields"]["error"], json!("card 41: **** late"));
    assert!(!lines.text().contains("4111"), "{}", lines.text());
}

#[test]
fn causes_end_at_sixteen_and_where_a_cycle_closes() {
    let long = (0..40).fold(Failed("root", None), |cause, _| {
        Failed("outer", Some(Box::new(cause)))
    });
    assert_eq!(
        check_value!(&long as &dyn Error)["chain"]
            .as_array()
            .unwrap()
            .len(),
        16
    );

    #[derive(Debug)]
    struct Cycle;
    impl fmt::Display for Cycle {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("again")
        }
    }
    impl Error for Cycle {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }
    let chain = check_value!(&Cycle as &dyn Error)["chain"]
        .as_array()
        .unwrap()
        .len();
    assert!(chain <= 1, "{chain}");
}

#[test]
fn json_is_nested_only_as_the_whole_value() {
    let items = json!([{ "sku": "book", "text": "line\u{2028}\u{7f}" }, 1.5, null]);
    assert_eq!(check_value!(%spanwise_json::as_json(&items)), items);
    assert_eq!(check_value!(?spanwise_json::as_json(&items)), items);
    assert_eq!(
        check_value!(%format_args!("{} items", spanwise_json::as_json(&[1]))),
        json!("[1] items")
    );
    assert_eq!(
        check_value!(%format_args!("items {}", spanwise_json::as_json(&[1]))),
        json!("items [1]")
    );
    let debug = check_value!(?Some(spanwise_json::as_json(&7)));
    assert_eq!(debug, json!("Some(7)"));
    let line = lines(default, || info!(value = %spanwise_json::as_json(&items))).text();
    assert!(line.contains("line\\u2028\\u007f"), "{line}");
}

#[test]
fn failed_json_is_text_and_last_repeated_key_wins() {
    let no_json = std::collections::BTreeMap::from([(vec![1], 2)]);
    let said = check_value!(%spanwise_json::as_json(&no_json));
    assert!(
        said.as_str()
            .unwrap()
            .starts_with("<not serialisable as JSON: "),
        "{said}"
    );

    struct Twice;
    impl serde_core::Serialize for Twice {
        fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([("a", 1), ("b", 2), ("a", 3)])
        }
    }
    assert_eq!(
        check_value!(%spanwise_json::as_json(&Twice)),
        json!({ "a": 3, "b": 2 })
    );
}

#[test]
fn field_named_like_a_line_key_is_renamed() {
    let line = lines(
        |layer| layer.add("service", "shop"),
        || {
            let span = info_span!(
                "s",
                message = "of the span",
                span = 1,
                fields.level = "inner"
            );
            let _span = span.enter();
            info!(level = "FATAL", timestamp = 0, service = "forged", "real");
        },
    )
    .only();
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["message"], "real");
    assert_eq!(line["service"], "shop");
    assert_eq!(line["fields.level"], "FATAL");
    assert_eq!(line["fields.timestamp"], 0);
    assert_eq!(line["fields.service"], "forged");
    assert_eq!(line["fields.message"], "of the span");
    assert_eq!(line["fields.span"], 1);
    assert_eq!(line["fields.fields.level"], "inner");
}

#[test]
fn nearest_of_several_values_wins() {
    let lines = lines(default, || {
        let outer = info_span!("outer", a = "outer", b = "outer", c = "outer");
        let _outer = outer.enter();
        let _inner = info_span!("inner", b = "inner", c = "inner", d = Empty).entered();
        info!(c = "event", d = Empty, "m");
    });
    let line = lines.only();
    assert_eq!(
        (&line["a"], &line["b"], &line["c"]),
        (&json!("outer"), &json!("inner"), &json!("event"))
    );
    assert!(line.get("d").is_none());
    assert_eq!(lines.text().matches("\"c\"").count(), 1);
}

#[test]
fn empty_field_does_not_shadow_the_span() {
    let line = lines(default, || {
        let _span = info_span!("s", user = "ada").entered();
        info!(user = None::<&str>, "m");
    })
    .only();
    assert_eq!(line["user"], "ada");
}

#[test]
fn late_record_replaces_and_reaches_children() {
    let lines = lines(default, || {
        let request = info_span!("request", status = Empty, tries = 1, path = "/");
        let _request = request.enter();
        let inner = info_span!("inner", own = 0);
        let _inner = inner.enter();
        info!("before");
        request.record("status", 200).record("tries", 2);
        inner.record("own", 1);
        info!("after");
        let _new = info_span!("new").entered();
        info!("in a new child");
    });
    let lines = lines.objects();
    assert_eq!(
        (lines[0].get("status"), &lines[0]["tries"], &lines[0]["own"]),
        (None, &json!(1), &json!(0))
    );
    for line in &lines[1..] {
        assert_eq!(
            (&line["status"], &line["tries"], &line["own"]),
            (&json!(200), &json!(2), &json!(1))
        );
        assert_eq!(line["path"], "/");
    }
}

#[test]
fn explicit_parent_selects_the_fields() {
    let lines = lines(default, || {
        let other = info_span!("other", of = "other");
        let _current = info_span!("current", of = "current").entered();
        info!(parent: &other, "elsewhere");
        info!(parent: None, "nowhere");
        info_span!(parent: &other, "child").in_scope(|| info!("below other"));
        info_span!(parent: None, "root").in_scope(|| info!("in a root"));
    });
    let lines = lines.objects();
    assert_eq!(
        (&lines[0]["of"], &lines[0]["span"]),
        (&json!("other"), &json!("other"))
    );
    assert_eq!((lines[1].get("of"), lines[1].get("span")), (None, None));
    assert_eq!(
        (&lines[2]["of"], &lines[2]["span"]),
        (&json!("other"), &json!("child"))
    );
    assert_eq!(
        (lines[3].get("of"), &lines[3]["span"]),
        (None, &json!("root"))
    );
}

#[test]
fn message_comes_first_wherever_it_is_written() {
    let text = lines(default, || info!(a = 1, message = "late", b = 2)).text();
    assert!(text.contains(r#","message":"late","a":1,"b":2"#), "{text}");
}

#[test]
fn repeated_field_keeps_the_last_value() {
    let line = lines(default, || info!(a = 1, b = 2, a = 3, "m")).only();
    assert_eq!((&line["a"], &line["b"]), (&json!(3), &json!(2)));
    let nested = lines(
        |layer| layer.format(Format::JsonNested),
        || info!(a = 1, b = 2, a = 3, "m"),
    )
    .only();
    assert_eq!(nested["fields"], json!({ "message": "m", "b": 2, "a": 3 }));
}

#[test]
fn raw_identifier_has_no_prefix() {
    let line = lines(default, || info!(r#type = "order", "m")).only();
    assert_eq!(line["type"], "order");
}

#[test]
fn fields_are_included_excluded_renamed_added() {
    let log = || {
        let _span = info_span!("s", a = 1, b = 2).entered();
        info!(c = 3, d = 4, "m");
    };
    let excluded = lines(|layer| layer.exclude(["a", "c"]), log).only();
    assert_eq!(
        (excluded.get("a").is_some(), excluded.get("c").is_some()),
        (false, false)
    );
    assert_eq!(
        (&excluded["b"], &excluded["message"]),
        (&json!(2), &json!("m"))
    );
    let included = lines(|layer| layer.include(["a"]), log).only();
    assert_eq!(
        (&included["a"], included.get("b").is_some()),
        (&json!(1), false)
    );
    assert_eq!(included["message"], "m");
    let renamed = lines(
        |layer| {
            layer
                .rename("a", "c")
                .rename("d", "level")
                .add("e", 5)
                .add("e", 6)
        },
        log,
    )
    .only();
    assert_eq!(
        (&renamed["c"], &renamed["fields.level"], &renamed["e"]),
        (&json!(3), &json!(4), &json!(6))
    );
}

#[test]
fn timestamp_is_configurable() {
    let text = lines(
        |layer| layer.timestamp(Timestamp::millis().at_offset_minutes(60)),
        || info!("m"),
    )
    .text();
    assert!(
        text.starts_with(r#"{"timestamp":"2026-11-20T10:08:07.123+01:00","level""#),
        "{text}"
    );
    let text = lines(
        |layer| layer.without_timestamp().without_target(),
        || info!("m"),
    )
    .text();
    assert_eq!(text, "{\"level\":\"INFO\",\"message\":\"m\"}\n");
}

#[test]
fn thread_name_and_id_are_shown() {
    let lines = lines(
        |layer| layer.with_thread_name().with_thread_id().add("k", 1),
        || {
            let dispatch = tracing::dispatcher::get_default(Clone::clone);
            let log = move || tracing::dispatcher::with_default(&dispatch, || info!("m"));
            std::thread::Builder::new()
                .name("worker \"7\"".into())
                .spawn(log)
                .unwrap()
                .join()
                .unwrap();
        },
    );
    let line = lines.only();
    assert_eq!(line["thread_name"], "worker \"7\"");
    assert!(line["thread_id"].as_str().unwrap().starts_with("ThreadId("));
    assert!(lines.text().ends_with(",\"k\":1}\n"));
}

#[test]
fn span_events_have_lines() {
    let clock = fixed_clock();
    let moved = clock.clone();
    let lines = lines(
        |layer| layer.clock(clock).span_events(SpanEvents::ALL),
        || {
            let span = info_span!(target: "t", "s", a = 1);
            span.in_scope(|| moved.advance(std::time::Duration::from_millis(5)));
            moved.advance(std::time::Duration::from_millis(20));
        },
    );
    let lines = lines.objects();
    let messages: Vec<_> = lines
        .iter()
        .map(|line| line["message"].as_str().unwrap())
        .collect();
    assert_eq!(messages, ["new", "enter", "exit", "close"]);
    for line in &lines {
        assert_eq!(
            (&line["target"], &line["span"], &line["a"]),
            (&json!("t"), &json!("s"), &json!(1))
        );
    }
    assert_eq!(
        (&lines[3]["time.busy"], &lines[3]["time.idle"]),
        (&json!("5.00ms"), &json!("20.0ms"))
    );
}

#[test]
fn long_value_is_truncated_at_a_character() {
    let long = "é".repeat(300);
    let line = lines(
        |layer| layer.max_field(257),
        || {
            let _span = info_span!("s", span_value = long.as_str(), short = "x").entered();
            info!(shown = %long, debug = ?long, text = long.as_str(), nested = %spanwise_json::as_json(&long), n = 1, "{long}");
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

#[derive(Debug)]
struct Policy;

impl Redact for Policy {
    fn key(&self, key: &str) -> KeyVerdict {
        match key {
            "password" => KeyVerdict::Redact,
            "gone" => KeyVerdict::Remove,
            "author" | "type" => KeyVerdict::Trust,
            "user" => KeyVerdict::Replace,
            _ => KeyVerdict::Pass,
        }
    }

    fn replace(&self, key: &str, value: &str) -> String {
        assert!(!value.contains("boom"), "a policy that fails");
        format!("{key} of {} bytes", value.len())
    }

    fn text<'t>(&self, text: &'t str) -> std::borrow::Cow<'t, str> {
        assert!(!text.contains("boom"), "a policy that fails");
        text.replace("4111", "****").into()
    }
}

#[test]
fn policy_redacts_everywhere_and_fails_closed() {
    let lines = lines(
        |layer| layer.redact(std::sync::Arc::new(Policy)),
        || {
            let span = info_span!("s", password = "p4111", card = "4111", late = Empty);
            let _span = span.enter();
            span.record("late", "4111 late");
            let error = Failed("card 4111", Some(Box::new(Failed("cause 4111", None))));
            info!(password = 4111, gone = "4111", a = %"x4111", b = ?["4111"], c = "boom 4111",
                error = &error as &dyn Error, j = %spanwise_json::as_json(&["4111"]), ok = %spanwise_json::as_json(&[1]), "pay 4111");
        },
    );
    assert!(!lines.text().contains("4111"), "{}", lines.text());
    let line = lines.only();
    assert_eq!(
        (&line["password"], line.get("gone")),
        (&json!("[REDACTED]"), None)
    );
    assert_eq!(
        (&line["message"], &line["late"]),
        (&json!("pay ****"), &json!("**** late"))
    );
    assert_eq!(
        (&line["c"], &line["ok"]),
        (&json!("[REDACTED]"), &json!([1]))
    );
    assert_eq!(
        line["error"],
        json!({ "message": "card ****", "chain": ["cause ****"] })
    );
}

#[test]
fn trusted_value_is_not_scanned_replaced_is_whole() {
    let one = |log: fn()| lines(|layer| layer.redact(std::sync::Arc::new(Policy)), log).only();
    let trusted = one(|| info!(author = "4111", r#type = %"4111", a = "4111", "m"));
    assert_eq!(
        (&trusted["author"], &trusted["type"], &trusted["a"]),
        (&json!("4111"), &json!("4111"), &json!("****"))
    );
    let late = one(|| {
        let span = info_span!("s", author = Empty, user = Empty).entered();
        span.record("author", "4111").record("user", 4111);
        info!("m");
    });
    assert_eq!(
        (&late["author"], &late["user"]),
        (&json!("4111"), &json!("user of 4 bytes"))
    );
    let error = one(|| info!(author = &Failed("4111", None) as &dyn Error, "m"));
    assert_eq!(error["author"], json!({ "message": "4111", "chain": [] }));
}

#[test]
fn any_type_is_replaced_and_failure_redacts() {
    #[derive(Debug)]
    struct Panics;
    impl fmt::Display for Panics {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no display")
        }
    }
    macro_rules! user {
        ($($value:tt)*) => {
            lines(
                |layer| layer.redact(std::sync::Arc::new(Policy)),
                || info!(a = 1, user = $($value)*, b = 2, "m"),
            )
            .only()["user"].clone()
        };
    }
    assert_eq!(user!("4111"), json!("user of 4 bytes"));
    assert_eq!(user!(?"4111"), json!("user of 6 bytes"));
    assert_eq!(user!(12_u64), json!("user of 2 bytes"));
    assert_eq!(user!(-12), json!("user of 3 bytes"));
    assert_eq!(user!(u128::MAX), json!("user of 39 bytes"));
    assert_eq!(user!(1.5), json!("user of 3 bytes"));
    assert_eq!(user!(true), json!("user of 4 bytes"));
    assert_eq!(user!(&[0_u8, 1][..]), json!("user of 2 bytes"));
    assert_eq!(
        user!(&Failed("4111", None) as &dyn Error),
        json!("user of 4 bytes")
    );
    assert_eq!(user!(%Panics), json!("user of 27 bytes"));
    assert_eq!(user!("boom"), json!("[REDACTED]"));
    assert_eq!(user!(%"x".repeat(100_000)), json!("[REDACTED]"));
    assert_eq!(user!("x".repeat(64 * 1024)), json!("user of 65536 bytes"));
}

#[test]
fn redacted_nested_json_stays_nested() {
    let line = lines(
        |layer| layer.redact(std::sync::Arc::new(Policy)),
        || info!(body = %spanwise_json::as_json(&json!({ "card": "4111" })), "m"),
    )
    .only();
    assert_eq!(line["body"], json!({ "card": "****" }));
}

#[test]
fn each_line_is_counted_as_delivered_or_failed() {
    struct Full(u32);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            match self.0 % 3 {
                0 => Ok(bytes.len()),
                1 => Err(std::io::ErrorKind::StorageFull.into()),
                _ => panic!("a writer that panics"),
            }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let report = SelfReport::silent();
    let calls = std::sync::atomic::AtomicU32::new(0);
    let layer = JsonLayer::new()
        .report(&report)
        .with_writer(move || Full(calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
    let dispatch = crate::support::dispatch(layer);
    tracing::dispatcher::with_default(&dispatch, || (0..9).for_each(|n| info!(n, "m")));
    let sink = report.stats().sinks.remove(0);
    assert_eq!((sink.delivered, sink.write_failed), (3, 6));
}

#[test]
fn raw_json_neither_breaks_line_nor_repeats_key() {
    let raw = |text: &str| serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
    let forged = raw("[\n{\"level\": \"ERROR\", \"text\": \"a b\"}\r\n]");
    let lines_of_raw = lines(
        default,
        || info!(body = %spanwise_json::as_json(&forged), "got"),
    );
    assert_eq!(lines_of_raw.text().lines().count(), 1);
    assert_eq!(
        lines_of_raw.only()["body"],
        json!([{ "level": "ERROR", "text": "a b" }])
    );

    let repeated = raw(
        r#"{"a" : 1, "\u0061" : [{"b":1,"b":2}], "big":340282366920938463463374607431768211455}"#,
    );
    let line = lines(
        default,
        || info!(body = %spanwise_json::as_json(&repeated), "got"),
    );
    assert!(
        line.text().contains(
            r#""body":{"\u0061":[{"b":2}],"big":340282366920938463463374607431768211455}"#
        ),
        "{}",
        line.text()
    );
}

#[test]
fn part_of_forwarded_json_is_text() {
    struct Part<T>(T, std::ops::Range<usize>);
    impl<T: fmt::Display> fmt::Display for Part<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            struct Cut<'a, 'f>(&'a mut fmt::Formatter<'f>, std::ops::Range<usize>);
            impl fmt::Write for Cut<'_, '_> {
                fn write_str(&mut self, text: &str) -> fmt::Result {
                    let end = self.1.end.min(text.len());
                    self.0.write_str(&text[self.1.start.min(end)..end])
                }
            }
            fmt::write(&mut Cut(f, self.1.clone()), format_args!("{}", self.0))
        }
    }
    let value = json!({ "k": ["v", 1] });
    let line = lines(default, || {
        let _span = info_span!("s", other = 1).entered();
        info!(start = %Part(spanwise_json::as_json(&value), 0..5), end = %Part(spanwise_json::as_json(&value), 1..99), other = 2, "m");
    })
    .only();
    assert_eq!(
        (&line["start"], &line["end"]),
        (&json!("{\"k\":"), &json!("\"k\":[\"v\",1]}"))
    );
}

#[test]
fn static_field_and_event_field_coexist() {
    let line = lines(
        |layer| {
            layer
                .add("level", "x")
                .add("fields.x", "y")
                .add("added.z", "z")
        },
        || info!(level = 1, fields.x = 2, added.z = 3, added.level = 4, "m"),
    )
    .only();
    assert_eq!(
        (&line["fields.level"], &line["added.level"]),
        (&json!(1), &json!("x"))
    );
    assert_eq!(
        (&line["fields.fields.x"], &line["added.fields.x"]),
        (&json!(2), &json!("y"))
    );
    assert_eq!(
        (
            &line["added.z"],
            &line["added.added.z"],
            &line["fields.added.level"]
        ),
        (&json!(3), &json!("z"), &json!(4))
    );
    let nested = lines(
        |layer| layer.format(Format::JsonNested).add("fields", 1),
        || info!("m"),
    )
    .only();
    assert_eq!(
        (&nested["fields"]["message"], &nested["added.fields"]),
        (&json!("m"), &json!(1))
    );
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
fn policy_scans_before_truncation_and_may_panic() {
    #[derive(Debug)]
    struct Panics;
    impl Redact for Panics {
        fn key(&self, key: &str) -> KeyVerdict {
            assert_ne!(key, "worst", "a policy that fails");
            KeyVerdict::Pass
        }
        fn text<'t>(&self, text: &'t str) -> std::borrow::Cow<'t, str> {
            text.replace("4111111111111111", "****").into()
        }
    }
    let straddling = format!("{}4111111111111111", "x".repeat(250));
    let beyond = "x ".repeat(50_000);
    let line = lines(
        |layer| layer.max_field(256).redact(std::sync::Arc::new(Panics)),
        || info!(shown = %straddling, text = straddling.as_str(), worst = "hidden", beyond = %beyond, "m"),
    )
    .only();
    assert_eq!(line["shown"], json!(format!("{}****", "x".repeat(250))));
    assert_eq!(
        (&line["text"], &line["worst"], &line["beyond"]),
        (
            &line["shown"],
            &json!("[REDACTED]"),
            &json!("x ".repeat(128))
        )
    );
}

#[test]
fn end_of_unscanned_value_is_redacted() {
    let long = "word ".repeat(15_000) + "4111";
    let line = lines(
        |layer| layer.max_field(100_000).redact(std::sync::Arc::new(Policy)),
        || info!(long = %long, text = long.as_str(), "m"),
    )
    .only();
    let shown = "word ".repeat(64 * 1024 / 5) + "[REDACTED]";
    assert_eq!(line["long"], json!(shown));
    assert_eq!(line["text"], json!(shown));
}

#[test]
fn text_ending_at_the_scan_limit_is_complete() {
    let long = "x".repeat(64 * 1024 - 1) + "\u{1f600}" + &"y".repeat(5000);
    let line = lines(
        |layer| {
            let policy = std::sync::Arc::new(Policy);
            layer.max_field(100_000).redact(policy)
        },
        || info!(long = %long, "m"),
    )
    .only();
    assert!(line["long"].as_str().unwrap().ends_with("[REDACTED]"));
    assert_eq!(line["redacted"], json!(["long"]));
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

#[test]
fn bytes_are_scanned_as_text() {
    for format in [Format::Json, Format::JsonNested] {
        let lines = lines(
            |layer| layer.format(format).redact(std::sync::Arc::new(Policy)),
            || {
                let span = info_span!("s", body = &b"span 4111"[..], ok = &[1_u8, 2][..]);
                span.in_scope(|| info!(body = &b"event 4111"[..], ok = &[1_u8, 2][..], "m"));
            },
        );
        let text = lines.text();
        for secret in ["4111", "34313131", "34 31", "52,49"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(text.contains("event ****"), "{text}");
    }
}

#[test]
fn line_lists_redacted_fields() {
    let log = || {
        let outer = info_span!("outer", password = "p", card = "4111", ok = 1).entered();
        let inner = info_span!("inner", late = Empty, card = "fine");
        let _inner = inner.enter();
        info!(a = 1, "fine");
        inner.record("late", "4111");
        info!(user = 1, password = "q", j = ?"4111", t = "fine", "pay 4111");
        drop(outer);
    };
    let redacted = |line: &serde_json::Value| line["redacted"].clone();
    let policy = || std::sync::Arc::new(Policy);
    let flat = lines(|layer| layer.redact(policy()), log);
    let [first, second] = [0, 1].map(|line| redacted(&flat.objects()[line]));
    assert_eq!(first, json!(["password"]));
    assert_eq!(second, json!(["message", "user", "j", "password", "late"]));

    let nested = lines(
        |layer| layer.format(Format::JsonNested).redact(policy()),
        log,
    );
    let [first, second] = [0, 1].map(|line| redacted(&nested.objects()[line]));
    assert_eq!(first, json!(["card", "password"]));
    assert_eq!(
        second,
        json!(["message", "user", "j", "password", "late", "card"])
    );

    let by_key = || info!(password = "q", ok = 1, "fine");
    for _ in 0..2 {
        let line = lines(|layer| layer.redact(policy()), by_key).only();
        assert_eq!(redacted(&line), json!(["password"]));
    }
    let some = || info!(password = Empty, token = 1, "fine");
    let line = lines(|layer| layer.redact(policy()), some).only();
    assert!(line.get("redacted").is_none());

    let none = lines(|layer| layer.redact(policy()).without_redacted_list(), log);
    assert!(!none.text().contains("redacted\""), "{}", none.text());

    let own = lines(default, || info!(redacted = 1, "m")).only();
    assert_eq!(own["fields.redacted"], json!(1));
}

#[test]
fn changed_message_is_scanned_again() {
    let lines = lines(
        |layer| layer.redact(std::sync::Arc::new(Policy)),
        || {
            for text in [
                "fine",
                "fine",
                "4111",
                "fine",
                "fine\n",
                "4111",
                "4111 fine",
            ] {
                info!("{text}");
            }
        },
    );
    let messages: Vec<_> = lines
        .objects()
        .iter()
        .map(|line| line["message"].clone())
        .collect();
    assert_eq!(
        json!(messages),
        json!([
            "fine",
            "fine",
            "****",
            "fine",
            "fine\n",
            "****",
            "**** fine"
        ])
    );
}

#[test]
fn policy_receives_the_key_of_a_value() {
    #[derive(Debug)]
    struct Items;
    impl Redact for Items {
        fn key(&self, _: &str) -> KeyVerdict {
            KeyVerdict::Pass
        }
        fn text<'t>(&self, text: &'t str) -> std::borrow::Cow<'t, str> {
            text.into()
        }
        fn value<'t>(&self, key: &str, text: &'t str) -> std::borrow::Cow<'t, str> {
            match key {
                "items" => "[]".into(),
                _ => text.into(),
            }
        }
    }
    let line = lines(
        |layer| layer.redact(std::sync::Arc::new(Items)),
        || info!(items = %spanwise_json::as_json(&[1]), other = %spanwise_json::as_json(&[1]), "m"),
    )
    .only();
    assert_eq!(
        (&line["items"], &line["other"], &line["message"]),
        (&json!([]), &json!([1]), &json!("m"))
    );
}

#[test]
fn event_context_is_on_its_line_only() {
    use spanwise_core::EventContext;
    for format in [Format::Json, Format::JsonNested] {
        let lines = lines(
            |layer| layer.format(format).with_thread_name(),
            || {
                let rate = |annotations: &mut EventContext| annotations.sample_rate = Some(0.01);
                EventContext::scope(rate, || info!(a = 1, "sampled"));
                let buffered = |annotations: &mut EventContext| annotations.buffered = true;
                EventContext::scope(buffered, || info!(sample_rate = 44_100, "kept"));
                info!("neither");
            },
        );
        let [sampled, kept, neither] = [0, 1, 2].map(|line| lines.objects()[line].clone());
        assert_eq!(sampled["sample_rate"], json!(0.01));
        assert_eq!(
            (kept.get("sample_rate"), &kept["buffered"]),
            (None, &json!(true))
        );
        assert!(neither.get("sample_rate").is_none() && neither.get("buffered").is_none());
    }
}
