//! The complete messages of failed assertions.

#![expect(
    clippy::expect_used,
    reason = "a helper of tests may fail as a test does"
)]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use spanwise_testing::{Capture, capture, matching};
use tracing::{Level, info, info_span, warn};

pub(crate) fn failure<R>(assert: impl FnOnce() -> R) -> String {
    let panic =
        catch_unwind(AssertUnwindSafe(|| drop(assert()))).expect_err("the assertion must fail");
    panic
        .downcast_ref::<String>()
        .expect("a formatted panic")
        .clone()
}

fn order() -> Capture {
    let logs = capture();
    info_span!("request", tenant_id = "acme").in_scope(|| {
        info!(target: "shop", order_id = 42, name = "x\ny", ok = true, "order created");
    });
    warn!(target: "shop", "slow\nquery");
    logs
}

const ORDER: &str =
    r#"INFO request{tenant_id="acme"}: shop: order created order_id=42 name="x\ny" ok=true"#;

#[test]
fn missing_message_lists_events_and_suggests() {
    let logs = order();
    assert_eq!(
        failure(|| logs.one("ordr created")),
        format!(
            "no event has the message \"ordr created\"; did you mean \"order created\"?\n\
             captured 2 events:\n    {ORDER}\n    WARN shop: slow\\nquery"
        )
    );
    let said = failure(|| logs.one("Order"));
    assert!(said.contains("did you mean \"order created\"?"), "{said}");
    let said = failure(|| logs.one("unheard of"));
    assert!(
        said.starts_with("no event has the message \"unheard of\"\ncaptured"),
        "{said}"
    );
}

#[test]
fn empty_capture_is_reported() {
    let logs = capture();
    assert_eq!(
        failure(|| logs.one("hello")),
        "no event has the message \"hello\"\nnothing was captured"
    );
}

#[test]
fn two_events_are_not_one() {
    let logs = capture();
    info!(target: "t", n = 1, "twice");
    info!(target: "t", n = 2, "twice");
    assert_eq!(
        failure(|| logs.one("twice")),
        "2 events have the message \"twice\", expected one\n\
         captured 2 events:\n    INFO t: twice n=1\n    INFO t: twice n=2"
    );
}

#[test]
fn unexpected_events_are_counted() {
    let logs = order();
    let said = failure(|| logs.none("order created"));
    assert!(
        said.starts_with(
            "1 event has the message \"order created\", expected none\ncaptured 2 events:"
        ),
        "{said}"
    );
}

#[test]
fn value_shows_its_kind() {
    let logs = order();
    let event = logs.one("order created");
    let check = |said: String, why: &str| assert_eq!(said, format!("{why}\n    {ORDER}"));
    check(
        failure(|| event.assert_field("order_id", "42").level()),
        r#"field `order_id` is the integer 42, expected the text "42""#,
    );
    check(
        failure(|| event.assert_field("order_id", 42.0).level()),
        "field `order_id` is the integer 42, expected the float 42.0",
    );
    check(
        failure(|| event.assert_field("ok", false).level()),
        "field `ok` is true, expected false",
    );
    check(
        failure(|| event.assert_field("orderid", 42).level()),
        "there is no field `orderid`, expected the integer 42; did you mean `order_id`?",
    );
    check(
        failure(|| event.assert_field("tenant_id", "acme").level()),
        "there is no field `tenant_id`, expected the text \"acme\"; \
         the span around it has one: request{tenant_id=\"acme\"}",
    );
    check(
        failure(|| event.assert_no_field("ok").level()),
        "field `ok` is true, expected no such field",
    );
}

