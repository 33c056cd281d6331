//! Facts about an event that a layer passes to the layers inside it.
//!
//! A recorder or a sampler attaches an [`EventContext`] to the event that it forwards, and a sink
//! takes it before it formats the event. A recorder also decides what becomes of the line that the
//! sink writes: a [`LineDisposition`], which the sink's writer takes. These are two types because
//! values, which may log, are formatted after the first is taken and before the second.
//!
//! Both are in one thread-local. A word of flags shows what is set, so an event without a context
//! costs one load. *Invariants:* a nested event never sees the context or the disposition of the
//! event around it, a writer leaves the disposition of another sink alone, and guards restore the
//! outer state when a layer panics. The thread-local has no destructor, so it works until the
//! thread has ended.

use std::{any::Any, cell::Cell, fmt, mem::ManuallyDrop, ptr, sync::Arc};

use tracing_core::Metadata;

use crate::internal::LayerId;

/// What the wrappers around a sink know about one event. The default fits an event without
/// wrappers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct EventContext {
    /// The fraction of similar events that is forwarded, between 0 and 1. This event represents the
    /// dropped ones. Wrappers combine their ratios with
    /// [`multiply_sample_rate`](Self::multiply_sample_rate) and
    /// [`limit_trace_rate`](Self::limit_trace_rate).
    pub sample_rate: Option<f64>,
    /// The factor of `sample_rate` that comes from sampling by trace or request.
    trace_rate: Option<f64>,
    /// The line is buffered, and written later or never.
    pub buffered: bool,
    /// The event reports on other events (a summary or a header), so sink levels do not hide it.
    pub force_emit: bool,
    /// No sampler further in may drop the event.
    pub exempt_from_sampling: bool,
    /// A sampler further in that drops the event still forwards it, to be buffered. See
    /// [`forward_sampled_out`](Self::forward_sampled_out).
    pub keep_if_sampled_out: bool,
}

/// The rate at which an event was sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleRate {
    /// The ratio, between 0 and 1.
    pub ratio: f64,
    /// Whether the id of the trace or request decides, for all its events. Otherwise each event is
    /// sampled on its own.
    pub by_trace: bool,
}

/// What becomes of the next line that a sink writes on this thread. Without one, the line is
/// written.
///
/// The recorder sets it, and its writer takes it. The content is opaque to this crate.
pub enum LineDisposition {
    /// The line goes to the buffer of a unit.
    Buffer {
        /// The recorder's unit.
        unit: Arc<dyn Any + Send + Sync>,
        /// The recorder's number for the record.
        tag: u32,
    },
    /// The line is a header, and buffered lines follow it.
    Header(Box<dyn Any>),
}

/// A line that goes to the unit of an entered span. Finding the unit by the position of the span
/// avoids a clone of its `Arc`, which would double the cost of a buffered line.
#[derive(Debug, Clone, Copy)]
pub struct EnteredLine {
    /// The recorder's sink.
    pub sink: LayerId,
    /// The position of the span in the recorder's `EnteredSpans`.
    pub index: u32,
    /// The recorder's number for the record.
    pub tag: u32,
    /// Finds the unit by the sink and the position, if the line cannot stay on the fast path.
    pub unit_at: fn(LayerId, u32) -> Option<Arc<dyn Any + Send + Sync>>,
}

/// Marks a layer that must see all events. Its [`Layer::downcast_raw`] returns a pointer for this
/// type. A sampler around such a layer does not sample.
///
/// [`Layer::downcast_raw`]: tracing_subscriber::Layer::downcast_raw
#[derive(Debug)]
pub struct MustSeeAllEvents;

thread_local! {
    static CURRENT: Current = const {
        Current {
            flags: Cell::new(0),
            sample_rate: Cell::new(0.0),
            trace_rate: Cell::new(0.0),
            entered_line: Cell::new(EnteredLine::NONE),
            owned_line: Cell::new(None),
            summary: Cell::new(None),
        }
    };
}

struct Current {
    /// Shows which of the fields below are valid.
    flags: Cell<u16>,
    sample_rate: Cell<f64>,
    trace_rate: Cell<f64>,
    entered_line: Cell<EnteredLine>,
    /// In `ManuallyDrop`, so that the thread-local has no destructor. Guards take it out.
    owned_line: Cell<Option<ManuallyDrop<SinkLine>>>,
    /// The summary that is being dispatched.
    summary: Cell<Option<DispatchedSummary>>,
}

