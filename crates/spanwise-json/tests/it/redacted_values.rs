//! Redaction by a policy: values, texts, and the list of redacted fields.

use std::{
    borrow::Cow,
    error::Error,
    fmt,
    sync::{Arc, Mutex},
};

use serde_json::json;
use spanwise_core::{KeyVerdict, Redact};
use spanwise_json::{Format, JsonLayer, as_json};
use tracing::{field::Empty, info, info_span};

use crate::support::{Failed, default, lines};

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

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        assert!(!text.contains("boom"), "a policy that fails");
        text.replace("4111", "****").into()
    }
}

/// The end of one text and the start of the next do not form a key and its value.
#[test]
fn policy_scans_each_text_of_a_nested_error() {
    let error = Failed("card 41", Some(Box::new(Failed("4111 late", None))));
    let lines = lines(
        |layer| layer.format(Format::JsonNested).redact(Arc::new(Policy)),
        || info!(error = &error as &dyn Error, "m"),
    );
    let line = lines.only();
    assert_eq!(line["fields"]["error"], json!("card 41: **** late"));
    assert!(!lines.text().contains("4111"), "{}", lines.text());
}

#[test]
fn policy_redacts_everywhere_and_fails_closed() {
    let lines = lines(
        |layer| layer.redact(Arc::new(Policy)),
        || {
            let span = info_span!("s", password = "p4111", card = "4111", late = Empty);
            let _span = span.enter();
            span.record("late", "4111 late");
            let error = Failed("card 4111", Some(Box::new(Failed("cause 4111", None))));
            info!(password = 4111, gone = "4111", a = %"x4111", b = ?["4111"], c = "boom 4111",
                error = &error as &dyn Error, j = %as_json(&["4111"]), ok = %as_json(&[1]), "pay 4111");
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
    let one = |log: fn()| lines(|layer| layer.redact(Arc::new(Policy)), log).only();
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
                |layer| layer.redact(Arc::new(Policy)),
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
        |layer| layer.redact(Arc::new(Policy)),
        || info!(body = %as_json(&json!({ "card": "4111" })), "m"),
    )
    .only();
    assert_eq!(line["body"], json!({ "card": "****" }));
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
        fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
            text.replace("4111111111111111", "****").into()
        }
    }
    let straddling = format!("{}4111111111111111", "x".repeat(250));
    let beyond = "x ".repeat(50_000);
    let line = lines(
        |layer| layer.max_field(256).redact(Arc::new(Panics)),
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
        |layer| layer.max_field(100_000).redact(Arc::new(Policy)),
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
            let policy = Arc::new(Policy);
            layer.max_field(100_000).redact(policy)
        },
        || info!(long = %long, "m"),
    )
    .only();
    assert!(line["long"].as_str().unwrap().ends_with("[REDACTED]"));
    assert_eq!(line["redacted"], json!(["long"]));
}

#[test]
fn bytes_are_scanned_as_text() {
    for format in [Format::Json, Format::JsonNested] {
        let lines = lines(
            |layer| layer.format(format).redact(Arc::new(Policy)),
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
    let policy = || Arc::new(Policy);
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
        |layer| layer.redact(Arc::new(Policy)),
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
        fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
            text.into()
        }
        fn value<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
            match key {
                "items" => "[]".into(),
                _ => text.into(),
            }
        }
    }
    let line = lines(
        |layer| layer.redact(Arc::new(Items)),
        || info!(items = %as_json(&[1]), other = %as_json(&[1]), "m"),
    )
    .only();
    assert_eq!(
        (&line["items"], &line["other"], &line["message"]),
        (&json!([]), &json!([1]), &json!("m"))
    );
}

/// The type of an enum is the text of its `Debug`, which the program writes.
#[test]
fn policy_scans_the_type_of_an_error() {
    struct Custom;
    impl fmt::Debug for Custom {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Card4111")
        }
    }
    impl fmt::Display for Custom {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("declined")
        }
    }
    impl Error for Custom {}
    for format in [Format::Ecs, Format::Otlp, Format::Datadog, Format::Bunyan] {
        let lines = lines(
            |layer| layer.format(format).redact(Arc::new(Policy)),
            || info!(error = &Custom as &dyn Error, "m"),
        );
        assert!(!lines.text().contains("4111"), "{}", lines.text());
        assert!(lines.text().contains("Card****"), "{}", lines.text());
    }
}

