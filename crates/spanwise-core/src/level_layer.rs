//! The layer that enables events and spans by level. The levels can change at run time.

mod active_levels;
mod level_changes;

use std::{
    convert::Infallible,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tracing::{Dispatch, Subscriber};
use tracing_core::{
    Interest, Level, LevelFilter, Metadata,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{EnvFilter, Layer, layer::Context};

use self::{
    active_levels::ActiveLevels,
    level_changes::{LevelSources, TemporaryChange, with_default_level},
};
#[cfg(feature = "log")]
use crate::internal::log_bridge;
use crate::{
    Levels, ParseError, TargetLevels,
    internal::{
        FilterInterop, Visibility, forks,
        interest_rebuild::StackOfLayer,
        panic_safe,
        sync::{Mutex, RwLock},
    },
};

/// Enables events and spans by level, for all layers of the stack.
///
/// The levels apply to events. Spans at INFO or more severe stay enabled at every event level. So
/// each line has the context of its spans, such as the request id. For exceptions, see
/// [`span_levels`](Self::span_levels).
///
/// The default level of the current [`Levels`] applies to each target that no directive names. If
/// you set levels without a default level, they are completed once: with the default level and the
/// targets of the *configured levels*. These are the levels of [`LevelLayer::new`], or of the last
/// reload of the configuration. If they have no default level either, it is `info`.
///
/// Change the levels with the [`handle`](Self::handle). While the levels change, an event that both
/// the old and the new levels enable is not lost.
///
/// A *span directive*, such as `[request]=debug`, enables events inside the spans that it matches.
/// It can only enable more events than the targets enable, never fewer. A new span directive
/// applies only to spans that are opened afterwards. Without span directives, the decision to
/// disable a callsite is cached, so a disabled callsite costs as little as in plain `tracing`.
///
/// Span directives use tracing-subscriber's `EnvFilter`. To match the *value* of a field,
/// `EnvFilter` formats the value while it holds a lock. The `Debug` of that value must not open a
/// span that the directive could match, because `EnvFilter` would deadlock.
///
/// ```
/// use spanwise_core::LevelLayer;
/// use tracing_subscriber::prelude::*;
///
/// let layer = LevelLayer::new("info".parse()?);
/// let levels = layer.handle();
/// let _default = tracing_subscriber::registry().with(layer).set_default();
///
/// assert!(!tracing::enabled!(target: "shop::db", tracing::Level::DEBUG));
/// levels.set_levels("shop::db=debug")?;
/// assert!(tracing::enabled!(target: "shop::db", tracing::Level::DEBUG));
/// assert_eq!(levels.levels().to_string(), "info,shop::db=debug");
/// # Ok::<(), spanwise_core::ParseError>(())
/// ```
#[derive(Debug)]
pub struct LevelLayer {
    state: Arc<LevelState>,
    filter_interop: FilterInterop,
}

/// Reads and changes the levels of a [`LevelLayer`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LevelHandle {
    state: Arc<LevelState>,
}

#[derive(Debug)]
struct LevelState {
    /// Locked only to copy or swap the pointer. No layer is called under the lock.
    active: RwLock<Arc<ActiveLevels>>,
    has_span_directives: AtomicBool,
    /// The number of changes of `active`. A cached decision is valid for one version.
    version: AtomicU64,
    /// The levels that [`LevelLayer::capture`] sets.
    captured: OnceLock<TargetLevels>,
    /// Defaults to [`SpanRule::default`].
    span_rule: OnceLock<SpanRule>,
    stack: StackOfLayer,
    sources: Mutex<LevelSources>,
}

/// Decides which spans are enabled without span directives.
#[derive(Debug)]
enum SpanRule {
    /// The levels of [`LevelLayer::span_levels`], with the exceptions described there.
    Levels(TargetLevels),
    /// A span is enabled if an event of its level and target is enabled.
    FollowsEvents,
}

impl LevelLayer {
    /// Creates a layer that enables these levels. They are also the configured levels, until the
    /// configuration is reloaded: see [`LevelHandle::set_levels`].
    #[must_use]
    pub fn new(levels: Levels) -> Self {
        let configured = with_default_level(levels);
        let active = ActiveLevels::new(configured.clone(), &[]);
        let state = LevelState {
            has_span_directives: AtomicBool::new(!active.span_directives.is_empty()),
            active: RwLock::new(Arc::new(active)),
            version: AtomicU64::new(0),
            captured: OnceLock::new(),
            span_rule: OnceLock::new(),
            stack: StackOfLayer::default(),
            sources: Mutex::new(LevelSources {
                permanent: configured.clone(),
                configured,
                temporary: None,
            }),
        };
        Self {
            state: Arc::new(state),
            filter_interop: FilterInterop::default(),
        }
    }

    /// Also enables events of these levels, so that a recorder can buffer them. Defaults to none.
    /// It affects neither spans, nor targets whose level is `off`. The first call wins.
    ///
    /// To hide these events from a sink, wrap it in
    /// [`LayerExt::without_captured`](crate::LayerExt::without_captured) or in the recorder.
    ///
    /// ```
    /// use spanwise_core::{LayerExt, LevelLayer};
    /// use tracing::{Level, level_filters::LevelFilter};
    /// use tracing_subscriber::prelude::*;
    ///
    /// let levels = LevelLayer::new("info".parse()?).capture(LevelFilter::DEBUG);
    /// let fmt = tracing_subscriber::fmt::layer();
    /// let fmt = fmt.without_captured(levels.handle()); // shows INFO and more severe events
    /// let _default = tracing_subscriber::registry().with(fmt).with(levels).set_default();
    /// assert!(tracing::event_enabled!(Level::DEBUG));
    /// assert!(!tracing::span_enabled!(Level::DEBUG));
    /// assert!(!tracing::event_enabled!(Level::TRACE));
    /// # Ok::<(), spanwise_core::ParseError>(())
    /// ```
    #[must_use]
    pub fn capture(self, levels: impl Into<TargetLevels>) -> Self {
        let _ = self.state.captured.set(levels.into());
        self
    }

    /// Sets the span levels. Defaults to INFO, or to the event level if that is more verbose.
    ///
    /// Spans carry context, such as the request id, so the event levels do not disable them. There
    /// are two exceptions for targets that no directive of the span levels names:
    ///
    /// * A target that a directive of the event levels sets to `off` has no spans either.
    /// * If every event is disabled, every span is too, unless the span levels have a default
    ///   level.
    ///
    /// All other targets without a directive have the default level of the span levels. If there is
    /// none, they have INFO, or their event level if that is more verbose. Span directives enable
    /// further spans. The first call of this method or of
    /// [`spans_follow_events`](Self::spans_follow_events) wins.
    ///
    /// ```
    /// use spanwise_core::LevelLayer;
    /// use tracing::{Level, level_filters::LevelFilter};
    /// use tracing_subscriber::prelude::*;
    ///
    /// let layer = LevelLayer::new("warn,hyper=off".parse()?);
    /// let _default = tracing_subscriber::registry().with(layer).set_default();
    /// assert!(tracing::span_enabled!(Level::INFO));
    /// assert!(!tracing::event_enabled!(Level::INFO));
    /// assert!(!tracing::span_enabled!(target: "hyper", Level::INFO));
    ///
    /// let layer = LevelLayer::new("warn".parse()?).span_levels(LevelFilter::OFF);
    /// let _default = tracing_subscriber::registry().with(layer).set_default();
    /// assert!(!tracing::span_enabled!(Level::ERROR));
    /// # Ok::<(), spanwise_core::ParseError>(())
    /// ```
    #[must_use]
    pub fn span_levels(self, levels: impl Into<TargetLevels>) -> Self {
        self.with_span_rule(SpanRule::Levels(levels.into()))
    }

    /// Enables a span if the levels enable an event of its level and target, or if a span directive
    /// matches it. At `warn`, spans at INFO are disabled, so the lines inside such a span lack its
    /// fields. The first call of this method or of [`span_levels`](Self::span_levels) wins.
    #[must_use]
    pub fn spans_follow_events(self) -> Self {
        self.with_span_rule(SpanRule::FollowsEvents)
    }

    fn with_span_rule(self, rule: SpanRule) -> Self {
        let _ = self.state.span_rule.set(rule);
        self
    }

    /// Returns a handle that reads and changes the levels at run time.
    #[must_use]
    pub fn handle(&self) -> LevelHandle {
        LevelHandle {
            state: Arc::clone(&self.state),
        }
    }

    fn for_each_filter(&self, call: impl Fn(&EnvFilter)) {
        if self.state.has_span_directives.load(Ordering::Acquire) {
            let active = self.state.active();
            for directive in &active.span_directives {
                // To match the value of a field, the filter formats the value. If that panics, the
                // span does not match.
                let _ = panic_safe::catch_panic(|| call(&directive.filter));
            }
        }
    }
}

impl LevelHandle {
    /// Returns the current levels.
    #[must_use]
    pub fn levels(&self) -> Levels {
        self.state.active().levels.clone()
    }

    /// Sets the levels and ends a temporary change. If `levels` has no default level, the default
    /// level and the other targets are those of the configured levels, that is, of
    /// [`LevelLayer::new`] or of the last reload of the configuration. After
    /// `new("info,hyper=off")`, `set_levels("shop=debug")` keeps `info` and `hyper=off`. Span
    /// directives of the configured levels are not kept.
    ///
    /// # Errors
    /// Returns an error that lists each malformed directive, or if there is none, each directive
    /// that has no effect. If there is
    /// an error, the levels stay unchanged.
    pub fn set_levels(&self, levels: &str) -> Result<(), ParseError> {
        let levels = levels.parse::<Levels>()?;
        self.state.change(|sources| {
            let levels = sources.complete(levels)?;
            sources.permanent = levels.clone();
            sources.temporary = None;
            Ok(Some(levels))
        })
    }

    /// Sets the configured levels after the configuration has changed. While a temporary change is
    /// in force, they take effect only when it ends.
    #[doc(hidden)]
    pub fn set_configured(&self, levels: &Levels) {
        let levels = with_default_level(levels.clone());
        let Ok(()) = self.state.change(|sources| {
            sources.configured = levels.clone();
            sources.permanent = levels.clone();
            if sources.temporary.as_ref().is_some_and(|it| !it.is_over()) {
                return Ok::<_, Infallible>(None);
            }
            sources.temporary = None;
            Ok(Some(levels))
        });
    }

    /// Makes `tracing` ask all layers again which callsites they enable. Call it if other layers
    /// change which callsites they enable, and the levels stay the same.
    #[doc(hidden)]
    pub fn rebuild_interests(&self) {
        self.state.stack.rebuild_interests();
    }

    /// Sets the levels for this duration, then restores the permanent levels: those of
    /// [`LevelLayer::new`], of the last [`set_levels`](Self::set_levels), or of the last reload of
    /// the configuration, whichever came last.
    ///
    /// A later call of this method or of `set_levels` ends this change early. In two cases, the
    /// change does not end by itself: if its end is beyond the range of [`Instant`], and in a child
    /// that is forked meanwhile. In the child, a reload of the configuration ends the change if its
    /// time is over.
    ///
    /// # Errors
    /// Returns an error that lists each malformed directive, or if there is none, each directive
    /// that has no effect. Also returns
    /// an error if the restoring thread cannot be started. If there is an error, the levels stay
    /// unchanged.
    pub fn set_levels_for(&self, duration: Duration, levels: &str) -> Result<(), ParseError> {
        let levels = levels.parse::<Levels>()?;
        self.state.change(|sources| {
            let levels = sources.complete(levels)?;
            let deadline = Instant::now().checked_add(duration);
            let has_ended = Arc::<AtomicBool>::default();
            let restore = {
                let (state, has_ended) = (Arc::clone(&self.state), Arc::clone(&has_ended));
                move || {
                    if let Some(deadline) = deadline {
                        state.restore_at(deadline, &has_ended);
                    }
                }
            };
            let thread = thread::Builder::new()
                .name("spanwise-levels".to_owned())
                .spawn(restore)
                .map_err(|error| {
                    ParseError::new(format!(
                        "levels unchanged: cannot start the thread that would restore them: {error}"
                    ))
                })?;
            sources.temporary = Some(TemporaryChange {
                deadline,
                has_ended,
                restoring_thread: thread.thread().clone(),
                process_generation: forks::generation(),
            });
            Ok(Some(levels))
        })
    }

    /// Returns the most verbose level at which the current levels can enable an event, without the
    /// levels of [`LevelLayer::capture`].
    #[must_use]
    pub fn max_event_level(&self) -> LevelFilter {
        self.state.active().levels.max_event_level()
    }

    /// Returns the number of changes of the levels.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.state.version.load(Ordering::Acquire)
    }

    /// Returns the visibility of an event by its target and level, without span directives.
    pub(crate) fn visibility(&self, target: &str, level: Level) -> Visibility {
        Visibility::from_level(level, self.state.active().levels.targets.level(target))
    }

    /// Returns whether a span directive enables events of this level.
    pub(crate) fn depends_on_span(&self, level: Level) -> bool {
        self.state
            .active()
            .span_directives
            .iter()
            .any(|directive| level <= directive.level)
    }

    /// Returns whether a span that this thread has entered enables an event with this metadata.
    pub(crate) fn enabled_by_span<S: Subscriber>(
        &self,
        metadata: &Metadata<'_>,
        ctx: &Context<'_, S>,
    ) -> bool {
        self.state.active().enabled_by_span(metadata, ctx)
    }
}

