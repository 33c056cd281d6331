//! The explanation of the effective settings: each value, with the origin of the value.

use std::fmt;

use serde_core::ser::{Serialize, Serializer};

use crate::warning::Warning;

/// The effective settings before the start. Code overrides the environment, the environment
/// overrides the configuration file, and the file overrides the preset. `Display` shows one setting
/// per line, then the warnings, then the start-up errors.
///
/// ```
/// let vars = [("LOG_PRESET", "prod"), ("LOG_FORMAT", "compact"), ("LOG_DRIVER", "x")];
/// let explanation = spanwise::Builder::from_vars(vars)?.service("shop", "1.4.0").explain();
/// let text = explanation.to_string();
/// assert!(text.contains("LOG_FORMAT = compact (LOG_FORMAT)"), "{text}");
/// assert!(text.contains("LOG_OUTPUT = stdout (preset prod)"), "{text}");
/// assert!(text.contains("SERVICE_NAME = shop (code)"), "{text}");
/// assert!(text.contains("warning: LOG_DRIVER is not a setting here, and is ignored"), "{text}");
/// # Ok::<(), spanwise::InitError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it is shown only if it is printed"]
pub struct Explanation {
    /// Each setting, with its value and origin as text.
    entries: Vec<(String, String)>,
    /// Warnings, for example about names of variables.
    pub(crate) warnings: Vec<Warning>,
    /// Start-up errors.
    problems: Vec<String>,
    /// The paths of keys in configuration files that a variable overrides, each with the name of
    /// the variable.
    #[cfg(feature = "config")]
    overrides: Vec<(String, String)>,
}

/// The origin of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Code,
    /// [`Builder::verbosity`](crate::Builder::verbosity) has shifted the levels.
    Verbosity,
    /// The variable of this name.
    Variable(String),
    #[cfg_attr(
        not(feature = "config"),
        expect(dead_code, reason = "only the feature reads files")
    )]
    File(FilePlace),
    /// The variable of this name. It overrides the value at this position in a file.
    Over(String, FilePlace),
    /// The preset of this name.
    Preset(&'static str),
    /// The default of the preset, which depends on whether stderr is a terminal.
    Terminal,
    /// The name of the application's crate.
    Crate,
    /// The name of the executable.
    Program,
    Default,
    /// No value is set, and there is no default.
    Unset,
}

/// The position of a value in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FilePlace {
    /// The name that errors show: `log.toml:20:10: sink.main.format`.
    pub(crate) name: String,
    /// The file and line that `explain()` shows: `log.toml:20`.
    pub(crate) line: String,
    /// The path of the key: `sink.main.format`.
    pub(crate) path: String,
    /// Whether the value comes from a secret file, `${file:…}`, and is therefore never shown.
    pub(crate) is_hidden: bool,
}

impl Origin {
    /// If the value comes from a variable or a file, returns the name of the setting there, as
    /// errors show it.
    pub(crate) fn source_name(&self) -> Option<&str> {
        match self {
            Self::Variable(name) | Self::Over(name, _) => Some(name),
            Self::File(place) => Some(&place.name),
            _ => None,
        }
    }

    /// Returns whether the value is never shown.
    pub(crate) fn is_hidden(&self) -> bool {
        matches!(self, Self::File(place) if place.is_hidden)
    }

    /// Returns the origin of a value that overrides `other`. Keeps the position of `other` if a
    /// variable overrides a file.
    pub(crate) fn over(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Variable(name), Self::File(place)) => Self::Over(name, place.clone()),
            (origin, _) => origin,
        }
    }
}

impl Explanation {
    /// Returns the variable that overrides the key at a path such as `sink.main.format` in a
    /// configuration file.
    #[cfg(feature = "config")]
    pub(crate) fn override_of(&self, path: &str) -> Option<&str> {
        let mut overrides = self.overrides.iter();
        let (_, variable) = overrides.find(|(overridden, _)| overridden == path)?;
        Some(variable)
    }

    #[cfg(feature = "config")]
    fn add_override(&mut self, origin: &Origin) {
        if let Origin::Over(variable, place) = origin {
            self.overrides.push((place.path.clone(), variable.clone()));
        }
    }

    /// Adds a warning, unless it was already added.
    pub(crate) fn warn(&mut self, warning: Warning) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Replaces the shown value and origin of a key of a configuration file.
    #[cfg(feature = "config")]
    pub(crate) fn replace_value(&mut self, path: &str, value: &dyn fmt::Display, origin: &Origin) {
        self.add_override(origin);
        self.replace(path, &format!("{value} ({origin})"));
    }

    /// Replaces the shown text of a setting.
    #[cfg(feature = "config")]
    pub(crate) fn replace(&mut self, name: &str, new_text: &str) {
        for (_, text) in self.entries.iter_mut().filter(|(other, _)| other == name) {
            new_text.clone_into(text);
        }
    }

    /// Hides the contents of secret files.
    #[cfg(feature = "config")]
    pub(crate) fn hide(&mut self, texts: &crate::config_file::FileTexts) {
        let entries = self.entries.iter_mut().map(|(_, text)| text);
        let warnings = self.warnings.iter_mut().map(|warning| &mut warning.about);
        for text in entries.chain(warnings) {
            texts.concealed.hide(text);
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

    /// Adds a setting or a key of a configuration file. Hides the value if it is secret.
    pub(crate) fn add(&mut self, name: String, value: &dyn fmt::Display, origin: &Origin) {
        let text = match origin.is_hidden() {
            true => format!("(hidden) ({origin})"),
            false => format!("{value} ({origin})"),
        };
        self.entries.push((name, text));
        #[cfg(feature = "config")]
        self.add_override(origin);
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
            Self::File(place) => f.write_str(&place.line),
            Self::Over(name, place) => write!(f, "{name}, over {}", place.line),
            Self::Preset(name) => write!(f, "preset {name}"),
            Self::Terminal => f.write_str("by whether stderr is a terminal"),
            Self::Crate => f.write_str("crate name"),
            Self::Program => f.write_str("program name"),
            Self::Default => f.write_str("default"),
            Self::Unset => f.write_str("not set"),
        }
    }
}
