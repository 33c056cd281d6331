//! A `with_filter` layer around a sampled layer, and next to it. If the sampler drops an event, no
//! other layer loses an event.

use crate::support::Count;
use spanwise_core::{ContextLayer, LevelLayer, SelfReport};
use spanwise_sample::{SampleExt, Sampler};
use tracing::{Level, Metadata, debug, enabled, error, info, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    prelude::*,
};

/// Logs three errors among events that samplers drop and filters disable.
fn log() {
    for _ in 0..3 {
        assert!(enabled!(Level::DEBUG));
        info!("left out");
        debug!("left out too");
        error!("error");
    }
}

/// A filter that decides again for each event.
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
    // The type of a filtered layer depends on the layers below, so the macro needs expressions
    // instead of closures.
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
    // With the filter inside, sampling is off.
    check!(
        sampled, filtered:
        sampled.clone().with_filter(ErrorsAndInfos).sampled(sampler()).report(SelfReport::silent()),
        filtered.clone().with_filter(LevelFilter::ERROR),
        (6, 3)
    );
}
