//! Tail sampling shows the INFO events of units with a trigger, and of a ratio of all other units.

use std::{
    thread,
    time::{Duration, SystemTime},
};

use crate::support::{Lines, header, reason, stack};
use spanwise_core::{Clock, ContextLayer, LevelLayer};
use spanwise_json::JsonLayer;
use spanwise_recorder::Recorder;
use spanwise_sample::{SampleExt as _, Sampler};
use tracing::{
    debug, dispatcher, error, info, info_span, subscriber::DefaultGuard, trace, trace_span, warn,
};
use tracing_subscriber::prelude::*;

const HEADER: &str = "flight recorder: buffered events of this request follow";

/// Installs a stack with tail sampling, a manual clock and a `ContextLayer`.
fn tail(share: f64) -> (DefaultGuard, Lines, Recorder, Clock) {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let recorder = Recorder::builder()
        .clock(clock.clone())
        .tail(share)
        .unwrap()
        .build();
    let lines = Lines::default();
    let levels = LevelLayer::new("info".parse().unwrap()).capture(recorder.levels());
    let json = recorder.sink(lines.clone(), levels.handle(), |writer| {
        JsonLayer::new().with_writer(writer)
    });
    let default = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(json)
        .with(levels)
        .set_default();
    (default, lines, recorder, clock)
}

/// Pseudorandom trace ids.
fn traces(count: usize) -> impl Iterator<Item = String> {
    let mut state = 1_u64;
    (0..count).map(move |_| {
        state = state
            .wrapping_mul(0x5851_F42D_4C95_7F2D)
            .wrapping_add(0x1405_7B7E_F767_814F);
        format!("{:032x}", u128::from(state.rotate_left(29)) << 3)
    })
}

/// Trace ids that every ratio above 0 keeps, and that only a ratio of 1 keeps.
const HIGHEST: &str = "00000000000000000fffffffffffffff";
const LOWEST: &str = "0f000000000000000f00000000000000";

#[test]
fn failing_unit_shows_held_events_and_passes_through() {
    let (_default, lines, recorder, _) = tail(0.0);
    info_span!("request").in_scope(|| {
        info!("one");
        debug!("two");
        info_span!("inside").in_scope(|| info!("three"));
        assert_eq!(lines.text(), "");
        error!("failed");
        info!("four");
        debug!("five");
    });
    let messages = [HEADER, "one", "two", "three", "failed", "four", "five"];
    assert_eq!(lines.messages(), messages);
    assert_eq!(header(&lines).unwrap()["records"], 3);
    assert_eq!(lines.values_of("buffered").len(), 3);
    assert_eq!(lines.values_of("sample_rate"), [""; 0]);
    let stats = recorder.stats();
    assert_eq!((stats.captured, stats.written, stats.memory), (3, 3, 0));
}

#[test]
fn successful_unit_is_forgotten_and_counted() {
    let (_default, lines, recorder, _) = tail(0.0);
    for _ in 0..10 {
        info_span!("request").in_scope(|| {
            info!("received");
            debug!("a step");
        });
    }
    assert_eq!(lines.text(), "");
    let stats = recorder.stats();
    assert_eq!((stats.captured, stats.forgotten), (20, 20));
    assert_eq!((stats.held(), stats.memory), (0, 0));
}

#[test]
fn warnings_and_events_in_no_unit_show_at_once() {
    let (_default, lines, recorder, _) = tail(0.0);
    info!("outside");
    info_span!("request").in_scope(|| {
        info!("held");
        warn!("warned");
        info!(parent: None, "of no span");
    });
    assert_eq!(lines.messages(), ["outside", "warned", "of no span"]);
    assert_eq!(lines.values_of("sample_rate"), [""; 0]);
    assert_eq!(recorder.stats().forgotten, 1);
}

#[test]
fn shown_events_below_info_are_held_too() {
    let recorder = Recorder::builder().tail(0.0).unwrap().build();
    let lines = Lines::default();
    let levels = LevelLayer::new("trace".parse().unwrap()).capture(recorder.levels());
    let json = recorder.sink(lines.clone(), levels.handle(), |writer| {
        JsonLayer::new().with_writer(writer)
    });
    let _default = tracing_subscriber::registry()
        .with(json)
        .with(levels)
        .set_default();
    trace_span!("request", n = 1).in_scope(|| trace!("finely"));
    trace_span!("request", n = 2).in_scope(|| {
        trace!("finely");
        error!("failed");
    });
    assert_eq!(lines.messages(), [HEADER, "finely", "failed"]);
}

