//! Matchers: the conditions that decide which events a rule of a sampler applies to.

use std::fmt;

use spanwise_core::{TargetPattern, internal::suggest};
use tracing::Level;

use crate::parse;

/// Selects the events that a rule applies to. All conditions must be true. Events at ERROR and WARN
/// match only if the level is a condition. So the default, without conditions, matches all other
/// events.
///
/// ```
/// use spanwise_sample::EventMatcher;
/// use tracing::Level;
///
/// let noisy = EventMatcher::target("shop::cache").and_level(Level::INFO);
/// let miss = EventMatcher::message("cache miss");
/// let acme = EventMatcher::field("tenant_id", "acme");
/// # let _ = (noisy, miss, acme);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventMatcher {
    pub(crate) target: Option<TargetPattern>,
    pub(crate) level: Option<Level>,
    /// The name of the callsite.
    pub(crate) name: Option<String>,
    /// The start of the message.
    pub(crate) message: Option<String>,
    /// The names of fields, each with the expected value.
    pub(crate) fields: Vec<(String, String)>,
}

impl EventMatcher {
    /// Matches every event except those at ERROR and WARN.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Matches events of this target and of its submodules. `shop` matches `shop::db`, but not
    /// `shopping`. A hyphen in `target` also matches an underscore.
    #[must_use]
    pub fn target(target: impl Into<String>) -> Self {
        Self::any().and_target(target)
    }

    /// Matches events at exactly this level.
    #[must_use]
    pub fn level(level: Level) -> Self {
        Self::any().and_level(level)
    }

    /// Matches events whose callsite has this name: `info!(name: "cache_miss", …)`.
    #[must_use]
    pub fn name(name: impl Into<String>) -> Self {
        Self::any().and_name(name)
    }

    /// Matches events whose message starts with this text. For this condition, the message of each
    /// event is formatted, so a match by [`name`](Self::name) is cheaper.
    #[must_use]
    pub fn message(start: impl Into<String>) -> Self {
        Self::any().and_message(start)
    }

    /// Matches events whose field `key` has this value, compared as text. If the event does not
    /// have the field, the value of the key in the [`Context`](spanwise_core::Context) is compared.
    /// A context value that [`context::set`](spanwise_core::context::set) recorded has priority
    /// over the field.
    ///
    /// For this condition, the `Debug` or `Display` of the value is formatted once more. A value
    /// that panics does not match.
    #[must_use]
    pub fn field(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::any().and_field(key, value)
    }

    /// Adds a condition, see [`target`](Self::target).
    #[must_use]
    pub fn and_target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(TargetPattern::module(target));
        self
    }

    /// Adds a condition, see [`level`](Self::level).
    #[must_use]
    pub fn and_level(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    /// Adds a condition, see [`name`](Self::name).
    #[must_use]
    pub fn and_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a condition, see [`message`](Self::message).
    #[must_use]
    pub fn and_message(mut self, start: impl Into<String>) -> Self {
        self.message = Some(start.into());
        self
    }

    /// Adds a condition, see [`field`](Self::field).
    #[must_use]
    pub fn and_field(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((key.into(), value.into()));
        self
    }

    pub(crate) fn matches_level(&self, level: Level) -> bool {
        match self.level {
            Some(expected) => expected == level,
            None => level > Level::WARN,
        }
    }

    pub(crate) fn matches_target(&self, target: &str) -> bool {
        let pattern = self.target.as_ref();
        pattern.is_none_or(|pattern| pattern.matches(target))
    }
}

/// Returns whether `LOG_SAMPLE` would read a target as a level, or refuse it as a misspelled level.
fn looks_like_a_level(target: &str) -> bool {
    parse::event_level(target).is_some() || suggest::closest_level(target).is_some()
}

/// Writes the syntax of `LOG_SAMPLE`. Conditions that the syntax cannot express are in brackets.
impl fmt::Display for EventMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            target,
            level,
            name,
            message,
            fields,
        } = self;
        let level = level.map(|level| level.as_str().to_ascii_lowercase());
        let has_other_conditions = name.is_some() || message.is_some() || !fields.is_empty();
        match (target.as_ref().map(TargetPattern::as_str), &level) {
            (Some(target), None) if looks_like_a_level(target) => {
                write!(f, "{target}::")?;
            }
            (Some(target), _) => f.write_str(target)?,
            (None, Some(level)) if !has_other_conditions => return f.write_str(level),
            (None, _) => {}
        }
        if target.is_some() && !has_other_conditions && level.is_none() {
            return Ok(());
        }
        f.write_str("[")?;
        let mut space = "";
        let mut condition = |f: &mut fmt::Formatter<'_>, key: &str, value: &str| -> fmt::Result {
            write!(f, "{space}{key}={value:?}")?;
            space = " ";
            Ok(())
        };
        let named = [("level", &level), ("name", name), ("message", message)];
        for (key, value) in named {
            if let Some(value) = value {
                condition(f, key, value)?;
            }
        }
        for (key, value) in fields {
            condition(f, key, value)?;
        }
        f.write_str("]")
    }
}
