//! The layers of the facade under the preset `prod`, as `spanwise::init_from_env` installs them:
//! with the policy for secrets and PII, the context, and everything that is on by default.

use spanwise::{Builder, Preset, Telemetry};
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

/// Returns a builder with the defaults of the preset. It reads no variable, so that a run does not
/// depend on its environment.
pub(crate) fn builder() -> Builder {
    Builder::new(Preset::Prod)
}

/// Returns the subscriber, and the guard of its outputs.
///
/// # Panics
///
/// If an output cannot be opened.
pub(crate) fn start(builder: Builder) -> (Dispatch, Telemetry) {
    match spanwise::__private::without_installing(builder) {
        Ok(started) => started,
        Err(error) => panic!("{error}"),
    }
}

/// Returns the subscriber with this writer instead of the background writer to stdout.
pub(crate) fn dispatch<W>(make_writer: W) -> Dispatch
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (dispatch, telemetry) = start(builder().with_writer(make_writer));
    // The writer belongs to the subscriber, so there is no output to shut down.
    drop(telemetry);
    dispatch
}
