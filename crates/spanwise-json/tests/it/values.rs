//! The JSON of each type of value.

use std::{error::Error, fmt};

use serde_json::json;
use spanwise_json::{Format, as_json};
use tracing::{field::Empty, info, info_span};

use crate::support::{Failed, default, lines};

/// What one value becomes.
macro_rules! check_value {
    ($($value:tt)*) => {
        lines(default, || info!(value = $($value)*)).only()["value"].clone()
    };
}

#[test]
fn number_of_64_bits_suits_a_reader_of_63() {
    let shown = |format: Format| {
        let log = || {
            info!(
                a = u64::MAX,
                file.size = i64::MAX as u64 + 1,
                b = i64::MAX as u64,
                raw = %as_json(&u64::MAX),
                negative = i64::MIN,
            )
        };
        lines(|layer| layer.format(format).add("added", u64::MAX), log).only()
    };
    let json = shown(Format::Json);
    assert_eq!(json["a"], u64::MAX);
    assert_eq!(json["file.size"], i64::MAX as u64 + 1);
    let gelf = shown(Format::Gelf);
    assert_eq!(gelf["_a.text"], u64::MAX.to_string());
    assert_eq!(gelf["_file.size.text"], "9223372036854775808");
    assert_eq!(gelf["_b"], i64::MAX);
    assert_eq!(gelf["_raw.text"], u64::MAX.to_string());
    assert_eq!(gelf["_negative"], i64::MIN);
    // A static field always has the same type.
    assert_eq!(gelf["_added"], u64::MAX.to_string());
    assert_eq!((gelf.get("_a"), gelf.get("_raw")), (None, None));
    // Elasticsearch refuses a document with such a number in a leaf.
    let ecs = shown(Format::Ecs);
    assert_eq!(ecs["numeric_labels.a"], u64::MAX);
    assert_eq!(ecs["numeric_labels.file_size"], i64::MAX as u64 + 1);
    assert_eq!(ecs.get("file.size"), None);
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
    assert_eq!(check_value!(%as_json(&items)), items);
    assert_eq!(check_value!(?as_json(&items)), items);
    assert_eq!(
        check_value!(%format_args!("{} items", as_json(&[1]))),
        json!("[1] items")
    );
    assert_eq!(
        check_value!(%format_args!("items {}", as_json(&[1]))),
        json!("items [1]")
    );
    let debug = check_value!(?Some(as_json(&7)));
    assert_eq!(debug, json!("Some(7)"));
    let line = lines(default, || info!(value = %as_json(&items))).text();
    assert!(line.contains("line\\u2028\\u007f"), "{line}");
}

#[test]
fn failed_json_is_text_and_last_repeated_key_wins() {
    let no_json = std::collections::BTreeMap::from([(vec![1], 2)]);
    let said = check_value!(%as_json(&no_json));
    assert!(
        said.as_str()
            .unwrap()
            .starts_with("<not serializable as JSON: "),
        "{said}"
    );

    struct Twice;
    impl serde_core::Serialize for Twice {
        fn serialize<S: serde_core::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([("a", 1), ("b", 2), ("a", 3)])
        }
    }
    assert_eq!(check_value!(%as_json(&Twice)), json!({ "a": 3, "b": 2 }));
}

#[test]
fn raw_json_neither_breaks_line_nor_repeats_key() {
    let raw = |text: &str| serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
    let forged = raw("[\n{\"level\": \"ERROR\", \"text\": \"a b\"}\r\n]");
    let lines_of_raw = lines(default, || info!(body = %as_json(&forged), "got"));
    assert_eq!(lines_of_raw.text().lines().count(), 1);
    assert_eq!(
        lines_of_raw.only()["body"],
        json!([{ "level": "ERROR", "text": "a b" }])
    );

    let repeated = raw(
        r#"{"a" : 1, "\u0061" : [{"b":1,"b":2}], "big":340282366920938463463374607431768211455}"#,
    );
    let line = lines(default, || info!(body = %as_json(&repeated), "got"));
    assert!(
        line.text().contains(
            r#""body":{"\u0061":[{"b":2}],"big":340282366920938463463374607431768211455}"#
        ),
        "{}",
        line.text()
    );
}

