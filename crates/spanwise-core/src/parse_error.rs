//! The error of the parsers of all settings.

use std::{error::Error, fmt, ops::Range};

/// The reasons why a text is not a valid value: one [`Problem`] for each mistake.
///
/// The parsers of all settings fail with this type. `Debug` shows the same text as `Display`, so
/// that the error is readable if `main` returns it.
///
/// ```
/// use spanwise_core::Levels;
///
/// let error = "inof,shop=debgu".parse::<Levels>().unwrap_err();
/// assert_eq!(error.problems().len(), 2);
/// assert!(error.to_string().starts_with("`inof` is not a level: did you mean `info`?"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ParseError {
    problems: Vec<Problem>,
}

/// One mistake in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The word that is wrong, if the reason does not name it.
    pub word: Option<String>,
    /// The byte range of the wrong word in the text, if it is known.
    pub range: Option<Range<usize>>,
    /// The reason why the word is wrong.
    pub reason: String,
    /// A suggestion, if the reason does not contain one.
    pub hint: Option<String>,
}

impl ParseError {
    /// Creates an error with one problem. `reason` is a sentence that already names the wrong word.
    pub fn new(reason: impl Into<String>) -> Self {
        Self::from(Problem::new(reason))
    }

    /// Creates an error that reads "`word` reason: hint".
    pub fn word(
        word: impl Into<String>,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::from(Problem {
            word: Some(word.into()),
            hint: Some(hint.into()),
            ..Problem::new(reason)
        })
    }

    /// Returns an error with these problems, if there are any.
    ///
    /// # Errors
    /// If there is at least one problem.
    pub fn check<P: Into<Problem>>(problems: impl IntoIterator<Item = P>) -> Result<(), Self> {
        let problems: Vec<Problem> = problems.into_iter().map(Into::into).collect();
        match problems.is_empty() {
            true => Ok(()),
            false => Err(Self { problems }),
        }
    }

    /// Appends a hint, such as the accepted values, to the last problem.
    #[must_use]
    pub fn with_hint(mut self, hint: impl fmt::Display) -> Self {
        if let Some(last) = self.problems.last_mut() {
            let text = last.hint.as_mut().unwrap_or(&mut last.reason);
            *text = format!("{text}; {hint}");
        }
        self
    }

    /// Returns the problems.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl Problem {
    /// Creates a problem. `reason` is a sentence that already names the wrong word.
    pub fn new(reason: impl Into<String>) -> Self {
        Self {
            word: None,
            range: None,
            reason: reason.into(),
            hint: None,
        }
    }

    /// Sets the byte range of the wrong word in the text.
    #[must_use]
    pub fn at(mut self, range: Range<usize>) -> Self {
        self.range = Some(range);
        self
    }
}

impl From<Problem> for ParseError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

impl From<ParseError> for Vec<Problem> {
    fn from(error: ParseError) -> Self {
        error.problems
    }
}

impl From<String> for Problem {
    fn from(reason: String) -> Self {
        Self::new(reason)
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ParseError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(word) = &self.word {
            write!(f, "`{word}` ")?;
        }
        f.write_str(&self.reason)?;
        match &self.hint {
            Some(hint) => write!(f, ": {hint}"),
            None => Ok(()),
        }
    }
}
