//! Each captured record is counted exactly once, for any sequence of actions of units.

use std::{
    io, panic,
    sync::{Arc, OnceLock},
    thread,
};

use crate::support::{Lines, stack, stack_to};
use proptest::prelude::*;
use spanwise_core::SelfReport;
use spanwise_recorder::{Recorder, dump_current_unit};
use spanwise_testing::support::wait_until;
use tracing::{
    Span, debug,
    dispatcher::{self, WeakDispatch},
    error,
    field::Empty,
    info, info_span,
};

#[derive(Debug, Clone)]
enum Step {
    Open { marked: bool, inside: bool },
    Debug { unit: usize, len: usize },
    Info(usize),
    Error(usize),
    Status(usize),
    Ask(usize),
    Close(usize),
    Outside,
}

fn step() -> impl Strategy<Value = Step> {
    let unit = 0_usize..8;
    prop_oneof![
        2 => (any::<bool>(), any::<bool>()).prop_map(|(marked, inside)| Step::Open { marked, inside }),
        12 => (unit.clone(), 0_usize..3000).prop_map(|(unit, len)| Step::Debug { unit, len }),
        2 => unit.clone().prop_map(Step::Info),
        1 => unit.clone().prop_map(Step::Error),
        1 => unit.clone().prop_map(Step::Status),
        1 => unit.clone().prop_map(Step::Ask),
        2 => unit.prop_map(Step::Close),
        1 => Just(Step::Outside),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn each_captured_record_is_counted_once(steps in prop::collection::vec(step(), 1..150)) {
        let builder = Recorder::builder()
            .max_unit_bytes(8 * 1024)
            .max_unit_records(10)
            .max_process_bytes(20 * 1024)
            .max_record_bytes(2500)
            .report(SelfReport::silent());
        let (dispatch, lines, recorder, _) = stack(builder);
        let mut debugs = 0;
        let mut outside = 0;
        dispatcher::with_default(&dispatch, || {
            let mut open: Vec<Span> = Vec::new();
            for step in steps {
                let at = |unit: usize, open: &[Span]| open.get(unit % open.len().max(1)).cloned();
                match step {
                    Step::Open { marked, inside } => {
                        let _outer = inside.then(|| at(0, &open)).flatten().map(Span::entered);
                        open.push(if marked {
                            info_span!("marked", status = Empty, spanwise.unit = Empty)
                        } else {
                            info_span!("unit", status = Empty)
                        });
                    }
                    Step::Debug { unit, len } => {
                        if let Some(span) = at(unit, &open) {
                            debugs += 1;
                            span.in_scope(|| debug!(text = "x".repeat(len), "debug"));
                        }
                    }
                    Step::Info(unit) => {
                        if let Some(span) = at(unit, &open) {
                            span.in_scope(|| info!("info"));
                        }
                    }
                    Step::Error(unit) => {
                        if let Some(span) = at(unit, &open) {
                            span.in_scope(|| error!("error"));
                        }
                    }
                    Step::Status(unit) => {
                        if let Some(span) = at(unit, &open) {
                            span.record("status", 500);
                        }
                    }
                    Step::Ask(unit) => {
                        if let Some(span) = at(unit, &open) {
                            span.in_scope(|| assert!(dump_current_unit()));
                        }
                    }
                    Step::Close(unit) => {
                        if !open.is_empty() {
                            let last = unit % open.len();
                            open.swap_remove(last);
                        }
                    }
                    Step::Outside => {
                        outside += 1;
                        debug!("outside");
                    }
                }
                let stats = recorder.stats();
                let settled = stats.written + stats.forgotten + stats.evicted + stats.oversize + stats.suppressed + stats.failed;
                assert!(settled <= stats.captured, "{stats:?}");
                assert!(stats.memory <= 20 * 1024, "{stats:?}");
            }
        });
        let shown = lines.objects();
        let count = |buffered: bool| {
            let debug = shown.iter().filter(|line| line["level"] == "DEBUG");
            debug.filter(|line| (line["buffered"] == true) == buffered).count() as u64
        };
        let stats = recorder.stats();
        prop_assert_eq!(stats.captured + count(false), debugs + outside);
        prop_assert_eq!(stats.written, count(true));
        prop_assert!(stats.held() <= outside.min(10), "{:?}", stats);
        let of_headers: u64 = shown.iter().filter_map(|line| line["records"].as_u64()).sum();
        prop_assert_eq!(of_headers, stats.written);
        drop(dispatch);
        // Another test keeps the dispatcher alive while it registers a callsite.
        wait_until("all memory is free", || recorder.stats().memory == 0);
        prop_assert_eq!(recorder.stats().held(), 0);
    }
}

#[test]
fn limit_of_zero_buffers_no_record() {
    for builder in [
        Recorder::builder().max_unit_records(0),
        Recorder::builder().max_unit_bytes(0),
    ] {
        let (dispatch, lines, recorder, _) = stack(builder);
        dispatcher::with_default(&dispatch, || {
            let _request = info_span!("request").entered();
            debug!("a step");
            debug!("another");
            assert_eq!(recorder.stats().held(), 0);
            error!("failed");
        });
        assert_eq!(lines.values_of("evicted"), ["2"]);
        assert_eq!(recorder.stats().written, 0);
    }
}

/// While it writes a header or a buffered `a step`, another thread logs three events.
#[derive(Clone)]
struct SlowOutput {
    lines: Lines,
    dispatch: Arc<OnceLock<WeakDispatch>>,
}

impl io::Write for SlowOutput {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = str::from_utf8(line).unwrap();
        if text.contains("flight recorder") || text.contains("a step") {
            let dispatch = self.dispatch.get().unwrap().upgrade().unwrap();
            let log = || (0..3).for_each(|_| debug!("meanwhile"));
            thread::scope(|scope| {
                scope.spawn(|| dispatcher::with_default(&dispatch, log));
            });
        }
        self.lines.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Dumps the events outside of units.
fn log_in_a_panic() {
    struct LogsWhenDropped;
    impl Drop for LogsWhenDropped {
        fn drop(&mut self) {
            error!("panicked");
        }
    }
    let result = panic::catch_unwind(|| {
        let _logs = LogsWhenDropped;
        panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(result.is_err());
}

#[test]
fn next_header_counts_drops_during_a_dump() {
    let recorder = Recorder::builder().max_unit_records(2).build();
    let output = SlowOutput {
        lines: Lines::default(),
        dispatch: Arc::default(),
    };
    let to_output = output.clone();
    let (dispatch, _levels) = stack_to(&recorder, move || to_output.clone());
    output.dispatch.set(dispatch.downgrade()).unwrap();
    dispatcher::with_default(&dispatch, || {
        debug!("a step");
        // While the header is written, one event is buffered, so there is room for one more. While
        // its line is written, there is room for two.
        log_in_a_panic();
        assert_eq!(recorder.stats().evicted, 3);
        log_in_a_panic();
    });
    assert_eq!(output.lines.values_of("evicted"), ["0", "3"]);
}
