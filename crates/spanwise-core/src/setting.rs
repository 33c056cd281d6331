//! The definition of an environment variable.

/// One environment variable. Nothing else in the workspace spells its name: parser, error text, documentation and `explain()` read
/// this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// As it stands in the environment: `LOG_FORMAT`.
    pub name: &'static str,
    /// Its path in a configuration file, if it has one: `format`, `file.rotate`.
    pub key: Option<&'static str>,
    /// What holds when it is unset, written as a user would.
    pub default: &'static str,
    /// What it accepts, written as a user would.
    pub accepts: &'static str,
    /// Whether its value may be shown.
    pub sensitivity: Sensitivity,
    /// One sentence.
    pub help: &'static str,
}

/// Whether the value of a [`Setting`] may appear in errors and in `explain()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensitivity {
    /// It may.
    Public,
    /// It is a secret: only its length is shown.
    Secret,
}
