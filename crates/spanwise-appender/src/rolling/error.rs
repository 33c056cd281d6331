//! What is wrong with a setting, and why a file was not opened.

use std::{error::Error, fmt, io};

use super::fs::Distrust;

/// Why a [`Rotation`](crate::Rotation), [`Retention`](crate::Retention), [`Compression`](crate::Compression) or size
/// ([`ByteSize`](crate::ByteSize)) was not understood: the word, and what is accepted.
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
    /// The file that is there belongs to another user, may be written by every user, or has further names.
    Untrusted,
    /// A name or a path would be too long, that of a rolled file included.
    TooLong,
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
pub(super) struct DisplayIoError<'a>(pub(super) &'a io::Error);

impl fmt::Display for DisplayIoError<'_> {
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

/// What is wrong with a file, and what to do, as part of a sentence.
pub(super) struct Untrusted(pub(super) Distrust);

#[cfg(unix)]
impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = super::fs::current_user();
        match self.0 {
            Distrust::Owner(owner) => write!(
                f,
                "it belongs to user {owner}, and this process is user {user}; \
                 give it to this user with `chown {user}`, remove it, or name another path"
            ),
            Distrust::Writable(mode) => write!(
                f,
                "every user may write to it (its mode is {mode:04o}); \
                 take that away with `chmod o-w`, remove it, or name another path"
            ),
            Distrust::Links(1) => f.write_str(
                "another hard link leads to it; remove one of the two, or name another path",
            ),
            Distrust::Links(links) => write!(
                f,
                "{links} other hard links lead to it; remove them or it, or name another path"
            ),
        }
    }
}

#[cfg(not(unix))]
impl fmt::Display for Untrusted {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}
