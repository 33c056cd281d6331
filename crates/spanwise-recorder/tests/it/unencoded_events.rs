//! Events that are buffered as values: their lines are those that are encoded at once.

use std::{
    borrow::Cow,
    cell::Cell,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use proptest::prelude::*;
use spanwise_core::{Clock, KeyVerdict, LevelLayer, Redact};
use spanwise_json::{Format, JsonLayer, as_json};
use spanwise_recorder::{Recorder, RecorderBuilder, dump_current_unit};
use spanwise_redact::Policy;
use spanwise_testing::support::{Lines, fixed_clock};
use tracing::{Dispatch, debug, dispatcher, error, field::Empty, info, info_span, warn};
use tracing_subscriber::prelude::*;

use crate::any::{self, Case, case_named};

/// A stack that shows WARN and buffers all else.
struct Program {
    dispatch: Dispatch,
    lines: Lines,
    recorder: Recorder,
}

impl Program {
    /// Lines of the first buffered event of a layer are encoded at once.
    fn new(recorder: RecorderBuilder, layer: JsonLayer) -> Self {
        let recorder = recorder.capture(tracing::level_filters::LevelFilter::TRACE);
        let recorder = recorder.clock(fixed_clock()).build();
        let lines = Lines::default();
        let levels = LevelLayer::new("warn".parse().unwrap()).capture(recorder.levels());
        let json = recorder.sink(lines.clone(), levels.handle(), |writer| {
            layer.with_writer(writer)
        });
        let dispatch = tracing_subscriber::registry().with(json).with(levels);
        Self {
            dispatch: dispatch.into(),
            lines,
            recorder,
        }
    }

    /// Makes the layer know its recorder, so that it passes the values of further events.
    fn knowing_its_recorder(self) -> Self {
        self.run(|| info_span!("before").in_scope(|| info!("encoded at once")));
        assert_eq!(self.recorder.stats().forgotten, 1);
        self
    }

    fn run<R>(&self, log: impl FnOnce() -> R) -> R {
        dispatcher::with_default(&self.dispatch, log)
    }

    /// Runs `log` in a request that fails.
    fn dump(&self, log: impl FnOnce()) -> String {
        self.run(|| {
            let _request = info_span!("request", request_id = "r-1").entered();
            log();
            error!("failed");
        });
        self.lines.take()
    }
}

fn json() -> JsonLayer {
    JsonLayer::new().clock(fixed_clock())
}

/// Asserts that the line of an event that `log` logs in a failed request is the same, whether it is
/// encoded at once or later. Returns all lines.
#[track_caller]
fn assert_same(layer: impl Fn() -> JsonLayer, log: impl Fn()) -> String {
    let at_once = Program::new(Recorder::builder(), layer()).dump(&log);
    let later = Program::new(Recorder::builder(), layer()).knowing_its_recorder();
    let later = later.dump(&log);
    assert_eq!(at_once, later);
    later
}

/// A policy with each verdict about keys, which counts the texts that it scans.
#[derive(Debug, Default)]
struct Verdicts {
    scanned: AtomicUsize,
}

impl Redact for Verdicts {
    fn key(&self, key: &str) -> KeyVerdict {
        match key {
            "text" => KeyVerdict::Text,
            "trusted" => KeyVerdict::Trust,
            "password" => KeyVerdict::Redact,
            "removed" => KeyVerdict::Remove,
            "replaced" => KeyVerdict::Replace,
            _ => KeyVerdict::Pass,
        }
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.scanned.fetch_add(1, Ordering::Relaxed);
        match text.contains('q') {
            true => text.replace('q', "[Q]").into(),
            false => text.into(),
        }
    }

    fn replace(&self, key: &str, value: &str) -> String {
        format!("{key} of {} bytes", value.len())
    }
}

fn name() -> BoxedStrategy<String> {
    let keys = ["text", "trusted", "password", "removed", "replaced"];
    let keys = prop::sample::select(keys.to_vec()).prop_map(str::to_owned);
    prop_oneof![1 => keys, 2 => any::name()].boxed()
}

fn format() -> impl Strategy<Value = Format> {
    prop::sample::select(Format::NAMES.to_vec())
        .prop_map(|name| name.parse::<Format>().unwrap())
        .prop_filter("written by the layer", |format| !format.is_human_readable())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn line_is_the_same_as_encoded_at_once(
        case in case_named(name()),
        format in format(),
        policy in 0..3,
        max_line in prop_oneof![Just(256 * 1024), 256_usize..1024],
    ) {
        let case: &Case = &case;
        let layer = || {
            let layer = json().format(format.clone()).max_field(256).max_line(max_line);
            match policy {
                0 => layer,
                1 => layer.redact(Arc::new(Verdicts::default())),
                _ => layer.redact(Arc::new(Policy::secrets_and_pii())),
            }
        };
        assert_same(layer, || any::log(case, &dispatcher::get_default(Clone::clone)));
    }
}

#[test]
fn dropped_event_is_not_scanned() {
    for slow in [None, Some(Duration::from_secs(1))] {
        let policy = Arc::new(Verdicts::default());
        let builder = slow.map_or(Recorder::builder(), |slow| Recorder::builder().slow(slow));
        let program = Program::new(builder, json().redact(policy.clone()));
        let program = program.knowing_its_recorder();
        let log = || debug!(user = "a q", "a step");
        let request = || info_span!("request");
        let scanned = || policy.scanned.swap(0, Ordering::Relaxed);
        program.run(|| {
            request().in_scope(log);
            scanned();
            request().in_scope(log);
            assert_eq!(scanned(), 0);
            request().in_scope(|| {
                log();
                error!("failed");
            });
            assert!(scanned() > 0);
        });
        assert_eq!(program.lines.values_of("user"), ["a [Q]"]);
        let stats = program.recorder.stats();
        assert_eq!((stats.captured, stats.forgotten, stats.written), (4, 3, 1));
    }
}

#[test]
fn line_has_the_time_and_the_span_of_its_event() {
    let clock = Clock::manual(std::time::UNIX_EPOCH);
    let layer = || JsonLayer::new().clock(clock.clone());
    let program = Program::new(Recorder::builder(), layer()).knowing_its_recorder();
    program.run(|| {
        let request = info_span!("request", user = "first", late = Empty).entered();
        debug!("before");
        clock.advance(Duration::from_millis(1500));
        request.record("late", 1);
        debug!("after");
        let inner = info_span!("inner", user = "second").entered();
        debug!("inside");
        debug!(parent: request.id(), "explicit parent");
        debug!(parent: None, "of no request");
        drop(inner);
        debug!("between");
        request.record("late", 2);
        clock.advance(Duration::from_secs(60));
        error!("failed");
    });
    let lines = program.lines.objects();
    let lines = lines.iter().map(|line| {
        let text = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
        let time = text("timestamp")[17..23].to_owned();
        let fields = [text("message"), time, text("user"), text("span")];
        format!("{} {}", fields.join(" "), line["late"])
    });
    let lines: Vec<_> = lines.skip(1).collect();
    let expected = [
        "before 00.000 first request null",
        "after 01.500 first request 1",
        "inside 01.500 second inner 1",
        "explicit parent 01.500 first request 1",
        "between 01.500 first request 1",
        "failed 01.500 first request 2",
    ];
    assert_eq!(lines[..5], expected[..5]);
    assert_eq!(lines[5].replace(" 61.500", " 01.500"), expected[5]);
}

/// Writes its text in two parts. Then it fails or panics, or writes on after an error.
struct Odd(&'static str, Outcome);

#[derive(Clone, Copy)]
enum Outcome {
    Fails,
    Panics,
    IgnoresErrors,
}

impl fmt::Debug for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = self.0.split_at(self.0.len() / 2);
        let written = f.write_str(start).and_then(|()| f.write_str(end));
        match self.1 {
            Outcome::Fails => Err(fmt::Error),
            Outcome::Panics => panic!("while formatting"),
            Outcome::IgnoresErrors => {
                let _ = written.and_then(|()| f.write_str("more"));
                Ok(())
            }
        }
    }
}

