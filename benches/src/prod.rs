//! The stack of the facade under the preset `prod`, as `spanwise::init_from_env` installs it: the
//! policy for secrets and PII, the context, and all that is on by default.

use spanwise::{Builder, Preset, Telemetry};
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

/// The defaults of production. Reads no variable, so that a run does not depend on its
/// environment.
pub(crate) fn builder() -> Builder {
    Builder::new(Preset::Prod)
}

/// The subscriber, and the guard of its outputs.
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

/// The subscriber over a writer, in the place of the background writer to stdout.
pub(crate) fn dispatch<W>(make_writer: W) -> Dispatch
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let (dispatch, telemetry) = start(builder().with_writer(make_writer));
    // There is no output to shut down: the writer belongs to the subscriber.
    drop(telemetry);
    dispatch
}
