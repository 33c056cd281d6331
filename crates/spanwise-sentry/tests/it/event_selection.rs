//! Selection of events: ignore rules, levels, sample rates.

use std::error::Error;

use serde_json::json;
use spanwise_core::TargetLevels;
use spanwise_sentry::SentryBuilder;
use tracing::{Level, debug, error, event, info, info_span, level_filters::LevelFilter, warn};

use crate::support::{Receiver, breadcrumbs, builder, one, payment_failed, sent};

#[test]
fn ignore_rules_match_target_message_and_type() {
    let rules = |builder: SentryBuilder| {
        builder
            .ignore_target("shop::probe")
            .ignore_message("connection reset")
            .ignore_error("GatewayTimedOut")
    };
    let (receiver, stats) = sent(rules, || {
        error!(target: "shop::probe", "one");
        error!(target: "shop::probe::deep", "two");
        error!(target: "shop::prober", "it is another target");
        error!("the connection reset by peer");
        let reset = std::io::Error::other("connection reset, again");
        error!(error = &reset as &dyn Error, "a cause says so");
        error!(error = &payment_failed() as &dyn Error, "a cause is one");
        let log = log::Record::builder()
            .level(log::Level::Error)
            .target("shop::probe")
            .args(format_args!("by its target"))
            .build();
        tracing_log::format_trace(&log).unwrap();
    });
    assert_eq!(one(&receiver)["message"], "it is another target");
    assert_eq!((stats.ignored, stats.sent.delivered), (6, 1));
}

#[test]
fn ignored_text_may_be_an_error_without_message() {
    #[tracing::instrument(err)]
    fn fetch() -> Result<(), &'static str> {
        Err("connection reset by peer")
    }
    let rules = |builder: SentryBuilder| builder.ignore_message("connection reset");
    let (receiver, stats) = sent(rules, || {
        fetch().unwrap_err();
        error!(error = %"connection reset by peer");
        error!(err = %"connection reset by peer", "fetch failed");
        error!(peer = "connection reset", "another field");
    });
    assert_eq!(one(&receiver)["message"], "another field");
    assert_eq!((stats.ignored, stats.sent.delivered), (3, 1));
}

#[test]
fn levels_select_events_and_breadcrumbs() {
    let levels = |builder: SentryBuilder| {
        builder
            .event_levels("warn,noisy=off".parse::<TargetLevels>().unwrap())
            .breadcrumb_levels("debug,noisy=warn".parse::<TargetLevels>().unwrap())
    };
    let (receiver, _) = sent(levels, || {
        let _request = info_span!("request").entered();
        error!(target: "noisy", "only a breadcrumb");
        info!(target: "noisy", "nothing");
        debug!("a breadcrumb");
        warn!("an event");
    });
    let event = one(&receiver);
    assert_eq!(
        (event["level"].as_str(), event["message"].as_str()),
        (Some("warning"), Some("an event"))
    );
    assert_eq!(breadcrumbs(&event), ["only a breadcrumb", "a breadcrumb"]);
}

/// `spanwise::critical!` makes such an event.
#[test]
fn critical_events_are_fatal() {
    let logged = |builder: SentryBuilder| builder.logs(LevelFilter::INFO);
    let (receiver, _) = sent(logged, || {
        let _request = info_span!("request").entered();
        event!(name: "critical", Level::ERROR, "no database");
        event!(name: "critical", Level::WARN, "a warning of this name");
        error!("failed");
    });
    let events = receiver.events();
    let levels: Vec<_> = events.iter().map(|event| &event["level"]).collect();
    // Sentry's default is `error`, which is omitted.
    assert_eq!(levels, [&json!("fatal"), &json!(null)]);
    let breadcrumbs = &events[1]["breadcrumbs"]["values"];
    assert_eq!(breadcrumbs[0]["level"], "fatal");
    assert_eq!(breadcrumbs[1]["level"], "warning");
    let logs = &receiver.items("log")[0]["items"];
    let levels = [0, 1, 2].map(|log| &logs[log]["level"]);
    assert_eq!(levels, ["fatal", "warn", "error"]);
}

#[test]
fn sample_rate_discards_and_counts_errors() {
    let none = |builder: SentryBuilder| builder.sample_rate(0.0);
    let (receiver, stats) = sent(none, || error!("failed"));
    assert!(receiver.events().is_empty());
    assert_eq!((stats.discarded, stats.sent.delivered), (1, 0));
    for wrong in [-0.1, 1.5, f64::NAN] {
        let receiver = Receiver::start();
        assert!(builder(&receiver).sample_rate(wrong).build().is_err());
        assert!(
            builder(&receiver)
                .traces_sample_rate(wrong)
                .build()
                .is_err()
        );
    }
}
