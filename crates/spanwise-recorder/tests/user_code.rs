//! User code runs inside the sampler and the recorder, in values, writers, layers and policies. For
//! each action at each place, the program continues, each record is counted once, and later events
//! arrive.
//!
//! In a separate process, because events of such code reach its calling layers only with a global
//! subscriber.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[allow(dead_code, unreachable_pub, reason = "each test uses some of it")]
mod support;

use std::{
    borrow::Cow,
    cell::Cell,
    fmt,
    io::{self, Write as _},
    panic::{self, AssertUnwindSafe},
    process,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use spanwise_core::{
    Clock, ContextLayer, KeyVerdict, LayerExt as _, LevelHandle, LevelLayer, Redact, SelfReport,
    forward, forward_downcast,
};
use spanwise_json::JsonLayer;
use spanwise_recorder::{CancellationGuard, Recorder, dump_current_unit};
use spanwise_sample::{EventMatcher, First, Limit, Rate, SampleExt as _, Sampler};
use support::Lines;
use tracing::{
    Event, Level, Span, Subscriber, debug, dispatcher, error, field::Empty, info, info_span, warn,
};
use tracing_core::{
    Dispatch,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, fmt::MakeWriter, layer::Context, prelude::*};

/// Where user code is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    EventValue,
    SpanValue,
    RecordedValue,
    ErrorText,
    KeyOfRule,
    KeyOfLimit,
    MakeWriter,
    Write,
    OnNewSpan,
    OnRecord,
    OnEnter,
    OnEvent,
    OnExit,
    OnClose,
    PolicyText,
}

const PLACES: [Place; 15] = [
    Place::EventValue,
    Place::SpanValue,
    Place::RecordedValue,
    Place::ErrorText,
    Place::KeyOfRule,
    Place::KeyOfLimit,
    Place::MakeWriter,
    Place::Write,
    Place::OnNewSpan,
    Place::OnRecord,
    Place::OnEnter,
    Place::OnEvent,
    Place::OnExit,
    Place::OnClose,
    Place::PolicyText,
];

/// What the user code does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Log(Level),
    /// Opens a separate unit, which fails.
    FailInside,
    RecordStatus,
    FlushUnit,
    FlushSampler,
    ReadStats,
    ChangeLevels,
    /// Waits for another thread that logs an error in the same unit.
    WaitForThread,
    Panic,
    /// Panics with a payload that logs when it is dropped.
    PanicWithLogger,
}

const DEEDS: [Deed; 12] = [
    Deed::Log(Level::DEBUG),
    Deed::Log(Level::INFO),
    Deed::Log(Level::ERROR),
    Deed::FailInside,
    Deed::RecordStatus,
    Deed::FlushUnit,
    Deed::FlushSampler,
    Deed::ReadStats,
    Deed::ChangeLevels,
    Deed::WaitForThread,
    Deed::Panic,
    Deed::PanicWithLogger,
];

/// The state of the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Outside,
    Quiet,
    /// Its buffer is being dumped.
    Written,
    Through,
    /// Its future was dropped.
    Cancelled,
}

const STATES: [State; 5] = [
    State::Outside,
    State::Quiet,
    State::Written,
    State::Through,
    State::Cancelled,
];

struct Stack {
    recorder: Recorder,
    sampler: Sampler,
    levels: LevelHandle,
    lines: Lines,
}

static STACK: OnceLock<Stack> = OnceLock::new();

/// The place where the next action happens, and the action.
static ARMED: Mutex<Option<(Place, Deed)>> = Mutex::new(None);
static DONE: AtomicU32 = AtomicU32::new(0);
static CASE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether the thread performs an action. Events of an action cause no further action.
    static AT_IT: Cell<bool> = const { Cell::new(false) };
}

struct LogsWhenDropped;

impl Drop for LogsWhenDropped {
    fn drop(&mut self) {
        let at_it = AT_IT.replace(true);
        debug!("dropped");
        error!("dropped");
        AT_IT.set(at_it);
    }
}

/// Performs the action if it belongs to this place.
fn user_code(place: Place) {
    let armed = *ARMED.lock().unwrap();
    let Some((_, deed)) = armed.filter(|(armed, _)| *armed == place) else {
        return;
    };
    if AT_IT.replace(true) {
        return;
    }
    let done = panic::catch_unwind(|| do_it(deed));
    AT_IT.set(false);
    DONE.fetch_add(1, SeqCst);
    if let Err(payload) = done {
        panic::resume_unwind(payload);
    }
}

