//! A sampler inside a recorder drops shown events, but no buffered events.

use crate::support::{Lines, reason};
use spanwise_core::{ContextLayer, Fault, LevelLayer, SelfReport};
use spanwise_json::JsonLayer;
use spanwise_recorder::{Recorder, RecorderBuilder};
use spanwise_sample::{EventMatcher, Limit, SampleExt as _, Sampler};
use tracing::{debug, error, info, info_span, subscriber::DefaultGuard};
use tracing_subscriber::prelude::*;

const HEADER: &str = "flight recorder: buffered events of this request follow";

/// A trace id that every ratio above 0 keeps.
const HIGHEST: &str = "00000000000000000fffffffffffffff";
/// A trace id that a ratio of 0.5 keeps, but a ratio of 0.1 drops.
const MIDDLE: &str = "00000000000000000fcfffffffffffff";

fn start(recorder: RecorderBuilder, rules: &str) -> (DefaultGuard, Lines, Sampler) {
    let (recorder, sampler) = (recorder.build(), rules.parse::<Sampler>().unwrap());
    let lines = Lines::default();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let json = recorder.sink(lines.clone(), levels.handle(), |writer| {
        JsonLayer::new()
            .with_writer(writer)
            .sampled(sampler.clone())
    });
    let default = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(json)
        .with(levels)
        .set_default();
    (default, lines, sampler)
}

fn tail(share: f64) -> RecorderBuilder {
    Recorder::builder().tail(share).unwrap()
}

#[test]
fn sampler_drops_shown_and_no_buffered_events() {
    let (_default, lines, sampler) = start(Recorder::builder(), "info=2/h,debug=0");
    info_span!("request").in_scope(|| {
        for _ in 0..3 {
            debug!("a step");
            info!("usual");
        }
        error!("failed");
        debug!("another");
    });
    sampler.emit_summaries();
    let kept = [HEADER, "a step", "a step", "a step", "failed", "another"];
    assert_eq!(lines.messages()[..2], ["usual", "usual"]);
    assert_eq!(lines.messages()[2..8], kept);
    assert_eq!(lines.values_of("suppressed"), ["1"]);
    // Buffered events are not sampled.
    assert_eq!(
        sampler.stats().to_string(),
        "3 kept, 0 sampled out, 1 suppressed"
    );
}

#[test]
fn dropped_error_still_triggers() {
    let (_default, lines, _) = start(Recorder::builder(), "error=0");
    info_span!("request").in_scope(|| {
        debug!("a step");
        error!("failed");
        debug!("another");
    });
    assert_eq!(lines.messages(), [HEADER, "a step", "another"]);
    assert_eq!(reason(&lines).as_deref(), Some("error"));
}

#[test]
fn smaller_of_tail_and_ratio_counts() {
    for (share, rules, rate) in [(0.5, "info=0.1", "0.1"), (0.1, "info=0.5", "0.1")] {
        let (_default, lines, _) = start(tail(share), rules);
        info_span!("request", trace_id = HIGHEST).in_scope(|| info!("one"));
        info_span!("request", trace_id = MIDDLE).in_scope(|| info!("one"));
        assert_eq!(lines.values_of("sample_rate"), [rate]);
        assert_eq!(lines.messages(), ["one"]);
    }
}

#[test]
fn smaller_of_two_trace_ratios_counts() {
    let lines = Lines::default();
    let json = JsonLayer::new().with_writer(lines.clone());
    let half: Sampler = "info=0.5".parse().unwrap();
    let tenth = Sampler::builder()
        .rule(EventMatcher::any(), Limit::ratio(0.1).unwrap())
        .build();
    let _default = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(json.sampled(half).sampled(tenth))
        .set_default();
    info_span!("request", trace_id = HIGHEST).in_scope(|| info!("one"));
    assert_eq!(lines.values_of("sample_rate"), ["0.1"]);
}

#[test]
fn random_ratios_are_multiplied() {
    let (_default, lines, _) = start(tail(0.5), "info=0.5");
    for _ in 0..100 {
        info_span!("request").in_scope(|| info!("one"));
    }
    let rates = lines.values_of("sample_rate");
    assert!((5..50).contains(&rates.len()), "{}", rates.len());
    assert!(rates.iter().all(|rate| rate == "0.25"));
}

#[test]
fn failing_unit_shows_sampled_out_events() {
    // With a sampled unit and a buffered unit, and with a ratio or a limit that drops events.
    for trace in [HIGHEST, MIDDLE] {
        let (_default, lines, _) = start(tail(0.5), "noisy=1/h,info=0.1");
        info_span!("request", trace_id = trace).in_scope(|| {
            info!("one");
            for n in 0..2 {
                info!(target: "noisy", n, "two");
            }
            error!("failed");
            info!("three");
            info!(target: "noisy", "four");
        });
        let messages = lines.messages();
        for message in ["one", "two", "failed", "three", "four"] {
            let times = messages.iter().filter(|known| *known == message).count();
            assert_eq!(times, if message == "two" { 2 } else { 1 }, "{messages:?}");
        }
        let counted = lines.objects();
        let counted = counted
            .iter()
            .filter(|line| line.get("buffered").is_none() && line["message"] != HEADER);
        let rates = counted.filter_map(|line| line.get("sample_rate")).count();
        assert_eq!(rates, if trace == HIGHEST { 2 } else { 1 }, "{messages:?}");
    }
}

#[test]
fn sampler_around_recorder_does_not_sample() {
    let recorder = Recorder::default();
    let lines = Lines::default();
    let report = SelfReport::silent();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let json = recorder.sink(lines.clone(), levels.handle(), |writer| {
        JsonLayer::new().with_writer(writer)
    });
    let around = json.sampled("info=0,debug=0".parse().unwrap());
    let stack = tracing_subscriber::registry()
        .with(around.report(report.clone()))
        .with(levels);
    tracing::subscriber::with_default(stack, || {
        info_span!("request").in_scope(|| {
            debug!("a step");
            info!("shown");
            error!("failed");
        });
    });
    assert_eq!(lines.messages(), ["shown", HEADER, "a step", "failed"]);
    assert_eq!(report.stats().faults, [(Fault::Setup, 1)]);
}

#[test]
fn summary_arrives_with_its_level_switched_off() {
    let (recorder, lines) = (Recorder::default(), Lines::default());
    let sampler: Sampler = "info=2/h,error=1/h".parse().unwrap();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let handle = levels.handle();
    let json = recorder.sink(lines.clone(), levels.handle(), |writer| {
        JsonLayer::new()
            .with_writer(writer)
            .sampled(sampler.clone())
    });
    let stack = tracing_subscriber::registry().with(json).with(levels);
    tracing::subscriber::with_default(stack, || {
        (0..5).for_each(|_| info!("limited"));
        (0..3).for_each(|_| error!("limited"));
        handle.set_levels("off").unwrap();
        sampler.emit_summaries();
    });
    assert_eq!(lines.values_of("suppressed"), ["3", "2"]);
}
