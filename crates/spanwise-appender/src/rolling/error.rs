//! Errors of opening a file.

use std::{error::Error, fmt, io};

use super::fs::Distrust;

/// The error of opening a [`RollingFile`](crate::RollingFile). Its text names the cause, the path
/// and the remedy.
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
    /// The directory of the file cannot be created, or is not a directory.
    Directory,
    /// The path is empty, or names a directory, a pipe or a device.
    NotAFile,
    /// The path is a symbolic link, which is not followed.
    SymbolicLink,
    /// The existing file belongs to another user, is writable by every user, or has other hard
    /// links.
    Untrusted,
    /// A name or a path would be too long. The names of rolled files count, too.
    TooLong,
    /// This user has no permission to write there.
    PermissionDenied,
    /// Another process already logs to this path.
    InUse,
    /// A setting cannot be applied, such as a compression that is not compiled in.
    Setting,
    /// Any other error of the system.
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

    /// Returns the kind of the error.
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

/// Displays an error of the system as a part of a sentence.
pub(super) struct DisplayIoError<'a>(pub(super) &'a io::Error);

impl fmt::Display for DisplayIoError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let mut letters = text.chars();
        match letters.next() {
            // Lower-cases "No space left", but not an acronym such as "EOF".
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

/// Displays the reason why a file is not used, and the remedy, as a part of a sentence.
pub(super) struct DisplayDistrust(pub(super) Distrust);

#[cfg(unix)]
impl fmt::Display for DisplayDistrust {
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
impl fmt::Display for DisplayDistrust {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}
