//! The file of the pseudonym key: `LOG_REDACT_KEY_FILE`.
//!
//! With this key, the policy replaces PII with pseudonyms: equal values have the same pseudonym.

use spanwise_core::{ParseError, Setting, internal::sync::Mutex};
use spanwise_redact::Policy;
#[cfg(feature = "pseudonyms")]
use spanwise_redact::PseudonymKey;

use crate::{conceal, file_paths};

/// A pseudonym key, and the path of the file that it was read from.
#[derive(Debug, Clone)]
pub(crate) struct PseudonymKeyFile {
    pub(crate) path: String,
    #[cfg(feature = "pseudonyms")]
    key: PseudonymKey,
}

/// A cache of the keys that were read. Each file is read only once, because it may be a pipe.
#[derive(Debug, Default)]
pub(crate) struct PseudonymKeys(Mutex<Vec<PseudonymKeyFile>>);

impl PseudonymKeys {
    /// Returns the key of the file at `path`, if it was read.
    pub(crate) fn get(&self, path: &str) -> Option<PseudonymKeyFile> {
        let keys = self.0.lock();
        keys.iter().find(|key| key.path == path).cloned()
    }

    pub(crate) fn add(&self, key: PseudonymKeyFile) {
        self.0.lock().push(key);
    }
}

impl PseudonymKeyFile {
    /// Reads the file at `path`. An error hides the text of `path` if it may be the key itself.
    pub(crate) fn parse(_: &Setting, path: &str) -> Result<Self, ParseError> {
        let error = match Self::read(path) {
            Ok(key) => return Ok(key),
            Err(error) => error,
        };
        let hidden = conceal::hidden(path.len());
        let is_path = conceal::may_show_path(path) && path.contains(['/', '\\']);
        Err(ParseError::new(match is_path {
            true if file_paths::is_to_be_expanded(path) => {
                format!("{hidden}{}", file_paths::NOT_EXPANDED)
            }
            true => format!("{path:?}: {error}"),
            false => format!(
                "{hidden} is not the path of a file that can be read; if it is the key itself, \
                 write it to a file, and set the path of that file here"
            ),
        }))
    }
}

#[cfg(feature = "pseudonyms")]
impl PseudonymKeyFile {
    fn read(path: &str) -> Result<Self, ParseError> {
        let key = PseudonymKey::from_file(path)?;
        Ok(Self {
            path: path.to_owned(),
            key,
        })
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::secrets_and_pseudonyms(self.key.clone())
    }
}

/// Lets the callers compile without the feature. These functions do not run: a setting is not read
/// without its [feature](crate::setting_row::SettingRow::feature).
#[cfg(not(feature = "pseudonyms"))]
impl PseudonymKeyFile {
    fn read(path: &str) -> Result<Self, ParseError> {
        Ok(Self {
            path: path.to_owned(),
        })
    }

    pub(crate) fn policy(&self) -> Policy {
        Policy::secrets_and_pii()
    }
}
