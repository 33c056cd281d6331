//! The filter of a sink: selects the events that the sink shows.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{Event, Subscriber};
use tracing_core::{Level, LevelFilter, Metadata};
use tracing_subscriber::layer::Context;

use crate::{EventContext, LevelHandle, TargetLevels, internal::log_record};

/// Selects the events that a sink shows: by the levels of the application, by the levels of the
/// sink, or by both.
///
/// Convert it from a [`LevelHandle`] to follow changes of the levels, or from [`TargetLevels`] or a
/// [`LevelFilter`] for fixed levels.
#[derive(Debug, Clone, Default)]
pub struct SinkFilter {
    /// The levels of the application.
    application: Option<LevelHandle>,
    /// The levels of the sink.
    sink: Option<TargetLevels>,
}

/// The decision of a [`SinkFilter`] on an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// The sink shows the event.
    Visible,
    /// The event is more verbose than the levels of the application or of the sink allow.
    BelowLevel,
    /// The target of the event is `off` in the levels of the application or of the sink.
    Off,
}

/// The cached decision of a [`SinkFilter`] on a callsite. Store it in the
/// [plan](crate::internal::CallsitePlans) of the callsite.
#[derive(Debug, Default)]
pub struct VisibilityCache(AtomicU64);

impl SinkFilter {
    /// Restricts the filter to these levels. Targets without a level are not restricted.
    #[must_use]
    pub fn with_levels(mut self, levels: TargetLevels) -> Self {
        self.sink = Some(levels);
        self
    }

    /// Returns the visibility of an event. `cache` must belong to this filter and to the callsite
    /// of the event.
    ///
    /// The decision is cached until the levels change. It is made again for each event that only a
    /// span directive can show, and for each record of `tracing-log`.
    #[inline]
    pub fn visibility<S: Subscriber>(
        &self,
        cache: &VisibilityCache,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Visibility {
        let version = self.application.as_ref().map_or(0, LevelHandle::version);
        let cached = cache.0.load(Ordering::Relaxed);
        let visibility = if cached == stamp(version, VISIBLE) {
            return Visibility::Visible;
        } else if cached == stamp(version, BELOW_LEVEL) {
            Visibility::BelowLevel
        } else if cached == stamp(version, OFF) {
            Visibility::Off
        } else {
            self.decide(cache, version, event, ctx)
        };
        if visibility != Visibility::Visible && EventContext::forces_emit(event.metadata()) {
            return Visibility::Visible;
        }
        visibility
    }

    /// Returns whether an event with this metadata may be visible. For [`Layer::enabled`], which is
    /// called before the event exists.
    ///
    /// [`Layer::enabled`]: tracing_subscriber::Layer::enabled
    pub(crate) fn may_show<S: Subscriber>(
        &self,
        metadata: &Metadata<'_>,
        ctx: &Context<'_, S>,
    ) -> bool {
        let (target, level) = (metadata.target(), *metadata.level());
        if EventContext::forces_emit(metadata) || log_record::is_log_record(metadata) {
            return true;
        }
        let sink_level = self.sink.as_ref().and_then(|sink| sink.level(target));
        let sink_allows = sink_level.is_none_or(|max| level <= max);
        let application_allows = self.application.as_ref().is_none_or(|application| {
            application.visibility(target, level) == Visibility::Visible
                || application.depends_on_span(level) && application.enabled_by_span(metadata, ctx)
        });
        sink_allows && application_allows
    }

    #[inline(never)] // Called seldom, because the decision is cached.
    fn decide<S: Subscriber>(
        &self,
        cache: &VisibilityCache,
        version: u64,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Visibility {
        let callsite = event.metadata();
        let level = *callsite.level();
        let mut target = callsite.target();
        let is_log_record = log_record::is_log_record(callsite);
        let record = is_log_record.then(|| log_record::LogRecord::from_event(event));
        if let Some(record_target) = record.as_ref().and_then(|log| log.target.as_deref()) {
            target = record_target;
        }
        let sink_visibility = match self.sink.as_ref().and_then(|sink| sink.level(target)) {
            Some(max) => Visibility::from_level(level, Some(max)),
            // The sink does not restrict this target.
            None => Visibility::Visible,
        };
        let Some(application) = &self.application else {
            if !is_log_record {
                cache.store(version, sink_visibility);
            }
            return sink_visibility;
        };
        let mut visibility = application.visibility(target, level);
        if visibility != Visibility::Visible && application.depends_on_span(level) {
            // Checked even if the target is off, because a span directive may name it.
            if application.enabled_by_span(callsite, ctx) {
                visibility = Visibility::Visible;
            }
            return visibility.and(sink_visibility);
        }
        let visibility = visibility.and(sink_visibility);
        if !is_log_record {
            cache.store(version, visibility);
        }
        visibility
    }
}

impl Visibility {
    pub(crate) fn from_level(level: Level, max: Option<LevelFilter>) -> Self {
        match max {
            Some(LevelFilter::OFF) => Self::Off,
            Some(max) if level <= max => Self::Visible,
            _ => Self::BelowLevel,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Off, _) | (_, Self::Off) => Self::Off,
            (Self::Visible, Self::Visible) => Self::Visible,
            _ => Self::BelowLevel,
        }
    }
}

impl VisibilityCache {
    fn store(&self, version: u64, visibility: Visibility) {
        let code = match visibility {
            Visibility::Visible => VISIBLE,
            Visibility::BelowLevel => BELOW_LEVEL,
            Visibility::Off => OFF,
        };
        self.0.store(stamp(version, code), Ordering::Relaxed);
    }
}

/// The codes of the decisions in a [`VisibilityCache`].
const VISIBLE: u64 = 1;
const BELOW_LEVEL: u64 = 2;
const OFF: u64 = 3;

/// Returns a decision and the version of the levels, as a [`VisibilityCache`] stores them. The
/// result is never 0, because 0 means that nothing is cached.
fn stamp(version: u64, code: u64) -> u64 {
    version << 2 | code
}

impl From<LevelHandle> for SinkFilter {
    fn from(application: LevelHandle) -> Self {
        Self {
            application: Some(application),
            sink: None,
        }
    }
}

impl From<TargetLevels> for SinkFilter {
    fn from(levels: TargetLevels) -> Self {
        Self {
            application: None,
            sink: Some(levels),
        }
    }
}

impl From<LevelFilter> for SinkFilter {
    fn from(level: LevelFilter) -> Self {
        TargetLevels::from(level).into()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing_subscriber::{Layer, Registry, layer::SubscriberExt as _};

    use super::*;

    /// Decides about each event, and stores the decision in one cache.
    struct Decider {
        filter: SinkFilter,
        cache: Arc<VisibilityCache>,
    }

    impl Layer<Registry> for Decider {
        fn on_event(&self, event: &Event<'_>, ctx: Context<'_, Registry>) {
            self.filter.visibility(&self.cache, event, &ctx);
        }
    }

    #[track_caller]
    fn check(levels: &str, cached_code: u64) {
        let levels: TargetLevels = levels.parse().unwrap();
        let cache = Arc::new(VisibilityCache::default());
        let decider = Decider {
            filter: levels.into(),
            cache: Arc::clone(&cache),
        };
        let _default =
            tracing::subscriber::set_default(tracing_subscriber::registry().with(decider));
        tracing::info!(target: "shop", "ordered");
        assert_eq!(cache.0.load(Ordering::Relaxed), stamp(0, cached_code));
    }

    #[test]
    fn each_decision_is_cached() {
        check("info", VISIBLE);
        check("warn", BELOW_LEVEL);
        check("info,shop=off", OFF);
    }
}
