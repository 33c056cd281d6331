//! Warnings about settings, most of them about names of variables. With a strict start, warnings
//! are errors.

use std::fmt;

/// A sentence about a setting, in two forms: a warning of a program that starts, and a problem of a
/// strict start that fails. `Display` shows the warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    /// The beginning of both forms, usually with the name of a variable.
    pub(crate) about: String,
    /// The end of the warning.
    pub(crate) warning: &'static str,
    /// The end of the problem.
    pub(crate) problem: &'static str,
}

impl Warning {
    /// Returns the problem of a strict start that fails.
    pub(crate) fn problem(&self) -> String {
        format!("{}{}", self.about, self.problem)
    }
}

impl From<String> for Warning {
    /// Creates a warning with the same text in both forms.
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
