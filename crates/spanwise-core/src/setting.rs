//! The definition of an environment variable.

/// The definition of one environment variable. The parser, error texts, the documentation and the
/// facade's `explain()` use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The name of the variable: `LOG_FORMAT`.
    pub name: &'static str,
    /// The path in a configuration file, if there is one: `format`, `file.rotate`.
    pub key: Option<&'static str>,
    /// The default, as a user would write it.
    pub default: &'static str,
    /// The accepted values, as a user would write them.
    pub accepts: &'static str,
    /// Whether the value may be shown.
    pub sensitivity: Sensitivity,
    /// One sentence that describes the setting.
    pub help: &'static str,
}

/// Whether the value of a [`Setting`] may appear in errors and in `explain()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensitivity {
    /// The value may be shown.
    Public,
    /// The value is a secret. Only its length is shown.
    Secret,
}
