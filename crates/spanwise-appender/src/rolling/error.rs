//! Errors of opening a file.

use std::{error::Error, fmt, io};

use super::fs::Distrust;

/// The reason why a [`RollingFile`](crate::RollingFile) cannot be opened. The text names the path,
/// the cause and, for most causes, a remedy.
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
    /// The path is empty or has a zero byte, or names a directory, a pipe, a socket or a device.
    NotAFile,
    /// The path is a symbolic link, which is not followed.
    SymbolicLink,
    /// The existing file belongs to a user other than root and the user of this process, is
    /// writable by every user, or has hard links that this log did not create. Some file systems
    /// give all new files such an owner or mode; there, the file is accepted.
    Untrusted,
    /// The name or the path of the log file, or of a rolled, compressed or lock file beside it,
    /// would be longer than the file system allows.
    TooLong,
    /// The user that runs the process has no permission to write to the file or its directory, or
    /// the file system is read-only.
    PermissionDenied,
    /// Another process, or another `RollingFile` of this process, already logs to this path.
    InUse,
    /// A setting cannot be applied, such as a compression that is not compiled in.
    Setting,
    /// Any other I/O error.
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

/// Displays an I/O error as a part of a sentence.
pub(super) struct DisplayIoError<'a>(pub(super) &'a io::Error);

impl fmt::Display for DisplayIoError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let mut chars = text.chars();
        match chars.next() {
            // Lower-cases "No space left", but not an acronym such as "EOF".
            Some(first)
                if chars
                    .clone()
                    .next()
                    .is_none_or(|second| !second.is_uppercase()) =>
            {
                write!(f, "{}{}", first.to_lowercase(), chars.as_str())
            }
            _ => f.write_str(&text),
        }
    }
}

/// Displays why an existing file is refused, and how to correct it, as a part of a sentence.
pub(super) struct DisplayDistrust(pub(super) Distrust);

#[cfg(unix)]
impl fmt::Display for DisplayDistrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = super::fs::current_user();
        match self.0 {
            Distrust::Owner(owner) => write!(
                f,
                "it belongs to user {owner}, and this process runs as user {user}; \
                 run `chown {user}` on it, delete it, or choose another path"
            ),
            Distrust::Writable(mode) => write!(
                f,
                "every user may write to it (its mode is {mode:04o}); \
                 run `chmod o-w` on it, delete it, or choose another path"
            ),
            Distrust::Links(1) => f.write_str(
                "it has another hard link; delete that link or this file, or choose another path",
            ),
            Distrust::Links(links) => write!(
                f,
                "it has {links} other hard links; delete those links or this file, or choose \
                 another path"
            ),
        }
    }
}

#[cfg(not(unix))]
impl fmt::Display for DisplayDistrust {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No file is distrusted on this system, so there is no value to display.
        match self.0 {}
    }
}