#[test]
fn raw_json_has_no_half_of_a_surrogate_pair() {
    for (json, expected) in [
        (r#"["\ud83d\ude80"]"#, r#"["\ud83d\ude80"]"#),
        (r#"["\ud83d"]"#, r#"["\ufffd"]"#),
        (r#"["\uDE80\uD83D\uDE80"]"#, r#"["\ufffd\uD83D\uDE80"]"#),
        (
            r#"["\ud83d\ud83d\ude80\ud83d"]"#,
            r#"["\ufffd\ud83d\ude80\ufffd"]"#,
        ),
        (
            r#"["\\ud83d\u0041\ud83d\n"]"#,
            r#"["\\ud83d\u0041\ufffd\n"]"#,
        ),
        (r#"{"\ud83d":1,"\ufffd":2}"#, r#"{"\ufffd":2}"#),
    ] {
        let raw = serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
        let shown = lines(default, || info!(body = %as_json(&raw), "got"));
        let body = format!("\"body\":{expected}}}\n");
        assert!(shown.text().ends_with(&body), "{}", shown.text());
        // serde_json refuses a half of a pair.
        let _ = shown.only();
    }
}

#[test]
fn number_beyond_a_float_is_text() {
    let digits = "9".repeat(309);
    let json = format!("[1e999, 1e308,-1E999,{digits}.5,{digits},-{digits},0.{digits}]");
    let raw = serde_json::value::RawValue::from_string(json).unwrap();
    let shown = |format| {
        let log = || info!(body = %as_json(&raw), "got");
        lines(|layer| layer.format(format).add("added", &raw), log)
    };
    let expected =
        format!(r#"["1e999",1e308,"-1E999","{digits}.5","{digits}","-{digits}",0.{digits}]"#);
    let json = shown(Format::Json);
    // serde_json refuses a number beyond a float.
    let _ = json.only();
    assert_eq!(json.text().matches(&expected).count(), 2, "{}", json.text());
    let otlp = shown(Format::Otlp);
    let _ = otlp.only();
    let values = r#"{"stringValue":"1e999"},{"doubleValue":1e308},{"stringValue":"-1E999"}"#;
    assert!(otlp.text().contains(values), "{}", otlp.text());
    let shown = lines(
        |layer| layer.format(Format::Json),
        || {
            let raw = serde_json::value::RawValue::from_string("1e400".to_owned()).unwrap();
            info!(body = %as_json(&raw), "got");
        },
    );
    assert_eq!(shown.only()["body"], "1e400");
}

#[test]
fn deep_json_is_text() {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let raw = |depth| serde_json::value::RawValue::from_string(deep(depth)).unwrap();
    let shown = |depth| {
        let (field, added) = (raw(depth), raw(depth));
        let log = || info!(body = %as_json(&field), "got");
        lines(|layer| layer.add("added", &added), log).only()
    };
    let nested: serde_json::Value = serde_json::from_str(&deep(64)).unwrap();
    let line = shown(64);
    assert_eq!((&line["body"], &line["added"]), (&nested, &nested));
    for depth in [65, 5_000] {
        let line = shown(depth);
        assert_eq!(line["body"], deep(depth));
        assert_eq!(line["added"], deep(depth));
    }
}

#[test]
fn repeated_keys_keep_the_last_at_any_depth() {
    for (json, expected) in [
        (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        (
            r#"{"a":1,"b":2,"a":3,"c":4,"a":5}"#,
            r#"{"b":2,"c":4,"a":5}"#,
        ),
        (
            r#"[{"x":{"k\"":1,"b":[{}],"k\"":2}}]"#,
            r#"[{"x":{"b":[{}],"k\"":2}}]"#,
        ),
        (
            r#"{"a":{"b":1,"b":2},"a":{"c":1,"c":2}}"#,
            r#"{"a":{"c":2}}"#,
        ),
        (
            r#"{"a":[1,{"z":1,"z":2}],"\u0061":"x,y"}"#,
            r#"{"\u0061":"x,y"}"#,
        ),
    ]
    .into_iter()
    .chain(
        [
            r#"{"a":{"a":1},"b":{"a":"a"}}"#,
            r#"["a","a",{"a":["a"]},{"a":1}]"#,
            "1",
            r#""\"""#,
        ]
        .map(|json| (json, json)),
    ) {
        let raw = serde_json::value::RawValue::from_string(json.to_owned()).unwrap();
        assert_eq!(as_json(&raw).to_string(), expected, "{json}");
    }
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
        info!(start = %Part(as_json(&value), 0..5), end = %Part(as_json(&value), 1..99), other = 2, "m");
    })
    .only();
    assert_eq!(
        (&line["start"], &line["end"]),
        (&json!("{\"k\":"), &json!("\"k\":[\"v\",1]}"))
    );
}
