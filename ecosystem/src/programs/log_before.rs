//! `log` and `env_logger`.

use log::{error, info};

pub(crate) fn main() {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("info")).init();

    info!(order_id = 42; "order created");
    error!("payment failed: {}", "the card is expired");
}
