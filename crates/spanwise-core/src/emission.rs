//! Whether a sink shows an event, where more is let through than is shown.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{Event, Subscriber};
use tracing_core::{Level, LevelFilter, Metadata};
use tracing_subscriber::layer::Context;

use crate::{Annotations, LevelHandle, TargetLevels, log_record};

/// The events that a sink shows: those that the program's levels let through, those of levels of its own, or both.
///
/// A [`LevelHandle`] makes one that follows the levels when they are changed; [`TargetLevels`] and [`LevelFilter`] make one that stays.
#[derive(Debug, Clone, Default)]
pub struct Emission {
    program: Option<LevelHandle>,
    sink: Option<TargetLevels>,
}

/// What an [`Emission`] says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is shown.
    Emit,
    /// It is below what is shown.
    Below,
    /// Nothing of its target is shown.
    Off,
}

/// What an [`Emission`] said of a callsite. It belongs into the [plan](crate::CallsitePlans) of the callsite.
#[derive(Debug, Default)]
pub struct EmissionCache(AtomicU64);

impl Emission {
    /// Shows of these events only those that are of these levels, too; of a target that they do not name, all.
    #[must_use]
    pub fn leveled(mut self, levels: TargetLevels) -> Self {
        self.sink = Some(levels);
        self
    }

    /// What holds of an event: of the callsite worked out once for each change of the levels, and per event only for span directives
    /// and for records of the `log` crate. `cache` is the callsite's.
    #[inline]
    pub fn verdict<S: Subscriber>(
        &self,
        cache: &EmissionCache,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Verdict {
        let changes = self.program.as_ref().map_or(0, LevelHandle::changes);
        let cached = cache.0.load(Ordering::Relaxed);
        let verdict = if cached == stamp(changes, EMIT) {
            return Verdict::Emit;
        } else if cached == stamp(changes, BELOW) {
            Verdict::Below
        } else {
            self.ask(cache, changes, event, ctx)
        };
        if verdict != Verdict::Emit && Annotations::tells() {
            return Verdict::Emit;
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
        if Annotations::tells() || log_record::is_log_record(metadata) {
            return true;
        }
        let sink = self.sink.as_ref().and_then(|sink| sink.level(target));
        let by_sink = sink.is_none_or(|most| level <= most);
        let by_program = self.program.as_ref().is_none_or(|program| {
            program.verdict(target, level) == Verdict::Emit
                || program.depends_on_span(level) && program.enabled_by_span(metadata, ctx)
        });
        by_sink && by_program
    }

    #[inline(never)]
    fn ask<S: Subscriber>(
        &self,
        cache: &EmissionCache,
        changes: u64,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
    ) -> Verdict {
        let callsite = event.metadata();
        let level = *callsite.level();
        let mut target = callsite.target();
        let is_log = log_record::is_log_record(callsite);
        let record = is_log.then(|| log_record::LogRecord::of(event));
        if let Some(of_record) = record.as_ref().and_then(|log| log.target.as_deref()) {
            target = of_record;
        }
        let sink = match self.sink.as_ref().and_then(|sink| sink.level(target)) {
            Some(most) => Verdict::of(level, Some(most)),
            // The program's levels decide about a target that this sink's levels do not name.
            None => Verdict::Emit,
        };
        let Some(program) = &self.program else {
            if !is_log {
                cache.keep(changes, sink);
            }
            return sink;
        };
        let mut verdict = program.verdict(target, level);
        if verdict != Verdict::Emit && program.depends_on_span(level) {
            // It is in the target of a directive as well that nothing else is let through of.
            if program.enabled_by_span(callsite, ctx) {
                verdict = Verdict::Emit;
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

impl Verdict {
    pub(crate) fn of(level: Level, most: Option<LevelFilter>) -> Self {
        match most {
            Some(LevelFilter::OFF) => Self::Off,
            Some(most) if level <= most => Self::Emit,
            _ => Self::Below,
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Off, _) | (_, Self::Off) => Self::Off,
            (Self::Emit, Self::Emit) => Self::Emit,
            _ => Self::Below,
        }
    }
}

impl EmissionCache {
    fn keep(&self, changes: u64, verdict: Verdict) {
        let code = match verdict {
            Verdict::Emit => EMIT,
            Verdict::Below => BELOW,
            // Asked about seldom: nothing enables it but another layer.
            Verdict::Off => return,
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

impl From<LevelHandle> for Emission {
    fn from(program: LevelHandle) -> Self {
        Self {
            program: Some(program),
            sink: None,
        }
    }
}

impl From<TargetLevels> for Emission {
    fn from(levels: TargetLevels) -> Self {
        Self {
            program: None,
            sink: Some(levels),
        }
    }
}

impl From<LevelFilter> for Emission {
    fn from(level: LevelFilter) -> Self {
        TargetLevels::from(level).into()
    }
}
