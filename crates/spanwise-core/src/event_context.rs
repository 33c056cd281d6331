//! The context that wrappers attach to an event for their inner layers.
//!
//! A wrapper, such as a recorder or a sampler, attaches an [`EventContext`] to the event that it
//! forwards. A sink (a layer with an output) takes the context before it formats the event.
//!
//! A recorder buffers the lines of a unit of work, and writes them only if the unit fails. For each
//! event, it also sets a [`LineDisposition`]: whether the next line of its sink is written or
//! buffered. The recorder's writer takes the disposition. If the sink buffers [events without
//! encoding them](UnencodedEvent), the sink takes it instead.
//!
//! Context and disposition are separate, because they are taken at different times: the context
//! before the sink formats values, and the disposition afterwards. In between, a value may log
//! another event.
//!
//! Two kinds of events report on other events. A *summary* reports the events that a sampler
//! dropped. A *header* begins a *dump*: the lines that a recorder buffered follow it.
//!
//! Context and disposition are thread-local. The flags in one integer show which parts are set, so
//! an event without a context costs one load.
//!
//! *Invariants:* A value may log a *nested* event. The nested event does not have the context of
//! the outer event, because sinks take that context first. The `fmt` layer is an exception: it
//! takes no context. A recorder hides the disposition of the outer event from a nested event. A
//! writer does not take the disposition of another sink. Guards restore the outer state, even if a
//! layer panics.

use std::{cell::Cell, mem::ManuallyDrop, ptr};

use tracing_core::Metadata;

use crate::internal::{LayerId, thread_state};

mod line_disposition;
mod sink_mask;
mod unencoded_event;

pub use line_disposition::{EnteredLine, LineDisposition};
use line_disposition::{SinkDisposition, drop_disposition};
pub use sink_mask::SinkMask;
pub use unencoded_event::{
    BufferingUnit, DumpedRecord, DumpedRecords, EnteredUnits, SpanSnapshot, UnencodedEvent,
};

/// Facts about one event, which the wrappers around a sink pass to the sink. By default, there are
/// none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct EventContext {
    /// The ratio of kept events among all events like this one, between 0 and 1. The event also
    /// represents the dropped ones. `None` if no sampler has set a ratio. Wrappers combine their
    /// ratios with [`multiply_sample_rate`](Self::multiply_sample_rate) and
    /// [`limit_trace_rate`](Self::limit_trace_rate).
    pub sample_rate: Option<f64>,
    /// The factor of `sample_rate` that comes from sampling by trace or request.
    trace_rate: Option<f64>,
    /// The line is buffered, and written later or never.
    pub buffered: bool,
    /// The event is the summary of a sampler or the header of a dump, so neither the sink's levels
    /// nor inner samplers drop it.
    pub force_emit: bool,
    /// Inner samplers must not drop the event.
    pub exempt_from_sampling: bool,
    /// An inner sampler that counts the event as dropped still forwards it, so that an outer
    /// recorder can buffer its line. See [`forward_sampled_out`](Self::forward_sampled_out).
    pub keep_if_sampled_out: bool,
}

/// The rate at which an event was sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleRate {
    /// The ratio, between 0 and 1.
    pub ratio: f64,
    /// Whether the trace id or request id decides, so that all events of a trace or request share
    /// the decision. If false, each event is sampled separately.
    pub by_trace: bool,
}

/// Marks a layer that must receive all events: its [`Layer::downcast_raw`] returns a pointer for
/// this type. A sampler around such a layer does not sample.
///
/// [`Layer::downcast_raw`]: tracing_subscriber::Layer::downcast_raw
#[derive(Debug)]
pub struct MustSeeAllEvents;

/// The part of the thread's state that this module owns.
pub(crate) struct EventState {
    /// The flags below. They show which of the other fields are valid, except for `sinks`, which is
    /// always valid.
    flags: Cell<u16>,
    sample_rate: Cell<f64>,
    trace_rate: Cell<f64>,
    /// The disposition of a line, as [`EnteredLine`].
    entered_disposition: Cell<EnteredLine>,
    /// The disposition of a line, as [`LineDisposition`].
    ///
    /// In `ManuallyDrop`, because this thread-local must not have a destructor. Guards drop the
    /// disposition.
    owned_disposition: Cell<Option<ManuallyDrop<SinkDisposition>>>,
    /// The summary that is being dispatched.
    summary: Cell<Option<DispatchedSummary>>,
    /// The bits of the [`SinkMask`].
    sinks: Cell<u64>,
}

