//! A flood of failing units does not cause a flood of lines, because each sink writes a limited
//! number of buffered lines per second.

use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use crate::support::{Lines, stack, stack_to};
use spanwise_core::{Clock, Fault, KeyVerdict, LevelLayer, Redact, SelfReport};
use spanwise_json::JsonLayer;
use spanwise_recorder::{CancellationGuard, Recorder, RecorderBuilder};
use tracing::{
    Dispatch, Event, Subscriber, debug, dispatcher, error, info, info_span,
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

const HEADER: &str = "flight recorder: buffered events of this request follow";

fn start(builder: RecorderBuilder) -> (Dispatch, Lines, Recorder, Clock, SelfReport) {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400));
    let report = SelfReport::silent();
    let builder = builder.clock(clock.clone()).report(report.clone());
    let (dispatch, lines, recorder, _) = stack(builder);
    (dispatch, lines, recorder, clock, report)
}

/// A request that its client resets.
fn reset(lines: u32) {
    let _request = info_span!("request").entered();
    let guard = CancellationGuard::new();
    (0..lines).for_each(|n| debug!(n, "a step"));
    drop(guard);
}

fn fail(id: u32) {
    let _request = info_span!("request", id).entered();
    debug!("a step");
    error!("failed");
}

fn count(lines: &Lines, message: &str) -> usize {
    let messages = lines.messages();
    messages.iter().filter(|known| *known == message).count()
}

#[test]
fn reset_requests_do_not_flood_the_output() {
    let (dispatch, lines, recorder, clock, report) = start(Recorder::builder());
    let _default = dispatcher::set_default(&dispatch);
    for _ in 0..500 {
        reset(100);
    }
    assert_eq!(count(&lines, HEADER), 50, "half of what may be written");
    assert_eq!(count(&lines, "a step"), 5000);
    // The other half is for units that fail without a client's action. Each counts as at least 20
    // lines.
    for id in 0..300 {
        fail(id);
    }
    assert_eq!(count(&lines, HEADER), 50 + 250);
    assert_eq!(count(&lines, "failed"), 300, "what is shown is shown");
    clock.advance(Duration::from_secs(1));
    for id in 0..600 {
        fail(id);
    }
    assert_eq!(count(&lines, HEADER), 50 + 250 + 500);

    let stats = recorder.stats();
    assert_eq!(stats.captured, 50_000 + 900);
    assert_eq!(stats.written, 5000 + 750);
    assert_eq!(stats.suppressed, 45_000 + 150);
    assert_eq!((stats.held(), stats.memory), (0, 0));
    let units = 450 + 150;
    assert_eq!(report.stats().faults, [(Fault::Suppressed, units)]);
}

/// A unit that failed at its start has no buffer, and passes all its lines through.
#[test]
fn pass_through_lines_count() {
    let (dispatch, lines, _, clock, _) = start(Recorder::builder().max_lines_per_second(1000));
    let _default = dispatcher::set_default(&dispatch);
    let early = |id: u32| {
        let _request = info_span!("request", id).entered();
        error!("failed");
        (0..400).for_each(|n| debug!(n, "through"));
    };
    (0..100).for_each(early);
    assert_eq!(count(&lines, "through"), 3 * 400);
    clock.advance(Duration::from_secs(10));
    (0..100).for_each(early);
    assert_eq!(count(&lines, "through"), 6 * 400);
}

/// Ten times the load does not write more lines.
#[test]
fn lines_per_second_do_not_grow_with_load() {
    let written = |requests: u32| {
        let (dispatch, lines, ..) = start(Recorder::builder());
        let _default = dispatcher::set_default(&dispatch);
        (0..requests).for_each(|_| reset(100));
        lines.text().len()
    };
    assert_eq!(written(60), written(600));
}

#[test]
fn suppressed_unit_is_dumped_at_next_trigger() {
    let (dispatch, lines, recorder, clock, _) = start(Recorder::builder().max_lines_per_second(20));
    let _default = dispatcher::set_default(&dispatch);
    fail(1);
    let request = info_span!("request", id = 2).entered();
    debug!("first");
    error!("one");
    debug!("second");
    let shown = ["a step", "failed", "one"];
    assert_eq!(lines.messages()[1..], shown, "nothing passes through");
    clock.advance(Duration::from_secs(1));
    error!("two");
    debug!("third");
    drop(request);
    let shown = [HEADER, "first", "second", "two", "third"];
    assert_eq!(lines.messages()[4..], shown);
    assert_eq!(recorder.stats().suppressed, 0);
}

#[test]
fn empty_units_pass_through_within_the_limit() {
    let (dispatch, lines, ..) = start(Recorder::builder().max_lines_per_second(40));
    let _default = dispatcher::set_default(&dispatch);
    for _ in 0..10 {
        let _request = info_span!("request").entered();
        error!("failed");
        debug!("after it");
    }
    assert_eq!(count(&lines, "after it"), 2);
}

#[test]
fn units_without_trigger_take_no_budget() {
    let builder = Recorder::builder().max_lines_per_second(20);
    let (dispatch, lines, _, clock, _) = start(builder.slow(Duration::from_millis(10)));
    let _default = dispatcher::set_default(&dispatch);
    for _ in 0..10 {
        let _request = info_span!("request").entered();
        // The unit is slow when it ends, and its buffer is empty.
        clock.advance(Duration::from_millis(10));
    }
    fail(1);
    assert_eq!(count(&lines, HEADER), 1);
}

