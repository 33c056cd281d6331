//! The counts in the output of a sink represent all logged events.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use crate::support::{Count, Lines, LinesExt as _};
use proptest::prelude::*;
use spanwise_core::{Clock, ContextLayer, Fault, KeyVerdict, LayerExt, Redact, SelfReport};
use spanwise_sample::{EventMatcher, Limit, Rate, SampleExt, Sampler, SamplerBuilder};
use tracing::{debug, info, warn};
use tracing_subscriber::{Layer, filter, prelude::*};

fn sampler(rules: &str, clock: &Clock) -> Sampler {
    let rules: SamplerBuilder = rules.parse().unwrap();
    rules.clock(clock.clone()).seed(3).build()
}

fn clock() -> Clock {
    // 2026-11-21T09:00:00Z
    Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_251_600))
}

#[test]
fn undelivered_summary_goes_to_the_set_report() {
    let (report, sampler) = (SelfReport::silent(), sampler("info=2/s", &clock()));
    let sampled = Count::default()
        .sampled(sampler.clone())
        .report(report.clone());
    // Keeps the layer after its dispatcher is gone.
    let stack = Arc::new(tracing_subscriber::registry().with(sampled));
    tracing::subscriber::with_default(Arc::clone(&stack), || (0..5).for_each(|_| info!("limited")));
    assert_eq!(report.stats().faults, []);
    sampler.emit_summaries();
    assert_eq!(report.stats().faults, [(Fault::Lost, 1)]);
    drop(stack);
    assert_eq!(report.stats().faults, [(Fault::Lost, 1)]);
}

#[test]
fn summary_has_count_callsite_and_times() {
    let (lines, clock) = (Lines::default(), clock());
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(lines.layer().sampled(sampler("shop=2/s", &clock)));
    let _default = stack.set_default();
    let log = || info!(target: "shop::db", "query");
    let line = line!() - 1;
    for _ in 0..9 {
        let _request = tracing::info_span!("request", request_id = "r-1").entered();
        log();
        clock.advance(Duration::from_millis(50));
    }
    assert_eq!(lines.take_each("message"), ["query", "query"]);
    clock.advance(Duration::from_secs(5));
    let _request = tracing::info_span!("request", request_id = "r-2").entered();
    warn!("of another callsite");
    let shown = lines.take_objects();
    assert_eq!(shown.len(), 2);
    let summary = &shown[0];
    for (key, value) in [
        ("message", "events suppressed".into()),
        ("level", "INFO".into()),
        ("target", "spanwise::sampler".into()),
        ("suppressed", 7.into()),
        ("suppressed_target", "shop::db".into()),
        ("callsite", format!("{}:{line}", file!()).into()),
        ("first", "2026-11-21T09:00:00.100000Z".into()),
        ("last", "2026-11-21T09:00:00.400000Z".into()),
        ("request_id", serde_json::Value::Null),
        ("sample_rate", serde_json::Value::Null),
    ] {
        assert_eq!(summary[key], value, "{key} of {summary}");
    }
    assert_eq!(shown[1]["message"], "of another callsite");
    log();
    assert_eq!(lines.take_each("message"), ["query"], "told once");
}

#[test]
fn values_of_a_callsite_share_one_summary() {
    let (lines, clock) = (Lines::default(), clock());
    let sampler = sampler("shop=1/s@tenant_id", &clock);
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(lines.layer().sampled(sampler));
    let _default = stack.set_default();
    for tenant in 1..=10 {
        let _request = tracing::info_span!("request", tenant_id = tenant).entered();
        (0..=tenant).for_each(|_| info!(target: "shop::db", "query"));
    }
    lines.take_objects();
    clock.advance(Duration::from_secs(1));
    warn!("another");
    let suppressed = lines.take_each("suppressed");
    assert_eq!(
        suppressed,
        [serde_json::Value::from(55), serde_json::Value::Null]
    );
}