fn do_it(deed: Deed) {
    let stack = STACK.get().unwrap();
    match deed {
        Deed::Log(Level::DEBUG) => debug!("by user code"),
        Deed::Log(Level::INFO) => info!("by user code"),
        Deed::Log(_) => error!("by user code"),
        Deed::FailInside => {
            let _unit = info_span!("inside", spanwise.unit = Empty).entered();
            debug!("by user code");
            error!("by user code");
        }
        Deed::RecordStatus => {
            Span::current().record("status", 500);
        }
        Deed::FlushUnit => {
            dump_current_unit();
        }
        Deed::FlushSampler => stack.sampler.emit_summaries(),
        Deed::ReadStats => {
            let _ = (stack.sampler.stats(), stack.recorder.stats().to_string());
        }
        Deed::ChangeLevels => {
            stack.levels.set_levels("warn").unwrap();
            debug!("by user code");
            stack.levels.set_levels("info").unwrap();
        }
        Deed::WaitForThread => {
            let unit = Span::current();
            let other = thread::spawn(move || {
                AT_IT.set(true);
                unit.in_scope(|| {
                    debug!("by another thread");
                    error!("by another thread");
                });
                debug!("by another thread");
                STACK.get().unwrap().sampler.emit_summaries();
            });
            other.join().unwrap();
        }
        Deed::Panic => panic!("on purpose"),
        Deed::PanicWithLogger => panic::panic_any(LogsWhenDropped),
    }
}

/// A value, and an error.
struct Value(Place);

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        user_code(self.0);
        f.write_str("value")
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for Value {}

#[derive(Debug)]
struct Policy;

impl Redact for Policy {
    fn key(&self, _: &str) -> KeyVerdict {
        KeyVerdict::Pass
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        user_code(Place::PolicyText);
        Cow::Borrowed(text)
    }
}

struct Output(Lines);

impl MakeWriter<'_> for Output {
    type Writer = Writer;

    fn make_writer(&self) -> Writer {
        user_code(Place::MakeWriter);
        Writer(self.0.clone())
    }
}

struct Writer(Lines);

impl io::Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        user_code(Place::Write);
        self.0.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A user's layer around the JSON layer.
struct Around<L> {
    inner: L,
}

impl<S, L> Layer<S> for Around<L>
where
    S: Subscriber + for<'s> tracing_subscriber::registry::LookupSpan<'s>,
    L: Layer<S>,
{
    forward!(inner: on_register_dispatch, on_layer, register_callsite, enabled, max_level_hint, event_enabled);
    forward!(inner: on_follows_from, on_id_change);
    forward_downcast!(this, id => this.inner.downcast_raw(id));

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        user_code(Place::OnNewSpan);
        self.inner.on_new_span(attrs, id, ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        user_code(Place::OnRecord);
        self.inner.on_record(id, values, ctx);
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        user_code(Place::OnEvent);
        self.inner.on_event(event, ctx);
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        self.inner.on_enter(id, ctx);
        user_code(Place::OnEnter);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        self.inner.on_exit(id, ctx);
        user_code(Place::OnExit);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        user_code(Place::OnClose);
        self.inner.on_close(id, ctx);
    }
}

fn install() {
    let clock = Clock::system();
    let recorder = Recorder::builder()
        .capture("debug".parse::<spanwise_core::TargetLevels>().unwrap())
        .report(SelfReport::silent())
        // The cases follow each other without a pause.
        .max_lines_per_second(u32::MAX)
        .build();
    let sampler = Sampler::builder()
        .rule(
            EventMatcher::field("rule", "no such value"),
            Limit::ratio(0.0).unwrap(),
        )
        .rule(
            EventMatcher::message("limited").and_level(Level::WARN),
            Rate::new(1, Duration::from_secs(3600)).per_value_of("limit"),
        )
        .rule(EventMatcher::message("first"), First::new(1).then_every(3))
        .clock(clock)
        .build();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let lines = Lines::default();
    let json = recorder.sink(Output(lines.clone()), levels.handle(), |writer| {
        let json = JsonLayer::new()
            .with_writer(writer)
            .report(&SelfReport::silent());
        let inner = json.redacted(Arc::new(Policy));
        Around { inner }.sampled(sampler.clone())
    });
    let stack = Stack {
        recorder,
        sampler,
        levels: levels.handle(),
        lines,
    };
    assert!(STACK.set(stack).is_ok());
    let layers = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(json)
        .with(levels);
    dispatcher::set_global_default(Dispatch::new(layers)).unwrap();
}

