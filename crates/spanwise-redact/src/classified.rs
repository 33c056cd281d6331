//! A value that no subscriber can show.

use std::fmt;

use serde_core::{Deserialize, Deserializer, Serialize, Serializer};
use spanwise_core::REDACTED;

/// A value that shows itself as `[REDACTED]`, whoever logs it and however: `Display`, `Debug` and
/// `Serialize` say nothing else.
///
/// What is inside is reached by [`expose`](Self::expose), which stands out in a review.
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
/// It does not clear its memory.
#[derive(Clone, Copy, Default)]
pub struct Classified<T>(T);

impl<T> Classified<T> {
    /// Hides `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, which must not be logged.
    #[must_use]
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, which must not be logged.
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
        serializer.serialize_str(REDACTED)
    }
}

/// A secret can be read from a configuration; it cannot be written to one.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Classified<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}
