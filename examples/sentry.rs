//! Errors in Sentry, each with the tags, user and breadcrumbs of its request, and redacted.
//!
//! ```text
//! cargo run --example sentry                    # to a server on loopback; prints the events
//! SENTRY_DSN=https://… cargo run --example sentry    # to your own project
//! ```
//!
//! The same in a whole service: `SENTRY_DSN=… cargo run --example shop`.

#![expect(clippy::print_stderr, reason = "it explains the output")]

use std::{error::Error, io, time::Duration};

use spanwise::{Builder, Preset};
use tracing::{Instrument, error, info, info_span};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (dsn, received) = spanwise_examples::sentry_server::start()?;
    let mut builder = Builder::from_env()?
        .default_preset(Preset::Prod)
        .service("shop", "1.4.0")
        .sentry(|sentry| sentry.ignore_message("health check"));
    if builder.explain().to_string().contains("SENTRY_DSN = none") {
        builder = builder.sentry_dsn(dsn);
    }
    let telemetry = builder.init()?;

    // Two requests at once: their breadcrumbs do not mix.
    tokio::join!(
        pay(17).instrument(info_span!(
            "POST /pay",
            request_id = "r-1",
            tenant_id = "acme",
            user_id = "ann",
            trace_id = "0af7651916cd43dd8448eb211c80319c"
        )),
        pay(42).instrument(info_span!(
            "POST /pay",
            request_id = "r-2",
            tenant_id = "globex",
            user_id = "bob",
            trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
        )),
    );

    let handle = telemetry.handle();
    let report = telemetry.shutdown(Duration::from_secs(5));
    for event in received.try_iter() {
        eprintln!(
            "# {}: {} of {}",
            event["message"], event["tags"], event["user"]["id"]
        );
        for crumb in event["breadcrumbs"]["values"]
            .as_array()
            .into_iter()
            .flatten()
        {
            eprintln!("#   before it: {} {}", crumb["message"], crumb["data"]);
        }
        for cause in event["exception"]["values"]
            .as_array()
            .into_iter()
            .flatten()
        {
            eprintln!("#   because: {}: {}", cause["type"], cause["value"]);
        }
    }
    eprintln!("# {} lost; {:?}", report.lost, handle.sentry_stats());
    Ok(())
}

async fn pay(order_id: u64) {
    info!(
        order_id,
        card = "4111 1111 1111 1111",
        "payment {order_id} begins"
    );
    tokio::task::yield_now().await;
    let gone = io::Error::from(io::ErrorKind::ConnectionReset);
    for _ in 0..3 {
        error!(error = spanwise::err(&gone), "payment {order_id} failed");
    }
}