/// The disposition of the next line of one sink.
struct SinkLine {
    sink: LayerId,
    line: LineDisposition,
    is_sampled_out: bool,
}

const SAMPLE_RATE: u16 = 1;
const TRACE_RATE: u16 = 1 << 1;
const BUFFERED: u16 = 1 << 2;
const FORCE_EMIT: u16 = 1 << 3;
const EXEMPT_FROM_SAMPLING: u16 = 1 << 4;
const KEEP_IF_SAMPLED_OUT: u16 = 1 << 5;
/// The flags of an [`EventContext`].
const CONTEXT: u16 = (1 << 6) - 1;
/// The disposition is in `entered_line`.
const ENTERED_LINE: u16 = 1 << 6;
/// The disposition is in `owned_line`.
const OWNED_LINE: u16 = 1 << 7;
/// A sampler dropped the event of the line.
const SAMPLED_OUT: u16 = 1 << 8;
/// The flags of a [`LineDisposition`].
const LINE: u16 = ENTERED_LINE | OWNED_LINE | SAMPLED_OUT;
/// A summary is being dispatched.
const SUMMARY: u16 = 1 << 9;

#[inline(always)] // `LocalKey::with` alone is not inlined: a call costs 1 % of a buffered line.
fn current<R>(f: impl FnOnce(&Current) -> R) -> R {
    CURRENT.with(f)
}

impl EventContext {
    /// Forwards an event with a changed context: `change` gets the context that wrappers further
    /// out have set. The first sink that calls [`take`](Self::take) gets the result.
    #[inline]
    pub fn scope<R>(change: impl FnOnce(&mut Self), forward: impl FnOnce() -> R) -> R {
        if Self::is_set() {
            return Self::scope_inside(change, forward);
        }
        let mut context = Self::default();
        change(&mut context);
        current(|current| current.set(context));
        let _cleared = ClearContext;
        forward()
    }

    #[inline(never)]
    fn scope_inside<R>(change: impl FnOnce(&mut Self), forward: impl FnOnce() -> R) -> R {
        let outer = current(|current| current.context(current.flags.get()));
        let mut inner = outer;
        change(&mut inner);
        current(|current| current.set(inner));
        let _restored = RestoreContext(outer);
        forward()
    }

    /// Forwards an event that the caller created, with this context. Meanwhile, hides the context
    /// and the line disposition of the event at hand.
    pub fn fresh<R>(self, forward: impl FnOnce() -> R) -> R {
        let _restored = Restore(Saved::take());
        current(|current| current.set(self));
        forward()
    }

    /// Returns the context of the event at hand, and clears it. Call it before formatting values: a
    /// value may log another event.
    #[inline]
    #[must_use]
    pub fn take() -> Self {
        current(|current| {
            let flags = current.flags.get();
            if flags & CONTEXT == 0 {
                return Self::default();
            }
            current.flags.set(flags & !CONTEXT);
            current.context(flags)
        })
    }

    /// Multiplies the sample rate by a ratio that is independent of all other ratios.
    #[inline]
    pub fn multiply_sample_rate(&mut self, ratio: f64) {
        self.sample_rate = Some(self.sample_rate.unwrap_or(1.0) * ratio);
    }

    /// Limits the sample rate to a ratio of the traces or requests. Traces that are kept at a small
    /// ratio are also kept at a larger one, so the smallest ratio counts, not the product.
    #[inline]
    pub fn limit_trace_rate(&mut self, ratio: f64) {
        let known = self.trace_rate.unwrap_or(1.0);
        if ratio >= known {
            return;
        }
        self.trace_rate = Some(ratio);
        self.sample_rate = match self.sample_rate {
            // Without other factors, avoid rounding.
            Some(rate) if rate != known => Some(rate / known * ratio),
            _ => Some(ratio),
        };
    }

    /// Forwards an event that a sampler drops, if it is buffered anyway or a recorder further out
    /// buffers it instead. Returns whether it was forwarded.
    pub fn forward_sampled_out(self, forward: impl FnOnce()) -> bool {
        if !self.buffered && !self.keep_if_sampled_out {
            return false;
        }
        let update_flags = |update: fn(u16) -> u16| {
            current(|current| current.flags.set(update(current.flags.get())));
        };
        update_flags(|flags| {
            if flags & OWNED_LINE != 0 {
                flags | SAMPLED_OUT
            } else {
                flags
            }
        });
        // If its request fails, the line is written without a rate: it was counted as dropped.
        let buffered = |context: &mut Self| {
            *context = Self {
                buffered: true,
                ..Self::default()
            }
        };
        Self::scope(buffered, forward);
        update_flags(|flags| flags & !SAMPLED_OUT);
        true
    }

