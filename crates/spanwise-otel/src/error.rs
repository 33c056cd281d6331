//! Errors of building the exporter.

use std::{error::Error, fmt, io};

use spanwise_core::ParseError;

use crate::SignalKind;

/// The reason why [`OtelBuilder::build`](crate::OtelBuilder::build) failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum OtelError {
    /// All options that are not valid.
    Options(Vec<InvalidOption>),
    /// A thread of the exporter could not be started.
    Thread(io::Error),
    /// Metrics cannot be served for Prometheus: the address cannot be bound, or the thread of the
    /// listener cannot be started.
    Listener(io::Error),
}

/// An option that is not valid. Its texts contain neither the value of a header nor a client key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidOption {
    /// The signal that sets the option. `None` for an option of all signals.
    pub signal: Option<SignalKind>,
    /// The name of the setter, such as `endpoint`. The options `sampler_argument`,
    /// `prometheus_host` and `prometheus_port` have no setter, only environment variables.
    pub option: &'static str,
    /// The reason why it is not valid.
    pub error: ParseError,
}

impl fmt::Display for OtelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(invalid) => {
                let texts = invalid.iter().map(ToString::to_string);
                f.write_str(&texts.collect::<Vec<_>>().join("; "))
            }
            Self::Thread(error) => write!(
                f,
                "a thread of the exporter cannot be started: {error}; raise the limit of threads"
            ),
            Self::Listener(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for InvalidOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            signal,
            option,
            error,
        } = self;
        if let Some(signal) = signal {
            write!(f, "{signal}: ")?;
        }
        write!(f, "{option}: {error}")
    }
}

impl Error for OtelError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Thread(error) | Self::Listener(error) => Some(error),
            Self::Options(_) => None,
        }
    }
}
