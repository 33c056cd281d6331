//! Law 2, through the facade: `enabled!` before `error!`, with a user's filtered layer in the
//! stack.

use crate::support::Lines;
use tracing::{Level, enabled, error, level_filters::LevelFilter};
use tracing_subscriber::Layer;

#[test]
fn filtered_layer_loses_no_error() {
    alone!();
    let (ours, theirs) = (Lines::default(), Lines::default());
    let filtered = tracing_subscriber::fmt::layer()
        .with_writer(theirs.clone())
        .with_filter(LevelFilter::ERROR);
    let _telemetry = spanwise::Builder::new(spanwise::Preset::Prod)
        .levels("debug")
        .with_writer(ours.clone())
        .layer(filtered)
        .init()
        .unwrap();
    for _ in 0..3 {
        assert!(enabled!(Level::DEBUG));
        error!("error");
        tracing::debug!("not for them");
    }
    let errors = |lines: &Lines| {
        lines
            .text()
            .lines()
            .filter(|line| line.contains("error"))
            .count()
    };
    assert_eq!(
        (errors(&ours), errors(&theirs)),
        (3, 3),
        "{}",
        theirs.text()
    );
    assert!(!theirs.text().contains("not for them"));
}
