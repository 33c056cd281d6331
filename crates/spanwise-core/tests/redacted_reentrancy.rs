//! With a global dispatcher, a `Debug` that logs re-enters the layers. So the test needs a separate
//! process.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod support;

use std::{fmt, sync::mpsc, thread, time::Duration};

use spanwise_core::{LayerExt, UnsharedFields};
use spanwise_testing::support::Lines;
use support::redaction::{Everything, SECRET, no_hunter};
use tracing::{Span, field::Empty, info, info_span};
use tracing_subscriber::{fmt as text, prelude::*};

struct Logs(u32);

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Reads the span of this value and records into it.
        Span::current().record("late", SECRET);
        info!(inner = SECRET, deeper = ?self.0.checked_sub(1).map(Logs), "from inside {SECRET}");
        write!(f, "logged {SECRET}")
    }
}

#[test]
fn logging_value_neither_deadlocks_nor_leaks() {
    let (everything, lines) = (Everything::default(), Lines::default());
    tracing_subscriber::registry()
        .with(everything.clone().redacted(no_hunter()))
        .with(
            text::layer()
                .json()
                .map_fmt_fields(UnsharedFields::new)
                .with_writer(lines.clone())
                .redacted(no_hunter()),
        )
        .with(
            text::layer()
                .with_writer(lines.clone())
                .redacted(no_hunter()),
        )
        .init();
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        let outer = info_span!("outer", late = Empty, again = Empty).entered();
        info!(first = "kept", value = ?Logs(1), last = SECRET, "outer");
        outer.record("again", tracing::field::debug(Logs(0)));
        let _inner = info_span!("inner", value = ?Logs(0));
        done.send(()).unwrap();
    });
    wait.recv_timeout(Duration::from_secs(60)).unwrap();
    let calls = everything.take();
    let expected =
        "event in outer message=debug:outer first=str:kept value=debug:logged *** last=str:***";
    assert!(calls.iter().any(|call| call == expected), "{calls:#?}");
    let lines = lines.take();
    assert!(lines.contains("***") && !lines.contains(SECRET), "{lines}");
}
