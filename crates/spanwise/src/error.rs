//! Why logging did not start.

use std::fmt;

use spanwise_core::ParseError;
use spanwise_redact::RuleError;

/// Why logging did not start. Nothing was installed, and nothing written.
///
/// Returned from `main`, it shows all of what is wrong, a line each; its `Debug` is its `Display` for that reason.
#[derive(PartialEq, Eq, Clone)]
#[non_exhaustive]
pub enum InitError {
    /// Settings that are not understood: every one of them, with its value and what is accepted.
    Settings(Vec<String>),
    /// A global subscriber is there already, from here or from elsewhere. It stays.
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

impl From<RuleError> for InitError {
    /// So that `main` can use `?` on rules of redaction too.
    fn from(error: RuleError) -> Self {
        Self::Settings(vec![error.to_string()])
    }
}

impl From<ParseError> for InitError {
    /// So that `main` can use `?` on levels, rotations and the like.
    fn from(error: ParseError) -> Self {
        Self::Settings(error.problems().iter().map(ToString::to_string).collect())
    }
}
