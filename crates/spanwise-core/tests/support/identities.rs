//! A layer that gives spans identities, in place of an exporter of traces.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use spanwise_core::internal::{
    SpanIdentity,
    announced_span::{Announced, take_announced, want_identities},
    span_identity::{RANDOM, SAMPLED},
};
use tracing::{Dispatch, Event, Subscriber};
use tracing_core::span::{Attributes, Id};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

/// Gives each span an identity, with a new trace for each root and consecutive numbers as span ids.
#[derive(Debug, Clone, Default)]
pub struct Identities {
    next: Arc<AtomicU64>,
    is_unsampled: bool,
    /// Spans of this target have no identity either.
    skipped: Option<&'static str>,
    announced: Arc<Mutex<Vec<Announced>>>,
}

impl Identities {
    /// Samples no trace, and states this in the `tracestate`.
    pub fn unsampled() -> Self {
        Self {
            is_unsampled: true,
            ..Self::default()
        }
    }

    /// Gives no identities to spans of this target.
    pub fn without(target: &'static str) -> Self {
        Self {
            skipped: Some(target),
            ..Self::default()
        }
    }

    /// Returns the announcements since the last call.
    pub fn announced(&self) -> Vec<Announced> {
        std::mem::take(&mut *self.announced.lock().unwrap())
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The target of spans without an identity.
pub const UNKNOWN: &str = "unknown";

impl<S> Layer<S> for Identities
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    fn on_register_dispatch(&self, _: &Dispatch) {
        want_identities();
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let target = attrs.metadata().target();
        if target == UNKNOWN || self.skipped == Some(target) {
            drop(take_announced(id));
            return;
        }
        let span = ctx.span(id).unwrap();
        let announced = take_announced(id);
        let parent = span
            .parent()
            .and_then(|parent| SpanIdentity::freeze(&parent));
        let trace = announced.as_ref().and_then(|known| known.trace.clone());
        let trace_id = match (&trace, &parent) {
            (_, Some(parent)) => parent.trace_id(),
            (Some(trace), None) => trace.trace_id,
            (None, None) => (u128::MAX - u128::from(self.number())).to_be_bytes(),
        };
        let number = || self.number().to_be_bytes();
        let span_id = announced
            .as_ref()
            .map_or_else(number, |known| known.span_id);
        let flags = if self.is_unsampled {
            RANDOM
        } else {
            SAMPLED | RANDOM
        };
        let state = self.is_unsampled.then(|| Arc::from("ot=th:8"));
        SpanIdentity::new(trace_id, span_id, flags, state).attach(&span);
        self.announced.lock().unwrap().extend(announced);
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if let Some(span) = ctx.event_span(event) {
            SpanIdentity::freeze(&span);
        }
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        SpanIdentity::freeze(&ctx.span(id).unwrap());
    }
}

/// Moves a span to another trace, as `set_parent` does.
pub fn move_to(
    span: &tracing::Span,
    trace_id: u128,
    span_id: u64,
) -> Result<(), spanwise_core::internal::span_identity::NotReplaced> {
    let identity = SpanIdentity::new(trace_id.to_be_bytes(), span_id.to_be_bytes(), SAMPLED, None);
    let moved = span.with_subscriber(|(id, dispatch)| identity.replace(dispatch, id));
    moved.unwrap()
}