    /// Returns whether the event at hand has a context. Does not take it.
    #[inline]
    #[must_use]
    pub fn is_set() -> bool {
        current(|current| current.flags.get()) & CONTEXT != 0
    }

    /// Returns whether the event at hand is exempt from sink levels: with
    /// [`force_emit`](Self::force_emit), or because it is a dispatched summary.
    #[inline]
    pub(crate) fn forces_emit(callsite: &Metadata<'_>) -> bool {
        let flags = current(|current| current.flags.get());
        flags & (FORCE_EMIT | SUMMARY) != 0 && Self::forces_emit_of(flags, callsite)
    }

    #[cold]
    fn forces_emit_of(flags: u16, callsite: &Metadata<'_>) -> bool {
        let is_of_callsite = |summary: DispatchedSummary| ptr::eq(summary.callsite, callsite);
        flags & FORCE_EMIT != 0 || DispatchedSummary::current().is_some_and(is_of_callsite)
    }

    #[inline]
    fn flags(self) -> u16 {
        let bits = [
            (self.sample_rate.is_some(), SAMPLE_RATE),
            (self.trace_rate.is_some(), TRACE_RATE),
            (self.buffered, BUFFERED),
            (self.force_emit, FORCE_EMIT),
            (self.exempt_from_sampling, EXEMPT_FROM_SAMPLING),
            (self.keep_if_sampled_out, KEEP_IF_SAMPLED_OUT),
        ];
        bits.iter()
            .map(|(is_set, bit)| u16::from(*is_set) * bit)
            .sum()
    }
}

impl SampleRate {
    /// Adds this rate to the context of a kept event.
    #[inline]
    pub fn apply(self, context: &mut EventContext) {
        if self.by_trace {
            context.limit_trace_rate(self.ratio);
        } else {
            context.multiply_sample_rate(self.ratio);
        }
    }
}

impl LineDisposition {
    /// Forwards an event with a changed context and this disposition of the next line of `sink`. If
    /// `sink` writes no line, the disposition is dropped.
    #[inline(never)]
    pub fn scope<R>(
        self,
        sink: LayerId,
        change: impl FnOnce(&mut EventContext),
        forward: impl FnOnce() -> R,
    ) -> R {
        let outer = Saved::take();
        let mut context = outer.context;
        let _restored = Restore(outer);
        change(&mut context);
        current(|current| {
            current.set(context);
            current.put_line(SinkLine::new(sink, self));
        });
        forward()
    }

    /// Forwards an event without the disposition of a line that is being written further out. Keeps
    /// the context of the event.
    #[inline]
    pub fn hide<R>(forward: impl FnOnce() -> R) -> R {
        if current(|current| current.flags.get()) & LINE == 0 {
            // Nothing to restore: each scope inside removes what it sets.
            return forward();
        }
        Self::hide_line(forward)
    }

    #[cold]
    fn hide_line<R>(forward: impl FnOnce() -> R) -> R {
        let _restored = RestoreLine(current(Current::take_line));
        forward()
    }

    /// Takes the disposition of the line that `sink` writes, and whether a sampler dropped its
    /// event. Returns `None` if the line is to be written.
    #[inline]
    #[must_use]
    pub fn take(sink: LayerId) -> Option<(Self, bool)> {
        if current(|current| current.flags.get()) & LINE == 0 {
            return None;
        }
        Self::take_of_sink(sink)
    }

    #[inline(never)]
    fn take_of_sink(sink: LayerId) -> Option<(Self, bool)> {
        current(|current| {
            let line = current.take_line()?;
            if line.sink == sink {
                return Some((line.line, line.is_sampled_out));
            }
            current.put_line(line);
            None
        })
    }
}

impl EnteredLine {
    const NONE: Self = Self {
        sink: LayerId::NONE,
        index: 0,
        tag: 0,
        unit_at: |_, _| None,
    };

