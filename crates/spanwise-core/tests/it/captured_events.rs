//! Captured-only events reach the recorder. Other layers receive the same events as without a
//! recorder.

use crate::support::SeenMessages;
use spanwise_core::{LayerExt, LevelHandle, LevelLayer, SinkFilter, WithoutCaptured};
use tracing::{Level, debug, debug_span, info, info_span, level_filters::LevelFilter, trace};
use tracing_subscriber::prelude::*;

/// A layer that records, and one that shows.
fn stack(
    levels: &str,
    captured: &str,
) -> (
    SeenMessages,
    SeenMessages,
    LevelHandle,
    tracing::subscriber::DefaultGuard,
) {
    let levels = LevelLayer::new(levels.parse().unwrap())
        .capture(captured.parse::<spanwise_core::TargetLevels>().unwrap());
    let handle = levels.handle();
    let (keeps, shows) = (SeenMessages::default(), SeenMessages::default());
    let shown: WithoutCaptured<SeenMessages> = shows.clone().without_captured(handle.clone());
    let guard = tracing_subscriber::registry()
        .with(keeps.clone())
        .with(shown)
        .with(levels)
        .set_default();
    (keeps, shows, handle, guard)
}

fn log() {
    info!("info");
    debug!("debug");
    trace!("trace");
    debug!(target: "noise", "noise");
    debug!(target: "hyper", "hyper");
    info!(target: "hyper", "hyper info");
}

#[test]
fn captured_event_reaches_only_the_recorder() {
    let (keeps, shows, _, _default) = stack("info,noise=off,hyper=warn", "debug,hyper=info");
    log();
    assert_eq!(keeps.take(), ["info", "debug", "hyper info"]);
    assert_eq!(shows.take(), ["info"]);
}

#[test]
fn enabled_agrees_with_the_event() {
    let (.., _default) = stack("info", "debug");
    assert!(tracing::enabled!(Level::DEBUG));
    assert!(tracing::event_enabled!(Level::DEBUG));
    assert!(!tracing::enabled!(Level::TRACE));
    assert!(!tracing::span_enabled!(Level::DEBUG));
    assert!(debug_span!("a span is not captured").is_disabled());
}

#[test]
fn level_changes_apply_to_visibility() {
    let (keeps, shows, levels, _default) = stack("info", "debug");
    for (now, shown) in [
        ("debug", vec!["debug"]),
        ("warn", vec![]),
        ("trace", vec!["debug"]),
        ("off", vec![]),
        ("info,[chosen]=debug", vec![]),
    ] {
        levels.set_levels(now).unwrap();
        debug!("debug");
        assert_eq!(shows.take(), shown, "{now}");
        assert_eq!(keeps.take().is_empty(), now == "off", "{now}");
    }
    info_span!("chosen").in_scope(|| debug!("in the span"));
    info_span!("other").in_scope(|| debug!("in another"));
    assert_eq!(shows.take(), ["in the span"]);
    assert_eq!(keeps.take(), ["in the span", "in another"]);
}

#[test]
fn sink_levels_apply_beside_program_levels() {
    let levels = LevelLayer::new("info,shop=debug".parse().unwrap()).capture(LevelFilter::TRACE);
    let shows = SeenMessages::default();
    let sink_filter =
        SinkFilter::from(levels.handle()).with_levels("shop=info,quiet=off".parse().unwrap());
    let _default = tracing_subscriber::registry()
        .with(shows.clone().without_captured(sink_filter))
        .with(levels)
        .set_default();
    debug!(target: "shop", "below the sink's");
    info!(target: "shop", "shown");
    info!(target: "quiet", "off");
    debug!(target: "other", "below the program's");
    info!(target: "other", "shown too");
    assert_eq!(shows.take(), ["shown", "shown too"]);
}

#[test]
fn log_records_are_judged_by_their_own_target() {
    let levels = LevelLayer::new("info,loud=debug".parse().unwrap()).capture(LevelFilter::DEBUG);
    let (keeps, shows) = (SeenMessages::default(), SeenMessages::default());
    let _default = tracing_subscriber::registry()
        .with(keeps.clone())
        .with(shows.clone().without_captured(levels.handle()))
        .with(levels)
        .set_default();
    for (target, level) in [
        ("loud", log::Level::Debug),
        ("other", log::Level::Debug),
        ("other", log::Level::Info),
        ("other", log::Level::Trace),
    ] {
        tracing_log::format_trace(
            &log::Record::builder()
                .target(target)
                .level(level)
                .args(format_args!("{target}"))
                .build(),
        )
        .unwrap();
    }
    assert_eq!(shows.take(), ["loud", "other"]);
    assert_eq!(keeps.take(), ["loud", "other", "other"]);
}
