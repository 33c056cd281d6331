//! Warnings about settings, most of them about names of variables. With a strict start, warnings
//! are errors.

use std::fmt;

/// A sentence that usually begins with the name of a variable. `Display` shows the sentence for a
/// program that starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    /// The beginning of the sentence.
    pub(crate) about: String,
    /// The end of the sentence for a program that starts.
    pub(crate) warning: &'static str,
    /// The end of the sentence for a strict start that fails.
    pub(crate) problem: &'static str,
}

impl Warning {
    /// Returns the sentence for a strict start that fails.
    pub(crate) fn problem(&self) -> String {
        format!("{}{}", self.about, self.problem)
    }
}

impl From<String> for Warning {
    /// Creates a warning with the same text in both cases.
    fn from(sentence: String) -> Self {
        Self {
            about: sentence,
            warning: "",
            problem: "",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.about, self.warning)
    }
}