#[test]
fn odd_values_are_shown_as_encoded_at_once() {
    let long = &*"é".repeat(40_000).leak();
    let items = vec!["a \"q\"", "b"];
    let error: &dyn std::error::Error = &fmt::Error;
    macro_rules! events {
        ($(($($event:tt)+)),+ $(,)?) => { [$(&|| debug!($($event)+)),+] };
    }
    let events: [&dyn Fn(); 18] = events![
        (a = ?Odd("text", Outcome::Fails), b = 1, "fails"),
        (a = 1, b = ?Odd("text", Outcome::Panics), c = "after", "panics"),
        (a = ?Odd("", Outcome::Panics), b = ?Odd("", Outcome::Panics), "panic twice"),
        (replaced = ?Odd("text", Outcome::Panics), "a replaced value panics"),
        (password = ?Odd("text", Outcome::Panics), "is not formatted if it is redacted"),
        (removed = ?Odd("text", Outcome::Panics), password = true, text = 1, "neither"),
        (a = ?Odd(&long[..600], Outcome::IgnoresErrors), "too long"),
        (a = ?Odd(&long[..602], Outcome::Fails), "too long to fail"),
        (replaced = %&long[..2000], trusted = %&long[..2000], a = &long[..2000], "long"),
        (a = %as_json(&items), b = ?Some(as_json(&items)), "nested"),
        (a = %format_args!("{} and more", as_json(&items)), "only begins as JSON"),
        (a = %as_json(&long[..600]), "long JSON"),
        (a = %as_json(&()), text = %as_json(&items), password = %as_json(&items), "q"),
        (a = f64::NAN, b = i128::MIN, c = u128::MAX, d = -1_i64, e = true, "numbers"),
        (a = "", b = %"", c = ?"", ""),
        (Error = 1, error = "not an error", message = "a message behind its fields"),
        (a = ?Odd("text", Outcome::Fails), error, "an error"),
        (error = %fmt::Error, cause = error, "two errors"),
    ];
    for name in Format::NAMES {
        let format: Format = name.parse().unwrap();
        if format.is_human_readable() {
            continue;
        }
        let layer = || json().format(format.clone()).max_field(301);
        for event in events {
            assert_same(layer, event);
            let lines = assert_same(|| layer().redact(Arc::new(Verdicts::default())), event);
            assert_eq!(lines.lines().count(), 3, "{lines}");
        }
    }
}

