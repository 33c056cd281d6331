//! Errors of [`SentryBuilder::build`](crate::SentryBuilder::build).

use std::{error::Error, fmt, io};

use spanwise_core::ParseError;

/// The reason why [`SentryBuilder::build`](crate::SentryBuilder::build) failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum SentryError {
    /// A sample rate is not between 0 and 1. Contains its name and its value.
    SampleRate(&'static str, f64),
    /// Texts that were passed to setters do not parse as levels.
    Levels(Vec<InvalidLevels>),
    /// Sentry does not accept a static tag of this name, or its value is empty.
    Tag(String),
    /// The text of the root certificates is not PEM, or has no certificate.
    Certificates,
    /// The proxy is not an address. It is not shown, because it may contain a password.
    Proxy,
    /// The sender thread could not be started.
    Thread(io::Error),
}

/// A text that does not parse as levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidLevels {
    /// The setter of [`SentryBuilder`](crate::SentryBuilder) that received the text.
    pub setter: &'static str,
    /// The text.
    pub text: String,
    /// The reason.
    pub error: ParseError,
}

impl fmt::Display for SentryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SampleRate(name, rate) => write!(
                f,
                "the {name} {rate} is out of range: a rate lies between 0 and 1; use 1 to send \
                 everything"
            ),
            Self::Levels(invalid) => {
                let texts = invalid.iter().map(ToString::to_string);
                f.write_str(&texts.collect::<Vec<_>>().join("; "))
            }
            Self::Tag(tag) => write!(
                f,
                "`{tag}` is not a tag that Sentry accepts: write a name of 1 to 32 ASCII letters, \
                 digits, `_`, `.`, `:` and `-`, but not release, dist, user, filename, function \
                 or `sentry:…`, and a value that is not empty"
            ),
            Self::Certificates => f.write_str(
                "the root certificates cannot be read: write them in PEM, with `-----BEGIN \
                 CERTIFICATE-----`",
            ),
            Self::Proxy => {
                f.write_str("the proxy is not an address: write one such as `http://<host>:<port>`")
            }
            Self::Thread(error) => write!(
                f,
                "the thread that sends to Sentry cannot be started: {error}; raise the limit of \
                 threads"
            ),
        }
    }
}

impl fmt::Display for InvalidLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setter,
            text,
            error,
        } = self;
        write!(f, "{setter}({text:?}): {error}")
    }
}

impl Error for SentryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let Self::Thread(error) = self else {
            return None;
        };
        Some(error)
    }
}
