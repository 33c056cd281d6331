//! A job that cron or a Kubernetes CronJob starts: it works, says how it went, and ends.

use std::{env, fs, process::ExitCode};

use anyhow::Context as _;
use spanwise::Telemetry;
use tracing::info;

pub(crate) fn main() -> ExitCode {
    spanwise::run(spanwise::init_from_env!(), expire_sessions)
}

fn expire_sessions(_telemetry: &Telemetry) -> anyhow::Result<()> {
    let _job = spanwise::unit!("job", job = "expire-sessions").entered();
    let path = env::var("SESSIONS").context("SESSIONS is not set")?;
    let sessions = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    info!(expired = sessions.lines().count(), "job done");
    Ok(())
}
