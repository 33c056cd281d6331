//! A `Debug` logs while its event is buffered. The nested event is independent of the outer event.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[allow(dead_code, unreachable_pub, reason = "each test uses some of it")]
mod support;

use std::{cell::RefCell, fmt, io, panic::catch_unwind, sync::Arc};

use spanwise_core::{LayerExt as _, LevelLayer, SelfReport};
use spanwise_json::JsonLayer;
use spanwise_recorder::Recorder;
use spanwise_redact::Policy;
use support::Lines;
use tracing::{Level, debug, error, event, field::Empty, info, info_span, span::EnteredSpan};
use tracing_subscriber::{fmt::MakeWriter, prelude::*};

struct Logs(Level);

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Level::ERROR => error!("nested"),
            Level::INFO => info!("nested"),
            _ => info_span!("inside").in_scope(|| debug!("nested")),
        }
        f.write_str("value")
    }
}

struct Leaves<'a>(&'a RefCell<Option<EnteredSpan>>);

impl fmt::Debug for Leaves<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        drop(self.0.take());
        f.write_str("value")
    }
}

#[derive(Clone)]
struct Output(Lines);

impl io::Write for Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let has = |text: &[u8]| line.windows(text.len()).any(|bytes| bytes == text);
        assert!(!has(b"the output panics"), "the output panics");
        if has(b"the output logs") {
            debug!("from the output");
        }
        if has(b"the output fails") {
            error!("from the output");
        }
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer like `Mutex<File>`. A second writer on the same thread deadlocks.
struct Locked(std::sync::Mutex<Output>);

impl<'a> MakeWriter<'a> for Locked {
    type Writer = tracing_subscriber::fmt::writer::MutexGuardWriter<'a, Output>;

    fn make_writer(&'a self) -> Self::Writer {
        self.0.make_writer()
    }
}

#[test]
fn nested_event_has_its_own_disposition() {
    let lines = Lines::default();
    let other = Lines::default();
    let recorder = Recorder::builder().report(SelfReport::silent()).build();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let policy = Arc::new(Policy::secrets());
    let locked = Locked(std::sync::Mutex::new(Output(lines.clone())));
    let json = recorder.sink(locked, levels.handle(), |writer| {
        JsonLayer::new()
            .with_writer(writer)
            .redact(policy.clone())
            .report(&SelfReport::silent())
    });
    let second = recorder.sink(other.clone(), levels.handle(), |writer| {
        let fmt = tracing_subscriber::fmt::layer()
            .without_time()
            .with_target(false)
            .with_ansi(false);
        fmt.with_writer(writer).redacted(policy)
    });
    tracing_subscriber::registry()
        .with(json)
        .with(second)
        .with(levels)
        .init();
    let seen = |lines: &Lines, before: usize| lines.messages()[before..].to_vec();

    // A buffered event inside a buffered one.
    info_span!("request", id = 1).in_scope(|| {
        debug!(value = ?Logs(Level::DEBUG), "a step");
        assert_eq!(lines.text(), "");
        error!("failed");
    });
    // Each sink formats the value, so it logs once per sink.
    let header = "flight recorder: buffered events of this request follow";
    let shown = lines.messages();
    assert_eq!(shown, [header, "nested", "a step", "nested", "failed"]);
    assert!(lines.values_of("id").iter().all(|id| id == "1"));

    // A shown event inside a buffered event is written immediately, without `buffered`.
    let before = shown.len();
    info_span!("request", id = 2).in_scope(|| debug!(value = ?Logs(Level::INFO), "a step"));
    assert_eq!(seen(&lines, before), ["nested", "nested"]);
    assert!(lines.objects()[before].get("buffered").is_none());

    // An error inside a buffered event dumps the unit, without the unfinished event.
    let before = lines.messages().len();
    info_span!("request", id = 3).in_scope(|| {
        debug!("before");
        debug!(value = ?Logs(Level::ERROR), "a step");
        debug!("after");
    });
    assert_eq!(
        seen(&lines, before),
        [header, "before", "nested", "a step", "nested", "after"]
    );

    // An error inside a shown event. No buffered line has the secret.
    let before = lines.messages().len();
    info_span!("request", id = 4).in_scope(|| {
        debug!(
            password = "hunter2",
            "Authorization: Bearer abcdef0123456789abcdef"
        );
        event!(Level::ERROR, value = ?Logs(Level::DEBUG), "failed");
    });
    assert_eq!(seen(&lines, before)[0], header);
    for text in [lines.text(), other.text()] {
        assert!(text.contains("password"));
        assert!(
            !text.contains("hunter2") && !text.contains("abcdef"),
            "{text}"
        );
    }

    // A writer that logs during a dump.
    let before = lines.messages().len();
    info_span!("request", id = 5).in_scope(|| {
        debug!("the output logs");
        debug!("a step");
        error!("failed");
    });
    let shown = seen(&lines, before);
    assert_eq!(shown, [header, "the output logs", "a step", "failed"]);

    // A writer logs an error while it writes a shown line. The dump cannot precede this line, but
    // it is not lost.
    let before = lines.messages().len();
    info_span!("request", id = 6).in_scope(|| {
        debug!("a step");
        info!("the output fails");
        error!("failed");
    });
    let shown = seen(&lines, before);
    assert_eq!(shown, ["the output fails", header, "a step", "failed"]);

    // A value leaves spans. The line belongs to the unit that was current at the start of the
    // event.
    for leaves_own in [false, true] {
        let before = lines.messages().len();
        let outer = RefCell::new(Some(info_span!("outer", id = 8).entered()));
        let span = info_span!("message", id = 9, spanwise.unit = Empty);
        let own = RefCell::new(Some(span.clone().entered()));
        debug!("a step");
        let left = if leaves_own { &own } else { &outer };
        debug!(value = ?Leaves(left), "another");
        drop(own);
        span.in_scope(|| error!("failed"));
        drop(outer);
        let shown = seen(&lines, before);
        assert_eq!(shown, [header, "a step", "another", "failed"]);
    }

    // A panicking writer loses only the lines that it received.
    let stats = recorder.stats();
    let caught = catch_unwind(|| {
        info_span!("request", id = 7).in_scope(|| {
            debug!("a step");
            debug!("the output panics");
            debug!("another");
            error!("failed");
            debug!("through");
        });
    });
    assert!(caught.is_ok());
    assert_eq!(recorder.stats().failed - stats.failed, 2);
    assert_eq!(recorder.stats().memory, 0);
}
