//! Whether a sink shows an event, where more is let through than is shown.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{Event, Subscriber};
use tracing_core::{Level, LevelFilter, Metadata};
use tracing_subscriber::layer::Context;

use crate::{EventContext, LevelHandle, TargetLevels, log_record};

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

/// What an [`SinkFilter`] said of a callsite. It belongs into the [plan](crate::CallsitePlans) of the callsite.
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
        let changes = self.program.as_ref().map_or(0, LevelHandle::changes);
        let cached = cache.0.load(Ordering::Relaxed);
        let verdict = if cached == stamp(changes, EMIT) {
            return Visibility::Visible;
        } else if cached == stamp(changes, BELOW) {
            Visibility::BelowLevel
        } else {
            self.ask(cache, changes, event, ctx)
        };
        if verdict != Visibility::Visible && EventContext::forces_emit() {
            return Visibility::Visible;
        }
        verdict
    }

    /// Whether an event of `metadata` may be shown, as far as can be told before there is one.
    pub(crate) fn may_emit<S: Subscriber>(
        &self,
        metadata: &Metadata<'_>,
        ctx: &Context<'_, S>,
    ) -> bool {
        let (target, level) = (metadata.target(), *metadata.level());
        if EventContext::forces_emit() || log_record::is_log_record(metadata) {
            return true;
        }
        let sink = self.sink.as_ref().and_then(|sink| sink.level(target));
        let by_sink = sink.is_none_or(|most| level <= most);
        let by_program = self.program.as_ref().is_none_or(|program| {
            program.verdict(target, level) == Visibility::Visible
                || program.depends_on_span(level) && program.enabled_by_span(metadata, ctx)
        });
        by_sink && by_program
    }

    #[inline(never)]
    fn ask<S: Subscriber>(
        &self,
        cache: &VisibilityCache,
        changes: u64,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Visibility {
        let callsite = event.metadata();
        let level = *callsite.level();
        let mut target = callsite.target();
        let is_log = log_record::is_log_record(callsite);
        let record = is_log.then(|| log_record::LogRecord::of(event));
        if let Some(of_record) = record.as_ref().and_then(|log| log.target.as_deref()) {
            target = of_record;
        }
        let sink = match self.sink.as_ref().and_then(|sink| sink.level(target)) {
            Some(most) => Visibility::of(level, Some(most)),
            // The program's levels decide about a target that this sink's levels do not name.
            None => Visibility::Visible,
        };
        let Some(program) = &self.program else {
            if !is_log {
                cache.keep(changes, sink);
            }
            return sink;
        };
        let mut verdict = program.verdict(target, level);
        if verdict != Visibility::Visible && program.depends_on_span(level) {
            // It is in the target of a directive as well that nothing else is let through of.
            if program.enabled_by_span(callsite, ctx) {
                verdict = Visibility::Visible;
            }
            return verdict.and(sink);
        }
        let verdict = verdict.and(sink);
        if !is_log {
            cache.keep(changes, verdict);
        }
        verdict
    }
}

impl Visibility {
    pub(crate) fn of(level: Level, most: Option<LevelFilter>) -> Self {
        match most {
            Some(LevelFilter::OFF) => Self::Off,
            Some(most) if level <= most => Self::Visible,
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
    fn keep(&self, changes: u64, verdict: Visibility) {
        let code = match verdict {
            Visibility::Visible => EMIT,
            Visibility::BelowLevel => BELOW,
            // Asked about seldom: nothing enables it but another layer.
            Visibility::Off => return,
        };
        self.0.store(stamp(changes, code), Ordering::Relaxed);
    }
}

const EMIT: u64 = 1;
const BELOW: u64 = 2;

/// Never 0, which is what nobody has asked about yet.
fn stamp(changes: u64, code: u64) -> u64 {
    changes << 2 | code
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
