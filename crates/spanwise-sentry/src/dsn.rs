//! Where events go.

use std::{fmt, str::FromStr};

use spanwise_core::{ParseError, internal::Grammar};

use sentry_core::types;

/// The address of a project, as its settings in Sentry show it. A credential, which is never shown, not by `Debug` either.
///
/// ```
/// use spanwise_sentry::Dsn;
///
/// let dsn: Dsn = "https://0123456789@o1.ingest.sentry.io/42".parse()?;
/// assert_eq!(format!("{dsn:?}"), "Dsn(o1.ingest.sentry.io, project 42)");
/// assert_eq!(
///     "https://o1.ingest.sentry.io/42".parse::<Dsn>().unwrap_err().to_string(),
///     "(hidden, 30 bytes) has no key: a DSN looks like `https://<key>@<host>/<number>`; copy it from the project's settings"
/// );
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn(pub(crate) types::Dsn);

impl Dsn {
    /// How long it is, in bytes: what may be shown of it.
    #[must_use]
    pub fn length(&self) -> usize {
        // Written with a colon after the key, which is left out where no secret key follows.
        self.0.to_string().len() - usize::from(self.0.secret_key().is_none())
    }
}

impl Grammar for Dsn {}

impl FromStr for Dsn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let text = text.trim();
        // The error shows no part of the text.
        let error = |why: &str| {
            let length = text.len();
            ParseError::new(format!(
                "(hidden, {length} bytes) {why}: a DSN looks like \
                 `https://<key>@<host>/<number>`; copy it from the project's settings"
            ))
        };
        let dsn: types::Dsn = text.parse().map_err(|problem| {
            error(match problem {
                types::ParseDsnError::InvalidScheme => "begins with neither http nor https",
                types::ParseDsnError::NoUsername => "has no key",
                types::ParseDsnError::NoProjectId => "has no project",
                types::ParseDsnError::InvalidProjectId(_) => "ends in no project",
                types::ParseDsnError::InvalidUrl => "is no address",
            })
        })?;
        // A host that no address can be made of is seen only when an event is sent.
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
