//! Grouping of errors into issues by their fingerprint.

use std::{error::Error, fmt};

use serde_json::{Value, json};
use spanwise_core::err;
use tracing::error;

use crate::support::{one, payment_failed, plain, sent};

/// The texts of each list belong to one issue.
const SAME_ISSUE: &[&[&str]] = &[
    &[
        "order 42 failed",
        "order 7 failed",
        "order 1234567890123 failed",
    ],
    &["order #42: no stock", "order #7: no stock"],
    &["took 153ms", "took 1.2s", "took 35µs", "took 2m"],
    &[
        "used 1.5GiB of 2GiB",
        "used 300MiB of 512MiB",
        "used 80% of 90%",
    ],
    &["balance -5", "balance 17.25", "balance +3"],
    &[
        "ids [1, 2, 3] are gone",
        "ids [9] are gone",
        "ids [4, 5] are gone",
    ],
    &[
        "10.0.0.1:8080: connection refused",
        "192.168.178.255:443: connection refused",
        "172.16.0.9: connection refused",
    ],
    &["db-0.internal:5432 is down", "db-17.internal:6432 is down"],
    &[
        "request 7f9c24e5-7d60-4b8a-9c3e-1d2f3a4b5c6d timed out",
        "request 00000000-0000-0000-0000-000000000001 timed out",
        "request 019E2B1C-7D60-7B8A-9C3E-ABCDEFABCDEF timed out",
    ],
    &["at address 0x7ffe12", "at address 0xDEADBEEF"],
    &[
        "commit 1a2b3c4d is bad",
        "commit 0123456789abcdef0123456789abcdef01234567 is bad",
    ],
    &["peer [2001:db8::1]:443 left", "peer [fe80::42:1]:9000 left"],
    &["device 00:1a:2b:3c:4d:5e", "device ff:ee:dd:cc:bb:aa"],
    &[
        "pod shop-7f9c4d8b5-xk2p9 gone",
        "pod shop-6b8d94c77-a1b2c gone",
    ],
    &[
        "charge ch_3NqXYZ2eZvKYlo2C failed",
        "charge ch_1MmABC9fTwLZmp7D failed",
    ],
    &[
        "ulid 01JDXYZABCDEFGH0123456789K",
        "ulid 01HZZZYYYXXXWWW9876543210A",
    ],
    &[
        "cannot open /var/lib/shop/42.db",
        "cannot open /x",
        "cannot open ~/a.txt",
    ],
    &[
        "no such file: '/var/lib/shop/42.db'",
        "no such file: '/tmp/x'",
        "no such file: './data/a.csv'",
    ],
    &[
        "bad include src/main.rs:12:5",
        "bad include crates/pay/src/card.rs:7",
    ],
    &["C:\\shop\\a.txt: denied", "D:\\data\\deep\\b.txt: denied"],
    &[
        "GET https://api.example.com/v1/orders/42?expand=1: 502",
        "GET https://api.example.com/v1/users/7: 503",
    ],
    &[
        "GET http://10.0.0.1:8080/health failed",
        "GET http://10.0.0.2:9090/ready?x=a failed",
    ],
    &[
        "due 2026-11-28T10:00:00Z",
        "due 2025-01-01T00:00:00.123456+01:00",
    ],
    &["ends 2026-11-28 10:00:00", "ends 2024-02-29 23:59:59"],
    &["version 1.2.3 is too old", "version 0.9 is too old"],
    &["user10042 left", "user7654321 left"],
    &["chunk 1a2b lost", "chunk 9f3c lost"],
    &["off by 1e-5", "off by 0.25", "off by 3E+10"],
    &[
        "no object uploads/ada/photo",
        "no object exports/2026/11/report",
    ],
    &["listening on [::1]:8080", "listening on [fe80::9]:80"],
    &["worker_3 stopped", "worker_12 stopped"],
    &["shard-3 stopped", "shard-12 stopped"],
    &["Row { id: 42, key: 0xff }", "Row { id: 7, key: 0x01 }"],
    &[
        "{\"order\":42,\"at\":\"/a/b\"}",
        "{\"order\":7,\"at\":\"/c\"}",
    ],
];

