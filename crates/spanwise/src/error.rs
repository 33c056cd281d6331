//! The error of a start.

use std::fmt;

use spanwise_core::ParseError;

/// Why logging did not start. Nothing was installed or written.
///
/// `Debug` shows the same text as `Display`, so that a `main` that returns the error shows each
/// problem on a line.
#[derive(PartialEq, Eq, Clone)]
#[non_exhaustive]
pub enum InitError {
    /// Every wrong setting, with its value and the accepted values.
    Settings(Vec<String>),
    /// There is a global subscriber already. It stays.
    AlreadyInitialized,
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(problems) => {
                let settings = if problems.len() == 1 {
                    "a setting is"
                } else {
                    "settings are"
                };
                write!(f, "logging did not start, {settings} wrong:")?;
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

/// Lets `main` use `?` on levels, rotations, rules of redaction and the like.
impl From<ParseError> for InitError {
    fn from(error: ParseError) -> Self {
        let problems = error.problems().iter();
        Self::Settings(problems.map(ToString::to_string).collect())
    }
}
