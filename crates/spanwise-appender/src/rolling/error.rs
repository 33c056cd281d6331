//! What is wrong with a setting, and why a file was not opened.

use std::{error::Error, fmt, io};

/// Why a [`Rotation`](crate::Rotation), [`Retention`](crate::Retention), [`Compression`](crate::Compression) or size
/// ([`Bytes`](crate::Bytes)) was not understood: the word, and what is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingError(String);

impl SettingError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for SettingError {}

/// Why a [`RollingFile`](crate::RollingFile) was not opened: what happened, at which path, and what to do.
#[derive(Debug)]
pub struct OpenError {
    kind: OpenErrorKind,
    message: String,
    source: Option<io::Error>,
}

/// The kinds of [`OpenError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenErrorKind {
    /// The directory of the file cannot be made, or is no directory.
    Directory,
    /// The path is empty, or names a directory, a pipe or a device.
    NotAFile,
    /// The path is a symbolic link; it is not followed.
    SymbolicLink,
    /// This user may not write there.
    PermissionDenied,
    /// Somebody logs to this path already.
    InUse,
    /// The settings cannot be met, such as a compression that is not compiled in.
    Setting,
    /// Anything else that the system said.
    Other,
}

impl OpenError {
    pub(super) fn new(kind: OpenErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(super) fn caused_by(mut self, source: io::Error) -> Self {
        self.source = Some(source);
        self
    }

    /// What kind of error it is.
    #[must_use]
    pub const fn kind(&self) -> OpenErrorKind {
        self.kind
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// What the system said, as part of a sentence.
pub(super) struct Why<'a>(pub(super) &'a io::Error);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let mut letters = text.chars();
        match letters.next() {
            // "No space left" is the start of a sentence, "EOF" is a word.
            Some(first)
                if letters
                    .clone()
                    .next()
                    .is_none_or(|second| !second.is_uppercase()) =>
            {
                write!(f, "{}{}", first.to_lowercase(), letters.as_str())
            }
            _ => f.write_str(&text),
        }
    }
}