#[test]
fn mismatches_show_the_actual_value() {
    let logs = order();
    let event = logs.one("order created");
    let check = |said: String, why: &str| assert_eq!(said, format!("{why}\n    {ORDER}"));
    check(
        failure(|| event.assert_level(Level::ERROR).level()),
        "the level is INFO, expected ERROR",
    );
    check(
        failure(|| event.assert_target("shop::orders").level()),
        "the target is `shop`, expected `shop::orders`",
    );
    check(
        failure(|| event.assert_in_span("requests").level()),
        "no span around the event is `requests`; did you mean `request`?",
    );
    check(
        failure(|| event.assert_context("tenant_id", "globex").level()),
        r#"the context has tenant_id="acme", expected "globex""#,
    );
    check(
        failure(|| event.assert_context("tenantid", "acme").level()),
        "the context has no `tenantid`, expected \"acme\"; did you mean `tenant_id`?; it is {\"tenant_id\": \"acme\"}",
    );
    let event = logs.one("slow\nquery");
    let said = failure(|| event.assert_context("tenant_id", "acme").level());
    assert!(
        said.starts_with("the context is empty, expected tenant_id=\"acme\": no span"),
        "{said}"
    );
    let said = failure(|| event.assert_in_span("request").level());
    assert!(
        said.starts_with("no span around the event is `request`; it is in no span\n"),
        "{said}"
    );
}

#[test]
fn missing_span_lists_opened_spans() {
    let logs = order();
    assert_eq!(
        failure(|| logs.one_span("reqest")),
        "0 spans named `reqest`, expected one; did you mean `request`?\n\
         captured 1 span\n    request{tenant_id=\"acme\"}"
    );
    assert_eq!(
        failure(|| logs
            .one_span("request")
            .assert_field("tenant_id", 7)
            .level()),
        "field `tenant_id` is the text \"acme\", expected the integer 7\n    in the span request{tenant_id=\"acme\"}"
    );
}

#[test]
fn timed_out_wait_lists_captured_events() {
    let logs = order();
    let said = failure(|| logs.wait_for("never", Duration::from_millis(1)));
    assert!(
        said.starts_with("no event has the message \"never\"\ncaptured 2 events:"),
        "{said}"
    );
}

#[test]
fn unrouted_event_is_reported_with_a_remedy() {
    let logs = capture();
    let _other = thread::spawn(capture).join().unwrap();
    thread::spawn(|| info!(target: "t", "on a plain thread"))
        .join()
        .unwrap();
    assert_eq!(
        failure(|| logs.one("on a plain thread")),
        "no event has the message \"on a plain thread\"\nnothing was captured\n\
         logged by a thread outside of every capture, or in one that has ended; \
         enter a span of this test there, or call `logs.handle().enter()`:\n    INFO t: on a plain thread"
    );
}

#[test]
fn long_texts_and_lists_are_shortened() {
    let logs = capture();
    for n in 0..150 {
        info!(target: "t", n, text = "x".repeat(500), "long");
    }
    let said = failure(|| logs.one("other"));
    assert!(
        said.contains("captured 150 events:\n    … 50 earlier …\n    INFO t: long n=50"),
        "{said}"
    );
    assert!(
        said.lines().all(|line| line.chars().count() < 250),
        "{said}"
    );
}

#[test]
fn failure_points_at_the_test() {
    let logs = capture();
    let place = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let seen = std::sync::Arc::clone(&place);
    let before = std::panic::take_hook();
    let me = thread::current().id();
    std::panic::set_hook(Box::new(move |info| {
        if thread::current().id() == me {
            *seen.lock().unwrap() = info
                .location()
                .map(|at| at.file().to_owned())
                .unwrap_or_default();
        } else {
            before(info);
        }
    }));
    let check = |assert: &dyn Fn()| {
        place.lock().unwrap().clear();
        failure(assert);
        let at = place.lock().unwrap().clone();
        assert!(at.ends_with("it/failures.rs"), "{at}");
    };
    info_span!("s").in_scope(|| info!("here"));
    let event = logs.one("here");
    check(&|| {
        logs.one("x");
    });
    check(&|| logs.none("here"));
    check(&|| drop(matching("(")));
    check(&|| {
        logs.one_span("x");
    });
    check(&|| {
        logs.wait_for("x", Duration::ZERO);
    });
    check(&|| logs.assert_never_logged("here"));
    check(&|| {
        event.assert_level(Level::ERROR);
    });
    check(&|| {
        event.assert_target("x");
    });
    check(&|| {
        event.assert_field("x", 1);
    });
    check(&|| {
        event.assert_context("x", "y");
    });
    check(&|| {
        event.assert_in_span("x");
    });
    check(&|| {
        event.spans()[0].assert_field("x", 1);
    });
}
