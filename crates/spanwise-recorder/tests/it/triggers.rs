//! A trigger writes the DEBUG lines of its unit, in order, before the event that fired it. Lines of
//! other units are never written.

use std::time::{Duration, SystemTime};

use crate::support::{Lines, header, stack, start};
use spanwise_core::{Clock, LayerExt as _, LevelLayer};
use spanwise_json::JsonLayer;
use spanwise_recorder::{
    CancellationGuard, Recorder, RecorderBuilder, detect_cancellation, dump_current_unit,
};
use spanwise_sample::{EventMatcher, First, SampleExt as _, Sampler};
use tracing::{
    Instrument as _, Level, debug, debug_span, dispatcher, error, field::Empty, info, info_span,
    trace,
};
use tracing_subscriber::{fmt::writer::MakeWriterExt as _, prelude::*};

#[test]
fn error_dumps_debug_lines_in_order_before_it() {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let recorder = Recorder::builder().clock(clock.clone()).build();
    let lines = Lines::default();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let json = recorder.sink(lines.clone(), levels.handle(), |writer| {
        JsonLayer::new().with_writer(writer).clock(clock.clone())
    });
    let _default = tracing_subscriber::registry()
        .with(json)
        .with(levels)
        .set_default();

    let request = info_span!("request", request_id = "r-1").entered();
    debug!("one");
    clock.advance(Duration::from_secs(1));
    info!("shown at once");
    info_span!("inner", step = 2).in_scope(|| debug!(n = 2, "two"));
    trace!("below what is kept");
    clock.advance(Duration::from_secs(1));
    error!("failed");
    debug!("through");
    info!("goes on");
    drop(request);
    debug!("after");

    let expected = [
        r#"{"timestamp":"1970-01-01T00:00:01.000000Z","level":"INFO","target":"T","message":"shown at once","request_id":"r-1","span":"request"}"#,
        r#"{"timestamp":"1970-01-01T00:00:02.000000Z","level":"INFO","target":"spanwise::recorder","message":"flight recorder: buffered events of this request follow","reason":"error","records":2,"evicted":0,"request_id":"r-1","span":"request"}"#,
        r#"{"timestamp":"1970-01-01T00:00:00.000000Z","level":"DEBUG","target":"T","message":"one","request_id":"r-1","span":"request","buffered":true}"#,
        r#"{"timestamp":"1970-01-01T00:00:01.000000Z","level":"DEBUG","target":"T","message":"two","n":2,"step":2,"request_id":"r-1","span":"inner","buffered":true}"#,
        r#"{"timestamp":"1970-01-01T00:00:02.000000Z","level":"ERROR","target":"T","message":"failed","request_id":"r-1","span":"request"}"#,
        r#"{"timestamp":"1970-01-01T00:00:02.000000Z","level":"DEBUG","target":"T","message":"through","request_id":"r-1","span":"request"}"#,
        r#"{"timestamp":"1970-01-01T00:00:02.000000Z","level":"INFO","target":"T","message":"goes on","request_id":"r-1","span":"request"}"#,
        "",
    ];
    let expected = expected
        .join("\n")
        .replace("\"T\"", &format!("\"{}\"", module_path!()));
    assert_eq!(lines.text(), expected);
    let stats = recorder.stats();
    assert_eq!((stats.captured, stats.written, stats.held()), (3, 2, 1));
}

#[test]
fn unit_without_trigger_is_forgotten_and_counted() {
    let (dispatch, lines, recorder, _) = stack(Recorder::builder());
    dispatcher::with_default(&dispatch, || {
        for n in 0..10 {
            let _request = info_span!("request", n).entered();
            debug!("a step");
            debug!("another");
        }
        info_span!("request").in_scope(|| info!("done"));
    });
    assert_eq!(lines.messages(), ["done"]);
    let stats = recorder.stats();
    assert_eq!((stats.captured, stats.forgotten, stats.held()), (20, 20, 0));
    assert_eq!(stats.memory, 0);
}