impl LevelState {
    fn captures(&self, active: &ActiveLevels, metadata: &Metadata<'_>) -> bool {
        let Some(captured) = self.captured.get() else {
            return false;
        };
        let target = metadata.target();
        // `enabled!` passes metadata of kind HINT, for which `is_event` is false.
        !metadata.is_span()
            && captured
                .level(target)
                .is_some_and(|max| *metadata.level() <= max)
            && active.levels.targets.level(target) != Some(LevelFilter::OFF)
    }

    /// Returns whether the levels enable the callsite regardless of the current span.
    fn enabled_by_target(&self, active: &ActiveLevels, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let max = if metadata.is_span() {
            self.span_rule().level(&active.levels, target)
        } else {
            let level = active.levels.targets.level(target);
            level.unwrap_or(LevelFilter::OFF)
        };
        *metadata.level() <= max
    }

    fn span_rule(&self) -> &SpanRule {
        self.span_rule.get_or_init(SpanRule::default)
    }

    fn active(&self) -> Arc<ActiveLevels> {
        Arc::clone(&self.active.read())
    }

    /// Calls `change`, and activates the levels that it returns, if it returns any.
    ///
    /// Makes `tracing` ask the layers about all callsites again, but only after the lock is
    /// released, because that takes long and runs foreign code. If two threads change levels at the
    /// same time, the layers are asked at least once after both sources.
    fn change<E>(
        &self,
        change: impl FnOnce(&mut LevelSources) -> Result<Option<Levels>, E>,
    ) -> Result<(), E> {
        // A forked child would inherit the locks in their locked state.
        let no_fork = forks::defer();
        let mut sources = self.sources.lock();
        if let Some(levels) = change(&mut sources)? {
            self.activate(levels);
        }
        drop((sources, no_fork));
        self.stack.rebuild_interests();
        Ok(())
    }

