//! The DSN: the address of a project in Sentry.

use std::{fmt, str::FromStr};

use sentry_core::types;
use spanwise_core::{ParseError, internal::TextSetting};

/// The address of a project. Copy it from the project settings in Sentry.
///
/// It contains a credential, which neither `Debug` nor a parse error shows.
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
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn(pub(crate) types::Dsn);

impl Dsn {
    /// Returns the length of the DSN's text in bytes. The length is not secret.
    #[must_use]
    pub fn length(&self) -> usize {
        // `Display` of the inner type writes a colon after the public key, even if there is no
        // secret key.
        self.0.to_string().len() - usize::from(self.0.secret_key().is_none())
    }
}

impl TextSetting for Dsn {}

impl FromStr for Dsn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let text = text.trim();
        // The error shows no part of the text.
        let error = |reason: &str| {
            let length = text.len();
            ParseError::new(format!(
                "(hidden, {length} bytes) {reason}: a DSN looks like \
                 `https://<key>@<host>/<number>`; copy it from the project's settings"
            ))
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
        // The inner type accepts an empty host, and fails only when an event is sent.
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
