//! A layer that never sees a secret.

mod error;
mod fields;
mod glance;
mod private_fields;
mod read;
mod shared;
mod texts;
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
    Interest, LevelFilter, Metadata,
    field::{Value, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use self::{
    fields::Plan,
    shared::{Answer, Has},
    values::When,
};
use crate::{
    CallsitePlans, EventContext, Fault, Redact, SelfReport, context::recorded_callsite,
    forward_downcast,
};

pub(crate) use error::ShownError;
pub use private_fields::PrivateFields;

/// A layer in front of which a policy stands. Made by [`LayerExt::redacted`](crate::LayerExt::redacted).
///
/// The layer inside sees each event and span with what the policy hides replaced: fields, message, fields recorded later, what
/// `Display` and `Debug` write, errors with their chain. It never gets hold of the values themselves.
///
/// What it sees keeps its type: numbers, booleans, strings, bytes and errors stay what they are. Only these differ:
///
/// * Of what `Debug` and `Display` write it gets the text that was read, in the form of `{:?}`, even if it asks for `{:#?}`.
/// * An error cannot be downcast; its `Display`, its `Debug` and its sources, up to 32, are there as text.
/// * Of a hidden value it gets the text `[REDACTED]`, whatever type it had; a removed field has no value.
///
/// Numbers and booleans are hidden by their key only; of a boolean the policy is asked apart, [`Redact::key_of_bool`]. Names are not values: those of spans, targets and fields are shown, and so
/// are the fields by which a record of the `log` crate says where it comes from.
#[derive(Debug)]
pub struct Redacted<L> {
    inner: L,
    policy: Arc<dyn Redact>,
    plans: CallsitePlans<Plan>,
    report: SelfReport,
    /// Its formatted fields are another layer's too, so it is not told anything.
    shares_fields: AtomicBool,
    wants_every_event: bool,
}

impl<L> Redacted<L> {
    pub(crate) fn new(inner: L, policy: Arc<dyn Redact>) -> Self {
        Self {
            inner,
            policy,
            plans: CallsitePlans::default(),
            report: SelfReport::default(),
            shares_fields: AtomicBool::new(false),
            wants_every_event: false,
        }
    }

    /// Sets where it is told that the layer had to be switched off. Default: the report of the process.
    #[must_use]
    pub fn report(mut self, report: SelfReport) -> Self {
        self.report = report;
        self
    }

    /// Does not ask the layer inside, before each event, whether it wants it. Default: it is asked, [`Layer::event_enabled`].
    ///
    /// To be asked it has to be shown the values, which are then read twice. Layers that write events never say no, such as those of
    /// `fmt`, of sentry and of OpenTelemetry.
    #[must_use]
    pub fn wants_every_event(mut self) -> Self {
        self.wants_every_event = true;
        self
    }

    /// Calls `forward` with the values the layer inside may see, or with none if it may see the original ones.
    #[inline]
    fn show<R>(
        &self,
        callsite: &'static Metadata<'static>,
        when: When,
        record: &dyn Fn(&mut dyn Visit),
        forward: impl FnOnce(Option<&[Option<&dyn Value>]>) -> R,
    ) -> R {
        let plan = self
            .plans
            .get(callsite, |callsite| Plan::of(callsite, &*self.policy));
        if plan.shows_all() {
            return forward(None);
        }
        values::show(plan, &*self.policy, when, record, forward)
    }

    /// [`show`](Self::show) for events.
    #[inline]
    fn show_event<R>(
        &self,
        event: &Event<'_>,
        when: When,
        forward: impl FnOnce(&Event<'_>) -> R,
    ) -> R {
        let callsite = event.metadata();
        let record = |visitor: &mut dyn Visit| event.record(visitor);
        self.show(callsite, when, &record, |values| {
            let Some(values) = values else {
                return forward(event);
            };
            let values = callsite.fields().value_set_all(values);
            let shown = if event.is_contextual() {
                Event::new(callsite, &values)
            } else {
                // Without a parent it is a root.
                Event::new_child_of(event.parent().cloned(), callsite, &values)
            };
            forward(&shown)
        })
    }

    #[inline]
    fn is_on(&self) -> bool {
        !self.shares_fields.load(Ordering::Relaxed)
    }
}

thread_local! {
    /// How often a redacted layer was asked whether it wants something.
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

impl<S, L> Layer<S> for Redacted<L>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    L: Layer<S>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.inner.on_register_dispatch(dispatch);
        if self.shares_fields_with_others(dispatch) {
            self.shares_fields.store(true, Ordering::Relaxed);
            self.report.fault(Fault::Setup, &shared::ADVICE);
        }
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        self.inner.on_layer(subscriber);
    }

    fn register_callsite(&self, callsite: &'static Metadata<'static>) -> Interest {
        self.inner.register_callsite(callsite)
    }

    fn enabled(&self, metadata: &Metadata<'_>, ctx: Context<'_, S>) -> bool {
        ASKED.set(ASKED.get().wrapping_add(1));
        self.inner.enabled(metadata, ctx)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.inner.max_level_hint()
    }

    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
        self.wants_every_event
            || self.show_event(event, When::Asked, |event| {
                self.inner.event_enabled(event, ctx)
            })
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if !self.is_on() {
            return;
        }
        let callsite = attrs.metadata();
        let record = |visitor: &mut dyn Visit| attrs.record(visitor);
        self.show(callsite, When::Now, &record, |values| {
            let Some(values) = values else {
                return self.inner.on_new_span(attrs, id, ctx);
            };
            let values = callsite.fields().value_set_all(values);
            let shown = match attrs.parent() {
                Some(parent) => Attributes::child_of(parent.clone(), callsite, &values),
                None if attrs.is_root() => Attributes::new_root(callsite, &values),
                None => Attributes::new(callsite, &values),
            };
            self.inner.on_new_span(&shown, id, ctx);
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        // Of a span that nobody knows, the fields are not known either.
        let Some(callsite) = ctx.metadata(id).filter(|_| self.is_on()) else {
            return;
        };
        let callsite = recorded_callsite(values, callsite);
        let record = |visitor: &mut dyn Visit| values.record(visitor);
        self.show(callsite, When::Now, &record, |shown| {
            let Some(shown) = shown else {
                return self.inner.on_record(id, values, ctx);
            };
            let shown = callsite.fields().value_set_all(shown);
            self.inner.on_record(id, &Record::new(&shown), ctx);
        });
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, ctx: Context<'_, S>) {
        if self.is_on() {
            self.inner.on_follows_from(id, follows, ctx);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if !self.is_on() {
            return;
        }
        // What is said of this event must not go to one that its values log.
        let said = EventContext::take();
        let asked = ASKED.get();
        self.show_event(event, When::Now, |event| {
            if ASKED.get() != asked {
                // A value has logged, or asked whether it would be: a filter inside remembers what it said of that.
                let _ = self.inner.enabled(event.metadata(), ctx.clone())
                    && self.inner.event_enabled(event, ctx.clone());
            }
            if said == EventContext::default() {
                self.inner.on_event(event, ctx);
            } else {
                EventContext::scope(|inner| *inner = said, || self.inner.on_event(event, ctx));
            }
        });
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        if self.is_on() {
            self.inner.on_enter(id, ctx);
        }
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        if self.is_on() {
            self.inner.on_exit(id, ctx);
        }
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        if self.is_on() {
            self.inner.on_close(id, ctx);
        }
    }

    fn on_id_change(&self, old: &Id, new: &Id, ctx: Context<'_, S>) {
        self.inner.on_id_change(old, new, ctx);
    }

    forward_downcast!(this, id => match this.answer(id) {
        Answer::Inside => this.inner.downcast_raw(id),
        Answer::Nothing => None,
        Answer::Has(formatter) => this
            .inner
            .downcast_raw(formatter)
            .map(|_| ptr::from_ref(&Has).cast()),
    });
}
