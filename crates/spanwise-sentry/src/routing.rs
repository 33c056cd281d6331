//! Routes events to errors, breadcrumbs or logs, by callsite.

use spanwise_core::{
    TargetLevels,
    internal::{CallsitePlans, DispatchedSummary, log_record, log_record::LogRecord},
};
use tracing_core::{LevelFilter, Metadata};

use crate::builder::Options;

/// The forms that an event takes in Sentry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Routing {
    /// An error, which Sentry calls an event.
    pub(crate) is_error: bool,
    pub(crate) is_breadcrumb: bool,
    /// A log in Sentry. This is unrelated to the `log` crate.
    pub(crate) is_log: bool,
}

/// The routing of each callsite. `None` for the callsites of the `log` crate, because its records
/// share one callsite per level. Each record is routed by its own target, a field of the event.
#[derive(Debug, Default)]
pub(crate) struct Routings(CallsitePlans<Option<Routing>>);

impl Routing {
    fn for_target(callsite: &Metadata<'_>, target: &str, options: &Options) -> Self {
        let level = *callsite.level();
        let is_enabled = |levels: &TargetLevels, default: LevelFilter| {
            level <= levels.level(target).unwrap_or(default)
        };
        let logs = options.log_levels.as_ref();
        Self {
            is_error: is_enabled(&options.event_levels, LevelFilter::ERROR),
            is_breadcrumb: is_enabled(&options.breadcrumb_levels, LevelFilter::INFO),
            is_log: logs.is_some_and(|levels| is_enabled(levels, LevelFilter::INFO)),
        }
    }

    /// Returns whether Sentry receives the event in any form.
    pub(crate) fn is_used(self) -> bool {
        self.is_error || self.is_breadcrumb || self.is_log
    }
}

impl Routings {
    /// Returns the routing of a callsite, or `None` for a callsite of the `log` crate.
    #[inline]
    fn get(&self, callsite: &'static Metadata<'static>, options: &Options) -> Option<Routing> {
        *self.0.get(callsite, |callsite| {
            if log_record::is_log_record(callsite) {
                None
            } else if callsite.target() == DispatchedSummary::TARGET {
                // A summary counts the events that a sampler dropped in front of one sink. The
                // facade puts no sampler in front of Sentry, so the summary is about another sink.
                Some(Routing::default())
            } else {
                Some(Routing::for_target(callsite, callsite.target(), options))
            }
        })
    }

    /// Returns whether Sentry may receive events of `callsite` in some form. Decides without the
    /// fields of the event.
    #[inline]
    pub(crate) fn may_use(&self, callsite: &'static Metadata<'static>, options: &Options) -> bool {
        self.get(callsite, options).is_none_or(Routing::is_used)
    }

    /// Returns the routing of an event. `record` is its origin, if it is a record of the `log`
    /// crate.
    pub(crate) fn routing(
        &self,
        callsite: &'static Metadata<'static>,
        record: Option<&LogRecord>,
        options: &Options,
    ) -> Routing {
        self.get(callsite, options).unwrap_or_else(|| {
            let target = record.and_then(|record| record.target.as_deref());
            Routing::for_target(callsite, target.unwrap_or(callsite.target()), options)
        })
    }
}
