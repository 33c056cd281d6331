//! The levels of the whole program, changeable while it runs.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tracing::{Dispatch, Subscriber};
use tracing_core::{
    Interest, Level, LevelFilter, Metadata, callsite,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{EnvFilter, Layer, layer::Context};

#[cfg(feature = "log")]
use crate::internal::log_bridge;
use crate::{
    Levels, ParseError, TargetLevels,
    internal::{
        FilterInterop, Visibility, panic_safe,
        sync::{Condvar, Mutex, MutexGuard, RwLock},
    },
    levels,
};

/// Decides what is enabled at all: the one layer that does, for every other layer of the stack.
///
/// The levels decide about events. Spans up to INFO stay enabled at every level of events, so that
/// the ids they carry are on every line that is written; see [`span_levels`](Self::span_levels).
///
/// Without span directives each callsite is decided once: a disabled one costs what it costs in
/// bare `tracing`, an enabled one is not asked again. Where no directive speaks of a target, the
/// default [`Levels`] given to [`LevelLayer::new`] do, and `info` if those have no bare level
/// either.
///
/// Change the levels with the [`handle`](Self::handle). A change loses no event that both the old
/// and the new levels let through. A span directive that was not there before applies to the spans
/// that are opened from then on. It adds to what the targets let through, and takes nothing away.
///
/// Span directives are matched by tracing-subscriber's `EnvFilter`, which formats a recorded value
/// under a lock of its own: with a directive on a field's *value*, a `Debug` of that field must not
/// open a span of the same name.
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
    /// Held only to copy or swap the pointer, never while a layer is called.
    active: RwLock<Arc<Active>>,
    has_span_directives: AtomicBool,
    /// Moves on with each change of `active`, after it: who keeps what followed from the levels
    /// asks again.
    version: AtomicU64,
    /// Events that are let through for who keeps them, and nobody else.
    captured: OnceLock<TargetLevels>,
    /// [`SpanRule::default`] until it is set.
    span_rule: OnceLock<SpanRule>,
    defaults: Levels,
    control: Mutex<Control>,
    changed: Condvar,
}

#[derive(Debug)]
struct Control {
    /// What a temporary setting falls back to.
    permanent: Levels,
    /// Counts the version, so that a temporary setting knows whether it still stands.
    generation: u64,
}

/// Which spans are enabled in any case; span directives add to them.
#[derive(Debug)]
enum SpanRule {
    Levels(TargetLevels),
    /// A span is enabled where an event of its level and target is.
    FollowsEvents,
}

#[derive(Debug)]
struct Active {
    levels: Levels,
    spans: Vec<SpanLevels>,
}

/// A span directive at work: the filter knows which spans it means, the level is kept apart from
/// it, so that a change of the level keeps what the filter knows of the spans that are open.
#[derive(Debug, Clone)]
struct SpanLevels {
    matcher: String,
    level: LevelFilter,
    filter: Arc<EnvFilter>,
}

impl LevelLayer {
    /// A layer that lets these levels through; they stay the default under the levels that are set
    /// later.
    #[must_use]
    pub fn new(levels: Levels) -> Self {
        let defaults = levels.or(&LevelFilter::INFO.into());
        let active = Active::new(defaults.clone(), &[]);
        let state = LevelState {
            has_span_directives: AtomicBool::new(!active.spans.is_empty()),
            active: RwLock::new(Arc::new(active)),
            version: AtomicU64::new(0),
            captured: OnceLock::new(),
            span_rule: OnceLock::new(),
            control: Mutex::new(Control {
                permanent: defaults.clone(),
                generation: 0,
            }),
            defaults,
            changed: Condvar::new(),
        };
        Self {
            state: Arc::new(state),
            filter_interop: FilterInterop::default(),
        }
    }

    /// Lets events of these levels through as well, for a layer that keeps them and may never show
    /// them. Spans stay as they are, and so do the events of a target that is `off`.
    ///
    /// Each sink has to be told not to show them: with
    /// [`LayerExt::without_captured`](crate::LayerExt::without_captured), or by being behind a recorder. The first
    /// call counts. Default: none.
    ///
    /// ```
    /// use spanwise_core::{LayerExt, LevelLayer};
    /// use tracing::{Level, level_filters::LevelFilter};
    /// use tracing_subscriber::prelude::*;
    ///
    /// let levels = LevelLayer::new("info".parse()?).capture(LevelFilter::DEBUG);
    /// let fmt = tracing_subscriber::fmt::layer().without_captured(levels.handle()); // shows INFO and above
    /// let _default = tracing_subscriber::registry().with(fmt).with(levels).set_default();
    /// assert!(tracing::event_enabled!(Level::DEBUG));
    /// assert!(!tracing::span_enabled!(Level::DEBUG));
    /// assert!(!tracing::event_enabled!(Level::TRACE));
    /// # Ok::<(), spanwise_core::ParseError>(())
    /// ```
    #[must_use]
    pub fn capture(self, levels: impl Into<TargetLevels>) -> Self {
        // Said twice, the first stands.
        let _ = self.state.captured.set(levels.into());
        self
    }