#[test]
fn value_is_formatted_once_and_when_it_is_logged() {
    struct Counter<'a>(&'a Cell<u32>);
    impl fmt::Debug for Counter<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.set(self.0.get() + 1);
            write!(f, "formatted {} times", self.0.get())
        }
    }
    let program = Program::new(Recorder::builder(), json()).knowing_its_recorder();
    let counter = Cell::new(0);
    program.run(|| {
        let _request = info_span!("request").entered();
        debug!(counter = ?Counter(&counter), "a step");
        assert_eq!(counter.get(), 1);
        error!("failed");
    });
    assert_eq!(program.lines.values_of("counter"), ["formatted 1 times"]);
}

#[test]
fn line_has_the_thread_of_its_event() {
    let layer = json().with_thread_name();
    let program = Program::new(Recorder::builder(), layer).knowing_its_recorder();
    let request = program.run(|| info_span!("request"));
    thread::scope(|scope| {
        let log = || program.run(|| request.in_scope(|| debug!("a step")));
        let named = thread::Builder::new().name("worker".to_owned());
        named.spawn_scoped(scope, log).unwrap();
    });
    program.run(|| request.in_scope(|| error!("failed")));
    let step = program.lines.with_message("a step");
    assert_eq!(step["thread_name"], "worker");
}

/// Exits the span while it is formatted, and writes a line in it.
struct Leaves<'a>(&'a tracing::Span, &'a Dispatch);

impl fmt::Debug for Leaves<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug!("from a value");
        self.1.exit(&self.0.id().unwrap());
        f.write_str("left")
    }
}

#[test]
fn value_may_log_and_leave_the_span() {
    let log = |program: &Program| {
        program.run(|| {
            let outer = info_span!("outer").entered();
            let request = info_span!("request", spanwise.unit = Empty);
            program.dispatch.enter(&request.id().unwrap());
            debug!(value = ?Leaves(&request, &program.dispatch), "a step");
            request.in_scope(|| error!("failed"));
            drop(outer);
        });
        program.lines.take()
    };
    let at_once = Program::new(Recorder::builder(), json());
    let later = Program::new(Recorder::builder(), json()).knowing_its_recorder();
    let at_once = log(&at_once);
    assert_eq!(at_once, log(&later));
    assert!(at_once.contains("\"left\""), "{at_once}");
}