/// Redacts nothing, and collects the texts of the report.
#[derive(Debug, Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Redact for Told {
    fn key(&self, _: &str) -> KeyVerdict {
        KeyVerdict::Pass
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.0.lock().unwrap().push(text.to_owned());
        Cow::Borrowed(text)
    }
}

#[test]
fn suppressed_lines_are_reported_with_trigger() {
    let (report, told) = (SelfReport::new(), Told::default());
    report.redact(Arc::new(told.clone()));
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400));
    let builder = Recorder::builder().max_lines_per_second(1).tail(0.0);
    let builder = builder.unwrap().clock(clock.clone()).report(report.clone());
    let (dispatch, ..) = stack(builder);
    let _default = dispatcher::set_default(&dispatch);
    // The bucket needs more than a minute to refill.
    info_span!("request").in_scope(|| {
        (0..100).for_each(|n| debug!(n, "a step"));
        error!("failed");
    });
    fail(1);
    reset(1);
    let old = || {
        info!("held");
        clock.advance(Duration::from_secs(30));
    };
    info_span!("request").in_scope(old);
    info_span!("request").in_scope(|| {
        debug!("a step");
        error!("failed");
        old();
    });
    let told = told.0.lock().unwrap();
    let what = |text: &String| {
        let (_, text) = text.split_once(" that ").unwrap();
        text.split_once(':').unwrap().0.to_owned()
    };
    let told: Vec<_> = told.iter().map(what).collect();
    assert_eq!(told, ["failed", "was cancelled", "expired", "failed"]);
}

/// Drops headers while it is closed.
struct Closable<L> {
    inner: L,
    closed: Arc<AtomicBool>,
}

impl<S: Subscriber, L: Layer<S>> Layer<S> for Closable<L> {
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        self.inner.on_new_span(attrs, id, ctx);
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let is_header = event.metadata().target() == "spanwise::recorder";
        if !(is_header && self.closed.load(Ordering::Relaxed)) {
            self.inner.on_event(event, ctx);
        }
    }
}

#[test]
fn unwritten_header_takes_no_budget() {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400));
    let builder = Recorder::builder().max_lines_per_second(20).clock(clock);
    let recorder = builder.report(SelfReport::silent()).build();
    let (lines, closed) = (Lines::default(), Arc::new(AtomicBool::new(true)));
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let layer = recorder.sink(lines.clone(), levels.handle(), |writer| Closable {
        inner: JsonLayer::new().with_writer(writer),
        closed: Arc::clone(&closed),
    });
    let stack = tracing_subscriber::registry().with(layer).with(levels);
    let _default = stack.set_default();
    let request = info_span!("request").entered();
    (0..30).for_each(|n| debug!(n, "a step"));
    (0..10).for_each(|_| error!("failed"));
    assert_eq!((count(&lines, "failed"), count(&lines, "a step")), (10, 0));
    closed.store(false, Ordering::Relaxed);
    error!("failed");
    assert_eq!((count(&lines, HEADER), count(&lines, "a step")), (1, 30));
    // This dump used the whole budget.
    drop(request);
    fail(1);
    assert_eq!(count(&lines, HEADER), 1);
}

#[test]
fn each_sink_has_its_own_limit() {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400));
    let builder = Recorder::builder().max_lines_per_second(60).clock(clock);
    let recorder = builder.report(SelfReport::silent()).build();
    let (one, two) = (Lines::default(), Lines::default());
    for lines in [&one, &two] {
        let (dispatch, _) = stack_to(&recorder, lines.clone());
        dispatcher::with_default(&dispatch, || (0..10).for_each(fail));
    }
    assert_eq!((count(&one, HEADER), count(&two, HEADER)), (3, 3));
}

#[test]
fn tail_sampling_respects_the_limit() {
    let builder = Recorder::builder().tail(0.0).unwrap();
    let (dispatch, lines, recorder, ..) = start(builder.max_lines_per_second(100));
    let _default = dispatcher::set_default(&dispatch);
    for id in 0..20 {
        let _request = info_span!("request", id).entered();
        info!("received");
        error!("failed");
    }
    assert_eq!(count(&lines, "failed"), 20);
    assert_eq!(count(&lines, "received"), 5);
    assert_eq!(recorder.stats().suppressed, 15);
}

#[test]
fn limit_is_parsed_from_the_setting() {
    let recorder: Recorder = "debug,lines=200/s".parse().unwrap();
    assert_eq!(recorder.to_string(), "debug,lines=200/s");
    let default: Recorder = "debug,lines=10000/s".parse().unwrap();
    assert_eq!(default.to_string(), "debug");
    let level: Recorder = "lines=debug".parse().unwrap();
    assert_eq!(level.to_string(), "lines=debug", "a target of that name");
    for wrong in ["0/s", "-1/s", "5/m", "x/s", "4294967296/s", ""] {
        let error = format!("debug,lines={wrong}").parse::<Recorder>();
        let error = error.unwrap_err().to_string();
        assert!(error.contains("such as 10000/s"), "{wrong}: {error}");
    }
}