const SAMPLE_RATE: u16 = 1;
const TRACE_RATE: u16 = 1 << 1;
const BUFFERED: u16 = 1 << 2;
const FORCE_EMIT: u16 = 1 << 3;
const EXEMPT_FROM_SAMPLING: u16 = 1 << 4;
const KEEP_IF_SAMPLED_OUT: u16 = 1 << 5;
/// The flags of an [`EventContext`].
const CONTEXT: u16 = (1 << 6) - 1;
/// The disposition is in `entered_disposition`.
const ENTERED_DISPOSITION: u16 = 1 << 6;
/// The disposition is in `owned_disposition`.
const OWNED_DISPOSITION: u16 = 1 << 7;
/// A sampler dropped the event of the line in `owned_disposition`.
const SAMPLED_OUT: u16 = 1 << 8;
/// The flags of a [`LineDisposition`].
const DISPOSITION: u16 = ENTERED_DISPOSITION | OWNED_DISPOSITION | SAMPLED_OUT;
/// A summary is being dispatched.
const SUMMARY: u16 = 1 << 9;

#[inline(always)] // See `thread_state::with`.
fn with_state<R>(f: impl FnOnce(&EventState) -> R) -> R {
    thread_state::with(|state| f(&state.event))
}

impl EventContext {
    /// Forwards an event with a changed context. `change` receives the context that outer wrappers
    /// have set. The first sink that calls [`take`](Self::take) receives the changed context.
    #[inline]
    pub fn scope<R>(change: impl FnOnce(&mut Self), forward: impl FnOnce() -> R) -> R {
        if Self::is_set() {
            return Self::scope_inside(change, forward);
        }
        let mut context = Self::default();
        change(&mut context);
        with_state(|state| state.set_context(context));
        let _cleared = ClearContext;
        forward()
    }

    #[inline(never)] // Few events have an outer context.
    fn scope_inside<R>(change: impl FnOnce(&mut Self), forward: impl FnOnce() -> R) -> R {
        let outer = with_state(|state| state.context(state.flags.get()));
        let mut inner = outer;
        change(&mut inner);
        with_state(|state| state.set_context(inner));
        let _restored = RestoreContext(outer);
        forward()
    }

    /// Forwards an event that the caller created, with this context. During the call, hides three
    /// parts of the current event's state: its context, its line disposition and its summary. The
    /// [`SinkMask`] of the current event stays in place.
    pub fn forward_new_event<R>(self, forward: impl FnOnce() -> R) -> R {
        let _restored = RestoreState(SavedState::take());
        with_state(|state| state.set_context(self));
        forward()
    }

    /// Returns the context of the current event, and clears it. Call this before formatting values,
    /// because a value may log another event.
    #[inline]
    #[must_use]
    pub fn take() -> Self {
        with_state(|state| {
            let flags = state.flags.get();
            if flags & CONTEXT == 0 {
                return Self::default();
            }
            state.flags.set(flags & !CONTEXT);
            state.context(flags)
        })
    }

    /// If the current event is buffered and has no sample rate, clears its context and returns
    /// true. If not, keeps the context and returns false.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn take_if_buffered() -> bool {
        with_state(|state| {
            let flags = state.flags.get();
            let is_buffered = flags & (BUFFERED | SAMPLE_RATE) == BUFFERED;
            if is_buffered {
                state.flags.set(flags & !CONTEXT);
            }
            is_buffered
        })
    }

    /// Returns the context of a buffered event without a sample rate.
    #[doc(hidden)]
    #[must_use]
    pub fn for_buffered() -> Self {
        Self {
            buffered: true,
            ..Self::default()
        }
    }

    /// Multiplies the sample rate by a ratio that is independent of all other ratios.
    #[inline]
    pub fn multiply_sample_rate(&mut self, ratio: f64) {
        self.sample_rate = Some(self.sample_rate.unwrap_or(1.0) * ratio);
    }

    /// Limits the sample rate to a ratio of the traces or requests. A trace that a small ratio
    /// keeps is also kept by every larger ratio. So the smallest of these ratios counts, not their
    /// product.
    #[inline]
    pub fn limit_trace_rate(&mut self, ratio: f64) {
        let previous = self.trace_rate.unwrap_or(1.0);
        if ratio >= previous {
            return;
        }
        self.trace_rate = Some(ratio);
        self.sample_rate = match self.sample_rate {
            Some(rate) if rate != previous => Some(rate / previous * ratio),
            // The rate has no other factor, so it is the ratio. Computing it would round it.
            _ => Some(ratio),
        };
    }

    /// Handles an event that a sampler has counted as dropped: forwards it nevertheless if it is
    /// buffered, or if [`keep_if_sampled_out`](Self::keep_if_sampled_out) is set. Returns whether
    /// the event was forwarded.
    pub fn forward_sampled_out(self, forward: impl FnOnce()) -> bool {
        if !self.buffered && !self.keep_if_sampled_out {
            return false;
        }
        let update_flags = |update: fn(u16) -> u16| {
            with_state(|state| state.flags.set(update(state.flags.get())));
        };
        update_flags(|flags| {
            if flags & OWNED_DISPOSITION != 0 {
                flags | SAMPLED_OUT
            } else {
                flags
            }
        });
        // A dump writes the buffered line without a rate, because the sampler has counted the event
        // as dropped.
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

    /// Returns whether the current event has a context. Does not take the context.
    #[inline]
    #[must_use]
    pub fn is_set() -> bool {
        with_state(|state| state.flags.get()) & CONTEXT != 0
    }

    /// Returns whether the current event is exempt from sink levels: because of
    /// [`force_emit`](Self::force_emit), or because it is a [`DispatchedSummary`]. `callsite` must
    /// be that of the event.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn forces_emit(callsite: &Metadata<'_>) -> bool {
        let flags = with_state(|state| state.flags.get());
        flags & (FORCE_EMIT | SUMMARY) != 0 && Self::flags_force_emit(flags, callsite)
    }

    #[cold]
    fn flags_force_emit(flags: u16, callsite: &Metadata<'_>) -> bool {
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

/// A summary that a sampler sends through the dispatcher. All layers receive it, but it belongs to
/// one sink. The samplers around other sinks drop it.
#[derive(Debug, Clone, Copy)]
pub struct DispatchedSummary {
    sink: LayerId,
    callsite: &'static Metadata<'static>,
    /// Whether the sink has received the summary.
    has_arrived: bool,
}

impl DispatchedSummary {
    /// The target of all summaries.
    pub const TARGET: &str = "spanwise::sampler";

    /// Calls `dispatch`, which dispatches an event of `callsite` as the summary for `sink`. Returns
    /// whether the sink called [`take`](Self::take).
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
        EventContext::default().forward_new_event(|| {
            with_state(|state| state.put_summary(summary));
            dispatch();
            Self::current().is_some_and(|summary| summary.has_arrived)
        })
    }

    /// Returns whether a summary is being dispatched on this thread.
    #[must_use]
    pub fn is_current() -> bool {
        Self::current().is_some()
    }

    /// Returns whether a summary for `sink` is being dispatched. If it is, notes that the sink has
    /// received it. The summary stays current.
    #[must_use]
    pub fn take(sink: LayerId) -> bool {
        let Some(summary) = Self::current().filter(|summary| summary.sink == sink) else {
            return false;
        };
        with_state(|state| {
            state.put_summary(Self {
                has_arrived: true,
                ..summary
            });
        });
        true
    }

    fn current() -> Option<Self> {
        with_state(|state| match state.flags.get() & SUMMARY {
            0 => None,
            _ => state.summary.get(),
        })
    }
}

