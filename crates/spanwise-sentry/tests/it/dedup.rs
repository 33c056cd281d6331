//! Deduplication: repeated errors are counted, and one event reports their number.

use std::{
    error::Error,
    time::{Duration, SystemTime},
};

use crate::support::{Receiver, builder, payment_failed, plain, sent};
use spanwise_core::{Clock, Flush as _};
use tracing::{error, info_span, warn};
use tracing_subscriber::prelude::*;

#[test]
fn thousand_repeats_are_two_events() {
    let (receiver, stats) = sent(plain, || {
        for _ in 0..1000 {
            error!(error = &payment_failed() as &dyn Error, "payment failed");
        }
        // Another callsite is another error.
        error!(error = &payment_failed() as &dyn Error, "payment failed");
    });
    let events = receiver.events();
    assert_eq!(events.len(), 3, "{events:#?}");
    let reports: Vec<_> = events
        .iter()
        .filter(|event| event["tags"]["repeats"] == "999")
        .collect();
    assert_eq!(reports.len(), 1, "{events:#?}");
    assert_eq!(reports[0]["contexts"]["repeats"]["count"], 999);
    assert_eq!(reports[0]["message"], "payment failed");
    assert_eq!((stats.repeated, stats.sent.delivered), (999, 3));
}

#[test]
fn repeat_after_the_window_is_sent() {
    let receiver = Receiver::start();
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let (layer, guard) = builder(&receiver).clock(clock.clone()).build().unwrap();
    let _default = tracing_subscriber::registry().with(layer).set_default();
    let fail = || error!("failed");
    fail();
    clock.advance(Duration::from_secs(59));
    fail();
    clock.advance(Duration::from_secs(1));
    fail();
    guard.shutdown(Duration::from_secs(60));
    let events = receiver.events();
    let repeats: Vec<_> = events
        .iter()
        .map(|event| event["tags"]["repeats"].as_str())
        .collect();
    assert_eq!(repeats, [None, Some("1"), None]);
}

#[test]
fn many_different_errors_do_not_hide_repeats() {
    let receiver = Receiver::start();
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let (layer, guard) = builder(&receiver).clock(clock.clone()).build().unwrap();
    let _default = tracing_subscriber::registry().with(layer).set_default();
    for number in 0..1000 {
        error!("failed {number}");
    }
    clock.advance(Duration::from_secs(60));
    for _ in 0..10 {
        error!("failed again and again");
    }
    let stats = guard.shutdown(Duration::from_secs(60));
    assert_eq!((stats.repeated, stats.sent.delivered), (9, 1002));
}

#[test]
fn failed_request_without_an_error_is_sent() {
    let served = || error!(target: "spanwise_http::server", "request failed");
    let request = |route| {
        tracing::info_span!(
            "http.request",
            http.request.method = "GET",
            http.route = route
        )
    };
    let (receiver, stats) = sent(plain, || {
        request("/orders").in_scope(|| {
            error!("no connection");
            served();
        });
        request("/orders").in_scope(served);
        request("/products").in_scope(served);
    });
    let events = receiver.events();
    let shown = events
        .iter()
        .map(|event| (event["message"].as_str(), event["transaction"].as_str()));
    let expected = [
        ("no connection", "GET /orders"),
        ("request failed", "GET /orders"),
        ("request failed", "GET /products"),
    ];
    assert_eq!(
        shown.collect::<Vec<_>>(),
        expected.map(|(message, route)| (Some(message), Some(route)))
    );
    assert_eq!(stats.repeated, 1);
}

#[test]
fn request_event_does_not_repeat_its_error() {
    let failed = || {
        error!(
            target: "spanwise_http::server",
            error = &payment_failed() as &dyn Error,
            "request failed"
        );
    };
    let request = |before: &dyn Fn()| {
        info_span!("http.request", request_id = "r-1").in_scope(|| {
            before();
            failed();
        });
    };
    type Case<'a> = (&'a str, &'a dyn Fn(), &'a [&'a str]);
    let cases: [Case<'_>; 6] = [
        ("nothing", &|| {}, &["request failed"]),
        (
            "the same error",
            &|| error!(error = &payment_failed() as &dyn Error, "payment failed"),
            &["payment failed"],
        ),
        (
            "its cause",
            &|| error!(error = &payment_failed().0 as &dyn Error, "gateway failed"),
            &["gateway failed"],
        ),
        (
            "its text as a field",
            &|| error!(error = %payment_failed(), "payment failed"),
            &["payment failed"],
        ),
        (
            "its text in the message",
            &|| error!("failed: {}", payment_failed()),
            &["failed: the payment could not be taken"],
        ),
        (
            "another error",
            &|| error!("the cache is away"),
            &["the cache is away", "request failed"],
        ),
    ];
    for (before, log, expected) in cases {
        let (receiver, _) = sent(plain, || request(log));
        let events = receiver.events();
        let messages: Vec<_> = events
            .iter()
            .map(|event| event["message"].as_str().unwrap())
            .collect();
        assert_eq!(messages, expected, "{before}");
        let last = events.last().unwrap();
        if last["message"] == "request failed" {
            let types = last["exception"]["values"].as_array().unwrap();
            let types: Vec<_> = types.iter().map(|link| &link["type"]).collect();
            assert_eq!(types, ["GatewayTimedOut", "PaymentFailed"]);
        }
    }
}

/// An error with or without a cause.
#[derive(Debug)]
struct Chain(&'static str, Option<Box<Self>>);

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Chain {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&**self.1.as_ref()?)
    }
}

