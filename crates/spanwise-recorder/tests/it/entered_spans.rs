//! JSON, the recorder, the sampler, the context and the registry agree on the current span of a
//! thread. Two threads enter, leave, forget and close spans in any order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use proptest::prelude::*;
use serde_json::Value;
use spanwise_core::{Context, ContextLayer, LevelLayer};
use spanwise_json::JsonLayer;
use spanwise_recorder::Recorder;
use spanwise_sample::{SampleExt as _, Sampler};
use tracing::{
    Dispatch, Event, Span, Subscriber, debug, dispatcher, error, info, info_span,
    span::{Attributes, Id},
};
use tracing_core::field::{Field, Visit};
use tracing_subscriber::{
    Layer,
    layer::Context as LayerContext,
    prelude::*,
    registry::{LookupSpan, SpanRef},
};

use crate::support::Lines;

const THREADS: usize = 2;
const SLOTS: usize = 5;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Request,
    Tenant,
    Plain,
}

/// One action of one thread.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Puts a new span into a slot, and drops the old one.
    New(usize, Kind),
    /// Puts a clone of one slot's span into another.
    Clone(usize, usize),
    Drop(usize),
    /// Enters without a guard, so that the span may stay entered, or the other thread may leave it.
    Enter(usize),
    Exit(usize),
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let slot = 0..SLOTS;
    let kind = prop_oneof![Just(Kind::Request), Just(Kind::Tenant), Just(Kind::Plain)];
    let step = prop_oneof![
        3 => (slot.clone(), kind).prop_map(|(slot, kind)| Step::New(slot, kind)),
        1 => (slot.clone(), slot.clone()).prop_map(|(from, to)| Step::Clone(from, to)),
        2 => slot.clone().prop_map(Step::Drop),
        4 => slot.clone().prop_map(Step::Enter),
        2 => slot.prop_map(Step::Exit),
    ];
    (0..THREADS, step)
}

