//! A wrapper that redacts all values that its inner layer receives.

mod fmt_conflict;
mod plan;
mod precheck;
mod rebuild;
mod redacted_error;
mod releveled;
mod text_arena;
mod unshared_fields;
mod values;

use std::{
    cell::Cell,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::{Dispatch, Event, Subscriber};
use tracing_core::{
    Metadata,
    field::Visit,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use self::{
    fmt_conflict::{FormatterMarker, QueryReply},
    plan::FieldPlan,
    rebuild::{Formatting, Forward, with_redacted},
    text_arena::RetainedArena,
};
use crate::{
    EventContext, Fault, Redact, SelfReport, forward, forward_downcast,
    internal::{CallsitePlans, recorded_callsite, thread_state},
};

pub use releveled::with_level;
pub use unshared_fields::UnsharedFields;

/// A layer behind a redaction policy. Created by [`LayerExt::redacted`](crate::LayerExt::redacted).
///
/// The inner layer receives every event and span with the hidden values replaced: in fields, the
/// message, fields recorded later, the output of `Display` and `Debug`, and errors with their
/// causes. It never receives the original of a hidden value.
///
/// A shown value keeps its type, such as number, boolean, string, bytes or error. The exceptions
/// are:
///
/// * Values recorded with `?` or `%` are already formatted, so `{:#?}` in the layer has no effect
///   on them.
/// * An error cannot be downcast. Its `Display`, its `Debug` and up to 32 causes are texts.
///
/// A hidden value of any type becomes a text: `[REDACTED]`, or the policy's replacement. A removed
/// field has no value.
///
/// The key alone decides about numbers and booleans; see [`Redact::key_of_bool`]. Some texts are
/// always shown: targets, the names of spans and fields, and the fields with the target and the
/// location of a `log` record.
#[derive(Debug)]
pub struct Redacted<L> {
    inner: L,
    policy: Arc<dyn Redact>,
    plans: CallsitePlans<FieldPlan>,
    report: SelfReport,
    /// Set if [`fmt_conflict`] found that the inner layer would print span fields that another
    /// layer formatted without redaction. The inner layer then receives no event and no span.
    is_disabled: AtomicBool,
    /// Whether the wrapper never calls [`Layer::event_enabled`] of the inner layer.
    wants_every_event: bool,
}

impl<L> Redacted<L> {
    pub(crate) fn new(inner: L, policy: Arc<dyn Redact>) -> Self {
        Self {
            inner,
            policy,
            plans: CallsitePlans::default(),
            report: SelfReport::default(),
            is_disabled: AtomicBool::new(false),
            wants_every_event: false,
        }
    }

    /// Sets the [`SelfReport`] that reports if the layer had to be disabled. Defaults to the
    /// process-wide instance.
    #[must_use]
    pub fn report(mut self, report: SelfReport) -> Self {
        self.report = report;
        self
    }

    /// Makes the wrapper skip [`Layer::event_enabled`] of the inner layer. By default, the wrapper
    /// calls it before each event.
    ///
    /// The call needs redacted values, so all values are read twice. Layers that write events, such
    /// as those of `fmt`, Sentry and OpenTelemetry, always return true.
    #[must_use]
    pub fn wants_every_event(mut self) -> Self {
        self.wants_every_event = true;
        self
    }

    /// Calls `forward` with the redacted values, or with `None` if no value must be hidden and the
    /// original values may be forwarded.
    #[inline]
    fn with_shown_values(
        &self,
        callsite: &'static Metadata<'static>,
        formatting: Formatting,
        record: &dyn Fn(&mut dyn Visit),
        forward: &mut Forward<'_>,
    ) {
        let plan = self
            .plans
            .get(callsite, |callsite| FieldPlan::new(callsite, &*self.policy));
        if plan.shows_all() {
            return forward(None);
        }
        with_redacted(plan, &*self.policy, formatting, record, forward);
    }

    /// Calls `forward` with the event, or with a copy that has the redacted values.
    #[inline]
    fn with_shown_event(
        &self,
        event: &Event<'_>,
        formatting: Formatting,
        mut forward: impl FnMut(&Event<'_>),
    ) {
        let callsite = event.metadata();
        let record = |visitor: &mut dyn Visit| event.record(visitor);
        self.with_shown_values(callsite, formatting, &record, &mut |values| {
            let Some(values) = values else {
                return forward(event);
            };
            let values = callsite.fields().value_set_all(values);
            let shown = if event.is_contextual() {
                Event::new(callsite, &values)
            } else {
                // This event is not contextual. Without a parent, it is a root.
                Event::new_child_of(event.parent().cloned(), callsite, &values)
            };
            forward(&shown);
        });
    }

    /// Returns the address that identifies the layer in [`fmt_conflict`].
    fn address(&self) -> *const () {
        ptr::from_ref(self).cast()
    }

    #[inline]
    fn is_active(&self) -> bool {
        !self.is_disabled.load(Ordering::Relaxed)
    }
}

/// The part of the thread's state that this module owns.
pub(crate) struct RedactionState {
    /// The number of calls of `enabled` on redacted layers. If it grows while values are formatted,
    /// a value has logged an event or opened a span.
    enabled_calls: Cell<u64>,
    /// The address and the id of the [`Originals`](redacted_error::Originals) (the values before
    /// redaction) of the innermost event, span or record that is being forwarded. An error whose
    /// originals have another id does not read the pointer.
    originals: Cell<(*const (), u64)>,
    last_originals_id: Cell<u64>,
    arena: RetainedArena,
}

impl RedactionState {
    pub(crate) const fn new() -> Self {
        Self {
            enabled_calls: Cell::new(0),
            originals: Cell::new((ptr::null(), 0)),
            last_originals_id: Cell::new(0),
            arena: RetainedArena::new(),
        }
    }
}

#[inline(always)] // See `thread_state::with`.
fn with_state<R>(f: impl FnOnce(&RedactionState) -> R) -> R {
    thread_state::with(|state| f(&state.redaction))
}

#[inline]
fn enabled_calls() -> u64 {
    with_state(|state| state.enabled_calls.get())
}

impl<S, L> Layer<S> for Redacted<L>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    L: Layer<S>,
{
    forward!(inner: on_layer, register_callsite, max_level_hint, on_id_change);

    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.inner.on_register_dispatch(dispatch);
        if fmt_conflict::has_conflict(self.address(), &self.policy, dispatch) {
            self.is_disabled.store(true, Ordering::Relaxed);
            self.report.fault(Fault::Setup, &fmt_conflict::ADVICE);
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, ctx: Context<'_, S>) -> bool {
        with_state(|state| {
            let calls = state.enabled_calls.get();
            state.enabled_calls.set(calls.wrapping_add(1));
        });
        self.inner.enabled(metadata, ctx)
    }

    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
        let mut is_enabled = true;
        if !self.wants_every_event {
            self.with_shown_event(event, Formatting::Lazy, |event| {
                is_enabled = self.inner.event_enabled(event, ctx.clone());
            });
        }
        is_enabled
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if !self.is_active() {
            return;
        }
        let callsite = attrs.metadata();
        let record = |visitor: &mut dyn Visit| attrs.record(visitor);
        let calls_before = enabled_calls();
        self.with_shown_values(callsite, Formatting::Eager, &record, &mut |values| {
            if enabled_calls() != calls_before {
                // See the comment in `on_event`.
                let _ = self.inner.enabled(callsite, ctx.clone());
            }
            let Some(values) = values else {
                return self.inner.on_new_span(attrs, id, ctx.clone());
            };
            let values = callsite.fields().value_set_all(values);
            let shown = match attrs.parent() {
                Some(parent) => Attributes::child_of(parent.clone(), callsite, &values),
                None if attrs.is_root() => Attributes::new_root(callsite, &values),
                None => Attributes::new(callsite, &values),
            };
            self.inner.on_new_span(&shown, id, ctx.clone());
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        // If the span is missing, its fields are unknown.
        let Some(callsite) = ctx.metadata(id).filter(|_| self.is_active()) else {
            return;
        };
        let callsite = recorded_callsite(values, callsite);
        let record = |visitor: &mut dyn Visit| values.record(visitor);
        self.with_shown_values(callsite, Formatting::Eager, &record, &mut |shown| {
            let Some(shown) = shown else {
                return self.inner.on_record(id, values, ctx.clone());
            };
            let shown = callsite.fields().value_set_all(shown);
            self.inner.on_record(id, &Record::new(&shown), ctx.clone());
        });
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, ctx: Context<'_, S>) {
        if self.is_active() {
            self.inner.on_follows_from(id, follows, ctx);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if !self.is_active() {
            return;
        }
        // A value may log another event while it is formatted. That event must not have the context
        // of this event.
        let context = EventContext::take();
        let calls_before = enabled_calls();
        self.with_shown_event(event, Formatting::Eager, |event| {
            if enabled_calls() != calls_before {
                // A value logged an event or opened a span, and an inner filter has stored its
                // decision about that one. These calls make it decide about this event again.
                let _ = self.inner.enabled(event.metadata(), ctx.clone())
                    && self.inner.event_enabled(event, ctx.clone());
            }
            if context == EventContext::default() {
                self.inner.on_event(event, ctx.clone());
            } else {
                let forward = || self.inner.on_event(event, ctx.clone());
                EventContext::scope(|inner| *inner = context, forward);
            }
        });
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        if self.is_active() {
            self.inner.on_enter(id, ctx);
        }
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        if self.is_active() {
            self.inner.on_exit(id, ctx);
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        if self.is_active() {
            self.inner.on_close(id, ctx);
        }
    }

    // `has_conflict` finds the formatters of the stack through `downcast_raw`: see `fmt_conflict`.
    forward_downcast!(this, id => match fmt_conflict::reply(this.address(), &this.policy, id) {
        QueryReply::Inner => this.inner.downcast_raw(id),
        QueryReply::Hidden => None,
        QueryReply::MarkerIfInnerHas(formatter) => this
            .inner
            .downcast_raw(formatter)
            .map(|_| ptr::from_ref(&FormatterMarker).cast()),
    });
}