fn chain(texts: &[&'static str]) -> Chain {
    let [outermost, causes @ ..] = texts else {
        panic!("an error has a text")
    };
    let cause = (!causes.is_empty()).then(|| Box::new(chain(causes)));
    Chain(outermost, cause)
}

#[test]
fn request_event_with_a_new_error_is_sent() {
    const REFUSED: &str = "Connection refused (os error 111)";
    const DECLINED: &str = "the payment was declined";
    // The earlier error, its message, the error of the request, and whether the second error is
    // new.
    let cases: [(&[&'static str], &str, &[&'static str], bool); 13] = [
        (&[], "redis timeout, using the default", &["timeout"], true),
        (&[], "timeout", &["timeout"], false),
        (&[], "the cache is away", &[""], true),
        (&[""], "failed", &[""], true),
        (&[], "the cache is away", &["", ""], true),
        (
            &["redis failed", REFUSED],
            "failed",
            &["query failed", REFUSED],
            true,
        ),
        (
            &[REFUSED],
            "the cache is away",
            &["query failed", REFUSED],
            true,
        ),
        (
            &[],
            "redis: Connection refused (os error 111)",
            &[REFUSED],
            true,
        ),
        (
            &["query failed", REFUSED],
            "failed",
            &["query failed", REFUSED],
            false,
        ),
        (
            &["query failed", "timeout"],
            "failed",
            &["query failed", REFUSED],
            true,
        ),
        (&[REFUSED], "failed", &[REFUSED], false),
        (
            &[DECLINED, "no funds"],
            "failed",
            &["order 7", DECLINED, "no funds"],
            false,
        ),
        (
            &[],
            "order 7: the payment was declined",
            &[DECLINED, "no funds"],
            false,
        ),
    ];
    for (before, message, error, is_news) in cases {
        let (receiver, _) = sent(plain, || {
            let _request = info_span!("http.request", request_id = "r-1").entered();
            match before {
                [] => error!("{message}"),
                before => error!(error = &chain(before) as &dyn Error, "{message}"),
            }
            error!(
                target: "spanwise_http::server",
                error = &chain(error) as &dyn Error,
                "request failed"
            );
        });
        let issues = receiver.events().len();
        assert_eq!(
            issues,
            1 + usize::from(is_news),
            "{before:?} {message} {error:?}"
        );
    }
}

#[test]
fn different_messages_are_all_sent() {
    let (receiver, _) = sent(plain, || {
        for number in 0..10 {
            error!("failed {number}");
        }
    });
    assert_eq!(receiver.events().len(), 10);
}

#[test]
fn flush_sends_pending_repeat_reports() {
    let receiver = Receiver::start();
    let (layer, guard) = builder(&receiver).build().unwrap();
    let _default = tracing_subscriber::registry().with(layer).set_default();
    for _ in 0..3 {
        error!("failed");
    }
    guard
        .sentry()
        .flush_by(std::time::Instant::now() + Duration::from_secs(60))
        .unwrap();
    assert_eq!(receiver.events().len(), 2);
}

#[test]
fn repeats_are_reported_when_the_window_ends() {
    let receiver = Receiver::start();
    let (layer, guard) = builder(&receiver)
        .dedup_window(Duration::from_secs(1))
        .build()
        .unwrap();
    let _default = tracing_subscriber::registry().with(layer).set_default();
    let fail = || error!("failed");
    fail();
    // From then on, the sender thread has nothing to do.
    while guard.sentry().stats().sent.delivered == 0 {
        std::thread::yield_now();
    }
    fail();
    receiver.wait_for(2);
    let report = receiver.events().pop().unwrap();
    assert_eq!(report["tags"]["repeats"], "1");
}

#[test]
fn different_error_texts_are_all_sent() {
    let fail = |what: &str| {
        error!(err = %what, "failed");
        error!(err = %what);
        error!(exception.message = %what, "failed");
        error!(e = %what);
    };
    let (receiver, stats) = sent(plain, || {
        fail("no connection");
        fail("the disk is full");
    });
    assert_eq!((receiver.events().len(), stats.repeated), (8, 0));
}

#[test]
fn error_outside_a_unit_explains_no_request() {
    let (receiver, stats) = sent(plain, || {
        error!("long ago");
        error!(target: "spanwise_http::server", "request failed");
    });
    assert_eq!((receiver.events().len(), stats.repeated), (2, 0));
}

#[test]
fn warning_does_not_explain_a_failed_request() {
    let warnings = |builder: spanwise_sentry::SentryBuilder| {
        builder.event_levels(tracing::level_filters::LevelFilter::WARN)
    };
    let (receiver, stats) = sent(warnings, || {
        let _request = tracing::info_span!("request").entered();
        warn!("slow");
        error!(target: "spanwise_http::server", "request failed");
    });
    assert_eq!((receiver.events().len(), stats.repeated), (2, 0));
}

#[test]
fn largest_window_and_timeout_are_valid() {
    let unlimited = |builder: spanwise_sentry::SentryBuilder| {
        builder.dedup_window(Duration::MAX).timeout(Duration::MAX)
    };
    let (receiver, stats) = sent(unlimited, || {
        for _ in 0..3 {
            error!("failed");
        }
    });
    assert_eq!((receiver.events().len(), stats.repeated), (2, 2));
}
