//! Whether a sink shows an event, where more is let through than is shown.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{Event, Subscriber};
use tracing_core::{Level, LevelFilter, Metadata};
use tracing_subscriber::layer::Context;

use crate::{EventContext, LevelHandle, TargetLevels, internal::log_record};

/// The events that a sink shows: those that the program's levels let through, those of levels of its own, or both.
///
/// A [`LevelHandle`] makes one that follows the levels when they are changed; [`TargetLevels`] and [`LevelFilter`] make one that stays.
#[derive(Debug, Clone, Default)]
pub struct SinkFilter {
    program: Option<LevelHandle>,
    sink: Option<TargetLevels>,
}

/// What an [`SinkFilter`] says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// It is shown.
    Visible,
    /// It is below what is shown.
    BelowLevel,
    /// Nothing of its target is shown.
    Off,
}

/// What an [`SinkFilter`] said of a callsite. It belongs into the [plan](crate::internal::CallsitePlans) of the callsite.
#[derive(Debug, Default)]
pub struct VisibilityCache(AtomicU64);

impl SinkFilter {
    /// Shows of these events only those that are of these levels, too; of a target that they do not name, all.
    #[must_use]
    pub fn with_levels(mut self, levels: TargetLevels) -> Self {
        self.sink = Some(levels);
        self
    }

    /// What holds of an event: of the callsite worked out once for each change of the levels, and per event only for span directives
    /// and for records of the `log` crate. `cache` is the callsite's.
    #[inline]
    pub fn visibility<S: Subscriber>(
        &self,
        cache: &VisibilityCache,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Visibility {
        let version = self.program.as_ref().map_or(0, LevelHandle::version);
        let cached = cache.0.load(Ordering::Relaxed);
        let visibility = if cached == stamp(version, VISIBLE) {
            return Visibility::Visible;
        } else if cached == stamp(version, BELOW_LEVEL) {
            Visibility::BelowLevel
        } else {
            self.evaluate(cache, version, event, ctx)
        };
        if visibility != Visibility::Visible && EventContext::forces_emit(event.metadata()) {
            return Visibility::Visible;
        }
        visibility
    }

    /// Whether an event of `metadata` may be shown, as far as can be told before there is one.
    pub(crate) fn may_show<S: Subscriber>(
        &self,
        metadata: &Metadata<'_>,
        ctx: &Context<'_, S>,
    ) -> bool {
        let (target, level) = (metadata.target(), *metadata.level());
        if EventContext::forces_emit(metadata) || log_record::is_log_record(metadata) {
            return true;
        }
        let sink = self.sink.as_ref().and_then(|sink| sink.level(target));
        let by_sink = sink.is_none_or(|max| level <= max);
        let by_program = self.program.as_ref().is_none_or(|program| {
            program.visibility(target, level) == Visibility::Visible
                || program.depends_on_span(level) && program.enabled_by_span(metadata, ctx)
        });
        by_sink && by_program
    }

    #[inline(never)]
    fn evaluate<S: Subscriber>(
        &self,
        cache: &VisibilityCache,
        version: u64,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Visibility {
        let callsite = event.metadata();
        let level = *callsite.level();
        let mut target = callsite.target();
        let is_log = log_record::is_log_record(callsite);
        let record = is_log.then(|| log_record::LogRecord::from_event(event));
        if let Some(record_target) = record.as_ref().and_then(|log| log.target.as_deref()) {
            target = record_target;
        }
        let sink = match self.sink.as_ref().and_then(|sink| sink.level(target)) {
            Some(max) => Visibility::from_level(level, Some(max)),
            // The program's levels decide about a target that this sink's levels do not name.
            None => Visibility::Visible,
        };
        let Some(program) = &self.program else {
            if !is_log {
                cache.store(version, sink);
            }
            return sink;
        };
        let mut visibility = program.visibility(target, level);
        if visibility != Visibility::Visible && program.depends_on_span(level) {
            // It is in the target of a directive as well that nothing else is let through of.
            if program.enabled_by_span(callsite, ctx) {
                visibility = Visibility::Visible;
            }
            return visibility.and(sink);
        }
        let visibility = visibility.and(sink);
        if !is_log {
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
            // Asked about seldom: nothing enables it but another layer.
            Visibility::Off => return,
        };
        self.0.store(stamp(version, code), Ordering::Relaxed);
    }
}

const VISIBLE: u64 = 1;
const BELOW_LEVEL: u64 = 2;

/// Never 0, which is what nobody has asked about yet.
fn stamp(version: u64, code: u64) -> u64 {
    version << 2 | code
}

impl From<LevelHandle> for SinkFilter {
    fn from(program: LevelHandle) -> Self {
        Self {
            program: Some(program),
            sink: None,
        }
    }
}

impl From<TargetLevels> for SinkFilter {
    fn from(levels: TargetLevels) -> Self {
        Self {
            program: None,
            sink: Some(levels),
        }
    }
}

impl From<LevelFilter> for SinkFilter {
    fn from(level: LevelFilter) -> Self {
        TargetLevels::from(level).into()
    }
}