#[test]
fn no_debug_output_has_values() {
    let program = Program::new(Recorder::builder(), json()).knowing_its_recorder();
    let request = program.run(|| info_span!("request"));
    let shown = |program: &Program| format!("{:?} {:#?}", program.recorder, program.dispatch);
    let secret = "hunter2";
    let bytes = format!("{:?}", secret.as_bytes());
    let bytes = bytes.trim_matches(['[', ']']);
    let check = |shown: &str| assert!(!shown.contains(secret) && !shown.contains(bytes), "{shown}");
    program.run(|| {
        request.in_scope(|| {
            debug!(value = secret, "a step");
            info_span!("inner", secret).in_scope(|| debug!("another"));
            check(&shown(&program));
        });
    });
    // The memory of the unit is kept for the next one.
    drop(request);
    check(&shown(&program));
    assert_eq!(program.recorder.stats().held(), 0);
}

#[test]
fn data_of_spans_counts_against_the_memory() {
    let builder = || Recorder::builder().max_unit_bytes(32 * 1024);
    let program = Program::new(builder(), json()).knowing_its_recorder();
    let long = "x".repeat(1000);
    program.run(|| {
        let _request = info_span!("request").entered();
        for _ in 0..100 {
            info_span!("step", long).in_scope(|| debug!("a step"));
        }
        let stats = program.recorder.stats();
        assert!((10..32).contains(&stats.held()), "{stats}");
        assert!((20 * 1024..=36 * 1024).contains(&stats.memory), "{stats}");
        warn!("shown");
        dump_current_unit();
    });
    let stats = program.recorder.stats();
    assert_eq!((stats.held(), stats.memory), (0, 0), "{stats}");
    assert_eq!(
        stats.written,
        program.lines.values_of("buffered").len() as u64
    );
}

#[test]
fn process_limit_covers_the_data_of_spans() {
    let builder = Recorder::builder()
        .max_process_bytes(64 * 1024)
        .report(spanwise_core::SelfReport::silent());
    let program = Program::new(builder, json()).knowing_its_recorder();
    let long = "x".repeat(2000);
    program.run(|| {
        let requests: Vec<_> = (0..20).map(|_| info_span!("request")).collect();
        for _ in 0..20 {
            for request in &requests {
                let step = info_span!(parent: request, "step", long);
                step.in_scope(|| debug!("a step"));
                assert!(program.recorder.stats().memory <= 64 * 1024);
            }
        }
        assert!(program.recorder.stats().evicted > 0);
    });
    let stats = program.recorder.stats();
    assert_eq!((stats.held(), stats.memory), (0, 0), "{stats}");
}

#[test]
fn span_too_large_for_a_unit_evicts_no_record() {
    let builder = Recorder::builder().max_unit_bytes(32 * 1024);
    let program = Program::new(builder, json()).knowing_its_recorder();
    let long = "x".repeat(10_000);
    program.run(|| {
        let _request = info_span!("request").entered();
        (0..3).for_each(|_| debug!("before"));
        info_span!("upload", a = long, b = long, c = long, d = long).in_scope(|| {
            (0..3).for_each(|_| debug!("inside"));
        });
        debug!("after");
        error!("failed");
    });
    let header = "flight recorder: buffered events of this request follow";
    let expected = [header, "before", "before", "before", "after", "failed"];
    assert_eq!(program.lines.messages(), expected);
    assert_eq!(program.lines.values_of("evicted"), ["3"]);
    let stats = program.recorder.stats();
    assert_eq!((stats.oversize, stats.evicted), (3, 0), "{stats}");
}

#[test]
fn metric_of_a_stored_event_has_its_time() {
    for has_timestamp in [true, false] {
        let clock = fixed_clock();
        let layer = JsonLayer::new().format(Format::Emf).clock(clock.clone());
        let layer = match has_timestamp {
            true => layer,
            false => layer.without_timestamp(),
        };
        let program = Program::new(Recorder::builder(), layer).knowing_its_recorder();
        let text = program.dump(|| {
            info!(metric.x = 1, "measured");
            clock.advance(Duration::from_secs(10));
        });
        let line = text.lines().find(|line| line.contains("measured")).unwrap();
        let time = r#""_aws":{"Timestamp":1795165687123,"#;
        assert!(line.contains(time), "{line}");
    }
}
