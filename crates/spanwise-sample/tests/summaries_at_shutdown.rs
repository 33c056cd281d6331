//! Summaries reach their sink before the end, in any stack.
//!
//! In a separate process, because the stack is the global default.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

mod support;

use std::sync::Mutex;

use spanwise_core::{ContextLayer, Fault, LayerExt, Layers, LevelLayer, SelfReport, SinkFilter};
use spanwise_sample::{SampleExt, Sampler};
use support::{Count, Lines, LinesExt as _};
use tracing::{Dispatch, Subscriber, info, level_filters::LevelFilter, warn};
use tracing_subscriber::{
    Layer, filter,
    prelude::*,
    registry::{LookupSpan, Registry},
};

fn log() {
    (0..5).for_each(|_| info!("limited"));
    warn!("exempt");
}

#[test]
fn summary_reaches_its_sink_and_unsampled_layers() {
    let (one, two, theirs, plain) = (
        Lines::default(),
        Lines::default(),
        Lines::default(),
        Count::default(),
    );
    let (shared, own): (Sampler, Sampler) =
        ("info=2/s".parse().unwrap(), "info=1/s".parse().unwrap());
    let mut list = Layers::<Registry>::default();
    list.push(ContextLayer::default());
    list.push(plain.clone());
    list.push(one.on_registry().sampled(shared.clone()));
    list.push(
        two.on_registry()
            .with_levels("warn,a_summary=info".parse().unwrap())
            .sampled(shared.clone()),
    );
    list.push(
        theirs
            .on_registry()
            .sampled(own.clone())
            .with_filter(LevelFilter::INFO),
    );
    tracing_subscriber::registry()
        .with(list)
        .with(LevelLayer::new("info".parse().unwrap()))
        .init();
    log();
    for lines in [&one, &two, &theirs] {
        assert!(
            lines
                .take_each("suppressed")
                .iter()
                .all(|count| count.is_null())
        );
    }
    // From a thread that logs nothing, such as the thread of a guard or of the panic hook.
    std::thread::spawn(move || [shared, own].map(|sampler| sampler.emit_summaries()))
        .join()
        .unwrap();
    for (lines, suppressed) in [(&one, 3), (&two, 3), (&theirs, 4)] {
        let summaries = lines.take_objects();
        assert_eq!(summaries.len(), 1, "{suppressed}: {summaries:?}");
        assert_eq!(summaries[0]["suppressed"], suppressed);
        assert_eq!(summaries[0]["level"], "INFO");
    }
    // A layer without a sampler receives the summaries of all sinks.
    assert_eq!((plain.events(), plain.summaries()), (6, 3));
    // The state of filters is unchanged.
    info!("limited elsewhere");
    assert_eq!(theirs.take_objects().len(), 1);
}

/// A user's wrapper that does not forward `event_enabled`.
struct Deaf<L>(L);

impl<S, L> Layer<S> for Deaf<L>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    L: Layer<S>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.0.on_register_dispatch(dispatch);
    }

    fn on_event(&self, event: &tracing::Event<'_>, ctx: tracing_subscriber::layer::Context<'_, S>) {
        self.0.on_event(event, ctx);
    }
}

#[test]
fn summary_passes_wrapper_without_event_enabled() {
    let lines = Lines::default();
    let sampler: Sampler = "info=2/s".parse().unwrap();
    let other = Lines::default();
    let stack = tracing_subscriber::registry()
        .with(Deaf(lines.layer().sampled(sampler.clone())))
        .with(Deaf(other.layer().sampled(sampler.clone())));
    tracing::subscriber::with_default(stack, || {
        log();
        assert_eq!(
            (lines.take_objects().len(), other.take_objects().len()),
            (3, 3)
        );
        sampler.emit_summaries();
    });
    let suppressed = lines.take_each("suppressed");
    assert!(suppressed.contains(&3.into()), "{suppressed:?}");
    assert_eq!(sampler.stats().suppressed, 6);
}

#[test]
fn summary_arrives_with_its_level_switched_off() {
    type Wrap = fn(&Lines, &LevelLayer, &Sampler) -> Box<dyn Layer<Registry> + Send + Sync>;
    let wraps: [Wrap; 3] = [
        |lines, _, sampler| lines.on_registry().sampled(sampler.clone()).boxed(),
        |lines, levels, sampler| {
            let layer = lines.on_registry().sampled(sampler.clone());
            layer.without_captured(levels.handle()).boxed()
        },
        |lines, levels, sampler| {
            let sink_filter =
                SinkFilter::from(levels.handle()).with_levels("info".parse().unwrap());
            let layer = lines.on_registry().sampled(sampler.clone());
            layer
                .with_levels("info".parse().unwrap())
                .without_captured(sink_filter)
                .boxed()
        },
    ];
    for (index, wrap) in wraps.into_iter().enumerate() {
        let (lines, sampler) = (Lines::default(), "info=2/h".parse::<Sampler>().unwrap());
        let mut levels = LevelLayer::new("info".parse().unwrap());
        if index > 0 {
            levels = levels.capture(LevelFilter::DEBUG);
        }
        let handle = levels.handle();
        let layer = wrap(&lines, &levels, &sampler);
        let mut list = Layers::<Registry>::default();
        list.push(layer);
        let stack = tracing_subscriber::registry().with(list).with(levels);
        tracing::subscriber::with_default(stack, || {
            log();
            assert_eq!(lines.take_objects().len(), 3, "{index}");
            handle.set_levels("error").unwrap();
            (0..5).for_each(|_| info!("off"));
            sampler.emit_summaries();
        });
        let told = lines.take_objects();
        assert_eq!(told.len(), 1, "{index}");
        assert_eq!(told[0]["suppressed"], 3, "{index}");
    }
}

#[test]
fn dropped_layer_reports_lost_summaries() {
    let report = SelfReport::silent();
    let sampled = Lines::default()
        .on_registry()
        .sampled("info=2/s".parse().unwrap())
        .report(report.clone());
    let (told, untold) = (Mutex::new(0), tracing_subscriber::registry().with(sampled));
    tracing::subscriber::with_default(untold, || {
        log();
        *told.lock().unwrap() += report.stats().faults.len();
    });
    assert_eq!(*told.lock().unwrap(), 0);
    assert_eq!(report.stats().faults, [(Fault::Lost, 1)]);
}

#[test]
fn layer_with_filter_inside_has_no_sampling() {
    let (report, lines) = (SelfReport::silent(), Lines::default());
    let open = filter::dynamic_filter_fn(|metadata, _| *metadata.level() <= tracing::Level::INFO);
    let sampled = lines
        .on_registry()
        .with_filter(open)
        .sampled("info=0".parse().unwrap())
        .report(report.clone());
    let stack = tracing_subscriber::registry().with(sampled);
    tracing::subscriber::with_default(stack, log);
    assert_eq!(lines.take_objects().len(), 6);
    assert_eq!(report.stats().faults, [(Fault::Setup, 1)]);
}
