//! What is wrong with a rule.

use std::{error::Error, fmt};

/// Why a rule or a setting was not understood: the word, what is wrong with it, and what is accepted.
///
/// Its `Debug` is its `Display`, for a `main` that returns it.
#[derive(Clone, PartialEq, Eq)]
pub struct SampleError {
    problems: Vec<String>,
}

impl SampleError {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self {
            problems: vec![problem.into()],
        }
    }

    pub(crate) fn all(problems: Vec<String>) -> Result<(), Self> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self { problems })
        }
    }

    /// One sentence for each rule that was not understood.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        self.problems.iter().map(String::as_str)
    }
}

impl fmt::Display for SampleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("; "))
    }
}

impl fmt::Debug for SampleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for SampleError {}
