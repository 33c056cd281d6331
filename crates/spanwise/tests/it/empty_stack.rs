//! Law 2: in a stack without a sink, a layer of the user receives every event.

use crate::support::Lines;

#[test]
fn added_layer_sees_enabled_events() {
    alone!();
    let theirs = Lines::default();
    let telemetry = spanwise::Builder::new(spanwise::Preset::Prod)
        .output(spanwise::Output::None)
        .layer(tracing_subscriber::fmt::layer().with_writer(theirs.clone()))
        .init()
        .unwrap();
    tracing::info!("seen");
    tracing::debug!("below the levels");
    assert_eq!(theirs.text().lines().count(), 1, "{}", theirs.text());
    assert!(telemetry.handle().stats().sinks.is_empty());
}