/// The lists of one callsite differ from line to line, and are not mistaken for each other.
#[test]
fn lists_of_a_callsite_follow_its_lines() {
    let hidden = |bits: u32, bit: u32| if bits >> bit & 1 != 0 { "4111" } else { "fine" };
    let log = || {
        for round in 0..3 {
            for bits in 0..16 {
                let [a, b, c] = [0, 1, 2].map(|bit| hidden(bits, bit));
                let m = hidden(bits, 3);
                if round == 1 {
                    info!(z = a, password = "q", y = %b, x = c, "{m}");
                } else {
                    info!(a, b = %b, c, "{m}");
                }
            }
        }
    };
    let lines = lines(|layer| layer.redact(Arc::new(Policy)), log);
    let lines = lines.objects();
    assert_eq!(lines.len(), 48);
    for (place, line) in lines.iter().enumerate() {
        let (bits, has_password) = (place % 16, (16..32).contains(&place));
        let names = if has_password {
            ["message", "z", "y", "x"]
        } else {
            ["message", "a", "b", "c"]
        };
        let is_hidden = |at: &usize| bits >> [3, 0, 1, 2][*at] & 1 != 0;
        let mut expected: Vec<&str> = (0..4).filter(is_hidden).map(|at| names[at]).collect();
        expected.extend(has_password.then_some("password"));
        let shown = line.get("redacted").cloned().unwrap_or(json!([]));
        assert_eq!(shown, json!(expected), "{line}");
    }
}

/// Counts the texts that it scans, and hides those that contain `4111`.
#[derive(Debug, Default)]
struct Scans(Mutex<Vec<String>>);

impl Redact for Scans {
    fn key(&self, _: &str) -> KeyVerdict {
        KeyVerdict::Pass
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.value("the message", text)
    }

    fn value<'t>(&self, key: &str, text: &'t str) -> Cow<'t, str> {
        self.0.lock().unwrap().push(format!("{key}: {text}"));
        if text.contains("4111") {
            return Cow::Borrowed("[REDACTED]");
        }
        Cow::Borrowed(text)
    }
}

#[test]
fn clean_texts_of_a_key_are_scanned_once() {
    let scans = Arc::new(Scans::default());
    let routes = ["/", "/orders", "/orders/{order_id}", "/orders/{id}/items"];
    let lines = lines(
        |layer| layer.redact(scans.clone()),
        || {
            for _ in 0..3 {
                for (place, route) in routes.into_iter().enumerate() {
                    info!(route, other = %routes[3 - place], "received");
                }
            }
        },
    );
    assert_eq!(lines.objects().len(), 12);
    for (place, line) in lines.objects().iter().enumerate() {
        assert_eq!(line["route"], routes[place % 4]);
        assert_eq!(line["other"], routes[3 - place % 4]);
    }
    // A message, and four texts of two keys.
    let scans = scans.0.lock().unwrap();
    assert_eq!(scans.len(), 9, "{scans:?}");
}

/// A text that is clean under one key may be hidden under another, and a remembered text hides no
/// other text of the same length and with the same ends.
#[test]
fn clean_texts_of_a_key_do_not_show_others() {
    let scans = Arc::new(Scans::default());
    let lines = lines(
        |layer| layer.redact(scans.clone()),
        || {
            for digits in ["1234", "4111", "1234", "4111", "5678", "4111"] {
                let text = format!("customer {digits} of this example");
                info!(text, short = digits, shown = ?digits, "m {digits}");
            }
        },
    );
    for (place, line) in lines.objects().iter().enumerate() {
        let hidden = place % 2 == 1;
        for key in ["text", "short", "shown", "message"] {
            assert_eq!(line[key] == "[REDACTED]", hidden, "{key}: {line}");
        }
    }
}

#[test]
fn redacted_message_is_listed_under_its_name() {
    let text = |format: Format| {
        let redact = |layer: JsonLayer| layer.format(format).redact(Arc::new(Policy));
        lines(redact, || info!("pay 4111")).text()
    };
    let template = text("text:{message} {fields}".parse().unwrap());
    assert_eq!(template, "pay **** redacted=message\n");
    let otlp = text(Format::Otlp);
    let list = r#"{"key":"redacted","value":{"arrayValue":{"values":[{"stringValue":"body"}]}}}"#;
    assert!(otlp.contains(list), "{otlp}");
}
