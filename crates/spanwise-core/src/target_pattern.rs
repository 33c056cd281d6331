//! Patterns for targets.

use std::fmt;

/// A pattern for the targets of events and spans. There are three kinds:
///
/// * [`prefix`](Self::prefix) matches every target that starts with the text, as `RUST_LOG` does.
///   The directives of [`Levels`](crate::Levels) use it.
/// * [`module`](Self::module) matches the module with this path and its submodules. All other
///   settings use it.
/// * [`route`](Self::route) is like `module`, but `.` also separates modules, as in Python. Routes
///   to sinks, the filters of sinks and [`Levels::with_module`](crate::Levels::with_module) use it.
///
/// A hyphen in the pattern also matches an underscore, so that the name of a package matches its
/// crate.
///
/// ```
/// use spanwise_core::TargetPattern;
///
/// assert!(TargetPattern::prefix("my-app").matches("my_app_core"));
/// assert!(TargetPattern::module("my-app").matches("my_app::db"));
/// assert!(!TargetPattern::module("my-app").matches("my_app_core"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetPattern {
    text: String,
    scope: Scope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Prefix,
    Module,
    Route,
}

impl TargetPattern {
    /// Creates a pattern for the targets that start with `text`.
    #[must_use]
    pub fn prefix(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            scope: Scope::Prefix,
        }
    }

    /// Creates a pattern for the module `path` and its submodules.
    #[must_use]
    pub fn module(path: impl Into<String>) -> Self {
        Self {
            text: path.into(),
            scope: Scope::Module,
        }
    }

    /// Creates a pattern for the module `path` and its submodules, where `.` separates modules as
    /// `::` does. [`as_str`](Self::as_str) returns the path with `::`.
    ///
    /// ```
    /// use spanwise_core::TargetPattern;
    ///
    /// let pattern = TargetPattern::route("shop.orders");
    /// assert_eq!(pattern.as_str(), "shop::orders");
    /// assert!(pattern.matches("shop::orders::db"));
    /// assert!(TargetPattern::route("shop").matches("shop.orders"));
    /// assert!(!TargetPattern::route("shop").matches("shopping"));
    /// ```
    #[must_use]
    pub fn route(path: impl Into<String>) -> Self {
        Self {
            text: path.into().replace('.', "::"),
            scope: Scope::Route,
        }
    }

    /// Returns the text of the pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether the pattern matches `target`.
    #[must_use]
    pub fn matches(&self, target: &str) -> bool {
        if self.scope == Scope::Route && target.contains('.') {
            let module = target.replace('.', "::");
            return self.matches_module(&module);
        }
        self.matches_module(target)
    }

    fn matches_module(&self, target: &str) -> bool {
        let (target, text) = (target.as_bytes(), self.text.as_bytes());
        let Some((start, after_start)) = target.split_at_checked(text.len()) else {
            return false;
        };
        let is_match = |(t, p): (&u8, &u8)| t == p || (*p == b'-' && *t == b'_');
        start.iter().zip(text).all(is_match)
            && match self.scope {
                Scope::Prefix => true,
                Scope::Module | Scope::Route => {
                    after_start.is_empty() || after_start.starts_with(b"::")
                }
            }
    }
}

/// Shows the text of the pattern. It does not show the kind.
impl fmt::Display for TargetPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