/// The texts of each pair belong to two issues.
const DIFFERENT_ISSUES: &[(&str, &str)] = &[
    ("order 42 failed", "payment 42 failed"),
    ("order 42 failed", "order 42 timed out"),
    ("connection refused", "connection reset"),
    ("invalid utf8", "invalid utf16"),
    ("no sha256 sum", "no sha512 sum"),
    ("h2 failed", "h3 failed"),
    ("text/html refused", "application/json refused"),
    ("shop::pay failed", "shop::refund failed"),
    (
        "https://api.example.com/a down",
        "https://db.example.com/a down",
    ),
    ("db.internal:5432 is down", "cache.internal:5432 is down"),
    ("cannot open /a/b", "cannot close /a/b"),
    (
        "cannot open '/a/b': not found",
        "cannot open '/a/b': permission denied",
    ),
    ("missing field `id`", "missing field `name`"),
    ("deadbeef", "coffee"),
    ("table orders", "table users"),
    ("and/or", "either/or"),
    ("bad face", "bad cafe"),
    ("user not found", "order not found"),
    ("größe fehlt", "höhe fehlt"),
    ("E_CARD", "E_BANK"),
];

fn fingerprint(log: impl FnOnce()) -> Value {
    let (receiver, _) = sent(plain, log);
    one(&receiver)["fingerprint"].clone()
}

