//! A job that cron or a Kubernetes CronJob starts: it works, says how it went, and ends.

use std::{env, fs, process::ExitCode};

use anyhow::Context as _;
use spanwise::Telemetry;
use tracing::{error, info};

pub(crate) fn main() -> ExitCode {
    spanwise::run(spanwise::init_from_env!(), job)
}

/// Logs the error inside of the unit: its line then names the job.
fn job(_telemetry: &Telemetry) -> ExitCode {
    let _job = spanwise::unit_span!("job", job = "expire-sessions").entered();
    if let Err(failure) = expire_sessions() {
        error!(error = spanwise::err(&failure), "job failed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn expire_sessions() -> anyhow::Result<()> {
    let path = env::var("SESSIONS").context("SESSIONS is not set")?;
    let sessions = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    info!(expired = sessions.lines().count(), "job done");
    Ok(())
}
