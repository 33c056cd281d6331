//! Sentry is not sampled. It receives the events that a limit drops, but not their summary.

use std::time::Duration;

use crate::receiver::Receiver;
use crate::support::Lines;
use spanwise::{Builder, Preset};
use tracing::{error, level_filters::LevelFilter};

#[test]
fn sentry_gets_no_summaries() {
    alone!();
    let receiver = Receiver::start();
    let lines = Lines::default();
    let telemetry = Builder::new(Preset::Prod)
        .with_writer(lines.clone())
        .sampler("noisy=first:1,error=0/h")
        .sentry_dsn(receiver.dsn())
        .sentry(|sentry| {
            sentry
                .event_levels(LevelFilter::TRACE)
                .logs(LevelFilter::TRACE)
                .dedup_window(Duration::ZERO)
        })
        .init()
        .unwrap();
    for n in 0..5 {
        tracing::info!(target: "noisy", n, "noise");
        error!(n, "failed");
    }
    // A later event has the breadcrumbs, and summaries are also written at the shutdown.
    telemetry.handle().flush(Duration::from_secs(60));
    error!("last");
    telemetry.shutdown(Duration::from_secs(60));

    let summaries = lines.objects();
    let summaries = summaries
        .iter()
        .filter(|line| line["target"] == "spanwise::sampler");
    let levels: Vec<_> = summaries.map(|line| line["level"].clone()).collect();
    assert!(levels.contains(&"INFO".into()), "{}", lines.text());
    assert!(levels.contains(&"ERROR".into()), "{}", lines.text());
    let events = receiver.events();
    let count = |message: &str| {
        let is_it = |event: &&serde_json::Value| event.to_string().contains(message);
        events.iter().filter(is_it).count()
    };
    assert_eq!(events.len(), 11, "{events:?}");
    assert_eq!(count("suppressed"), 0, "{events:?}");
    assert!(!receiver.items("log").is_empty());
    for body in receiver.bodies() {
        let text = String::from_utf8_lossy(&body);
        assert!(!text.contains("spanwise::sampler"), "{text}");
    }
}
