//! The error of a text that does not follow a grammar.

use std::{error::Error, fmt};

/// Why the text of a setting was not understood: for each mistake the word, what is wrong with it,
/// and what is accepted.
///
/// Its `Debug` is its `Display`, for a `main` that returns it.
#[derive(Clone, PartialEq, Eq)]
pub struct ParseError {
    problems: Vec<String>,
}

impl ParseError {
    /// Creates the error of one mistake.
    pub fn new(problem: impl Into<String>) -> Self {
        Self {
            problems: vec![problem.into()],
        }
    }

    /// Creates the error of several mistakes.
    ///
    /// # Errors
    /// If there is one.
    pub fn check(problems: Vec<String>) -> Result<(), Self> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self { problems })
        }
    }

    /// Returns one sentence per mistake.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        self.problems.iter().map(String::as_str)
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("; "))
    }
}

impl fmt::Debug for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ParseError {}
