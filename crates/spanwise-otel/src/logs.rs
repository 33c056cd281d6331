//! The public log layer. It wraps the redaction, which wraps the layer that encodes records.

use std::sync::Arc;

use spanwise_core::{
    Redact,
    export::{is_delivering, is_sender_thread},
    forward, forward_downcast,
};
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, fmt::MakeWriter, layer::Context, registry::LookupSpan};

use crate::{LogOptions, LogWriter, log_layer::LogLayer, maybe_redacted::MaybeRedacted};

/// Writes each event as a log record of OpenTelemetry, with the ids and the context keys of its
/// span.
///
/// A record has the message as its body, the target as its scope, and the fields as attributes. It
/// has the ids of the span and the span's [context keys](spanwise_core::CONTEXT_KEYS). A field of
/// the event replaces a context key of the same name, unless the key is *pinned*: set by
/// `spanwise-http` or `context::set`. A pinned key stays, and the field becomes `fields.<key>`.
/// The first error among the fields also sets `exception.message`, `exception.type` and
/// `exception.stacktrace`.
///
/// The writer receives one `write_all` per event, with an encoded `ResourceLogs` that has one
/// record. The concatenated bytes of several events are also a valid `ResourceLogs`. Pass them to a
/// [`LogWriter`] with `write_all`, because each `write` exports one record.
///
/// The layer writes no records for events of sender threads of exporters, and none for events whose
/// target is a crate of OpenTelemetry, such as `opentelemetry_sdk`. It hides events from other
/// layers only if a sender thread logs them during a request.
#[derive(Debug)]
pub struct OtelLogs<W = LogWriter> {
    inner: MaybeRedacted<LogLayer<W>>,
    options: LogOptions,
    policy: Option<Arc<dyn Redact>>,
}

impl<W> OtelLogs<W> {
    /// Creates a layer that writes to `make_writer`. It does not redact values.
    #[must_use]
    pub fn new(make_writer: W, options: LogOptions) -> Self {
        Self::with_policy(make_writer, options, None)
    }

    pub(crate) fn with_policy(
        make_writer: W,
        options: LogOptions,
        policy: Option<Arc<dyn Redact>>,
    ) -> Self {
        let layer = LogLayer::new(make_writer, options.clone());
        let report = options.report.clone().unwrap_or_default();
        Self {
            inner: MaybeRedacted::new(layer, policy.clone(), &report),
            options,
            policy,
        }
    }

    /// Replaces the writer, for example by a flight recorder in front of a [`LogWriter`].
    #[must_use]
    pub fn with_writer<W2>(self, make_writer: W2) -> OtelLogs<W2> {
        OtelLogs::with_policy(make_writer, self.options, self.policy)
    }
}

impl<S, W> Layer<S> for OtelLogs<W>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    forward!(inner: on_register_dispatch, on_layer, register_callsite, enabled, max_level_hint);

    /// Hides events of an exporter's HTTP client from all layers, because they show its requests,
    /// including headers with credentials.
    #[inline]
    fn event_enabled(&self, event: &Event<'_>, ctx: Context<'_, S>) -> bool {
        !is_delivering() && Layer::<S>::event_enabled(&self.inner, event, ctx)
    }

    forward!(inner: on_new_span, on_record, on_follows_from, on_enter, on_exit, on_close, on_id_change);
    forward_downcast!(this, id => Layer::<S>::downcast_raw(&this.inner, id));

    #[inline]
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if !is_sender_thread() && !is_opentelemetry_target(event.metadata().target()) {
            self.inner.on_event(event, ctx);
        }
    }
}

/// Returns whether a target belongs to a crate of OpenTelemetry.
#[inline]
pub(crate) fn is_opentelemetry_target(target: &str) -> bool {
    match target.strip_prefix("opentelemetry") {
        Some(rest) => rest.is_empty() || rest.starts_with([':', '_', '-']),
        None => false,
    }
}