#[track_caller]
fn check(recorder: RecorderBuilder, reason: Option<&str>, unit: impl FnOnce()) {
    let (dispatch, lines, recorder, _) = stack(recorder);
    dispatcher::with_default(&dispatch, unit);
    assert_eq!(
        crate::support::reason(&lines).as_deref(),
        reason,
        "{}",
        lines.text()
    );
    assert_eq!(
        lines.messages().contains(&"a step".to_owned()),
        reason.is_some()
    );
    assert_eq!(recorder.stats().held(), 0);
}

#[test]
fn status_recorded_late_triggers() {
    for status in [500, 503, 599] {
        check(Recorder::builder(), Some("status"), || {
            let request = info_span!("request", http.response.status_code = Empty);
            request.in_scope(|| debug!("a step"));
            request.record("http.response.status_code", status);
        });
    }
    for status in [200, 404, 499, 600, 0] {
        check(Recorder::builder(), None, || {
            let request = info_span!("request", http.response.status_code = Empty);
            request.in_scope(|| debug!("a step"));
            request.record("http.response.status_code", status);
        });
    }
}

#[test]
fn status_triggers_by_all_names_and_types() {
    #[derive(Debug)]
    enum Status {
        Error,
    }
    type Make = fn() -> tracing::Span;
    let spans: [Make; 7] = [
        || info_span!("client", http.status_code = 502_i64),
        || info_span!("client", status = 500_u16),
        || info_span!("client", status = %"500 Internal Server Error"),
        || info_span!("client", status_code = ?504),
        || info_span!("client", otel.status_code = "ERROR"),
        || info_span!("client", otel.status_code = ?Status::Error),
        || info_span!("client", otel.status_code = "error"),
    ];
    for make in spans {
        check(Recorder::builder(), Some("status"), || {
            let _request = info_span!("request").entered();
            debug!("a step");
            let _inner = make();
        });
    }
    check(Recorder::builder(), None, || {
        let _request = info_span!("request").entered();
        debug!("a step");
        let _inner = info_span!(
            "order",
            otel.status_code = "OK",
            status = "shipped 500",
            code = 500
        );
        let _inner = info_span!("order", status = 5000, otel.status_code = "é");
    });
}

#[test]
fn slow_unit_is_dumped_at_next_event_or_end() {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let builder = || {
        Recorder::builder()
            .clock(clock.clone())
            .slow(Duration::from_secs(2))
    };
    check(builder(), Some("slow"), || {
        let _request = info_span!("request").entered();
        debug!("a step");
        clock.advance(Duration::from_secs(2));
    });
    check(builder(), None, || {
        let _request = info_span!("request").entered();
        debug!("a step");
        clock.advance(Duration::from_millis(1999));
        info!("in time");
    });
    let (dispatch, lines, ..) = stack(builder());
    let _default = dispatcher::set_default(&dispatch);
    let _request = info_span!("request").entered();
    debug!("a step");
    clock.advance(Duration::from_secs(2));
    info!("late");
    let header = "flight recorder: buffered events of this request follow";
    assert_eq!(lines.messages(), [header, "a step", "late"]);
}

#[test]
fn panic_triggers_without_a_logging_hook() {
    check(Recorder::builder(), Some("panic"), || {
        let caught = std::panic::catch_unwind(|| {
            let _request = info_span!("request").entered();
            debug!("a step");
            std::panic::resume_unwind(Box::new("quietly"));
        });
        assert!(caught.is_err());
    });
}

#[test]
fn dropped_future_triggers() {
    let unfinished = || async {
        debug!("a step");
        std::future::pending::<()>().await;
    };
    check(Recorder::builder(), Some("cancelled"), || {
        poll_once(detect_cancellation(unfinished()).instrument(info_span!("request")));
    });
    check(Recorder::builder(), None, || {
        poll_once(
            detect_cancellation(async { debug!("a step") }).instrument(info_span!("request")),
        );
    });
    check(Recorder::builder(), Some("cancelled"), || {
        let _request = info_span!("request").entered();
        let _guard = CancellationGuard::new();
        debug!("a step");
    });
    check(Recorder::builder(), Some("cancelled"), || {
        let request = info_span!("request", spanwise.cancelled = Empty);
        request.in_scope(|| debug!("a step"));
        request.record("spanwise.cancelled", true);
    });
}

