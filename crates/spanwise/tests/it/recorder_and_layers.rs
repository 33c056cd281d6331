//! A recorder enables more events. A user's layer with a filter of tracing-subscriber still
//! receives the same events as without a recorder. This includes values that log a captured event
//! while another layer formats them.

use std::{cell::Cell, fmt};

use crate::support::Lines;
use spanwise::{Builder, layer::JsonLayer};
use tracing::{debug, error, info_span};
use tracing_subscriber::{Layer as _, filter::LevelFilter};

/// Logs when it is formatted for the first time.
struct Once(Cell<bool>);

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.replace(true) {
            debug!("computed");
        }
        f.write_str("once")
    }
}

#[test]
fn added_layers_see_no_captured_event() {
    alone!();
    let (output, users) = (Lines::default(), Lines::default());
    let json = JsonLayer::new().with_writer(users.clone());
    let vars = [("LOG_PRESET", "prod"), ("LOG_RECORDER", "debug")];
    let _telemetry = Builder::from_vars(vars)
        .unwrap()
        .with_writer(output.clone())
        .layer(json.with_filter(LevelFilter::INFO))
        .init()
        .unwrap();
    for n in 0..3 {
        let request = info_span!("request", n, v = ?Once(Cell::new(false)));
        request.in_scope(|| error!(v = ?Once(Cell::new(false)), "failed"));
    }
    let lines = users.objects();
    assert_eq!(lines.len(), 3, "{}", users.text());
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(
            (&line["message"], &line["n"]),
            (&"failed".into(), &n.into())
        );
    }
}