#[test]
fn ratio_of_zero_is_reported_by_emit_summaries_only() {
    let (lines, clock) = (Lines::default(), clock());
    let sampler = Sampler::builder()
        .rule(
            EventMatcher::field("user", "robot"),
            Limit::ratio(0.0).unwrap(),
        )
        .rule(EventMatcher::target("shop"), Rate::per_second(1))
        .clock(clock.clone())
        .build();
    let stack = tracing_subscriber::registry().with(lines.layer().sampled(sampler.clone()));
    let _default = stack.set_default();
    let log = |user: &str| info!(target: "shop::db", user, "query");
    (0..5).for_each(|_| log("robot"));
    clock.advance(Duration::from_secs(100));
    warn!("another");
    assert_eq!(lines.take_each("message"), ["another"]);

    // If another rule suppresses an event at the same callsite, one summary is due at the time of
    // this rule. It reports all suppressed events of the callsite.
    (0..3).for_each(|_| log("ann"));
    clock.advance(Duration::from_secs(1));
    warn!("another");
    let shown = lines.take_each("suppressed");
    assert_eq!(shown.iter().filter_map(|n| n.as_u64()).sum::<u64>(), 7);

    (0..4).for_each(|_| log("robot"));
    clock.advance(Duration::from_secs(100));
    warn!("another");
    assert_eq!(lines.take_each("message"), ["another"]);
    sampler.emit_summaries();
    assert_eq!(lines.take_each("suppressed"), [4]);
    sampler.emit_summaries();
    assert!(lines.take_objects().is_empty());
    let stats = sampler.stats().to_string();
    assert_eq!(stats, "4 kept, 0 sampled out, 11 suppressed");
}

#[test]
fn every_nth_event_represents_those_before_it() {
    let (lines, clock) = (Lines::default(), clock());
    let stack = tracing_subscriber::registry()
        .with(lines.layer().sampled(sampler("info=first:2/10", &clock)));
    let _default = stack.set_default();
    let log = |events| (0..events).for_each(|_| info!("again"));
    log(25);
    let rates = lines.take_each("sample_rate");
    assert_eq!(
        rates,
        [None, None, Some(0.1), Some(0.1)].map(serde_json::Value::from)
    );
    clock.advance(Duration::from_secs(1));
    log(1);
    let shown = lines.take_objects();
    assert_eq!((&shown[0]["suppressed"], shown.len()), (&3.into(), 2));
    assert_eq!(shown[1]["sample_rate"], serde_json::Value::Null);
}

#[derive(Debug)]
struct Hides;

impl Redact for Hides {
    fn key(&self, key: &str) -> KeyVerdict {
        match key {
            "password" => KeyVerdict::Redact,
            _ => KeyVerdict::Pass,
        }
    }

    fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        text.into()
    }
}

#[test]
fn sinks_that_share_a_sampler_show_the_same() {
    let (one, other, filtered) = (Lines::default(), Lines::default(), Lines::default());
    let (before, between) = (Count::default(), Count::default());
    let clock = clock();
    let sampler = sampler("info=5/s,debug=0.5,trace=first:1/3", &clock);
    // A dynamic filter, so its sink receives some of the events of a callsite.
    static OPEN: AtomicBool = AtomicBool::new(false);
    let open = filter::dynamic_filter_fn(|_, _| OPEN.load(Ordering::Relaxed));
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(before.clone())
        .with(filtered.layer().sampled(sampler.clone()).with_filter(open))
        .with(one.layer().sampled(sampler.clone()))
        .with(between.clone())
        // This sink receives rebuilt events.
        .with(
            other
                .layer()
                .sampled(sampler.clone())
                .redacted(Arc::new(Hides)),
        );
    let _default = stack.set_default();
    let mut shown = 0;
    for round in 0..100 {
        OPEN.store(round % 3 == 0, Ordering::Relaxed);
        for number in 0..10 {
            info!(number, password = "hunter2", "limited");
            debug!(number, "a share");
            tracing::trace!(number, "first, then every third");
        }
        clock.advance(Duration::from_millis(300));
        let fields = |lines: &Lines| -> Vec<_> {
            let lines = lines.take_objects().into_iter();
            lines
                .map(|line| {
                    ["message", "number", "sample_rate", "suppressed", "first"]
                        .map(|key| line[key].clone())
                })
                .collect()
        };
        let of_one = fields(&one);
        assert_eq!(of_one, fields(&other));
        // The filtered sink shows a part of the events, with its own rates and summaries.
        let of_filtered = fields(&filtered);
        let events = of_filtered.iter().filter(|line| line[3].is_null());
        let is_shown = |line: &[_; 5]| of_one.iter().any(|other| other[..2] == line[..2]);
        assert!(events.into_iter().all(is_shown));
        assert_eq!(OPEN.load(Ordering::Relaxed), !of_filtered.is_empty());
        shown += of_one.len();
    }
    sampler.emit_summaries();
    // 5 per second for half a minute, because three sinks count an event once.
    assert!(shown > 150);
    assert_eq!(before.events(), between.events());
}

