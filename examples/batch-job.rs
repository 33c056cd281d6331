//! A batch job: each item is a unit of work with an id, and the exit code reports success.
//!
//! ```text
//! cargo run --example batch-job
//! LOG_RECORDER=debug cargo run --example batch-job    # the DEBUG lines of the item that fails
//! ```
//!
//! The collector of a cluster reads its stdout, as for a service. `cron.rs` is a job that cron
//! starts.

use std::process::ExitCode;

use spanwise::{Preset, Telemetry};
use tracing::{debug, error, info};

fn main() -> ExitCode {
    let telemetry =
        spanwise::builder!().and_then(|builder| builder.default_preset(Preset::Prod).init());
    spanwise::run(telemetry, settle_invoices)
}

/// The number of items that may fail before the job fails.
const MAX_FAILED: usize = 1;

fn settle_invoices(_: &Telemetry) -> ExitCode {
    let invoices = [(1, 100), (2, -5), (3, 40)];
    let mut failed = 0;
    for (invoice_id, amount) in invoices {
        // The id is on every line inside, also in libraries.
        let item = spanwise::unit_span!("invoice", invoice_id);
        let settled = item.in_scope(|| settle(amount));
        failed += usize::from(!settled);
    }
    info!(
        settled = invoices.len() - failed,
        failed, "invoices settled"
    );
    if failed > MAX_FAILED {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn settle(amount: i32) -> bool {
    debug!(amount, "asking the bank");
    if amount < 0 {
        error!(amount, "the bank refuses the amount");
        return false;
    }
    info!(amount, "settled");
    true
}