/// Does everything that calls user code, with the unit in this state. A panic ends a part of
/// it.
fn act(state: State) {
    let catch = |part: &dyn Fn()| {
        if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(part)) {
            drop(payload);
        }
    };
    let unit = Mutex::new(None);
    catch(&|| {
        let made = match state {
            State::Outside => Span::none(),
            _ => {
                info_span!("request", value = ?Value(Place::SpanValue), status = Empty, late = Empty)
            }
        };
        *unit.lock().unwrap() = Some(made);
    });
    let unit = unit.into_inner().unwrap().unwrap_or_else(Span::none);
    catch(&|| {
        unit.record("late", tracing::field::debug(Value(Place::RecordedValue)));
    });
    if state == State::Through {
        catch(&|| unit.in_scope(|| error!("failed before")));
    }
    let in_unit = |part: &dyn Fn()| catch(&|| unit.in_scope(part));
    in_unit(&|| debug!(value = ?Value(Place::EventValue), "kept"));
    in_unit(&|| info!(value = ?Value(Place::EventValue), "shown"));
    in_unit(&|| info!(rule = %Value(Place::KeyOfRule), "by a rule"));
    for _ in 0..2 {
        in_unit(&|| warn!(limit = %Value(Place::KeyOfLimit), "limited"));
        in_unit(&|| info!("first"));
    }
    in_unit(&|| {
        let value: &(dyn std::error::Error + 'static) = &Value(Place::ErrorText);
        debug!(error = value, "with an error");
    });
    match state {
        State::Written => in_unit(&|| error!(value = ?Value(Place::EventValue), "failed")),
        State::Cancelled => in_unit(&|| {
            let _guard = CancellationGuard::new();
            debug!(value = ?Value(Place::EventValue), "in the future");
        }),
        State::Outside | State::Quiet | State::Through => {}
    }
    let unit = Mutex::new(Some(unit));
    catch(&|| drop(unit.lock().unwrap().take()));
}

/// Runs a case on a separate thread, so that its thread-locals are dropped. A hanging case aborts
/// the process.
fn within_a_minute(case: &str, run: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let thread = thread::spawn(move || {
        run();
        done.send(()).unwrap();
    });
    if is_done.recv_timeout(Duration::from_secs(60)) == Err(mpsc::RecvTimeoutError::Timeout) {
        let _ = writeln!(io::stderr(), "{case} does not end");
        process::abort();
    }
    assert!(thread.join().is_ok(), "{case}");
}

#[test]
fn user_code_anywhere_loses_no_later_record() {
    install();
    panic::set_hook(Box::new(|_| {}));
    let stack = STACK.get().unwrap();
    let mut never: Vec<Place> = PLACES.to_vec();
    for place in PLACES {
        for deed in DEEDS {
            for state in STATES {
                let case = format!("{deed:?} at {place:?}, {state:?}");
                let number = CASE.fetch_add(1, SeqCst);
                *ARMED.lock().unwrap() = Some((place, deed));
                DONE.store(0, SeqCst);
                within_a_minute(&case, move || act(state));
                *ARMED.lock().unwrap() = None;
                if DONE.load(SeqCst) > 0 {
                    never.retain(|known| *known != place);
                }
                within_a_minute(&case, move || {
                    let _probe = info_span!("probe", number).entered();
                    debug!("before");
                    error!("probe");
                });
                check(stack, &case, number);
            }
        }
    }
    let _ = panic::take_hook();
    assert_eq!(never, [], "places that no case comes to");
}

/// Checks that later events arrive, and that the counters are correct.
fn check(stack: &Stack, case: &str, number: usize) {
    let text = stack.lines.take();
    let probe = format!(r#""number":{number}"#);
    let probes = text.lines().filter(|line| line.contains(&probe)).count();
    assert_eq!(probes, 3, "{case}: a header and two lines: {text}");
    for line in text.lines() {
        let parsed = serde_json::from_str::<serde_json::Value>(line);
        assert!(parsed.is_ok(), "{case}: {line}");
    }
    let stats = stack.recorder.stats();
    let settled = stats.written
        + stats.forgotten
        + stats.evicted
        + stats.oversize
        + stats.suppressed
        + stats.failed;
    assert!(settled <= stats.captured, "{case}: {stats}");
    assert_eq!(stats.suppressed, 0, "{case}");
}