    /// Forwards a captured event: the next line of the sink goes to the unit of the entered span.
    /// The event is exempt from sampling.
    #[inline(always)] // The path of nearly all buffered lines.
    pub fn scope<R>(self, forward: impl FnOnce() -> R) -> R {
        if current(|current| current.flags.get()) != 0 {
            return self.scope_inside(forward);
        }
        current(|current| {
            current.entered_line.set(self);
            current
                .flags
                .set(BUFFERED | EXEMPT_FROM_SAMPLING | ENTERED_LINE);
        });
        let _cleared = ClearAll;
        forward()
    }

    #[cold]
    fn scope_inside<R>(self, forward: impl FnOnce() -> R) -> R {
        let outer = Saved::take();
        let mut context = outer.context;
        let _restored = Restore(outer);
        context.buffered = true;
        context.exempt_from_sampling = true;
        current(|current| {
            current.set(context);
            current.entered_line.set(self);
            current.flags.set(current.flags.get() | ENTERED_LINE);
        });
        forward()
    }

    /// Returns the entered line of the event at hand, if `sink` has not written it yet.
    #[inline(always)] // Called twice for each buffered line.
    #[must_use]
    pub fn current(sink: LayerId) -> Option<Self> {
        current(|current| {
            if current.flags.get() & ENTERED_LINE == 0 {
                return None;
            }
            let line = current.entered_line.get();
            (line.sink == sink).then_some(line)
        })
    }

    /// Ends the disposition: the line that [`current`](Self::current) returned is buffered.
    #[inline]
    pub fn line_buffered() {
        current(|current| current.flags.set(current.flags.get() & !LINE));
    }

    /// Called when the thread exits the entered span at `index`, which a value can cause while its
    /// line is formatted. If the line belongs to that span, keeps its unit. If the span was below
    /// that of the line, shifts the index.
    #[inline]
    pub fn span_exited(
        sink: LayerId,
        index: u32,
        unit: impl FnOnce() -> Option<Arc<dyn Any + Send + Sync>>,
    ) {
        let Some(line) = Self::current(sink) else {
            return;
        };
        current(|current| match line.index.checked_sub(index) {
            Some(0) => {
                if let Some(unit) = unit() {
                    let tag = line.tag;
                    let line = LineDisposition::Buffer { unit, tag };
                    current.put_line(SinkLine::new(sink, line));
                }
            }
            Some(_) => current.entered_line.set(Self {
                index: line.index - 1,
                ..line
            }),
            None => {}
        });
    }
}

/// A summary for one sink that a sampler sends through the dispatcher, so that all layers see it.
#[derive(Debug, Clone, Copy)]
pub struct DispatchedSummary {
    sink: LayerId,
    callsite: &'static Metadata<'static>,
    has_arrived: bool,
}

impl DispatchedSummary {
    /// The target of all summaries.
    pub const TARGET: &str = "spanwise::sampler";

    /// Dispatches a summary for `sink`, an event of `callsite`. Returns whether the sink
    /// [took](Self::take) it.
    pub fn scope(
        sink: LayerId,
        callsite: &'static Metadata<'static>,
        dispatch: impl FnOnce(),
    ) -> bool {
        let summary = Self {
            sink,
            callsite,
            has_arrived: false,
        };
        EventContext::default().fresh(|| {
            current(|current| current.put_summary(summary));
            dispatch();
            Self::current().is_some_and(|summary| summary.has_arrived)
        })
    }

    /// Returns whether a summary is being dispatched on this thread.
    #[must_use]
    pub fn is_current() -> bool {
        Self::current().is_some()
    }

    /// Returns whether the summary that is being dispatched is for `sink`, and notes its arrival.
    #[must_use]
    pub fn take(sink: LayerId) -> bool {
        let Some(summary) = Self::current().filter(|summary| summary.sink == sink) else {
            return false;
        };
        current(|current| {
            current.put_summary(Self {
                has_arrived: true,
                ..summary
            });
        });
        true
    }

    fn current() -> Option<Self> {
        current(|current| match current.flags.get() & SUMMARY {
            0 => None,
            _ => current.summary.get(),
        })
    }
}

impl Current {
    #[inline]
    fn context(&self, flags: u16) -> EventContext {
        let is = |bit| flags & bit != 0;
        EventContext {
            sample_rate: is(SAMPLE_RATE).then(|| self.sample_rate.get()),
            trace_rate: is(TRACE_RATE).then(|| self.trace_rate.get()),
            buffered: is(BUFFERED),
            force_emit: is(FORCE_EMIT),
            exempt_from_sampling: is(EXEMPT_FROM_SAMPLING),
            keep_if_sampled_out: is(KEEP_IF_SAMPLED_OUT),
        }
    }