impl EventState {
    pub(crate) const fn new() -> Self {
        Self {
            flags: Cell::new(0),
            sample_rate: Cell::new(0.0),
            trace_rate: Cell::new(0.0),
            entered_disposition: Cell::new(EnteredLine::NONE),
            owned_disposition: Cell::new(None),
            summary: Cell::new(None),
            sinks: Cell::new(0),
        }
    }

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
    fn set_context(&self, context: EventContext) {
        if let Some(rate) = context.sample_rate {
            self.sample_rate.set(rate);
        }
        if let Some(rate) = context.trace_rate {
            self.trace_rate.set(rate);
        }
        self.flags
            .set(self.flags.get() & !CONTEXT | context.flags());
    }
    fn put_summary(&self, summary: DispatchedSummary) {
        self.summary.set(Some(summary));
        self.flags.set(self.flags.get() | SUMMARY);
    }
}

/// The state of this thread that a scope has replaced, except for the [`SinkMask`].
struct SavedState {
    context: EventContext,
    disposition: Option<SinkDisposition>,
    summary: Option<DispatchedSummary>,
}

impl SavedState {
    /// Takes the state. The thread then has no context, no disposition and no summary.
    fn take() -> Self {
        let saved = Self {
            context: EventContext::take(),
            disposition: with_state(EventState::take_disposition),
            summary: DispatchedSummary::current(),
        };
        with_state(|state| state.flags.set(0));
        saved
    }
}

struct RestoreState(SavedState);

impl Drop for RestoreState {
    fn drop(&mut self) {
        // Drops a disposition that was set inside the scope and not taken.
        drop(ClearAll);
        with_state(|state| {
            state.set_context(self.0.context);
            if let Some(disposition) = self.0.disposition.take() {
                state.put_disposition(disposition);
            }
            if let Some(summary) = self.0.summary {
                state.put_summary(summary);
            }
        });
    }
}

struct RestoreContext(EventContext);

impl Drop for RestoreContext {
    #[inline]
    fn drop(&mut self) {
        with_state(|state| state.set_context(self.0));
    }
}

/// Clears the context when it is dropped. For a scope without an outer context.
struct ClearContext;

impl Drop for ClearContext {
    #[inline]
    fn drop(&mut self) {
        with_state(|state| state.flags.set(state.flags.get() & !CONTEXT));
    }
}

/// Clears the context, the line disposition and the summary when it is dropped.
struct ClearAll;

impl Drop for ClearAll {
    #[inline(always)] // Nearly always there is nothing to clear.
    fn drop(&mut self) {
        let flags = with_state(|state| state.flags.replace(0));
        if flags & OWNED_DISPOSITION != 0 {
            drop_disposition();
        }
    }
}
