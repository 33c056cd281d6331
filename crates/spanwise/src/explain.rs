//! The effective settings, with their origin.

use std::fmt;

use serde_core::ser::{Serialize, Serializer};

use crate::warning::Warning;

/// The effective settings before the start. Code overrides the environment, and the environment
/// overrides the preset. `Display` shows one setting per line, then the warnings, then the start-up
/// errors.
///
/// ```
/// let vars = [("LOG_PRESET", "prod"), ("LOG_FORMAT", "compact"), ("LOG_DRIVER", "x")];
/// let explanation = spanwise::Builder::from_vars(vars)?.service("shop", "1.4.0").explain();
/// let text = explanation.to_string();
/// assert!(text.contains("LOG_FORMAT = compact (LOG_FORMAT)"), "{text}");
/// assert!(text.contains("LOG_OUTPUT = stdout (preset prod)"), "{text}");
/// assert!(text.contains("SERVICE_NAME = shop (code)"), "{text}");
/// assert!(text.contains("warning: LOG_DRIVER is not a setting here, and is left alone"), "{text}");
/// # Ok::<(), spanwise::InitError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it is shown only if it is printed"]
pub struct Explanation {
    /// Each setting, with its value and origin as text.
    entries: Vec<(String, String)>,
    /// Warnings about names of variables.
    pub(crate) warnings: Vec<Warning>,
    /// Start-up errors.
    problems: Vec<String>,
}

/// The origin of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Code,
    Verbosity,
    Variable(String),
    Preset(&'static str),
    Terminal,
    Crate,
    Program,
    Default,
    Unset,
}

impl Explanation {
    /// Adds a warning, unless it was already added.
    pub(crate) fn warn(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Adds the start-up errors. If the start is strict, the warnings become errors.
    pub(crate) fn with_problems(mut self, problems: Vec<String>, is_strict: bool) -> Self {
        self.problems = problems;
        if is_strict {
            self.warnings.clear();
        }
        self
    }

    pub(crate) fn add(&mut self, name: String, value: impl fmt::Display, origin: &Origin) {
        self.entries.push((name, format!("{value} ({origin})")));
    }
}

/// Serializes as an object: `{"LOG_FORMAT":"json (preset prod)",…}`.
impl Serialize for Explanation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.entries.iter().map(|(name, text)| (name, text)))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in &self.entries {
            writeln!(f, "{name} = {text}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        for problem in &self.problems {
            writeln!(f, "wrong: {problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code => f.write_str("code"),
            Self::Verbosity => f.write_str("verbosity"),
            Self::Variable(name) => f.write_str(name),
            Self::Preset(name) => write!(f, "preset {name}"),
            Self::Terminal => f.write_str("by whether stderr is a terminal"),
            Self::Crate => f.write_str("crate name"),
            Self::Program => f.write_str("program name"),
            Self::Default => f.write_str("default"),
            Self::Unset => f.write_str("not set"),
        }
    }
}