    #[inline]
    fn set(&self, context: EventContext) {
        self.store_rates(context);
        self.flags
            .set(self.flags.get() & !CONTEXT | context.flags());
    }

    #[inline]
    fn store_rates(&self, context: EventContext) {
        if let Some(rate) = context.sample_rate {
            self.sample_rate.set(rate);
        }
        if let Some(rate) = context.trace_rate {
            self.trace_rate.set(rate);
        }
    }

    fn put_line(&self, line: SinkLine) {
        let sampled_out = u16::from(line.is_sampled_out) * SAMPLED_OUT;
        self.owned_line.set(Some(ManuallyDrop::new(line)));
        let flags = self.flags.get() & !LINE;
        self.flags.set(flags | OWNED_LINE | sampled_out);
    }

    fn put_summary(&self, summary: DispatchedSummary) {
        self.summary.set(Some(summary));
        self.flags.set(self.flags.get() | SUMMARY);
    }

    /// Takes the disposition of any sink. Looks up the unit of an entered span.
    fn take_line(&self) -> Option<SinkLine> {
        let flags = self.flags.get();
        self.flags.set(flags & !LINE);
        if flags & OWNED_LINE != 0 {
            let line = ManuallyDrop::into_inner(self.owned_line.take()?);
            let is_sampled_out = flags & SAMPLED_OUT != 0;
            return Some(SinkLine {
                is_sampled_out,
                ..line
            });
        }
        if flags & ENTERED_LINE == 0 {
            return None;
        }
        let EnteredLine {
            sink,
            index,
            tag,
            unit_at,
        } = self.entered_line.get();
        // `None` on a thread that is ending, which has no entered spans: the line is written.
        let unit = unit_at(sink, index)?;
        Some(SinkLine::new(sink, LineDisposition::Buffer { unit, tag }))
    }
}

impl SinkLine {
    fn new(sink: LayerId, line: LineDisposition) -> Self {
        Self {
            sink,
            line,
            is_sampled_out: false,
        }
    }
}

/// The state of the event around the one that is forwarded.
struct Saved {
    context: EventContext,
    line: Option<SinkLine>,
    summary: Option<DispatchedSummary>,
}

impl Saved {
    fn take() -> Self {
        let saved = Self {
            context: EventContext::take(),
            line: current(Current::take_line),
            summary: DispatchedSummary::current(),
        };
        current(|current| current.flags.set(0));
        saved
    }
}

struct Restore(Saved);

impl Drop for Restore {
    fn drop(&mut self) {
        // First drop what was set and not taken.
        drop(ClearAll);
        current(|current| {
            current.set(self.0.context);
            if let Some(line) = self.0.line.take() {
                current.put_line(line);
            }
            if let Some(summary) = self.0.summary {
                current.put_summary(summary);
            }
        });
    }
}

struct RestoreLine(Option<SinkLine>);

impl Drop for RestoreLine {
    fn drop(&mut self) {
        // First drop what was set and not taken.
        drop(current(Current::take_line));
        if let Some(line) = self.0.take() {
            current(|current| current.put_line(line));
        }
    }
}

struct RestoreContext(EventContext);

impl Drop for RestoreContext {
    #[inline]
    fn drop(&mut self) {
        current(|current| current.set(self.0));
    }
}

/// Clears the context: the event around this one has none.
struct ClearContext;

impl Drop for ClearContext {
    #[inline]
    fn drop(&mut self) {
        current(|current| current.flags.set(current.flags.get() & !CONTEXT));
    }
}

/// Clears the context and the line disposition: the event around this one has none.
struct ClearAll;

impl Drop for ClearAll {
    #[inline(always)] // Nearly always there is nothing to clear.
    fn drop(&mut self) {
        let flags = current(|current| current.flags.replace(0));
        if flags & OWNED_LINE != 0 {
            drop_line();
        }
    }
}

#[cold]
fn drop_line() {
    // Dropped outside `with`: the destructor may re-enter this thread-local.
    let line = current(|current| current.owned_line.take());
    drop(line.map(ManuallyDrop::into_inner));
}