#[derive(Debug)]
struct Failed(&'static str);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Failed {}

fn message_fingerprint(text: &str) -> Value {
    fingerprint(|| error!("{text}"))
}

fn error_fingerprint(text: &'static str) -> Value {
    fingerprint(|| error!(error = err(&Failed(text)), "failed"))
}

#[test]
fn placeholders_replace_variable_parts() {
    for (text, expected) in [
        ("order 42 failed", "order <number> failed"),
        ("order #42: took 1.5s", "order #<number>: took <number>"),
        ("ids [1, 2, 3]", "ids [<number>]"),
        ("-5 degrees", "<number> degrees"),
        ("at 2026-11-28T10:00:00.123Z", "at <number>"),
        ("10.0.0.1:8080 refused", "<number> refused"),
        ("db.internal:5432 refused", "db.internal:<number> refused"),
        ("[::1]:80 and fe80::1%eth0", "[<id>]:<number> and <id>%eth0"),
        ("0xdeadbeef", "<id>"),
        (
            "1a2b of 1e-5 for user10042",
            "<id> of <number> for user<number>",
        ),
        ("::1 at 10:20:30+01:00", "<id> at <number>"),
        ("uploads/ada/photo", "<path>"),
        ("file:///var/x", "file://<path>"),
        ("commit 1a2b3c4d5e", "commit <id>"),
        ("7f9c24e5-7d60-4b8a-9c3e-1d2f3a4b5c6d", "<id>"),
        ("pod shop-7f9c4d8b5-xk2p9", "pod shop-<id>-<id>"),
        ("cannot open /var/lib/shop/42.db", "cannot open <path>"),
        ("at src/main.rs:12:5", "at <path>"),
        ("C:\\shop\\a.txt: denied", "<path>: denied"),
        (
            "GET https://api.example.com:8443/v1/orders/42?x=1 failed",
            "GET https://api.example.com:<number><path> failed",
        ),
        // Digits in names are kept.
        ("invalid utf8, not utf16", "invalid utf8, not utf16"),
        ("sha256 of x86 by h2", "sha256 of x86 by h2"),
        ("text/html and/or I/O", "text/html and/or I/O"),
        ("std::io::Error a::b", "std::io::Error a::b"),
        ("a / b", "a / b"),
        ("größe 5 µ", "größe <number> µ"),
    ] {
        assert_eq!(message_fingerprint(text)[1], expected, "{text}");
    }
}

#[test]
fn texts_differing_in_variables_are_one_issue() {
    for texts in SAME_ISSUE {
        let [first, others @ ..] = *texts else {
            continue;
        };
        let (message, error) = (message_fingerprint(first), error_fingerprint(first));
        for other in others {
            assert_eq!(
                message_fingerprint(other),
                message,
                "{first:?} and {other:?}"
            );
            assert_eq!(error_fingerprint(other), error, "{first:?} and {other:?}");
        }
    }
}

#[test]
fn different_texts_are_different_issues() {
    for (one, other) in DIFFERENT_ISSUES {
        assert_ne!(
            message_fingerprint(one),
            message_fingerprint(other),
            "{one:?} and {other:?}"
        );
        assert_ne!(
            error_fingerprint(one),
            error_fingerprint(other),
            "{one:?} and {other:?}"
        );
    }
}

#[test]
fn groups_have_different_fingerprints() {
    let mut seen: Vec<(Value, &str)> = Vec::new();
    for texts in SAME_ISSUE {
        let print = message_fingerprint(texts[0]);
        let same = seen.iter().find(|(other, _)| *other == print);
        assert!(same.is_none(), "{:?} and {same:?}", texts[0]);
        seen.push((print, texts[0]));
    }
}

#[test]
fn target_and_error_type_separate_issues() {
    let here = fingerprint(|| error!("failed"));
    let there = fingerprint(|| error!(target: "shop::other", "failed"));
    assert_ne!(here, there);
    let one = fingerprint(|| error!(error = err(&Failed("x")), "failed"));
    let other = fingerprint(|| error!(error = err(&fmt::Error), "failed"));
    assert_ne!(one, other);
    // The line does not separate them.
    assert_eq!(here, fingerprint(|| error!("failed")));
    assert_eq!(
        fingerprint(|| error!(
            error = err(&payment_failed()),
            order = 7,
            "payment {} failed",
            7
        )),
        json!([
            "it::grouping",
            "payment <number> failed",
            "PaymentFailed: the payment could not be taken",
            "GatewayTimedOut: cards did not answer",
        ])
    );
}

#[test]
fn fingerprint_field_overrides_grouping() {
    let log = || error!(fingerprint = "payments", "order 42 failed");
    let (receiver, _) = sent(plain, log);
    let event = one(&receiver);
    assert_eq!(event["fingerprint"], json!(["payments"]));
    assert_eq!(event["contexts"]["fields"], Value::Null);
    let (receiver, _) = sent(|builder| builder.without_grouping(), log);
    assert_eq!(one(&receiver)["fingerprint"], json!(["payments"]));
    let number = fingerprint(|| error!(fingerprint = 7, "failed"));
    assert_eq!(number, json!(["7"]));
    // An empty fingerprint is ignored.
    let empty = fingerprint(|| error!(fingerprint = "", "failed"));
    assert_eq!(empty, message_fingerprint("failed"));
}

#[test]
fn without_grouping_sends_no_fingerprint() {
    let (receiver, _) = sent(
        |builder| builder.without_grouping(),
        || error!("order 42 failed"),
    );
    // The default is not serialized.
    let print = &one(&receiver)["fingerprint"];
    assert!(
        print.is_null() || *print == json!(["{{ default }}"]),
        "{print}"
    );
}

#[test]
fn panics_group_by_function_and_message() {
    let panic = |message: &str, line: u32| {
        let place = format!("src/price.rs:{line}:5");
        let backtrace = format!("0: shop::price\n at ./src/price.rs:{line}:5\n1: shop::main");
        fingerprint(|| {
            error!(target: "panic", { panic.location = place, panic.backtrace = backtrace }, "{message}");
        })
    };
    let first = panic("no price for order 42", 12);
    assert_eq!(
        first,
        json!(["panic", "shop::price", "no price for order <number>"])
    );
    assert_eq!(panic("no price for order 7", 99), first);
    assert_ne!(panic("out of stock", 12), first);
}

#[test]
fn failed_requests_group_by_route_and_outcome() {
    let serve = |id: &str, route: &str, outcome: &str| {
        let span = tracing::info_span!(
            "http.request",
            request_id = id,
            http.request.method = "GET",
            http.route = route
        );
        span.in_scope(|| error!(target: "spanwise_http::server", outcome, "request failed"));
    };
    let (receiver, _) = sent(plain, || {
        serve("r-1", "/orders/{id}", "server_error");
        serve("r-2", "/orders/{id}", "server_error");
        serve("r-3", "/orders/{id}", "panicked");
        serve("r-4", "/products", "server_error");
    });
    let mut issues: Vec<_> = receiver
        .events()
        .iter()
        .map(|event| event["fingerprint"].to_string())
        .collect();
    issues.dedup();
    assert_eq!(issues.len(), 3, "{issues:?}");
    for part in ["GET /orders/{id}", "server_error", "spanwise_http::server"] {
        assert!(issues[0].contains(part), "{issues:?}");
    }
}
