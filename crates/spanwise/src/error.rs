//! The error of a start of logging that failed.

use std::fmt;

use spanwise_core::ParseError;

/// The reason why logging did not start. No subscriber was installed, and no line was written.
///
/// `Debug` shows the same text as `Display`, with each problem on its own line, so that the error
/// is readable if `main` returns it.
#[derive(PartialEq, Eq, Clone)]
#[non_exhaustive]
pub enum InitError {
    /// All problems: invalid settings, with their values and the accepted values, and outputs that
    /// cannot be opened.
    Settings(Vec<String>),
    /// There is already a global subscriber, which stays in place. Or code that runs during the
    /// start, such as a layer that the start adds, tried to start logging again.
    AlreadyInitialized,
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(problems) => {
                let settings = if problems.len() == 1 {
                    "an invalid setting"
                } else {
                    "invalid settings"
                };
                write!(f, "logging did not start because of {settings}:")?;
                problems
                    .iter()
                    .try_for_each(|problem| write!(f, "\n  {problem}"))
            }
            Self::AlreadyInitialized => f.write_str(
                "logging is initialized already: this program has a global tracing subscriber; \
                 call `init` once, in `main`, or in a test before the first \
                 `spanwise_testing::capture()`",
            ),
        }
    }
}

impl fmt::Debug for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for InitError {}

/// Allows `?` in `main` for parsed levels, rotations, redaction rules and other settings.
impl From<ParseError> for InitError {
    fn from(error: ParseError) -> Self {
        let problems = error.problems().iter();
        Self::Settings(problems.map(ToString::to_string).collect())
    }
}
