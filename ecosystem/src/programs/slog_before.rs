//! `slog`, `slog-json` and `slog-async`.

use slog::{Drain, Logger, error, info, o};

pub(crate) fn main() {
    let lines = slog_json::Json::default(std::io::stdout()).fuse();
    let background = slog_async::Async::new(lines).build().fuse();
    let log = Logger::root(background, o!("service" => "shop"));

    let request = log.new(o!("request_id" => "r-1", "tenant_id" => "acme"));
    create_order(&request, 42);
}

fn create_order(log: &Logger, id: u32) {
    info!(log, "order created"; "order_id" => id);
    if let Err(error) = pay() {
        error!(log, "payment failed"; "error" => %error);
    }
}

fn pay() -> Result<(), std::io::Error> {
    Err(std::io::Error::other("the card is expired"))
}
