//! x
mod builder;
mod console;
mod error;
mod explain;
mod output;
mod panic_hook;
mod preset;
mod program;
mod settings;
mod telemetry;

pub use builder::Builder;
pub use error::InitError;
pub use explain::Explanation;
pub use output::{Output, OutputFormat};
pub use preset::Preset;
pub use settings::SETTINGS;
pub use spanwise_core as core;
pub use spanwise_core::{Context, LayerExt, Levels, LevelsError, Setting, Stats, TargetLevels};
pub use spanwise_json::{JsonLayer, json};
pub use telemetry::{Handle, Report, Telemetry};

/// Starts logging as the environment says.
///
/// # Errors
/// What [`Builder::from_env`] and [`Builder::init`] say.
pub fn init_from_env() -> Result<Telemetry, InitError> {
    Builder::from_env()?.init()
}

/// What holds, as the environment says, and who said so. Nothing is started.
///
/// # Errors
/// [`InitError::Settings`] with every setting that is wrong.
pub fn explain() -> Result<Explanation, InitError> {
    Ok(Builder::from_env()?.explain())
}

/// Opens the root span of a unit of work that no request brings: a job, a message from a queue, a session.
///
/// A span at INFO without a parent; its fields that are context keys are on every line inside. Enter it, or give it to
/// `.instrument(…)`.
///
/// ```
/// let job = spanwise::unit!("job", job_id = "j-7", tenant_id = "acme");
/// job.in_scope(|| tracing::info!("working"));
/// ```
#[macro_export]
macro_rules! unit {
    ($name:expr $(, $($fields:tt)*)?) => {
        $crate::__private::tracing::info_span!(parent: None::<$crate::__private::tracing::Id>, $name $(, $($fields)*)?)
    };
}

#[doc(hidden)]
pub mod __private {
    pub use tracing;
}
