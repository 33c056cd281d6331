//! Which events a rule is about.

use std::fmt;

use spanwise_core::TargetPattern;
use tracing::Level;

use crate::setting;

/// Which events a rule is about: all conditions hold at once. The default is about every event but those at ERROR and WARN.
///
/// An event at ERROR or WARN is only meant by a rule that names its level.
///
/// ```
/// use spanwise_sample::When;
/// use tracing::Level;
///
/// let noisy = When::target("shop::cache").and_level(Level::INFO);
/// let miss = When::message("cache miss");
/// let acme = When::field("tenant_id", "acme");
/// # let _ = (noisy, miss, acme);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    pub(crate) target: Option<TargetPattern>,
    pub(crate) level: Option<Level>,
    pub(crate) name: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) fields: Vec<(String, String)>,
}

impl When {
    /// Every event, but for ERROR and WARN.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Events of this target, or of one inside it: `shop` means `shop::db` too, and not `shopping`. A hyphen also means an underscore.
    #[must_use]
    pub fn target(target: impl Into<String>) -> Self {
        Self::any().and_target(target)
    }

    /// Events at exactly this level.
    #[must_use]
    pub fn level(level: Level) -> Self {
        Self::any().and_level(level)
    }

    /// Events of callsites of this name: `info!(name: "cache_miss", …)`.
    #[must_use]
    pub fn name(name: impl Into<String>) -> Self {
        Self::any().and_name(name)
    }

    /// Events whose message starts with this text. The message is read of each event: a name is cheaper.
    #[must_use]
    pub fn message(start: impl Into<String>) -> Self {
        Self::any().and_message(start)
    }

    /// Events whose field `key` has this value, as text; where the event has no such field, the [`Context`](spanwise_core::Context) counts.
    ///
    /// A `Debug` or `Display` is called for it once more than the sink calls it. One that panics equals nothing.
    #[must_use]
    pub fn field(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::any().and_field(key, value)
    }

    /// See [`target`](Self::target).
    #[must_use]
    pub fn and_target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(TargetPattern::module(target));
        self
    }

    /// See [`level`](Self::level).
    #[must_use]
    pub fn and_level(mut self, level: Level) -> Self {
        self.level = Some(level);
        self
    }

    /// See [`name`](Self::name).
    #[must_use]
    pub fn and_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// See [`message`](Self::message).
    #[must_use]
    pub fn and_message(mut self, start: impl Into<String>) -> Self {
        self.message = Some(start.into());
        self
    }

    /// See [`field`](Self::field).
    #[must_use]
    pub fn and_field(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.fields.push((key.into(), value.into()));
        self
    }

    pub(crate) fn means_level(&self, level: Level) -> bool {
        match self.level {
            Some(named) => named == level,
            None => level > Level::WARN,
        }
    }

    pub(crate) fn means_target(&self, target: &str) -> bool {
        self.target
            .as_ref()
            .is_none_or(|pattern| pattern.matches(target))
    }
}

fn looks_like_a_level(target: &str) -> bool {
    setting::level(target).is_some()
        || spanwise_core::internal::suggest::closest_level(target).is_some()
}

/// As `LOG_SAMPLE` writes it; what that has no words for stands in brackets.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            target,
            level,
            name,
            message,
            fields,
        } = self;
        let level = level.map(|level| level.as_str().to_ascii_lowercase());
        let more = name.is_some() || message.is_some() || !fields.is_empty();
        match (target.as_ref().map(TargetPattern::as_str), &level) {
            (Some(target), None) if looks_like_a_level(target) => {
                write!(f, "{target}::")?;
            }
            (Some(target), _) => f.write_str(target)?,
            (None, Some(level)) if !more => return f.write_str(level),
            (None, _) => {}
        }
        if target.is_some() && !more && level.is_none() {
            return Ok(());
        }
        f.write_str("[")?;
        let mut space = "";
        let mut word = |f: &mut fmt::Formatter<'_>, key: &str, value: &str| -> fmt::Result {
            write!(f, "{space}{key}={value:?}")?;
            space = " ";
            Ok(())
        };
        let named = [("level", &level), ("name", name), ("message", message)];
        for (key, value) in named {
            if let Some(value) = value {
                word(f, key, value)?;
            }
        }
        for (key, value) in fields {
            word(f, key, value)?;
        }
        f.write_str("]")
    }
}
