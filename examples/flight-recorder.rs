//! The flight recorder: DEBUG lines of failed requests only.
//!
//! ```text
//! cargo run --example flight-recorder
//! ```
//!
//! The same from the environment, for `spanwise::init_from_env()`: `LOG_RECORDER=debug`.

#![expect(clippy::print_stderr, reason = "it explains the output")]

use std::{error::Error, time::Duration};

use spanwise::{Builder, Preset, record::Recorder};
use tracing::{debug, error, info, info_span};

fn main() -> Result<(), Box<dyn Error>> {
    let telemetry = Builder::from_env()?
        .default_preset(Preset::Prod)
        .recorder(Recorder::default()) // DEBUG and more severe
        .init()?;

    eprintln!(
        "# three orders; the second one fails, and only its DEBUG lines are written, before the error"
    );
    for order_id in 41..=43 {
        let request = info_span!("http.request", request_id = format!("r-{order_id}"));
        request.in_scope(|| {
            debug!(order_id, "order read");
            debug!(order_id, rows = 43 - order_id, "stock read");
            if order_id == 42 {
                error!(order_id, "payment failed");
                debug!(order_id, "after the error, written immediately");
            } else {
                info!(order_id, "order paid");
            }
        });
    }

    let handle = telemetry.handle();
    telemetry.shutdown(Duration::from_secs(5));
    eprintln!("# lines: {}", handle.recorder_stats());
    Ok(())
}
