//! Runs `main`, logs the error that it returns, and shuts logging down last.

use std::{
    error::Error,
    process::{ExitCode, Termination},
};

use spanwise_core::{
    AsError, Fault, err,
    internal::{errors::WithCauses, reentrancy, stdio},
};
use tracing::level_filters::LevelFilter;

use crate::{Handle, InitError, Telemetry, telemetry::SHUTDOWN_TIMEOUT};

/// Runs `main` with the logging that was just started, and returns the exit code.
///
/// An error that `main` returns is logged at ERROR with its type and its causes, instead of being
/// printed on stderr, and the exit code is 1. Any other returned value determines the exit code, as
/// for the `main` of std. Logging shuts down after `main` has returned and dropped its values and
/// its async runtime, so their last lines are not lost.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use spanwise::Telemetry;
///
/// fn main() -> ExitCode {
///     spanwise::run(spanwise::init_from_env!(), serve)
/// }
///
/// fn serve(_: &Telemetry) -> Result<(), Box<dyn std::error::Error>> {
///     let listener = std::net::TcpListener::bind("0.0.0.0:8080")?;
///     # drop(listener);
///     // …
///     Ok(())
/// }
/// ```
///
/// For an `async` function, use the same attribute as for `main`:
///
/// ```no_run
/// # use std::process::ExitCode;
/// # use spanwise::Telemetry;
/// fn main() -> ExitCode {
///     spanwise::run(spanwise::init_from_env!(), serve)
/// }
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn serve(telemetry: &Telemetry) -> Result<(), Box<dyn std::error::Error>> {
///     // …
///     # let _ = telemetry;
///     Ok(())
/// }
/// ```
///
/// * If logging did not start, the [`InitError`] is printed on stderr, the exit code is 1, and
///   `main` does not run.
/// * If no output accepts the event, the error is printed on stderr, unless all levels are `off`.
/// * A panic of `main` continues after the shutdown, with std's exit code 101.
pub fn run<R, Kind>(
    started: Result<Telemetry, InitError>,
    main: impl FnOnce(&Telemetry) -> R,
) -> ExitCode
where
    R: Outcome<Kind>,
{
    let telemetry = match started {
        Ok(telemetry) => telemetry,
        Err(error) => {
            // If stderr fails, there is no place to report it.
            let _ = stdio::write_to_stderr(format!("Error: {error}\n").as_bytes());
            return ExitCode::FAILURE;
        }
    };
    let handle = telemetry.handle();
    let mut failure = None;
    let code = main(&telemetry).finish(|error| failure = Some(log_failure(error, &handle)));
    telemetry.shutdown(SHUTDOWN_TIMEOUT);
    if let Some(failure) = failure {
        failure.report_if_lost(&handle);
    }
    code
}

/// An error that `main` returned, after its event was logged.
struct Failure {
    /// The error with its causes.
    text: String,
    /// The number of lines that had been lost before the event. `None` if no writer accepted the
    /// event.
    lost_before: Option<u64>,
}

fn log_failure(error: &(dyn Error + 'static), handle: &Handle) -> Failure {
    let lost_before = handle.lost_lines();
    // Resets the flag that this thread wrote a line, so that earlier lines do not count.
    let _ = reentrancy::take_written();
    tracing::error!(target: "main", error, "program failed");
    Failure {
        text: WithCauses(error).to_string(),
        lost_before: reentrancy::take_written().then_some(lost_before),
    }
}

impl Failure {
    /// Prints the error on stderr if its line may be lost, unless all levels are `off`.
    fn report_if_lost(&self, handle: &Handle) {
        let is_off = handle.levels().max_event_level() == LevelFilter::OFF;
        // A line that was lost since the event may be the line of this error.
        if self.lost_before != Some(handle.lost_lines()) && !is_off {
            let why = format_args!("no output accepted the error of the program: {}", self.text);
            handle.report.fault_unthrottled(Fault::Lost, &why);
        }
    }
}

/// The return types of the `main` of [`run`]: `()`, [`ExitCode`], or a `Result` whose `Ok` type is
/// also allowed for the `main` of std.
///
/// The error is one that [`err`] accepts: a type that implements [`Error`], a `Box<dyn Error>`, an
/// `anyhow::Error` or an `eyre::Report`. `Kind` is inferred, and distinguishes the implementations.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a return type of the `main` of `spanwise::run`",
    note = "return `()`, an `ExitCode`, or a `Result` with an error"
)]
pub trait Outcome<Kind> {
    /// Returns the exit code, and calls `failed` with the error if there is one.
    fn finish(self, failed: impl FnOnce(&(dyn Error + 'static))) -> ExitCode;
}

impl Outcome<()> for () {
    fn finish(self, _: impl FnOnce(&(dyn Error + 'static))) -> ExitCode {
        ExitCode::SUCCESS
    }
}

impl Outcome<()> for ExitCode {
    fn finish(self, _: impl FnOnce(&(dyn Error + 'static))) -> ExitCode {
        self
    }
}

impl<T, E, Kind> Outcome<Kind> for Result<T, E>
where
    T: Termination,
    E: AsError<Kind>,
{
    fn finish(self, failed: impl FnOnce(&(dyn Error + 'static))) -> ExitCode {
        match self {
            Ok(value) => value.report(),
            Err(error) => {
                failed(err(&error));
                ExitCode::FAILURE
            }
        }
    }
}
