//! What a whole kind of program wants.

use std::{fmt, io::IsTerminal as _};

use spanwise_core::Levels;
use spanwise_json::Format;

use crate::{Output, TimeZone, program::Program};

/// A set of defaults that fit a kind of run. Everything in it can be overridden.
///
/// | | `Dev` | `Prod` | `Test` |
/// | --- | --- | --- | --- |
/// | levels | `debug` for the program's own crates, `info` for the rest | `info` | `debug` |
/// | format | `pretty`, with colours if stderr is a terminal | `json` | `compact` |
/// | time | local | UTC | UTC |
/// | output | stderr, directly | stdout, in the background | what the test harness captures |
/// | files | if set | if set | if set in code |
/// | redaction | secrets | secrets, and what tells of a person | secrets, and what tells of a person |
/// | sampling, flight recorder | if set | if set | if set in code |
/// | panic hook | yes | yes | no |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// For a person at a terminal.
    Dev,
    /// For a collector of JSON lines.
    Prod,
    /// For `cargo test`.
    Test,
}

impl Preset {
    /// What a variable can name, some of them twice.
    pub(crate) const NAMED: [(&str, Self); 5] = [
        ("dev", Self::Dev),
        ("prod", Self::Prod),
        ("test", Self::Test),
        ("development", Self::Dev),
        ("production", Self::Prod),
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Prod => "prod",
            Self::Test => "test",
        }
    }

    /// What a variable such as `APP_ENV`, which belongs to the whole deployment, says about
    /// logging; nothing, if it has a value of its owner's.
    pub(crate) fn of_environment(value: &str) -> Option<Self> {
        match value.to_ascii_lowercase().as_str() {
            "production" | "prod" | "staging" => Some(Self::Prod),
            "development" | "dev" | "local" => Some(Self::Dev),
            "test" => Some(Self::Test),
            _ => None,
        }
    }

    /// Where nothing else says: a person is there, or nobody is.
    pub(crate) fn of_terminal() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Dev
        } else {
            Self::Prod
        }
    }

    pub(crate) fn levels(self, program: &Program) -> Levels {
        let levels = match (self, program.own_target()) {
            (Self::Dev, Some(target)) => format!("info,{target}=debug"),
            (Self::Dev, None) | (Self::Prod, _) => "info".to_owned(),
            (Self::Test, _) => "debug".to_owned(),
        };
        // A name that is no target after all has no directive of its own.
        levels
            .parse()
            .unwrap_or_else(|_| tracing::level_filters::LevelFilter::INFO.into())
    }

    pub(crate) const fn format(self) -> Format {
        match self {
            Self::Dev => Format::Pretty,
            Self::Prod => Format::Json,
            Self::Test => Format::Compact,
        }
    }

    /// Of lines for people.
    pub(crate) const fn time(self) -> TimeZone {
        match self {
            Self::Dev => TimeZone::Local,
            Self::Prod | Self::Test => TimeZone::Utc,
        }
    }

    pub(crate) const fn output(self) -> Output {
        match self {
            Self::Dev => Output::Stderr,
            Self::Prod => Output::Stdout,
            Self::Test => Output::TestHarness,
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
