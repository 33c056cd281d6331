//! Values of all types, and `Debug`s that panic, log and read spans under a global dispatcher.

use std::{cell::Cell, error::Error, fmt};

use spanwise_core::Context;
use spanwise_testing::{FieldValue, capture};
use tracing::{Span, info, info_span};

#[test]
fn values_compare_by_their_type() {
    let logs = capture();
    info!(
        yes = true,
        small = 7_i8,
        negative = -7_i64,
        large = u64::MAX,
        huge = u128::MAX,
        ratio = 0.5,
        single = 0.1_f32,
        nan = f64::NAN,
        text = "x",
        shown = %"x",
        debugged = ?"x",
        option = Some(3),
        nothing = None::<u32>,
        bytes = [1_u8, 255].as_slice(),
        r#type = "keyword",
        user.name = "dotted",
        "values"
    );
    let event = logs.one("values");
    event
        .assert_field("yes", true)
        .assert_field("small", 7_u64)
        .assert_field("negative", -7)
        .assert_field("large", u64::MAX)
        .assert_field("huge", u128::MAX)
        .assert_field("ratio", 0.5)
        .assert_field("single", 0.1_f32)
        .assert_field("nan", f64::NAN)
        .assert_field("text", "x")
        .assert_field("shown", String::from("x"))
        .assert_field("debugged", "\"x\"")
        .assert_field("option", 3)
        .assert_no_field("nothing")
        .assert_field("bytes", [1_u8, 255].as_slice())
        .assert_field("type", "keyword")
        .assert_field("user.name", "dotted")
        .assert_no_field("message");
    assert_eq!(
        event.field("bytes").map(FieldValue::to_string).as_deref(),
        Some("01ff")
    );
    assert_eq!(
        event.fields().next(),
        Some(("yes", &FieldValue::Bool(true)))
    );
}

#[test]
fn json_line_is_what_a_json_layer_writes() {
    let logs = capture();
    info_span!("request", request_id = "r-1")
        .in_scope(|| info!(order_id = 42, "a \"quoted\" text"));
    let event = logs.one("a \"quoted\" text");
    let line = std::str::from_utf8(event.json_line()).unwrap();
    assert!(
        line.ends_with(
            "\"message\":\"a \\\"quoted\\\" text\",\"order_id\":42,\"request_id\":\"r-1\",\"span\":\"request\"}\n"
        ),
        "{line}"
    );
}

#[test]
fn panicking_debug_loses_only_its_text() {
    struct Broken;
    impl fmt::Debug for Broken {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half")?;
            panic!("broken")
        }
    }
    let logs = capture();
    let span = info_span!("span", broken = ?Broken, late = tracing::field::Empty);
    span.record("late", tracing::field::debug(Broken));
    span.in_scope(|| info!(broken = ?Broken, fine = 1, "survived"));

    let event = logs.one("survived");
    event
        .assert_field("broken", "<panicked while formatting>")
        .assert_field("fine", 1);
    event.spans()[0]
        .assert_field("broken", "<panicked while formatting>")
        .assert_field("late", "<panicked while formatting>");
    let line = std::str::from_utf8(event.json_line()).unwrap();
    assert!(
        line.contains(r#""broken":"<panicked while formatting>","fine":1"#),
        "{line}"
    );
}

#[test]
fn panicking_error_loses_only_its_text() {
    #[derive(Debug)]
    struct Broken;
    impl fmt::Display for Broken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("broken")
        }
    }
    impl Error for Broken {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            panic!("broken too")
        }
    }
    let logs = capture();
    info!(error = &Broken as &dyn Error, "survived");
    logs.one("survived")
        .assert_field("error", "<panicked while formatting>");
}

#[test]
fn error_equals_its_message_with_or_without_causes() {
    #[derive(Debug)]
    struct Charge(std::io::Error);
    impl fmt::Display for Charge {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("charge failed")
        }
    }
    impl Error for Charge {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    let charge = Charge(std::io::Error::other("connection refused"));
    let logs = capture();
    info!(error = &charge as &dyn Error, "declined");
    let event = logs.one("declined");
    event
        .assert_field("error", "charge failed")
        .assert_field("error", "charge failed: connection refused");

    let wrong = std::panic::AssertUnwindSafe(|| {
        event.assert_field("error", "charge failed: card expired");
    });
    let panic = std::panic::catch_unwind(wrong).unwrap_err();
    let said = panic.downcast_ref::<String>().unwrap();
    assert!(
        said.contains("is the error \"charge failed: connection refused\", expected the text"),
        "{said}"
    );
}

#[test]
fn logging_debug_is_captured_once_in_order() {
    /// Each time it is formatted, it logs, opens a span, records into the current span and reads
    /// the context.
    struct Talkative(Cell<u32>);
    impl fmt::Debug for Talkative {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.set(self.0.get() + 1);
            info_span!("formatting").in_scope(|| info!(depth = 2, "nested"));
            Span::current().record("seen", true);
            write!(f, "{:?}", Context::current().get("request_id"))
        }
    }
    let logs = capture();
    let request = info_span!("request", request_id = "r-1", seen = tracing::field::Empty);
    let value = Talkative(Cell::new(0));
    request.in_scope(|| info!(?value, "outer"));

    let messages: Vec<_> = logs
        .events()
        .iter()
        .map(|event| event.message().to_owned())
        .collect();
    assert_eq!(messages, ["nested", "outer"]);
    assert!(
        value.0.get() >= 2,
        "it is formatted for the field and for the line"
    );

    let (nested, outer) = (logs.one("nested"), logs.one("outer"));
    nested
        .assert_in_span("formatting")
        .assert_in_span("request");
    outer.assert_field("value", "Some(\"r-1\")").spans()[0].assert_field("seen", true);
    let has = |event: &spanwise_testing::Event, text: &str| {
        String::from_utf8_lossy(event.json_line())
            .matches(text)
            .count()
    };
    assert_eq!(
        (
            has(&nested, "\"message\":\"nested\""),
            has(&nested, "outer")
        ),
        (1, 0)
    );
    assert_eq!(
        (has(&outer, "\"message\":\"outer\""), has(&outer, "nested")),
        (1, 0)
    );
    logs.one_span("formatting");
}

#[test]
fn logging_debug_of_a_span_is_captured_once() {
    struct Talkative;
    impl fmt::Debug for Talkative {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            info!("nested");
            f.write_str("talked")
        }
    }
    let logs = capture();
    let span = info_span!("span", value = ?Talkative, late = tracing::field::Empty);
    logs.one("nested");
    span.record("late", tracing::field::debug(Talkative));
    assert_eq!(logs.events().len(), 2);
    logs.one_span("span").assert_field("late", "talked");
}

#[test]
fn debug_may_query_the_capture() {
    struct Curious<'a>(&'a spanwise_testing::Capture);
    impl fmt::Debug for Curious<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.0.events().len() + self.0.spans().len())
        }
    }
    let logs = capture();
    let span = info_span!("span", seen = ?Curious(&logs));
    span.in_scope(|| info!(seen = ?Curious(&logs), "counted"));
    logs.one("counted").assert_field("seen", "1");
}

#[test]
fn last_of_two_equal_fields_counts() {
    let logs = capture();
    info!(n = 1, n = 2, "twice");
    logs.one("twice").assert_field("n", 2);
}

#[test]
fn event_without_message_has_an_empty_one() {
    let logs = capture();
    info!(n = 1);
    logs.one("").assert_field("n", 1);
}
