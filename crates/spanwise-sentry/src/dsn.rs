//! Where events go.

use std::{fmt, str::FromStr};

use spanwise_core::internal::Grammar;

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
/// # Ok::<(), spanwise_sentry::DsnError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn(pub(crate) types::Dsn);

/// What is wrong with a [`Dsn`], without the DSN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsnError {
    length: usize,
    why: String,
}

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
    type Err = DsnError;

    fn from_str(text: &str) -> Result<Self, DsnError> {
        let text = text.trim();
        let error = |why: &str| DsnError {
            length: text.len(),
            why: why.to_owned(),
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

impl fmt::Display for DsnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { length, why } = self;
        write!(
            f,
            "(hidden, {length} bytes) {why}: a DSN looks like `https://<key>@<host>/<number>`; copy it from the project's settings"
        )
    }
}

impl std::error::Error for DsnError {}
