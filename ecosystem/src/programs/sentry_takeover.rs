//! A program with `sentry::init` whose events go the way of spanwise from its start on.

use sentry::ClientOptions;
use tracing::{error, info_span};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dsn = std::env::var("SENTRY_DSN")?;
    let _sentry = sentry::init(ClientOptions::new().dsn(&dsn)); // can go
    let _telemetry = spanwise::init_from_env!()?;

    info_span!("http.request", request_id = "r-1", tenant_id = "acme").in_scope(|| {
        error!("payment failed");
        sentry::capture_message("api_key=hunter2 is refused", sentry::Level::Error);
    });
    Ok(())
}