    /// Sets the levels of spans. Defaults to INFO, or to the level of events where that is more
    /// verbose.
    ///
    /// Spans carry context, such as the id of a request, so the levels of events do not disable
    /// them. Two settings of events still count, where no directive given here names the target:
    ///
    /// * A directive that switches a target `off` disables the spans of that target, too.
    /// * Levels that disable every event disable every span, unless a bare level is given here.
    ///
    /// Without a bare level, the default remains for the targets that are not named. Span
    /// directives add to these levels. The first call of this or
    /// [`spans_follow_events`](Self::spans_follow_events) counts.
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

    /// Enables a span where an event of its level and target is enabled, and no other: at `warn`
    /// no span at INFO is, and the lines inside it lose its fields.
    #[must_use]
    pub fn spans_follow_events(self) -> Self {
        self.with_span_rule(SpanRule::FollowsEvents)
    }

    fn with_span_rule(self, rule: SpanRule) -> Self {
        // Said twice, the first stands.
        let _ = self.state.span_rule.set(rule);
        self
    }

    /// The handle by which the levels are read and changed while the program runs.
    #[must_use]
    pub fn handle(&self) -> LevelHandle {
        LevelHandle {
            state: Arc::clone(&self.state),
        }
    }

    fn for_each_filter(&self, call: impl Fn(&EnvFilter)) {
        if self.state.has_span_directives.load(Ordering::Acquire) {
            let active = self.state.active();
            for span in &active.spans {
                // A filter on a field's value formats the value, which may panic: then this span
                // does not match.
                let _ = panic_safe::catch_panic(|| call(&span.filter));
            }
        }
    }
}

impl LevelHandle {
    /// The levels in force.
    #[must_use]
    pub fn levels(&self) -> Levels {
        self.state.active().levels.clone()
    }

    /// Sets the levels, and ends a temporary setting. Without a bare level the default's remains.
    ///
    /// # Errors
    /// Every directive that is malformed or changes nothing; then nothing is changed.
    pub fn set_levels(&self, levels: &str) -> Result<(), ParseError> {
        let levels = self.state.parse(levels)?;
        let mut control = self.state.control();
        control.permanent = levels.clone();
        self.state.apply(levels, &mut control);
        Ok(())
    }

    /// Sets the levels for a while; then those last set for good come back by themselves.
    ///
    /// Setting levels again, for a while or for good, ends this setting.
    ///
    /// # Errors
    /// Every directive that is malformed, or that no thread could be started to put the levels
    /// back; nothing is changed then.
    pub fn set_levels_for(&self, duration: Duration, levels: &str) -> Result<(), ParseError> {
        let levels = self.state.parse(levels)?;
        let mut control = self.state.control();
        let generation = control.generation + 1;
        let state = Arc::clone(&self.state);
        thread::Builder::new()
            .name("spanwise-levels".to_owned())
            .spawn(move || state.restore_after(duration, generation))
            .map_err(|error| {
                ParseError::new(format!(
                    "the levels stay as they are: no thread to put them back could be started: {error}"
                ))
            })?;
        self.state.apply(levels, &mut control);
        Ok(())
    }

    /// The most verbose level that any event may have now.
    #[must_use]
    pub fn most_verbose_event(&self) -> LevelFilter {
        self.state.active().levels.most_verbose_event()
    }

    /// Counts the changes of the levels.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.state.version.load(Ordering::Acquire)
    }

    /// What the levels say of an event that is in no span.
    pub(crate) fn visibility(&self, target: &str, level: Level) -> Visibility {
        Visibility::from_level(level, self.state.active().levels.targets.level(target))
    }

    /// Whether there is a span in which an event of this level would be let through.
    pub(crate) fn depends_on_span(&self, level: Level) -> bool {
        self.state
            .active()
            .spans
            .iter()
            .any(|span| level <= span.level)
    }

    /// Whether this thread is in a span in which such an event is let through.
    pub(crate) fn enabled_by_span<S: Subscriber>(
        &self,
        metadata: &Metadata<'_>,
        ctx: &Context<'_, S>,
    ) -> bool {
        self.state.active().enables_here(metadata, ctx)
    }
}

impl LevelState {
    fn parse(&self, levels: &str) -> Result<Levels, ParseError> {
        let levels = levels.parse::<Levels>()?.or(&self.defaults);
        levels.check_spans()?;
        Ok(levels)
    }

    fn captures(&self, active: &Active, metadata: &Metadata<'_>) -> bool {
        let Some(captured) = self.captured.get() else {
            return false;
        };
        let target = metadata.target();
        // Also what is only asked about, as `enabled!` does, since it is asked before an event.
        !metadata.is_span()
            && Visibility::from_level(*metadata.level(), captured.level(target))
                == Visibility::Visible
            && active.levels.targets.level(target) != Some(LevelFilter::OFF)
    }

