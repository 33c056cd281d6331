//! A job that cron or a Kubernetes CronJob starts: it works, says how it went, and ends.

use std::process::ExitCode;

use anyhow::Context as _;
use tracing::{error, info};

pub(crate) fn main() -> ExitCode {
    let _telemetry = match spanwise::init_from_env() {
        Ok(telemetry) => telemetry,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(2);
        }
    };
    let job = spanwise::unit!("job", job = "expire-sessions");
    job.in_scope(|| match expire_sessions() {
        Ok(expired) => {
            info!(expired, "job done");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            error!(error = format!("{failure:#}"), "job failed");
            ExitCode::FAILURE
        }
    })
}

fn expire_sessions() -> anyhow::Result<usize> {
    let sessions = std::env::var("SESSIONS").context("SESSIONS is not set")?;
    let sessions =
        std::fs::read_to_string(&sessions).with_context(|| format!("cannot read {sessions}"))?;
    Ok(sessions.lines().count())
}
