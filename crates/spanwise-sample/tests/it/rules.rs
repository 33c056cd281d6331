//! Which rule applies to an event.

use crate::support::{Lines, LinesExt as _};
use spanwise_core::{ContextLayer, SelfReport};
use spanwise_sample::{EventMatcher, Limit, Rate, SampleExt, Sampler, SamplerBuilder};
use tracing::{Level, debug, error, info, info_span, trace, warn};
use tracing_subscriber::prelude::*;

/// Returns the messages of the kept events.
fn kept(sampler: SamplerBuilder, log: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    let stack = tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(
            lines
                .layer()
                .sampled(sampler.build())
                .report(SelfReport::silent()),
        );
    tracing::subscriber::with_default(stack, log);
    let messages = lines.take_each("message").into_iter();
    messages
        .map(|message| message.as_str().unwrap().to_owned())
        .collect()
}

fn parsed(rules: &str) -> SamplerBuilder {
    rules.parse().unwrap()
}

fn every_level() {
    error!("error");
    warn!("warn");
    info!("info");
    debug!("debug");
    trace!("trace");
}

#[test]
fn errors_and_warnings_are_exempt_unless_named() {
    let nothing = || Limit::ratio(0.0).unwrap();
    let by_target = EventMatcher::target("it::rules");
    for rule in [EventMatcher::any(), by_target, EventMatcher::message("")] {
        assert_eq!(
            kept(Sampler::builder().rule(rule, nothing()), every_level),
            ["error", "warn"]
        );
    }
    assert_eq!(
        kept(parsed("it::rules=0/s"), every_level),
        ["error", "warn"]
    );
    assert_eq!(
        kept(parsed("error=0"), every_level),
        ["warn", "info", "debug", "trace"]
    );
    assert_eq!(
        kept(parsed("warn=0,info=0"), every_level),
        ["error", "debug", "trace"]
    );
    let named = EventMatcher::target("it::rules").and_level(Level::WARN);
    assert_eq!(
        kept(Sampler::builder().rule(named, nothing()), every_level),
        ["error", "info", "debug", "trace"]
    );
}

#[test]
fn first_matching_rule_decides() {
    let rules = || {
        Sampler::builder()
            .rule(EventMatcher::message("keep"), Limit::keep())
            .rule(EventMatcher::any(), Rate::per_second(0))
            .rule(EventMatcher::message("late"), Limit::keep())
    };
    let log = || {
        info!("keep this");
        info!(number = 7, "late");
        info!("{} that", "keep");
        info!("kee");
    };
    assert_eq!(kept(rules(), log), ["keep this", "keep that"]);
}

#[test]
fn most_specific_word_of_setting_wins() {
    let rules = "info=0,shop=1,shop::db=0";
    let log = || {
        info!(target: "shop", "shop");
        info!(target: "shop::orders", "orders");
        info!(target: "shop::db", "db");
        info!(target: "shop::db::pool", "pool");
        info!(target: "shopping", "shopping");
        warn!(target: "shop::db", "slow");
    };
    assert_eq!(kept(parsed(rules), log), ["shop", "orders", "slow"]);
}

#[test]
fn field_counts_before_context() {
    let rules = || {
        Sampler::builder()
            .rule(EventMatcher::field("tenant_id", "acme"), Limit::keep())
            .rule(
                EventMatcher::field("attempt", "2").and_message("try"),
                Limit::keep(),
            )
            .rule(EventMatcher::any(), Rate::per_second(0))
    };
    let log = || {
        info!(tenant_id = "acme", "own");
        info!(tenant_id = ?Some("acme"), "debug");
        info!(tenant_id = %"acme", "display");
        let _request = info_span!("request", tenant_id = "acme").entered();
        info!("of the request");
        info!(tenant_id = "other", "another");
        info!(tenant_id = tracing::field::Empty, "empty");
        let _inner = info_span!("inner", tenant_id = "inner").entered();
        info!("of the inner one");
        for attempt in 1..3 {
            info!(attempt, "try");
        }
        info!(parent: None, tenant_id = "acm", "shorter");
    };
    assert_eq!(
        kept(rules(), log),
        ["own", "display", "of the request", "empty", "try"]
    );
}

#[test]
fn callsite_name_matches() {
    let rules = Sampler::builder().rule(EventMatcher::name("cache_miss"), Rate::per_second(0));
    let log = || {
        info!(name: "cache_miss", "miss");
        info!("hit");
    };
    assert_eq!(kept(rules, log), ["hit"]);
}

#[test]
fn log_record_matches_by_its_own_target() {
    let log = || {
        for target in ["sqlx::query", "hyper"] {
            let record = log::Record::builder()
                .level(log::Level::Info)
                .target(target)
                .args(format_args!("of a log record"))
                .build();
            tracing_log::format_trace(&record).unwrap();
        }
    };
    assert_eq!(kept(parsed("sqlx=0"), log), ["of a log record"]);
    assert_eq!(kept(parsed("info=0"), log), Vec::<String>::new());
}
