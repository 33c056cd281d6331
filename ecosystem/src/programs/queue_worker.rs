//! A worker: each message of a queue is a unit of work of its own.

use std::process::ExitCode;

use anyhow::ensure;
use serde::Deserialize;
use spanwise::{Builder, Telemetry};
use tracing::{Instrument as _, error, info};

/// A message: what to do, and for whose request.
#[derive(Deserialize)]
struct Message {
    id: String,
    request_id: String,
    tenant_id: String,
    amount: i64,
}

pub(crate) fn main() -> ExitCode {
    let builder = spanwise::builder!().map(|builder| builder.context_key("job_id"));
    spanwise::run(builder.and_then(Builder::init), consume)
}

#[tokio::main]
async fn consume(_telemetry: &Telemetry) -> anyhow::Result<()> {
    // In a service: a consumer of Kafka, SQS or NATS.
    for (offset, line) in std::io::stdin().lines().enumerate() {
        match serde_json::from_str::<Message>(&line?) {
            Ok(message) => {
                let unit = spanwise::unit_span!(
                    "job",
                    job_id = message.id,
                    request_id = message.request_id,
                    tenant_id = message.tenant_id,
                );
                work(message).instrument(unit).await;
            }
            // In a service: moves it to the queue of dead letters. The worker goes on.
            Err(failure) => error!(offset, error = spanwise::err(&failure), "message refused"),
        }
    }
    Ok(())
}

async fn work(message: Message) {
    match charge(message.amount).await {
        Ok(()) => info!("job done"),
        Err(failure) => error!(error = spanwise::err(&failure), "job failed"),
    }
}

#[tracing::instrument]
async fn charge(amount: i64) -> anyhow::Result<()> {
    ensure!(amount > 0, "the amount is negative");
    tracing::debug!("asking the gateway");
    Ok(())
}
