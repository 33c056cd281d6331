//! Prints the same scene with the console of spanwise and with those of other crates, on stderr.
//!
//! ```text
//! cargo run --example console                       # `pretty`
//! cargo run --example console -- compact            # or json
//! cargo run --example console -- tracing-pretty     # or tracing-compact, tracing-tree
//! ```
//!
//! The clock is fixed, so each run prints the same. `scripts/console-pictures` makes the pictures
//! and the table of `docs/console.md` from it. `shop` is a whole service instead.

mod scene;

use std::{
    error::Error,
    fmt, io,
    time::{Duration, SystemTime},
};

use spanwise::{Builder, Preset, Telemetry};
use spanwise_core::Clock;
use tracing_subscriber::{
    Layer, Registry,
    fmt::{format::Writer, time::FormatTime},
    prelude::*,
};

fn main() -> Result<(), Box<dyn Error>> {
    // 08:46:12.000 UTC.
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_164_372));
    let name = std::env::args().nth(1).unwrap_or("pretty".to_owned());
    let _telemetry = start(&name, &clock)?;
    scene::play(&clock);
    Ok(())
}

/// Installs the console of this name. All others show the colours that they show at a terminal.
fn start(name: &str, clock: &Clock) -> Result<Option<Telemetry>, Box<dyn Error>> {
    let fmt = || {
        let layer = tracing_subscriber::fmt::layer::<Registry>();
        layer
            .with_timer(Time(clock.clone()))
            .with_writer(io::stderr)
    };
    let peer: Box<dyn Layer<Registry> + Send + Sync> = match name {
        "tracing-pretty" => fmt().pretty().boxed(),
        "tracing-compact" => fmt().compact().boxed(),
        "tracing-tree" => tracing_tree::HierarchicalLayer::new(2)
            .with_writer(io::stderr)
            .with_targets(true)
            .with_indent_lines(true)
            .with_deferred_spans(true)
            .boxed(),
        _ => return Ok(Some(start_spanwise(name, clock)?)),
    };
    let stack = tracing_subscriber::registry().with(peer);
    stack
        .with(spanwise::context::ContextLayer::default())
        .init();
    Ok(None)
}

fn start_spanwise(format: &str, clock: &Clock) -> Result<Telemetry, Box<dyn Error>> {
    let builder = Builder::from_env()?
        .preset(Preset::Dev)
        .time("utc")
        .format(format)
        .levels("debug")
        .context_key("job_id")
        .service("shop", "1.4.0");
    let builder = spanwise::__private::with_clock(builder, clock.clone());
    Ok(builder.init()?)
}

/// The times of the scene, as tracing-subscriber writes them.
struct Time(Clock);

impl FormatTime for Time {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        let now = self
            .0
            .now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let second = now.as_secs() - 1_795_164_372 + 12;
        write!(
            w,
            "2026-11-20T08:46:{second:02}.{:06}Z",
            now.subsec_micros()
        )
    }
}
