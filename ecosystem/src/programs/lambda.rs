//! A function of AWS Lambda: each invocation is a unit of work.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};
use tracing::{Instrument as _, info};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Error> {
    // Directly: Lambda freezes the process between two invocations, and threads in the background
    // with it.
    let _telemetry = spanwise::builder!()?.with_writer(std::io::stdout).init()?;
    lambda_runtime::run(service_fn(invoke)).await
}

async fn invoke(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let unit = spanwise::unit_span!("invocation", request_id = event.context.request_id);
    handle(event.payload).instrument(unit).await
}

async fn handle(order: Value) -> Result<Value, Error> {
    info!(order_id = order["id"].as_u64(), "order created");
    Ok(json!({ "created": true }))
}
