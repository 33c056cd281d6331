//! The DSN, which is the address of a project in Sentry.

use std::{fmt, str::FromStr};

use sentry_core::types;
use spanwise_core::internal::Grammar;

/// The address of a project, as its settings in Sentry show it.
///
/// It contains a credential. Neither `Debug` nor an error shows it.
///
/// ```
/// use spanwise_sentry::Dsn;
///
/// let dsn: Dsn = "https://0123456789@o1.ingest.sentry.io/42".parse()?;
/// assert_eq!(format!("{dsn:?}"), "Dsn(o1.ingest.sentry.io, project 42)");
/// assert_eq!(
///     "https://o1.ingest.sentry.io/42".parse::<Dsn>().unwrap_err().to_string(),
///     "(hidden, 30 bytes) has no key: a DSN looks like `https://<key>@<host>/<number>`; \
///      copy it from the project's settings"
/// );
/// # Ok::<(), spanwise_sentry::DsnError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn(pub(crate) types::Dsn);

/// A text is not a valid [`Dsn`]. It does not show the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsnError {
    length: usize,
    reason: &'static str,
}

impl Dsn {
    /// Returns the length of its text in bytes, which may be shown.
    #[must_use]
    pub fn length(&self) -> usize {
        // `Display` of the inner type adds a colon after a key without a secret key.
        self.0.to_string().len() - usize::from(self.0.secret_key().is_none())
    }
}

impl Grammar for Dsn {}

impl FromStr for Dsn {
    type Err = DsnError;

    fn from_str(text: &str) -> Result<Self, DsnError> {
        let text = text.trim();
        let error = |reason| DsnError {
            length: text.len(),
            reason,
        };
        let dsn: types::Dsn = text.parse().map_err(|problem| {
            error(match problem {
                types::ParseDsnError::InvalidScheme => "begins with neither http nor https",
                types::ParseDsnError::NoUsername => "has no key",
                types::ParseDsnError::NoProjectId => "has no project id",
                types::ParseDsnError::InvalidProjectId(_) => "does not end in a project id",
                types::ParseDsnError::InvalidUrl => "is not a URL",
            })
        })?;
        // The inner type accepts it, and fails only when an event is sent.
        if dsn.host().is_empty() {
            return Err(error("has no host"));
        }
        Ok(Self(dsn))
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(dsn) = self;
        write!(f, "Dsn({}, project {})", dsn.host(), dsn.project_id())
    }
}

impl fmt::Display for DsnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { length, reason } = self;
        write!(
            f,
            "(hidden, {length} bytes) {reason}: a DSN looks like \
             `https://<key>@<host>/<number>`; copy it from the project's settings"
        )
    }
}

impl std::error::Error for DsnError {}