    /// Replaces the levels. The caller holds the lock of `sources`.
    fn activate(&self, levels: Levels) {
        let active = Arc::new(ActiveLevels::new(levels, &self.active().span_directives));
        let has_span_directives = !active.span_directives.is_empty();
        *self.active.write() = active;
        self.has_span_directives
            .store(has_span_directives, Ordering::Release);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Waits until the deadline of a temporary change, and then ends the change.
    fn restore_at(&self, deadline: Instant, has_ended: &AtomicBool) {
        while !has_ended.load(Ordering::Acquire) {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if !remaining.is_zero() {
                thread::park_timeout(remaining);
                continue;
            }
            let Ok(()) = self.change(|sources| {
                // The change may have ended while this thread waited for the lock.
                let levels = (!has_ended.load(Ordering::Acquire)).then(|| {
                    sources.temporary = None;
                    sources.permanent.clone()
                });
                Ok::<_, Infallible>(levels)
            });
        }
    }
}

impl SpanRule {
    /// Returns the span level of `target` if events have these levels.
    fn level(&self, events: &Levels, target: &str) -> LevelFilter {
        let event_level = events.targets.level(target).unwrap_or(LevelFilter::OFF);
        let levels = match self {
            Self::FollowsEvents => return event_level,
            Self::Levels(levels) => levels,
        };
        if let Some(level) = levels.directive_level(target) {
            level
        } else if events.targets.directive_level(target) == Some(LevelFilter::OFF) {
            LevelFilter::OFF
        } else if let Some(level) = levels.default_level() {
            level
        } else if events.disable_everything() {
            LevelFilter::OFF
        } else {
            event_level.max(LevelFilter::INFO)
        }
    }