    /// Whether it is enabled by its target, whatever span it is in.
    fn enables_everywhere(&self, active: &Active, metadata: &Metadata<'_>) -> bool {
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

    fn active(&self) -> Arc<Active> {
        Arc::clone(&self.active.read())
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock()
    }

    fn apply(&self, levels: Levels, control: &mut Control) {
        control.generation += 1;
        let active = Arc::new(Active::new(levels, &self.active().spans));
        let has_span_directives = !active.spans.is_empty();
        *self.active.write() = active;
        self.has_span_directives
            .store(has_span_directives, Ordering::Release);
        self.version.fetch_add(1, Ordering::Release);
        self.changed.notify_all();
        #[cfg(feature = "log")]
        log_bridge::follow_levels(callsite::rebuild_interest_cache);
        #[cfg(not(feature = "log"))]
        callsite::rebuild_interest_cache();
    }

    fn restore_after(&self, duration: Duration, generation: u64) {
        let Some(end) = Instant::now().checked_add(duration) else {
            return;
        };
        let mut control = self.control();
        // The caller applies the setting under the same lock, so its generation is there by now.
        while control.generation == generation {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let permanent = control.permanent.clone();
                self.apply(permanent, &mut control);
                return;
            }
            control = self.changed.wait_timeout(control, left).0;
        }
    }
}

impl SpanRule {
    /// The level of the spans of `target`, where these are the levels of events.
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
        } else if let Some(level) = levels.bare() {
            level
        } else if events.disable_everything() {
            LevelFilter::OFF
        } else {
            event_level.max(LevelFilter::INFO)
        }
    }

    /// The most verbose level that any span may have.
    fn most_verbose(&self, events: &Levels) -> LevelFilter {
        if !events.spans.is_empty() {
            // A span that a directive names must be seen whatever its own level.
            return LevelFilter::TRACE;
        }
        let event_level = events.targets.most_verbose();
        match self {
            Self::FollowsEvents => event_level,
            Self::Levels(levels) if levels.bare().is_some() || events.disable_everything() => {
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

impl Active {
    fn new(levels: Levels, before: &[SpanLevels]) -> Self {
        let span = |level: LevelFilter, matcher: &str| {
            let kept = before.iter().find(|span| span.matcher == matcher);
            let filter = match kept {
                Some(span) => Arc::clone(&span.filter),
                None => Arc::new(levels::span_filter(matcher)?),
            };
            Some(SpanLevels {
                matcher: matcher.to_owned(),
                level,
                filter,
            })
        };
        // `filter_map` drops nothing: a directive was parsed by the same function before.
        let variants = levels.spans.iter().flat_map(|directive| {
            let variants = directive.variants.iter();
            variants.map(|matcher| (directive.level, matcher))
        });
        let spans = variants
            .filter_map(|(level, matcher)| span(level, matcher))
            .collect();
        Self { levels, spans }
    }

    /// By the spans that this thread is in.
    fn enables_here<S: Subscriber>(&self, metadata: &Metadata<'_>, ctx: &Context<'_, S>) -> bool {
        self.spans.iter().any(|span| {
            (metadata.is_span() || *metadata.level() <= span.level)
                && span.filter.enabled(metadata, ctx.clone())
        })
    }
}

impl<S: Subscriber> Layer<S> for LevelLayer {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.filter_interop.detect(dispatch);
    }

    fn register_callsite(&self, callsite: &'static Metadata<'static>) -> Interest {
        #[cfg(feature = "log")]
        if log_bridge::is_probe(callsite) {
            return Interest::never();
        }
        let active = self.state.active();
        let mut depends_on_span = false;
        for span in &active.spans {
            // Each filter must hear of each callsite: this is where it learns which spans it means.
            let interest = Layer::<S>::register_callsite(&*span.filter, callsite);
            let named = callsite.is_span() && interest.is_always();
            depends_on_span |= named || (!interest.is_never() && *callsite.level() <= span.level);
        }
        let state = &self.state;
        if state.enables_everywhere(&active, callsite) || state.captures(&active, callsite) {
            self.filter_interop.interest()
        } else if depends_on_span {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, ctx: Context<'_, S>) -> bool {
        // Not cached by callsite: what asks `log_enabled!` comes with metadata of its own here.
        let state = &self.state;
        let active = state.active();
        state.enables_everywhere(&active, metadata)
            || state.captures(&active, metadata)
            || active.enables_here(metadata, &ctx)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let captured = self.state.captured.get();
        let captured = captured.map_or(LevelFilter::OFF, TargetLevels::most_verbose);
        let active = self.state.active();
        let events = active.levels.most_verbose_event().max(captured);
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
