//! `tracing-error`: an error that knows in which spans it was made.

use std::{error::Error, fmt};

use tracing::{error, instrument};
use tracing_error::{ErrorLayer, SpanTrace};

#[derive(Debug)]
struct Unpaid {
    spans: SpanTrace,
}

impl fmt::Display for Unpaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the card is expired")
    }
}

impl Error for Unpaid {}

pub(crate) fn main() -> Result<(), spanwise::InitError> {
    let _telemetry = spanwise::builder!()?.layer(ErrorLayer::default()).init()?;

    if let Err(unpaid) = pay(42, "hunter2") {
        error!(error = spanwise::err(&unpaid), span_trace = %unpaid.spans, "payment failed");
    }
    Ok(())
}

#[instrument]
fn pay(order_id: u32, password: &str) -> Result<(), Unpaid> {
    Err(Unpaid {
        spans: SpanTrace::capture(),
    })
}
