//! `console-subscriber`: tokio-console sees the tasks, and the lines of the service stay as they are.

use std::{env, net::SocketAddr};

use spanwise::Builder;
use tracing::{info, level_filters::LevelFilter};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = env::var("TOKIO_CONSOLE_BIND")?.parse()?;
    let console = console_subscriber::ConsoleLayer::builder()
        .server_addr(address)
        .spawn();
    let _telemetry = Builder::from_env()?
        .levels("info,tokio=trace,runtime=trace")
        .output_level(LevelFilter::INFO)
        .with(console)
        .init()?;

    // What tokio does for each task in a build with `--cfg tokio_unstable`.
    let task = tracing::trace_span!(
        target: "tokio::task",
        parent: None,
        "runtime.spawn",
        kind = "task",
        task.name = "mailer",
        task.id = 7_u64,
        loc.file = "src/main.rs",
        loc.line = 12_u64,
        loc.col = 5_u64,
    );
    task.in_scope(|| {
        tracing::trace!(target: "tokio::task::waker", op = "waker.clone", task.id = 7_u64);
        info!("mail sent");
    });

    // Until its standard input ends.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}
