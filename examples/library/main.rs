//! A library that uses `tracing`, and an application that uses the library and spanwise.
//!
//! ```text
//! cargo run --example library
//! RUST_LOG=info,library::pricing=debug cargo run --example library
//! ```
//!
//! The library is `library/pricing.rs`. Its test is in `tests/pricing_logs.rs`.

#[expect(unreachable_pub, reason = "a library of its own in real life")]
mod pricing;

use std::process::ExitCode;

use spanwise::Preset;
use tracing::info;

fn main() -> ExitCode {
    let telemetry =
        spanwise::builder!().and_then(|builder| builder.default_preset(Preset::Prod).init());
    spanwise::run(telemetry, |_| {
        let order = spanwise::unit_span!("order", request_id = "r-1");
        order.in_scope(|| {
            let prices = ["book", "pen", "cloud"].map(|article| pricing::price(article, 2));
            info!(total = prices.iter().flatten().sum::<u32>(), "order priced");
        });
    })
}