    /// Returns the most verbose level that any span may have.
    fn most_verbose(&self, events: &Levels) -> LevelFilter {
        if !events.spans.is_empty() {
            // A filter must receive the spans that its directive names, at every level.
            return LevelFilter::TRACE;
        }
        let event_level = events.targets.most_verbose();
        match self {
            Self::FollowsEvents => event_level,
            Self::Levels(levels)
                if levels.default_level().is_some() || events.disable_everything() =>
            {
                levels.most_verbose()
            }
            Self::Levels(levels) => levels
                .most_verbose()
                .max(event_level)
                .max(LevelFilter::INFO),
        }
    }
}

impl Default for SpanRule {
    fn default() -> Self {
        Self::Levels(TargetLevels::default())
    }
}

impl<S: Subscriber> Layer<S> for LevelLayer {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.filter_interop.detect(dispatch);
        self.state.stack.set(dispatch);
    }

    fn register_callsite(&self, callsite: &'static Metadata<'static>) -> Interest {
        #[cfg(feature = "log")]
        if log_bridge::is_probe(callsite) {
            // The `log` bridge knows from this answer that the stack has a `LevelLayer`.
            return Interest::never();
        }
        let active = self.state.active();
        let mut depends_on_span = false;
        for directive in &active.span_directives {
            // Every filter must receive every callsite, because it decides here which spans match.
            depends_on_span |= directive.register::<S>(callsite);
        }
        let state = &self.state;
        if state.enabled_by_target(&active, callsite) || state.captures(&active, callsite) {
            self.filter_interop.always_or_sometimes()
        } else if depends_on_span {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, ctx: Context<'_, S>) -> bool {
        // Decides again in full, because `log_enabled!` does not consult the callsite cache.
        let state = &self.state;
        let active = state.active();
        state.enabled_by_target(&active, metadata)
            || state.captures(&active, metadata)
            || active.enabled_by_span(metadata, &ctx)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let captured = self.state.captured.get();
        let captured = captured.map_or(LevelFilter::OFF, TargetLevels::most_verbose);
        let active = self.state.active();
        let events = active.levels.max_event_level().max(captured);
        #[cfg(feature = "log")]
        log_bridge::note_event_level(events);
        Some(events.max(self.state.span_rule().most_verbose(&active.levels)))
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        self.for_each_filter(|filter| filter.on_new_span(attrs, id, ctx.clone()));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        self.for_each_filter(|filter| filter.on_record(id, values, ctx.clone()));
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        self.for_each_filter(|filter| filter.on_enter(id, ctx.clone()));
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        self.for_each_filter(|filter| filter.on_exit(id, ctx.clone()));
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        self.for_each_filter(|filter| filter.on_close(id.clone(), ctx.clone()));
    }
}
