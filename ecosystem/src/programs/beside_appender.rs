//! `tracing-appender`: its files under the lines of spanwise, and its `non_blocking` over the files
//! of spanwise.

use spanwise::{file::RollingFile, layer::JsonLayer};
use tracing::info;

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let appender = tracing_appender::rolling::daily("logs", "theirs");
    let ours = RollingFile::builder("logs/ours.log").build()?;
    let (ours, _guard) = tracing_appender::non_blocking(ours);
    let _telemetry = spanwise::builder!()?
        .with_writer(appender)
        .layer(JsonLayer::new().with_writer(ours))
        .init()?;

    info!(order_id = 42, password = "hunter2", "order created");
    Ok(())
}