fn poll_once(future: impl Future) {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let _ = std::pin::pin!(future).as_mut().poll(&mut context);
}

#[test]
fn code_requests_a_dump() {
    check(Recorder::builder(), Some("requested"), || {
        let _request = info_span!("request").entered();
        debug!("a step");
        assert!(dump_current_unit());
        assert!(dump_current_unit());
    });
    check(Recorder::builder(), None, || {
        assert!(!dump_current_unit());
        info_span!("other").in_scope(|| assert!(dump_current_unit()));
    });
}

#[test]
fn unit_with_only_dropped_lines_has_a_header() {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let check = |reason: Option<&str>, act: &dyn Fn()| {
        let builder = Recorder::builder().clock(clock.clone());
        let (dispatch, lines, ..) = stack(builder.slow(Duration::from_secs(2)));
        dispatcher::with_default(&dispatch, || {
            let _request = info_span!("request").entered();
            debug!(text = "x".repeat(20_000), "too long to buffer");
            act();
        });
        let header = header(&lines);
        let counts = header.map(|header| {
            let number = |key: &str| header[key].as_u64();
            (
                header["reason"].as_str().map(str::to_owned),
                number("records"),
                number("evicted"),
            )
        });
        let expected = reason.map(|reason| (Some(reason.to_owned()), Some(0), Some(1)));
        assert_eq!(counts, expected);
    };
    check(Some("slow"), &|| clock.advance(Duration::from_secs(2)));
    check(Some("requested"), &|| assert!(dump_current_unit()));
    check(Some("cancelled"), &|| drop(CancellationGuard::new()));
    check(None, &|| {});
}

#[test]
fn marked_span_is_a_unit_of_its_own() {
    let (_default, lines) = start();
    let _consumer = info_span!("consumer").entered();
    debug!("of the consumer");
    for n in 0..3 {
        let _message = info_span!("message", n, spanwise.unit = Empty).entered();
        let _inner = info_span!("inner").entered();
        debug!(n, "of the message");
        if n == 1 {
            error!("failed");
        }
    }
    let header = "flight recorder: buffered events of this request follow";
    assert_eq!(lines.messages(), [header, "of the message", "failed"]);
    assert_eq!(lines.values_of("n"), ["1", "1", "1"]);
}

#[test]
fn event_belongs_to_unit_of_its_parent() {
    let (_default, lines) = start();
    let failing = info_span!("failing");
    let _other = info_span!("other").entered();
    debug!("of the other");
    debug!(parent: &failing, "of the failing");
    debug!(parent: None, "of nobody");
    error!(parent: &failing, "failed");
    assert_eq!(lines.messages()[1..], ["of the failing", "failed"]);
}

#[test]
fn second_sink_at_info_sees_no_debug() {
    let recorder = Recorder::default();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let handle = levels.handle();
    let (recorded, second) = (Lines::default(), Lines::default());
    let json = recorder.sink(recorded.clone(), handle.clone(), |writer| {
        JsonLayer::new().with_writer(writer)
    });
    let other = JsonLayer::new()
        .with_writer(second.clone())
        .without_captured(handle.clone());
    let _default = tracing_subscriber::registry()
        .with(json)
        .with(other)
        .with(levels)
        .set_default();
    let debug_lines = || {
        let _request = info_span!("request").entered();
        let _hidden = debug_span!("no context of its lines", hidden_step = 1).entered();
        debug!("a step");
        error!("failed");
        debug!("another");
    };
    debug_lines();
    assert_eq!(second.messages(), ["failed"]);
    assert_eq!(recorded.messages()[1..], ["a step", "failed", "another"]);
    assert!(recorded.values_of("hidden_step").is_empty());

    // A change of the levels applies to both sinks.
    handle.set_levels("debug").unwrap();
    debug_lines();
    assert_eq!(second.messages()[1..], ["a step", "failed", "another"]);
    assert_eq!(recorded.values_of("buffered").len(), 1);
    handle.set_levels("off").unwrap();
    debug_lines();
    assert_eq!((second.messages().len(), recorded.messages().len()), (4, 7));
    assert!(
        header(&recorded).is_some(),
        "and one that kept nothing has none"
    );
}

