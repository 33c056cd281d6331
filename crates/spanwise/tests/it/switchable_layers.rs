//! The outputs keep their lines behind every type of tracing-subscriber for optional layers.

use spanwise::{Builder, Preset};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::support::Lines;

/// Logs three events in a stack with `layer`. Returns the number of lines of the output.
fn lines_beside(layer: impl Layer<Registry> + Send + Sync) -> usize {
    let lines = Lines::default();
    let telemetry = Builder::new(Preset::Prod)
        .with_writer(lines.clone())
        .layer(layer)
        .init()
        .unwrap();
    assert!(!tracing::enabled!(tracing::Level::DEBUG));
    let request = tracing::info_span!("request", request_id = "r-1");
    request.in_scope(|| {
        tracing::info!("one");
        tracing::error!("two");
        tracing::warn!("three");
    });
    drop(telemetry);
    assert_eq!(lines.text().matches("r-1").count(), 3);
    lines.text().lines().count()
}

#[test]
fn no_layer_takes_no_line() {
    alone!();
    assert_eq!(lines_beside(None::<fmt::Layer<Registry>>), 3);
}

#[test]
fn layer_that_may_be_missing_gets_its_lines() {
    alone!();
    let lines = Lines::default();
    let layer = fmt::layer().with_writer(lines.clone());
    assert_eq!(lines_beside(Some(layer)), 3);
    assert_eq!(lines.text().lines().count(), 3);
}

#[test]
fn empty_list_of_layers_takes_no_line() {
    alone!();
    let none: Vec<Box<dyn Layer<Registry> + Send + Sync>> = Vec::new();
    assert_eq!(lines_beside(none), 3);
}

#[test]
fn filter_that_is_reloaded_takes_no_line() {
    alone!();
    let lines = Lines::default();
    let layer = fmt::layer().with_writer(lines.clone());
    let (filter, handle) = reload::Layer::new(LevelFilter::ERROR);
    assert_eq!(lines_beside(layer.with_filter(filter)), 3);
    assert_eq!(lines.text().lines().count(), 1);
    handle.modify(|level| *level = LevelFilter::WARN).unwrap();
    tracing::warn!("four");
    assert_eq!(lines.text().lines().count(), 2);
}