/// An action at one of three callsites.
#[derive(Debug, Clone, Copy)]
enum Step {
    Log(usize, u16),
    Wait(u16),
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3_usize, 0..50_u16).prop_map(|(callsite, events)| Step::Log(callsite, events)),
        3 => (0..3000_u16).prop_map(Step::Wait),
        1 => Just(Step::Flush),
    ]
}

fn log(callsite: usize) {
    match callsite {
        0 => info!("one"),
        1 => debug!(tenant_id = "acme", "two"),
        _ => warn!("three"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_event_is_kept_represented_or_reported(
        rules in proptest::sample::select(vec![
            "info=5/s,debug=3/s@tenant_id,warn=first:1",
            "info=first:3/7,debug=first:0/2/m,warn=2/m/5",
            "info=first:0/1,debug=0/s,warn=first:5/100/250ms",
        ]),
        steps in proptest::collection::vec(step(), 0..40),
    ) {
        let (count, warnings, clock) = (Count::default(), Count::default(), clock());
        let sampler = sampler(rules, &clock);
        let only_warnings = warnings.clone().sampled(sampler.clone()).with_levels("warn".parse().unwrap());
        let stack = tracing_subscriber::registry()
            .with(count.clone().sampled(sampler.clone()))
            .with(only_warnings);
        let (mut logged, mut warned) = (0, 0);
        tracing::subscriber::with_default(stack, || {
            for step in &steps {
                match *step {
                    Step::Log(callsite, events) => {
                        (0..events).for_each(|_| log(callsite));
                        logged += u64::from(events);
                        warned += if callsite == 2 { u64::from(events) } else { 0 };
                    }
                    Step::Wait(ms) => clock.advance(Duration::from_millis(ms.into())),
                    Step::Flush => sampler.emit_summaries(),
                }
            }
            sampler.emit_summaries();
        });
        prop_assert_eq!(count.represented(), logged);
        prop_assert_eq!(warnings.represented(), warned);
        let stats = sampler.stats();
        prop_assert_eq!(stats.kept, count.events() + warnings.events());
        prop_assert_eq!(stats.kept + stats.sampled_out + stats.suppressed, logged + warned);
    }
}

#[test]
fn threads_lose_no_event_between_them() {
    const THREADS: u64 = 4;
    const EVENTS: u64 = 20_000;
    for rules in [
        "info=first:10/7/1ms",
        "info=100/10ms",
        "info=1000/s@tenant_id",
    ] {
        let count = Count::default();
        let sampler: Sampler = rules.parse().unwrap();
        let stack = tracing_subscriber::registry().with(count.clone().sampled(sampler.clone()));
        let dispatch = tracing::Dispatch::new(stack);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let dispatch = &dispatch;
                scope.spawn(move || {
                    tracing::dispatcher::with_default(dispatch, || {
                        (0..EVENTS).for_each(|_| info!(tenant_id = thread, "event"));
                    });
                });
            }
        });
        sampler.emit_summaries();
        assert_eq!(count.represented(), THREADS * EVENTS, "{rules}");
        assert!(count.events() < THREADS * EVENTS);
        let stats = sampler.stats();
        assert_eq!(stats.kept, count.events());
        assert_eq!(
            stats.kept + stats.sampled_out + stats.suppressed,
            THREADS * EVENTS
        );
    }
}
