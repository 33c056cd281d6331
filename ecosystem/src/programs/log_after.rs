//! The program of `log_before` and `log4rs_before`, with spanwise.

use log::{error, info};

pub(crate) fn main() -> Result<(), spanwise::InitError> {
    let _telemetry = spanwise::init_from_env!()?;

    info!(order_id = 42; "order created");
    error!("payment failed: {}", "the card is expired");
    Ok(())
}
