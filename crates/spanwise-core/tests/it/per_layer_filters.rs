//! A `with_filter` layer beside layers of core: `enabled!` between events must not cost it an
//! event, as it does in tracing-subscriber 0.3.23 if all layers return *always*.

use crate::support::{SeenMessages, redaction::no_hunter};
use spanwise_core::{ContextLayer, LayerExt, Layers, LevelLayer};
use tracing::{Level, enabled, error, level_filters::LevelFilter};
use tracing_subscriber::{Layer, Registry, prelude::*};

#[test]
fn filtered_layers_lose_no_event_in_any_order() {
    let log = || {
        for _ in 0..3 {
            assert!(enabled!(Level::DEBUG));
            error!(secret = 1, "error");
        }
    };
    let (ours, theirs) = (SeenMessages::default(), SeenMessages::default());
    // A macro, because the type depends on the layers below.
    macro_rules! filtered {
        () => {
            theirs.clone().with_filter(LevelFilter::ERROR)
        };
    }
    let levels = || LevelLayer::new("trace".parse().unwrap());
    let check = |subscriber: tracing::Dispatch| {
        tracing::dispatcher::with_default(&subscriber, log);
        assert_eq!((ours.take().len(), theirs.take().len()), (3, 3));
    };
    let registry = tracing_subscriber::registry;
    check(
        registry()
            .with(ours.clone())
            .with(filtered!())
            .with(levels())
            .into(),
    );
    check(
        registry()
            .with(levels())
            .with(filtered!())
            .with(ours.clone())
            .into(),
    );
    check(
        registry()
            .with(filtered!())
            .with(ours.clone())
            .with(ContextLayer::default())
            .into(),
    );
    check(
        registry()
            .with(ours.clone())
            .with(filtered!().with_levels(LevelFilter::TRACE.into()))
            .with(levels())
            .into(),
    );

    // The filter inside and around the wrapper, with the unfiltered layer in each order.
    check(
        registry()
            .with(ours.clone())
            .with(filtered!().redacted(no_hunter()))
            .with(levels())
            .into(),
    );
    check(
        registry()
            .with(
                theirs
                    .clone()
                    .redacted(no_hunter())
                    .with_filter(LevelFilter::ERROR),
            )
            .with(ours.clone().redacted(no_hunter()))
            .with(levels())
            .into(),
    );
    check(
        registry()
            .with(filtered!().redacted(no_hunter()))
            .with(
                ours.clone()
                    .redacted(no_hunter())
                    .with_filter(LevelFilter::TRACE),
            )
            .with(ContextLayer::default())
            .into(),
    );

    let mut list = Layers::<Registry>::default();
    list.push(ours.clone());
    list.push(filtered!().redacted(no_hunter()));
    check(registry().with(list).with(levels()).into());

    let mut all_filtered = Layers::<Registry>::default();
    all_filtered.push(filtered!());
    all_filtered.push(ours.clone().with_filter(LevelFilter::TRACE));
    check(registry().with(all_filtered).with(levels()).into());
}