/// The span of each event according to the registry, by the event's number.
#[derive(Clone, Default)]
struct Registered(Arc<Mutex<BTreeMap<u64, Expected>>>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Expected {
    span: Option<String>,
    request_id: Option<String>,
    tenant_id: Option<String>,
    /// The id of the outermost span.
    unit: Option<u64>,
}

#[derive(Default)]
struct Fields {
    number: u64,
    request_id: Option<String>,
    tenant_id: Option<String>,
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "number" => self.number = value,
            "request_id" => self.request_id = Some(value.to_string()),
            "tenant_id" => self.tenant_id = Some(value.to_string()),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

fn expected<S: for<'s> LookupSpan<'s>>(span: &SpanRef<'_, S>) -> Expected {
    let mut expected = Expected {
        span: Some(span.name().to_owned()),
        ..Expected::default()
    };
    for span in span.scope() {
        let extensions = span.extensions();
        let fields = extensions.get::<Fields>().unwrap();
        let nearest = |to: &mut Option<String>, of: &Option<String>| {
            if to.is_none() {
                to.clone_from(of);
            }
        };
        nearest(&mut expected.request_id, &fields.request_id);
        nearest(&mut expected.tenant_id, &fields.tenant_id);
        expected.unit = Some(span.id().into_u64());
    }
    expected
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Registered {
    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        let mut fields = Fields::default();
        attrs.record(&mut fields);
        ctx.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_event(&self, event: &Event<'_>, ctx: LayerContext<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let span = ctx.event_span(event);
        let expected = span.as_ref().map(expected).unwrap_or_default();
        self.0.lock().unwrap().insert(fields.number, expected);
    }
}

/// A thread that runs one job after the other.
type Job = Box<dyn FnOnce() + Send>;

struct Worker {
    jobs: mpsc::Sender<Job>,
    done: mpsc::Receiver<()>,
}

impl Worker {
    fn start(dispatch: Dispatch) -> Self {
        let (jobs, received) = mpsc::channel::<Job>();
        let (tell, done) = mpsc::channel();
        thread::spawn(move || {
            let _default = dispatcher::set_default(&dispatch);
            for job in received {
                job();
                if tell.send(()).is_err() {
                    break;
                }
            }
        });
        Self { jobs, done }
    }

    fn run(&self, job: impl FnOnce() + Send + 'static) {
        self.jobs.send(Box::new(job)).unwrap();
        self.done.recv().unwrap();
    }
}

fn new_span(kind: Kind, number: u64) -> Span {
    match kind {
        Kind::Request => info_span!("request", request_id = number),
        Kind::Tenant => info_span!("tenant", tenant_id = number),
        Kind::Plain => info_span!("plain"),
    }
}

type Slots = Arc<Mutex<Vec<Option<Span>>>>;

fn act(slots: &Slots, step: Step, number: u64) {
    let slot = |index: usize| slots.lock().unwrap()[index].clone();
    let put = |index: usize, span: Option<Span>| {
        let before = std::mem::replace(&mut slots.lock().unwrap()[index], span);
        drop(before);
    };
    match step {
        Step::New(index, kind) => put(index, Some(new_span(kind, number))),
        Step::Clone(from, to) => put(to, slot(from)),
        Step::Drop(index) => put(index, None),
        Step::Enter(index) => {
            if let Some(span) = slot(index) {
                span.with_subscriber(|(id, dispatch)| dispatch.enter(id));
            }
        }
        Step::Exit(index) => {
            if let Some(span) = slot(index) {
                span.with_subscriber(|(id, dispatch)| dispatch.exit(id));
            }
        }
    }
}

/// Returns the event's number and the span on its line.
fn shown(line: &Value) -> (u64, Expected) {
    let text = |key: &str| {
        line.get(key).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    let expected = Expected {
        span: text("span"),
        request_id: text("request_id"),
        tenant_id: text("tenant_id"),
        unit: None,
    };
    (line["number"].as_u64().unwrap(), expected)
}

fn check(steps: &[(usize, Step)]) {
    let (registered, lines) = (Registered::default(), Lines::default());
    let sampled = Lines::default();
    let sampler: Sampler = "info=0.5".parse().unwrap();
    let recorder = Recorder::builder().build();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let json = recorder.sink(lines.clone(), levels.handle(), |writer| {
        JsonLayer::new().with_writer(writer)
    });
    let stack = tracing_subscriber::registry()
        .with(registered.clone())
        .with(ContextLayer::default())
        .with(json)
        .with(
            JsonLayer::new()
                .with_writer(sampled.clone())
                .sampled(sampler),
        )
        .with(levels);
    let dispatch = Dispatch::new(stack);
    let workers: Vec<_> = (0..THREADS)
        .map(|_| Worker::start(dispatch.clone()))
        .collect();
    let slots: Slots = Arc::new(Mutex::new(vec![None; SLOTS]));

    for (at, (thread, step)) in steps.iter().enumerate() {
        let (slots, step, number) = (Arc::clone(&slots), *step, at as u64);
        workers[*thread].run(move || act(&slots, step, number));
        for (thread, worker) in workers.iter().enumerate() {
            let (registered, number) = (registered.clone(), ((at * THREADS + thread) * 2) as u64);
            worker.run(move || {
                info!(number, "shown");
                debug!(number = number + 1, "captured");
                let context = Context::current();
                let expected = registered.0.lock().unwrap()[&number].clone();
                let of = |key| context.get(key).map(str::to_owned);
                assert_eq!(
                    (of("request_id"), of("tenant_id")),
                    (expected.request_id, expected.tenant_id)
                );
            });
        }
    }
    let expected = |number: u64| registered.0.lock().unwrap()[&number].clone();
    let written = lines.objects();
    assert_eq!(written.len(), steps.len() * THREADS);
    for (number, shown) in written.iter().map(shown) {
        let expected = Expected {
            unit: None,
            ..expected(number)
        };
        assert_eq!(shown, expected, "event {number}");
    }
    sampled_requests(&sampled, &expected, steps.len());
    written_units(&dispatch, &slots, &lines, &expected, steps.len());
}

/// Checks that a sampler keeps all events of a request or none, in any span and thread.
fn sampled_requests(sampled: &Lines, expected: &dyn Fn(u64) -> Expected, steps: usize) {
    let lines = sampled.objects();
    let lines = lines.iter().filter(|line| line["message"] == "shown");
    let kept: BTreeSet<u64> = lines
        .map(|line| {
            let (number, shown) = shown(line);
            let expected = Expected {
                unit: None,
                ..expected(number)
            };
            assert_eq!(shown, expected, "event {number} of the sampler");
            number
        })
        .collect();
    let mut decided: BTreeMap<String, bool> = BTreeMap::new();
    for number in (0..(steps * THREADS) as u64).map(|number| number * 2) {
        // Outside of requests, each event is decided separately.
        let Some(request) = expected(number).request_id else {
            continue;
        };
        let is_kept = kept.contains(&number);
        let before = *decided.entry(request.clone()).or_insert(is_kept);
        assert_eq!(is_kept, before, "event {number} of request {request}");
    }
}

/// Lets each open unit fail, and checks that the dump has exactly the events captured in the unit.
fn written_units(
    dispatch: &Dispatch,
    slots: &Slots,
    lines: &Lines,
    expected: &dyn Fn(u64) -> Expected,
    steps: usize,
) {
    let captured = (0..(steps * THREADS) as u64).map(|number| number * 2 + 1);
    let mut by_unit: BTreeMap<Option<u64>, BTreeSet<u64>> = BTreeMap::new();
    captured.for_each(|number| {
        by_unit
            .entry(expected(number).unit)
            .or_default()
            .insert(number);
    });
    let spans: Vec<Span> = slots.lock().unwrap().iter().flatten().cloned().collect();
    let mut seen = BTreeSet::new();
    for (index, span) in spans.iter().enumerate() {
        let before = lines.objects().len();
        let number = u64::MAX - index as u64;
        dispatcher::with_default(dispatch, || error!(parent: span, number, "failed"));
        let unit = expected(number).unit;
        let kept: BTreeSet<u64> = lines.objects()[before..]
            .iter()
            .filter(|line| line["message"] == "captured")
            .map(|line| line["number"].as_u64().unwrap())
            .collect();
        let first = seen.insert(unit);
        let expected = by_unit.get(&unit).filter(|_| first);
        assert_eq!(kept, expected.cloned().unwrap_or_default(), "{unit:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn all_layers_agree_with_the_registry_span(steps in prop::collection::vec(step(), 1..60)) {
        check(&steps);
    }
}
