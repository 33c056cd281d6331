//! Presets: the defaults for each kind of program.

use std::io::IsTerminal as _;

use spanwise_core::Levels;
use spanwise_json::Format;
use tracing::level_filters::LevelFilter;

use crate::{Output, TimeZone};

/// A set of defaults for one kind of program. Each default can be overridden.
///
/// | | `Dev` | `Prod` | `Test` | `Cli` |
/// | --- | --- | --- | --- | --- |
/// | levels | `debug` for your own crates, `info` for the rest | `info` | `debug` | `warn` |
/// | format | `pretty`, with colours if the output is a terminal | `json` | `compact` | `short`, with colours if the output is a terminal |
/// | time in `pretty`, `compact` and `short` | local | UTC | UTC | local |
/// | output | stderr, directly | stdout, in the background | captured by the test harness | stderr, directly |
/// | files | if set | if set | if set in code | if set |
/// | redaction | secrets | secrets and PII | secrets and PII | secrets |
/// | sampling, flight recorder | if set | if set | if set in code | if set |
/// | panic hook | yes | yes | no | yes |
///
/// [`Builder::verbosity`](crate::Builder::verbosity) shifts the levels of each preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// For development, at a terminal.
    Dev,
    /// For a collector of JSON lines.
    Prod,
    /// For `cargo test`.
    Test,
    /// For command-line tools. Stdout is reserved for the output of the tool.
    Cli,
}

impl Preset {
    /// Returns the preset for the value of a variable such as `APP_ENV`, which names the deployment
    /// environment. Returns `None` for unknown values.
    ///
    /// `test` is a deployment stage in which a service runs as in production, so it means `Prod`.
    /// Automated tests choose [`Preset::Test`] in code, or with `LOG_PRESET`.
    pub(crate) fn for_environment(value: &str) -> Option<Self> {
        match value.to_ascii_lowercase().as_str() {
            "production" | "prod" | "staging" | "test" => Some(Self::Prod),
            "development" | "dev" | "local" => Some(Self::Dev),
            _ => None,
        }
    }

    /// Returns the default preset, which depends on whether stderr is a terminal.
    pub(crate) fn from_terminal() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Dev
        } else {
            Self::Prod
        }
    }

    /// Returns the levels of events. `own_targets` are the targets of the application's own code.
    pub(crate) fn levels(self, own_targets: &[String]) -> Levels {
        let level = match self {
            Self::Dev | Self::Prod => LevelFilter::INFO,
            Self::Test => LevelFilter::DEBUG,
            Self::Cli => LevelFilter::WARN,
        };
        let mut levels = Levels::from(level);
        if self == Self::Dev {
            for own in own_targets {
                // The name of an executable gets no directive if it is not a valid target.
                if let Ok(directive) = format!("{own}=debug").parse::<Levels>() {
                    levels = directive.or(&levels);
                }
            }
        }
        levels
    }

    pub(crate) const fn format(self) -> Format {
        match self {
            Self::Dev => Format::Pretty,
            Self::Prod => Format::Json,
            Self::Test => Format::Compact,
            Self::Cli => Format::Short,
        }
    }

    /// Returns the time zone of human-readable lines.
    pub(crate) const fn time(self) -> TimeZone {
        match self {
            Self::Dev | Self::Cli => TimeZone::Local,
            Self::Prod | Self::Test => TimeZone::Utc,
        }
    }

    /// Returns which part of an HTTP client's address is logged.
    #[cfg(feature = "http")]
    pub(crate) fn client_address(self) -> spanwise_http::ClientAddress {
        match self {
            Self::Dev => spanwise_http::ClientAddress::Full,
            Self::Prod | Self::Test | Self::Cli => spanwise_http::ClientAddress::Network,
        }
    }

    #[cfg(not(feature = "http"))]
    pub(crate) fn client_address(self) -> crate::not_built::NotBuilt {
        crate::not_built::NotBuilt
    }

    pub(crate) const fn output(self) -> Output {
        match self {
            Self::Dev | Self::Cli => Output::Stderr,
            Self::Prod => Output::Stdout,
            Self::Test => Output::TestHarness,
        }
    }
}

crate::named::named! {
    Preset: Dev = "dev", Prod = "prod", Test = "test", Cli = "cli";
    aliases Dev = "development", Prod = "production"
}
