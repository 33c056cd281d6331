//! A wrapper for values that must not be logged.

#[cfg(feature = "secrecy")]
mod secrecy;

use std::fmt;

use serde_core::{Deserialize, Deserializer, Serialize, Serializer};
use spanwise_core::REDACTED;

/// A value that prints as `[REDACTED]`. `Display`, `Debug` and `Serialize` write only this text.
///
/// [`expose`](Self::expose) returns the value. The call is easy to find in a review.
///
/// ```
/// use spanwise_redact::Classified;
///
/// #[derive(Debug)]
/// struct Login { user: &'static str, password: Classified<String> }
///
/// let login = Login { user: "ada", password: Classified::new("hunter2".to_owned()) };
/// assert_eq!(format!("{login:?}"), r#"Login { user: "ada", password: [REDACTED] }"#);
/// assert_eq!(login.password.expose(), "hunter2");
/// ```
///
/// `Classified` does not clear its memory when it is dropped. `SecretString` of the crate `secrecy`
/// does, but does not implement `Display` and `Serialize`. For both, put a `SecretString` inside
/// `Classified`. With the feature `secrecy`, you can still call its `expose_secret`:
///
/// ```
/// # #[cfg(feature = "secrecy")] {
/// use secrecy::{ExposeSecret, SecretString};
/// use spanwise_redact::Classified;
///
/// let token = Classified::new(SecretString::from("hunter2"));
/// assert_eq!(token.to_string(), "[REDACTED]");
/// assert_eq!(serde_json::to_string(&token).unwrap(), r#""[REDACTED]""#);
/// assert_eq!(token.expose_secret(), "hunter2");
/// # }
/// ```
///
/// For a field whose type cannot change, use [`serialize_redacted`].
#[derive(Clone, Copy, Default)]
pub struct Classified<T>(T);

impl<T> Classified<T> {
    /// Creates a wrapper that hides `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value, which must not be logged.
    #[must_use]
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Returns the value, which must not be logged.
    #[must_use]
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> From<T> for Classified<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Display for Classified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(REDACTED)
    }
}

impl<T> fmt::Debug for Classified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl<T> Serialize for Classified<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_redacted(self, serializer)
    }
}

/// Serializes any value as `[REDACTED]`, without reading it.
///
/// Use it for fields whose type cannot be [`Classified`]. The type need not implement `Serialize`:
///
/// ```
/// #[derive(serde::Serialize)]
/// struct Login {
///     user: &'static str,
///     #[serde(serialize_with = "spanwise_redact::serialize_redacted")]
///     password: std::sync::Arc<str>,
/// }
///
/// let login = Login { user: "ada", password: "hunter2".into() };
/// let json = serde_json::to_string(&login).unwrap();
/// assert_eq!(json, r#"{"user":"ada","password":"[REDACTED]"}"#);
/// ```
///
/// # Errors
///
/// If the serializer fails.
pub fn serialize_redacted<T: ?Sized, S: Serializer>(
    _value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(REDACTED)
}

/// Deserializes the value itself, for example from a configuration file. `Serialize` is not the
/// inverse: it writes `[REDACTED]`.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Classified<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}