#[test]
fn sampled_unit_shows_events_with_rate_until_failure() {
    let (_default, lines, recorder, _) = tail(0.25);
    info_span!("request", trace_id = HIGHEST).in_scope(|| {
        info!("one");
        assert_eq!(lines.messages(), ["one"]);
        debug!("kept");
        warn!("two");
        error!("failed");
        info!("three");
    });
    let messages = ["one", "two", HEADER, "kept", "failed", "three"];
    assert_eq!(lines.messages(), messages);
    assert_eq!(lines.values_of("sample_rate"), ["0.25"]);
    assert_eq!(lines.objects()[0]["sample_rate"], 0.25);
    let stats = recorder.stats();
    assert_eq!((stats.captured, stats.written), (1, 1));
}

#[test]
fn sampled_unit_shows_no_debug_lines_on_success() {
    let (_default, lines, recorder, _) = tail(0.25);
    info_span!("request", trace_id = HIGHEST).in_scope(|| {
        debug!("kept");
        info!("one");
    });
    assert_eq!(lines.messages(), ["one"]);
    assert_eq!(recorder.stats().forgotten, 1);
}

#[test]
fn sampler_and_tail_sampling_choose_same_requests() {
    const SHARE: f64 = 0.1;
    let shown = |lines: &Lines| {
        for trace in traces(2000) {
            let _request = info_span!("request", trace_id = trace).entered();
            info!("received");
            info!("done");
        }
        lines.values_of("trace_id")
    };
    let by_tail = {
        let (_default, lines, ..) = tail(SHARE);
        shown(&lines)
    };
    let by_ratio = {
        let lines = Lines::default();
        let sampler: Sampler = format!("info={SHARE}").parse().unwrap();
        let json = JsonLayer::new().with_writer(lines.clone());
        let _default = tracing_subscriber::registry()
            .with(ContextLayer::default())
            .with(json.sampled(sampler))
            .set_default();
        shown(&lines)
    };
    assert!((300..500).contains(&by_tail.len()), "{}", by_tail.len());
    assert_eq!(by_tail, by_ratio);
}

