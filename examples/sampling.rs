//! Sampling: fewer lines of frequent events, and a true count of the dropped ones.
//!
//! ```text
//! cargo run --example sampling
//! LOG_SAMPLE='cache=0.01' cargo run --example sampling
//! ```

#![expect(clippy::print_stderr, reason = "it explains the output")]

use std::{error::Error, time::Duration};

use spanwise::{Builder, Preset};
use tracing::{error, info};

fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = Builder::from_env()?.default_preset(Preset::Prod);
    if builder.explain().to_string().contains("LOG_SAMPLE = none") {
        // Per callsite in `cache`, the first three, then every 100th; 10 % of other INFO events.
        builder = builder.sampler("cache=first:3/100,info=0.1");
    }
    let telemetry = builder.init()?;

    eprintln!(
        "# a thousand look-ups: a few are logged, with their sample rates, and so is every error"
    );
    for key in 0..1000 {
        info!(target: "cache", key, "looked up");
        if key % 400 == 399 {
            error!(key, "the cache is gone");
        }
    }

    let handle = telemetry.handle();
    telemetry.shutdown(Duration::from_secs(5));
    eprintln!("# {}", handle.sampler_stats());
    Ok(())
}