impl fmt::Debug for LineDisposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Buffer { .. } => "Buffer",
            Self::Header(_) => "Header",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::internal::panic_safe::catch_panic;

    fn rate(rate: f64) -> impl FnOnce(&mut EventContext) {
        move |context| context.sample_rate = Some(rate)
    }

    fn buffer(tag: u32) -> LineDisposition {
        let unit = Arc::new(());
        LineDisposition::Buffer { unit, tag }
    }

    fn take_tag(sink: LayerId) -> Option<(u32, bool)> {
        match LineDisposition::take(sink)? {
            (LineDisposition::Buffer { tag, .. }, is_sampled_out) => Some((tag, is_sampled_out)),
            (LineDisposition::Header(_), _) => None,
        }
    }

    #[test]
    fn smallest_trace_rate_counts_and_others_multiply() {
        let mut context = EventContext::default();
        context.limit_trace_rate(0.1);
        context.limit_trace_rate(0.5);
        assert_eq!(context.sample_rate, Some(0.1));
        context.multiply_sample_rate(0.5);
        assert_eq!(context.sample_rate, Some(0.05));
        context.limit_trace_rate(0.02);
        let rate = context.sample_rate.unwrap();
        assert!((rate - 0.01).abs() < 1e-12, "{rate}");
    }

    #[test]
    fn context_is_taken_once_and_ends_with_the_event() {
        EventContext::scope(rate(0.5), || {
            EventContext::scope(
                |context| context.buffered = true,
                || {
                    let taken = EventContext::take();
                    assert_eq!((taken.sample_rate, taken.buffered), (Some(0.5), true));
                    assert_eq!(EventContext::take(), EventContext::default());
                },
            );
            assert_eq!(EventContext::take().sample_rate, Some(0.5));
        });
        let panicking = || EventContext::scope(rate(0.1), || panic!("a sink"));
        assert!(catch_panic(panicking).is_none());
        assert!(!EventContext::is_set());
    }

    #[test]
    fn nested_event_sees_neither_context_nor_line() {
        let (sink, other) = (LayerId::unique(), LayerId::unique());
        buffer(1).scope(sink, rate(0.5), || {
            EventContext::default().fresh(|| {
                assert!(!EventContext::is_set());
                assert_eq!(take_tag(sink), None);
                buffer(2).scope(sink, |_| {}, || {});
            });
            let keep = |context: &mut EventContext| context.keep_if_sampled_out = true;
            let panicking = || buffer(3).scope(other, keep, || panic!("a value"));
            assert!(catch_panic(panicking).is_none());
            LineDisposition::hide(|| assert_eq!(take_tag(sink), None));
            assert_eq!(EventContext::take().sample_rate, Some(0.5));
            assert_eq!(take_tag(other), None, "another sink's line");
            assert_eq!(take_tag(sink), Some((1, false)));
            assert_eq!(take_tag(sink), None);
        });
        assert_eq!(current(|current| current.flags.get()), 0);
    }

    #[test]
    fn sampled_out_event_is_forwarded_only_to_be_buffered() {
        let sink = LayerId::unique();
        assert!(!EventContext::default().forward_sampled_out(|| panic!("forwarded")));
        let keep = |context: &mut EventContext| {
            context.keep_if_sampled_out = true;
            context.multiply_sample_rate(0.5);
        };
        buffer(7).scope(sink, keep, || {
            let context = EventContext::take();
            let forwarded = context.forward_sampled_out(|| {
                let inner = EventContext::take();
                assert_eq!((inner.buffered, inner.sample_rate), (true, None));
                assert_eq!(take_tag(sink), Some((7, true)));
            });
            assert!(forwarded);
        });
    }

    #[test]
    fn entered_line_keeps_its_unit_when_its_span_exits() {
        let sink = LayerId::unique();
        let line = |index| EnteredLine {
            sink,
            index,
            tag: 9,
            unit_at: |_, _| Some(Arc::new(())),
        };
        line(2).scope(|| {
            EnteredLine::span_exited(sink, 0, || None);
            assert_eq!(EnteredLine::current(sink).map(|line| line.index), Some(1));
            EnteredLine::span_exited(sink, 1, || Some(Arc::new(())));
            assert!(EnteredLine::current(sink).is_none());
            assert_eq!(take_tag(sink), Some((9, false)));
        });
        line(0).scope(|| {
            line(1).scope(EnteredLine::line_buffered);
            assert_eq!(take_tag(sink), Some((9, false)), "the outer line");
        });
    }
}