#[test]
fn unit_without_trace_is_sampled_as_a_whole() {
    let (dispatch, lines, ..) = stack(Recorder::builder().tail(0.5).unwrap());
    let _default = dispatcher::set_default(&dispatch);
    for n in 0..1000 {
        let _request = info_span!("request", n).entered();
        info!("received");
        info!("done");
    }
    let shown = lines.values_of("n");
    assert!((800..1200).contains(&shown.len()), "{}", shown.len());
    assert!(shown.chunks(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn output_counts_all_events() {
    const UNITS: usize = 20_000;
    const SHARE: f64 = 0.1;
    let (_default, lines, ..) = tail(SHARE);
    for (n, trace) in traces(UNITS).enumerate() {
        let _request = info_span!("request", trace_id = trace).entered();
        info!("received");
        if n % 10 == 0 {
            error!("failed");
        }
        info!("done");
    }
    let count = |message: &str| -> f64 {
        let lines = lines.objects();
        let counted = lines
            .iter()
            .filter(|line| line["message"] == message && line.get("buffered").is_none());
        counted
            .map(|line| 1.0 / line["sample_rate"].as_f64().unwrap_or(1.0))
            .sum()
    };
    assert!((count("failed") - UNITS as f64 / 10.0).abs() < 0.5);
    // The variance of a sum of decisions, each of which counts 1 / SHARE.
    let sigma = (UNITS as f64 * (1.0 - SHARE) / SHARE).sqrt();
    for message in ["received", "done"] {
        let off = (count(message) - UNITS as f64).abs();
        assert!(off < 3.0 * sigma, "{message}: {off} of {sigma}");
    }
}

#[test]
fn slow_unit_is_shown() {
    let clock = Clock::manual(SystemTime::UNIX_EPOCH);
    let recorder = Recorder::builder()
        .clock(clock.clone())
        .slow(Duration::from_secs(2));
    let (dispatch, lines, ..) = stack(recorder.tail(0.0).unwrap());
    let _default = dispatcher::set_default(&dispatch);
    info_span!("request").in_scope(|| {
        info!("received");
        clock.advance(Duration::from_secs(2));
    });
    assert_eq!(lines.messages(), [HEADER, "received"]);
    assert_eq!(reason(&lines).as_deref(), Some("slow"));
}

#[test]
fn expired_unit_is_dumped_and_shows_at_once() {
    let (_default, lines, recorder, clock) = tail(0.0);
    let service = info_span!("service").entered();
    info!("one");
    debug!("two");
    clock.advance(Duration::from_secs(29));
    info!("three");
    assert_eq!(lines.text(), "");
    clock.advance(Duration::from_secs(1));
    info!("four");
    assert_eq!(lines.messages(), [HEADER, "one", "two", "three", "four"]);
    assert_eq!(reason(&lines).as_deref(), Some("expired"));

    // The unit has not failed, so its DEBUG lines stay buffered.
    debug!("five");
    info!("six");
    assert_eq!(lines.messages()[5..], ["six"]);
    assert_eq!(recorder.stats().held(), 1);
    error!("failed");
    debug!("seven");
    let messages = [HEADER, "five", "failed", "seven"];
    assert_eq!(lines.messages()[6..], messages);
    drop(service);
    assert_eq!(lines.values_of("sample_rate"), [""; 0]);
    assert_eq!((recorder.stats().held(), recorder.stats().memory), (0, 0));
}

#[test]
fn expired_unit_is_dumped_when_it_ends() {
    let (_default, lines, _, clock) = tail(0.0);
    info_span!("service").in_scope(|| {
        info!("one");
        clock.advance(Duration::from_secs(30));
    });
    assert_eq!(lines.messages(), [HEADER, "one"]);
    assert_eq!(reason(&lines).as_deref(), Some("expired"));
}

#[test]
fn expired_unit_without_held_events_has_no_header() {
    for trace in [HIGHEST, LOWEST] {
        let (_default, lines, _, clock) = tail(0.5);
        info_span!("service", trace_id = trace).in_scope(|| {
            debug!("kept");
            clock.advance(Duration::from_secs(30));
            info!("one");
            debug!("kept");
        });
        assert_eq!(lines.messages(), ["one"]);
        assert_eq!(lines.values_of("sample_rate"), [""; 0]);
    }
    let (_default, lines, _, clock) = tail(0.5);
    info_span!("service", trace_id = HIGHEST).in_scope(|| {
        info!("one");
        clock.advance(Duration::from_secs(30));
        info!("two");
    });
    assert_eq!(lines.messages(), ["one", "two"]);
    assert_eq!(lines.values_of("sample_rate"), ["0.5"]);
}

#[test]
fn no_event_is_lost_while_a_unit_expires() {
    for _ in 0..100 {
        let (_default, lines, recorder, clock) = tail(0.0);
        let service = info_span!("service");
        const EVENTS: usize = 100;
        thread::scope(|scope| {
            for thread in 0..3 {
                let service = service.clone();
                let dispatch = dispatcher::get_default(Clone::clone);
                let clock = clock.clone();
                scope.spawn(move || {
                    let _default = dispatcher::set_default(&dispatch);
                    let _service = service.entered();
                    for n in 0..EVENTS {
                        if thread == 0 && n == EVENTS / 2 {
                            clock.advance(Duration::from_secs(30));
                        }
                        info!(thread, n, "event");
                    }
                });
            }
        });
        drop(service);
        let objects = lines.objects();
        for thread in 0..3 {
            let of_thread = objects.iter().filter(|line| line["thread"] == thread);
            let mut numbers: Vec<_> = of_thread.map(|line| line["n"].as_u64().unwrap()).collect();
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(0..EVENTS as u64), "{thread}");
        }
        assert_eq!(
            lines
                .values_of("message")
                .iter()
                .filter(|of| *of == HEADER)
                .count(),
            1
        );
        assert_eq!((recorder.stats().held(), recorder.stats().memory), (0, 0));
    }
}

#[test]
fn ratio_of_one_holds_nothing() {
    let (_default, lines, recorder, _) = tail(1.0);
    info_span!("request", trace_id = LOWEST).in_scope(|| info!("one"));
    assert_eq!(lines.messages(), ["one"]);
    assert_eq!(lines.values_of("sample_rate"), [""; 0]);
    assert_eq!(recorder.stats().captured, 0);
    for share in [-0.1, 1.1, f64::NAN] {
        assert!(Recorder::builder().tail(share).is_err());
    }
}
