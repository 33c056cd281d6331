//! Makes texts of a server safe to report. A server may repeat secrets that it received.

use std::{fmt, sync::Arc};

use spanwise_core::{REDACTED, Redact};

/// Replaces secrets in texts of a server: the values of the exporter's headers, and the parts that
/// the redaction policy of the application redacts.
#[derive(Clone)]
pub(crate) struct ServerTextFilter {
    secrets: Vec<String>,
    policy: Option<Arc<dyn Redact>>,
}

/// At most this many characters of a text are reported.
const MAX_CHARS: usize = 200;

/// The minimum length in bytes of a header value that is replaced. Shorter values may occur in a
/// text by chance.
const MIN_SECRET_LEN: usize = 6;

/// The names of authentication schemes with at least [`MIN_SECRET_LEN`] bytes. They are not
/// replaced, because servers use them to explain refusals, as in `Bearer token expired`.
const SCHEMES: [&str; 5] = ["Bearer", "Digest", "ApiKey", "Api-Key", "Splunk"];

impl ServerTextFilter {
    pub(crate) fn new<'a>(
        header_values: impl IntoIterator<Item = &'a str>,
        policy: Option<Arc<dyn Redact>>,
    ) -> Self {
        // A server may repeat only a part of a value, such as the key without `Bearer`.
        let parts = header_values.into_iter().flat_map(|value| {
            let words = value.split([' ', '=', ':']);
            std::iter::once(value).chain(words)
        });
        let mut secrets: Vec<String> = parts
            .filter(|part| part.len() >= MIN_SECRET_LEN && !is_scheme(part))
            .map(str::to_owned)
            .collect();
        // Replace the longest first: the whole value cannot be found once a part is replaced.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets, policy }
    }

    /// Replaces the secrets in a text, and cuts the result to [`MAX_CHARS`] characters.
    pub(crate) fn safe_text(&self, text: &str) -> String {
        let secrets = self.secrets.iter();
        let text = secrets.fold(text.trim().to_owned(), |text, secret| {
            text.replace(secret, REDACTED)
        });
        let text = match &self.policy {
            Some(policy) => policy.redact_text(&text).into_owned(),
            None => text,
        };
        text.chars().take(MAX_CHARS).collect()
    }
}

fn is_scheme(word: &str) -> bool {
    SCHEMES
        .iter()
        .any(|scheme| scheme.eq_ignore_ascii_case(word))
}

impl fmt::Debug for ServerTextFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTextFilter").finish_non_exhaustive()
    }
}
