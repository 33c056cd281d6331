//! Ratios: how many events are kept, and of which requests.

use crate::support::{Count, Lines, LinesExt as _};
use spanwise_core::ContextLayer;
use spanwise_sample::{SampleExt, Sampler, SamplerBuilder};
use tracing::{info, info_span};
use tracing_subscriber::prelude::*;

#[test]
fn ratio_is_within_three_sigma_over_many_events() {
    const EVENTS: f64 = 1e6;
    for (rules, share) in [("info=0.1", 0.1), ("info=0.01", 0.01)] {
        let count = Count::default();
        let sampler = rules.parse::<SamplerBuilder>().unwrap().seed(42).build();
        let stack = tracing_subscriber::registry().with(count.clone().sampled(sampler.clone()));
        tracing::subscriber::with_default(stack, || {
            for _ in 0..EVENTS as u64 {
                info!("event");
            }
        });
        let sigma = (EVENTS * share * (1.0 - share)).sqrt();
        let off = (count.events() as f64 - EVENTS * share).abs();
        assert!(off < 3.0 * sigma, "{rules}: {off} of {sigma}");
        let stats = sampler.stats();
        assert_eq!(stats.kept, count.events());
        assert_eq!(stats.kept + stats.sampled_out, EVENTS as u64);
        assert_eq!(stats.suppressed, 0);
    }
}

/// Returns the number of lines per request.
fn process(sampler: &str, id: &str, requests: u32) -> Vec<usize> {
    let lines = Lines::default();
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(lines.layer().sampled(sampler.parse().unwrap()));
    let _default = stack.set_default();
    // The low bits of a good generator, like the low bits of a trace id.
    let mut state = 1_u64;
    (0..requests)
        .map(|number| {
            state = state
                .wrapping_mul(0x5851_F42D_4C95_7F2D)
                .wrapping_add(0x1405_7B7E_F767_814F);
            let trace = format!("{:032x}", u128::from(state.rotate_left(29)) << 3);
            let request = match id {
                "trace" => info_span!("request", trace_id = trace, request_id = "the same"),
                "request" => info_span!("request", request_id = %format_args!("r-{number}")),
                _ => info_span!("request"),
            };
            let _request = request.entered();
            info!("received");
            info_span!("inside").in_scope(|| info!("worked"));
            info!("finished");
            lines.take_objects().len()
        })
        .collect()
}

#[test]
fn two_processes_keep_the_same_whole_requests() {
    for id in ["trace", "request"] {
        let (one, other) = (process("info=0.3", id, 2000), process("info=0.3", id, 2000));
        assert_eq!(one, other);
        assert!(one.iter().all(|lines| [0, 3].contains(lines)), "{id}");
        let kept = one.iter().filter(|lines| **lines == 3).count();
        assert!((500..700).contains(&kept), "{id}: {kept}");
        // Requests kept at a smaller ratio are kept at a larger one.
        let fewer = process("info=0.1", id, 2000);
        assert!(fewer.iter().zip(&one).all(|(few, many)| few <= many));
    }
    // Without an id, each event is decided separately.
    let torn = process("info=0.3", "none", 200);
    assert!(torn.iter().any(|lines| [1, 2].contains(lines)));
}

#[test]
fn late_id_counts_from_then_on() {
    let lines = Lines::default();
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(lines.layer().sampled("info=0.5".parse().unwrap()));
    let _default = stack.set_default();
    let request = info_span!("request", trace_id = tracing::field::Empty).entered();
    for (id, kept) in [("00ffffffffffffff", 9), ("0000000000000001", 0)] {
        request.record("trace_id", format!("{:016}{id}", 0));
        (0..9).for_each(|_| info!("event"));
        assert_eq!(lines.take_objects().len(), kept);
    }
}

#[test]
fn empty_or_redacted_id_is_no_id() {
    let lines = Lines::default();
    let sampler = "info=0.5".parse::<SamplerBuilder>().unwrap().seed(5);
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(lines.layer().sampled(sampler.build()));
    let _default = stack.set_default();
    for id in ["", "00000000000000000000000000000000", "[REDACTED]"] {
        let _request = info_span!("request", trace_id = id, request_id = "").entered();
        (0..100).for_each(|_| info!("event"));
        let kept = lines.take_objects().len();
        assert!((20..80).contains(&kept), "{id}: {kept}");
    }
}

#[test]
fn only_representing_events_have_a_sample_rate() {
    let lines = Lines::default();
    let sampler = "info=0.5,debug=1"
        .parse::<SamplerBuilder>()
        .unwrap()
        .seed(7);
    let stack = tracing_subscriber::registry().with(lines.layer().sampled(sampler.build()));
    let _default = stack.set_default();
    (0..100).for_each(|_| info!("event"));
    let rates = lines.take_each("sample_rate");
    assert!(!rates.is_empty() && rates.iter().all(|rate| *rate == 0.5));
    tracing::debug!("kept anyway");
    tracing::warn!("exempt");
    assert!(
        lines
            .take_each("sample_rate")
            .iter()
            .all(|rate| rate.is_null())
    );
}

#[test]
fn nested_samplers_multiply_random_ratios() {
    let lines = Lines::default();
    let sampler = |rules: &str| rules.parse::<SamplerBuilder>().unwrap().seed(1).build();
    let inner = lines.layer().sampled(sampler("info=0.5"));
    let stack =
        tracing_subscriber::registry().with(inner.sampled(Sampler::clone(&sampler("info=0.25"))));
    let _default = stack.set_default();
    (0..1000).for_each(|_| info!("event"));
    let rates = lines.take_each("sample_rate");
    assert!(!rates.is_empty() && rates.iter().all(|rate| *rate == 0.125));
}

/// After a forgotten guard, the thread stays in a span that another thread may close.
#[test]
fn closed_span_that_was_never_left_has_no_effect() {
    const EVENTS: u64 = 1000;
    for closes_elsewhere in [false, true] {
        let count = Count::default();
        let sampler = "info=0.1".parse::<SamplerBuilder>().unwrap().seed(42);
        let stack = tracing_subscriber::registry()
            .with(ContextLayer::default())
            .with(count.clone().sampled(sampler.build()));
        let dispatch = tracing::Dispatch::new(stack);
        tracing::dispatcher::with_default(&dispatch, || {
            let span = info_span!("request", request_id = "r-1");
            span.with_subscriber(|(id, dispatch)| dispatch.enter(id));
            info!("inside");
            let before = count.events();
            if closes_elsewhere {
                std::thread::spawn(move || drop(span)).join().unwrap();
            } else {
                drop(span);
            }
            (0..EVENTS).for_each(|_| info!("after"));
            let kept = count.events() - before;
            assert!((60..140).contains(&kept), "{kept}, {closes_elsewhere}");
        });
    }
}
