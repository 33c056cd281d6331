//! The program of `slog_before`, with spanwise.

use tracing::{error, info, info_span};

pub(crate) fn main() -> Result<(), spanwise::InitError> {
    let _telemetry = spanwise::init_from_env!()?;

    let request = info_span!("request", request_id = "r-1", tenant_id = "acme");
    request.in_scope(|| create_order(42));
    Ok(())
}

fn create_order(id: u32) {
    info!(order_id = id, "order created");
    if let Err(error) = pay() {
        error!(error = spanwise::err(&error), "payment failed");
    }
}

fn pay() -> Result<(), std::io::Error> {
    Err(std::io::Error::other("the card is expired"))
}
