//! A user's `with_filter` layer around a sampled one and beside it: what is left out of one must not cost another an event.

use crate::support::Count;
use spanwise_core::{ContextLayer, LevelLayer, SelfReport};
use spanwise_sample::{SampleExt, Sampler};
use tracing::{Level, Metadata, debug, enabled, error, info, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    prelude::*,
};

/// Three errors, among events that a sampler leaves out and filters do not want.
fn log() {
    for _ in 0..3 {
        assert!(enabled!(Level::DEBUG));
        info!("left out");
        debug!("left out too");
        error!("error");
    }
}

/// Decides about each event anew.
#[derive(Clone)]
struct ErrorsAndInfos;

impl<S> Filter<S> for ErrorsAndInfos {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        matches!(*metadata.level(), Level::ERROR | Level::INFO)
    }
}

fn sampler() -> Sampler {
    "info=0,debug=0".parse().unwrap()
}

#[test]
fn errors_arrive_wherever_filtered_layer_is() {
    let levels = || LevelLayer::new("trace".parse().unwrap());
    // The type of a filtered layer depends on what it stands on: expressions, not closures.
    macro_rules! check {
        ($sampled:ident, $filtered:ident: $ours:expr, $theirs:expr, $expected:expr) => {{
            let ($sampled, $filtered) = (Count::default(), Count::default());
            let stack = tracing_subscriber::registry()
                .with(ContextLayer::default())
                .with($ours)
                .with($theirs)
                .with(levels());
            tracing::subscriber::with_default(stack, log);
            assert_eq!(($sampled.events(), $filtered.events()), $expected);

            let ($sampled, $filtered) = (Count::default(), Count::default());
            let stack = tracing_subscriber::registry()
                .with(levels())
                .with($theirs)
                .with($ours);
            tracing::subscriber::with_default(stack, log);
            assert_eq!(($sampled.events(), $filtered.events()), $expected);
        }};
    }
    check!(
        sampled, filtered:
        sampled.clone().sampled(sampler()),
        filtered.clone().with_filter(LevelFilter::ERROR),
        (3, 3)
    );
    check!(
        sampled, filtered:
        sampled.clone().sampled(sampler()),
        filtered.clone().with_filter(ErrorsAndInfos),
        (3, 6)
    );
    check!(
        sampled, filtered:
        sampled.clone().sampled(sampler()).with_filter(ErrorsAndInfos),
        filtered.clone().with_filter(LevelFilter::ERROR),
        (3, 3)
    );
    check!(
        sampled, filtered:
        sampled.clone().sampled(sampler()).with_filter(LevelFilter::ERROR),
        filtered.clone().sampled(sampler()).with_filter(ErrorsAndInfos),
        (3, 3)
    );
    // The filter inside: nothing is sampled there.
    check!(
        sampled, filtered:
        sampled.clone().with_filter(ErrorsAndInfos).sampled(sampler()).report(SelfReport::silent()),
        filtered.clone().with_filter(LevelFilter::ERROR),
        (6, 3)
    );
}
