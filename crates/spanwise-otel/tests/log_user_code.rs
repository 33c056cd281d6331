//! User code that logs, opens spans, records, reads the context and panics, in each place where a
//! layer of logs calls it, under the subscriber of all threads.
//!
//! No thread hangs, and no neighbour of such a value is lost. In a process of its own, as its
//! subscriber is that of all threads.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

#[path = "it/support/mod.rs"]
mod support;

use std::{
    borrow::Cow,
    cell::Cell,
    error::Error,
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use spanwise_core::{
    Context, ContextLayer, KeyVerdict, LayerExt as _, Redact, SelfReport, context,
};
use spanwise_otel::{LogOptions, OtelLogs, SpanFields};
use spanwise_testing::support::bounded;
use tracing::{error, field::Empty, info, info_span, warn};
use tracing_subscriber::{fmt::MakeWriter, prelude::*};

use crate::support::records::Records;

thread_local! {
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

static CALLS: AtomicU64 = AtomicU64::new(0);

/// Does what user code may do anywhere, and then panics every third time.
fn misbehave(place: &'static str) {
    if IS_INSIDE.replace(true) {
        return;
    }
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            IS_INSIDE.set(false);
        }
    }
    let _leave = Leave;
    let number = CALLS.fetch_add(1, Ordering::Relaxed);
    warn!(number, place, "logged by a user's code");
    let _ = Context::current();
    let span = info_span!("inner", request_id = number, late = Empty);
    span.in_scope(|| info!(late = number, "in a span of a user's code"));
    span.record("late", number).record("request_id", 7);
    let current = tracing::Span::current();
    current.record("late", number);
    context::set("tenant_id", number);
    drop((span, current));
    assert!(!number.is_multiple_of(3), "a user's code panics in {place}");
}

struct Value;

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half a ")?;
        misbehave("Debug");
        f.write_str("value")
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        misbehave("Display");
        f.write_str("value")
    }
}

impl Error for Value {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        misbehave("source");
        Some(self)
    }
}

#[derive(Debug)]
struct Policy;

impl Redact for Policy {
    fn key(&self, key: &str) -> KeyVerdict {
        // Where a panic would reach the caller of the macro, it is the user's own.
        let _ = std::panic::catch_unwind(|| misbehave("key"));
        match key {
            "password" => KeyVerdict::Redact,
            "user_id" => KeyVerdict::Replace,
            _ => KeyVerdict::Pass,
        }
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let _ = std::panic::catch_unwind(|| misbehave("text"));
        text.replace("hunter2", "…").into()
    }
}

/// Misbehaves while it is written to.
#[derive(Clone)]
struct Writer(Records);

impl io::Write for Writer {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut self.0, record)?;
        misbehave("write");
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Writer {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[test]
fn user_code_does_not_disturb_its_neighbours() {
    let (plain, redacted) = (Records::default(), Records::default());
    let options = || {
        let options = LogOptions::default().report(SelfReport::silent());
        options.span_fields(SpanFields::All).source_location()
    };
    let policy: Arc<dyn Redact> = Arc::new(Policy);
    tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(OtelLogs::new(Writer(plain.clone()), options()))
        .with(OtelLogs::new(redacted.clone(), options()).redacted(policy))
        .init();
    std::panic::set_hook(Box::new(|_| {}));
    bounded(|| {
        thread::scope(|scope| {
            for worker in 0..4_u64 {
                scope.spawn(move || (0..50).for_each(|n| log(worker * 50 + n)));
            }
        });
    });
    for records in [plain, redacted] {
        let all = records.all();
        for number in 0..200 {
            let body = format!("event {number}");
            let mut found = all
                .iter()
                .filter(|one| one.has_body() && one.body() == body);
            let record = found.next().unwrap_or_else(|| panic!("{body} is lost"));
            assert!(found.next().is_none(), "{body} occurs twice");
            assert_eq!(record.int("before"), Some(number), "{record:?}");
            assert_eq!(record.int("after"), Some(number), "{record:?}");
            for key in ["debug", "display", "error", "exception.message"] {
                let text = record.text(key).unwrap();
                let is_whole = matches!(text, "half a value" | "value");
                assert!(
                    is_whole || text == "<panicked while formatting>",
                    "{key}: {text}"
                );
            }
            record.keys();
        }
    }
}

fn log(number: u64) {
    let request = info_span!("request", request_id = ?Value, late = Empty, user_id = %Value);
    let _entered = request.enter();
    request.record("late", tracing::field::debug(Value));
    let error: &(dyn Error + 'static) = &Value;
    error!(
        before = number,
        debug = ?Value,
        display = %Value,
        error,
        password = "hunter2",
        after = number,
        "event {number}"
    );
}