#[test]
fn span_directive_shows_same_events_as_before() {
    let (dispatch, lines, recorder, levels) = stack(Recorder::builder());
    let _default = dispatcher::set_default(&dispatch);
    levels.set_levels("info,[chosen]=debug").unwrap();
    info_span!("chosen").in_scope(|| debug!("shown"));
    info_span!("other").in_scope(|| debug!("kept"));
    assert_eq!(lines.messages(), ["shown"]);
    assert!(lines.values_of("buffered").is_empty());
    assert_eq!(recorder.stats().forgotten, 1);
}

#[test]
fn other_layers_work_inside_recorder() {
    let recorder = Recorder::default();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let lines = Lines::default();
    let fmt = recorder.sink(lines.clone(), levels.handle(), |writer| {
        tracing_subscriber::fmt::layer()
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(writer)
    });
    let _default = tracing_subscriber::registry()
        .with(fmt)
        .with(levels)
        .set_default();
    info_span!("request", id = 1).in_scope(|| debug!("a step"));
    info_span!("request", id = 2).in_scope(|| {
        debug!("a step");
        error!("failed");
    });
    let expected = "\u{20}INFO request{id=2}: flight recorder: buffered events of this request follow reason=\"error\" records=1 evicted=0\n\
                    DEBUG request{id=2}: a step\n\
                    ERROR request{id=2}: failed\n";
    assert_eq!(lines.text(), expected);
}

#[test]
fn sample_rate_of_event_is_not_on_header() {
    let recorder = Recorder::default();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let lines = Lines::default();
    // The last of three errors represents all of them.
    let sampler = Sampler::builder()
        .rule(
            EventMatcher::level(Level::ERROR),
            First::new(0).then_every(3),
        )
        .build();
    let json = recorder.sink(lines.clone(), levels.handle(), |writer| {
        JsonLayer::new().with_writer(writer).sampled(sampler)
    });
    let _default = tracing_subscriber::registry()
        .with(json)
        .with(levels)
        .set_default();
    let _request = info_span!("request").entered();
    for n in 0..3 {
        debug!("a step");
        error!(n, "failed");
    }
    let header = "flight recorder: buffered events of this request follow";
    assert_eq!(
        lines.messages(),
        [header, "a step", "a step", "a step", "failed"]
    );
    let last = lines.objects().pop().unwrap();
    assert!(last["sample_rate"].is_number(), "{last}");
    assert_eq!(lines.values_of("sample_rate").len(), 1);
}

#[test]
fn output_without_lines_gets_no_header() {
    let recorder = Recorder::builder().tail(0.0).unwrap().build();
    let [errors, infos, all] = [(); 3].map(|()| Lines::default());
    let outputs = errors
        .clone()
        .with_max_level(Level::ERROR)
        .and(infos.clone().with_max_level(Level::INFO))
        .and(all.clone());
    let (dispatch, _) = crate::support::stack_to(&recorder, outputs);
    let _default = dispatcher::set_default(&dispatch);
    info_span!("request").in_scope(|| {
        debug!("a step");
        error!("failed");
    });
    assert_eq!(errors.messages(), ["failed"]);
    assert_eq!(infos.messages(), ["failed"]);
    let header = "flight recorder: buffered events of this request follow";
    assert_eq!(all.messages(), [header, "a step", "failed"]);
    assert_eq!(crate::support::header(&all).unwrap()["level"], "INFO");

    info_span!("request").in_scope(|| {
        debug!("a step");
        info!("received");
        error!("failed");
    });
    assert_eq!(errors.messages()[1..], ["failed"]);
    assert_eq!(infos.messages()[1..], [header, "received", "failed"]);
}
