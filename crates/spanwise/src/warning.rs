//! Warnings about the names of variables, which stop nothing unless the start is to be strict.

use std::fmt;

/// A sentence that begins with a name. As `Display` it is for a program that starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    pub(crate) about: String,
    /// How the sentence ends for a program that starts.
    pub(crate) warning: &'static str,
    /// How it ends for one that does not.
    pub(crate) problem: &'static str,
}

impl Warning {
    /// The sentence for a start that it stops.
    pub(crate) fn problem(&self) -> String {
        format!("{}{}", self.about, self.problem)
    }
}

impl From<String> for Warning {
    /// A sentence that is right in both cases.
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
