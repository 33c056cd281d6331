//! A worker: each message of a queue is a unit of work of its own.

use std::error::Error;

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tracing::{Instrument as _, error, info};

/// A message: what to do, and for whose request.
#[derive(Deserialize)]
struct Message {
    id: String,
    request_id: String,
    tenant_id: String,
    amount: i64,
}

#[tokio::main]
pub(crate) async fn main() -> anyhow::Result<()> {
    let _telemetry = spanwise::Builder::from_env()?
        .context_key("job_id")
        .init()?;

    // In a service: a consumer of Kafka, SQS or NATS.
    for line in std::io::stdin().lines() {
        let message: Message = serde_json::from_str(&line?).context("not a message")?;
        let unit = spanwise::unit!(
            "job",
            job_id = message.id,
            request_id = message.request_id,
            tenant_id = message.tenant_id,
        );
        work(message).instrument(unit).await;
    }
    Ok(())
}

async fn work(message: Message) {
    match charge(message.amount).await {
        Ok(()) => info!("job done"),
        Err(failure) => {
            let failure: Box<dyn Error + Send + Sync> = failure.into();
            error!(error = &*failure as &dyn Error, "job failed");
        }
    }
}

#[tracing::instrument]
async fn charge(amount: i64) -> anyhow::Result<()> {
    ensure!(amount > 0, "the amount is negative");
    tracing::debug!("asking the gateway");
    Ok(())
}
