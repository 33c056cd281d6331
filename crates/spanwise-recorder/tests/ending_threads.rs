//! An ending thread logs from destructors of thread-locals. Each event is shown, or buffered and
//! counted.
//!
//! In a separate process, because an ending thread has only the global subscriber.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[allow(dead_code, unreachable_pub, reason = "each test uses some of it")]
mod support;

use std::{cell::RefCell, thread};

use spanwise_recorder::Recorder;
use support::stack;
use tracing::{Span, debug, dispatcher, error, info, info_span};

/// A name, and a span that was opened earlier, because the registry opens no span on an ending
/// thread.
struct LogsAtTheEnd(&'static str, Span);

impl Drop for LogsAtTheEnd {
    fn drop(&mut self) {
        let Self(by, job) = self;
        debug!(by, "outside");
        info!(by, "info");
        debug!(parent: &*job, by, "debug of a job");
        error!(parent: &*job, by, "error");
    }
}

thread_local! {
    /// Destroyed after the thread-locals of the recorder, because it is used before them.
    static EARLY: RefCell<Option<LogsAtTheEnd>> = const { RefCell::new(None) };
    /// Destroyed before the thread-locals of the recorder.
    static LATE: RefCell<Option<LogsAtTheEnd>> = const { RefCell::new(None) };
}

#[test]
fn ending_thread_loses_no_event() {
    let (dispatch, lines, recorder, _) = stack(Recorder::builder());
    dispatcher::set_global_default(dispatch).unwrap();
    thread::spawn(|| {
        EARLY.set(Some(LogsAtTheEnd("early", info_span!("job"))));
        info_span!("request").in_scope(|| debug!("kept"));
        debug!("outside");
        LATE.set(Some(LogsAtTheEnd("late", info_span!("job"))));
    })
    .join()
    .unwrap();
    for by in ["early", "late"] {
        for message in ["info", "debug of a job", "error"] {
            let objects = lines.objects();
            let shown = objects
                .iter()
                .filter(|line| line["by"] == by && line["message"] == message);
            assert_eq!(shown.count(), 1, "{message} of {by}");
        }
    }
    // The buffer of the request ended with it. Three lines are in no unit.
    let stats = recorder.stats();
    let ends = (stats.captured, stats.written, stats.forgotten);
    assert_eq!((ends, stats.held()), ((6, 2, 1), 3), "{stats}");
}
