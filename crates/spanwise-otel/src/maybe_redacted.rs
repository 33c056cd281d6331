//! A layer that is wrapped in the redaction if there is a policy.

use std::sync::Arc;

use spanwise_core::{LayerExt as _, Redact, Redacted, SelfReport, forward_downcast};
use tracing::{Dispatch, Event, Subscriber};
use tracing_core::{
    Interest, LevelFilter, Metadata,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// A layer that sees only redacted values if there is a policy. Without a policy, the wrapper costs
/// nothing.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a layer has one of them")]
pub(crate) enum MaybeRedacted<L> {
    Plain(L),
    Redacted(Redacted<L>),
}

impl<L> MaybeRedacted<L> {
    pub(crate) fn new(layer: L, policy: Option<Arc<dyn Redact>>, report: &SelfReport) -> Self {
        match policy {
            Some(policy) => {
                let redacted = layer.redacted(policy).report(report.clone());
                Self::Redacted(redacted.wants_every_event())
            }
            None => Self::Plain(layer),
        }
    }
}

/// Evaluates an expression with the inner layer, whichever variant it is in.
macro_rules! with_inner {
    ($this:ident, $layer:ident => $call:expr) => {
        match $this {
            Self::Plain($layer) => $call,
            Self::Redacted($layer) => $call,
        }
    };
}

impl<S, L> Layer<S> for MaybeRedacted<L>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    L: Layer<S>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        with_inner!(self, layer => Layer::<S>::on_register_dispatch(layer, dispatch));
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        with_inner!(self, layer => layer.on_layer(subscriber));
    }

    fn register_callsite(&self, callsite: &'static Metadata<'static>) -> Interest {
        with_inner!(self, layer => Layer::<S>::register_callsite(layer, callsite))
    }

    fn enabled(&self, metadata: &Metadata<'_>, ctx: Context<'_, S>) -> bool {
        with_inner!(self, layer => layer.enabled(metadata, ctx))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        with_inner!(self, layer => Layer::<S>::max_level_hint(layer))
    }

    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
        with_inner!(self, layer => layer.event_enabled(event, ctx))
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        with_inner!(self, layer => layer.on_new_span(attrs, id, ctx));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        with_inner!(self, layer => layer.on_record(id, values, ctx));
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, ctx: Context<'_, S>) {
        with_inner!(self, layer => layer.on_follows_from(id, follows, ctx));
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        with_inner!(self, layer => layer.on_event(event, ctx));
    }

    #[inline]
    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        with_inner!(self, layer => layer.on_enter(id, ctx));
    }

    #[inline]
    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        with_inner!(self, layer => layer.on_exit(id, ctx));
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        with_inner!(self, layer => layer.on_close(id, ctx));
    }

    fn on_id_change(&self, old: &Id, new: &Id, ctx: Context<'_, S>) {
        with_inner!(self, layer => layer.on_id_change(old, new, ctx));
    }

    forward_downcast!(this, id => match this {
        Self::Plain(layer) => layer.downcast_raw(id),
        Self::Redacted(layer) => Layer::<S>::downcast_raw(layer, id),
    });
}
