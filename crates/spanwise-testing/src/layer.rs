//! The layer that receives all events and spans, and routes each to its capture.

use std::sync::Arc;

use spanwise_core::{
    Context, SelfReport, forward,
    internal::{
        SpanSubscriber,
        log_record::{LogRecord, is_log_field, is_log_record},
    },
};
use spanwise_json::JsonLayer;
use tracing::{Event, Subscriber};
use tracing_core::span::{Attributes, Id, Record};
use tracing_subscriber::{
    Layer,
    layer::Context as LayerContext,
    registry::{LookupSpan, SpanRef},
};

use crate::{
    Span,
    encoded_line::{self, EncodedLineWriter},
    event,
    fields::{self, Fields, MAX_TEXT_LEN},
    route::{self, Route, WeakStore},
    span::SpanRecord,
};

/// The layer behind [`capture`](crate::capture), for your own stack.
///
/// By default, [`capture`](crate::capture) installs a global subscriber with this layer. To test
/// your service with its own context keys, add the layer to the stack that the service installs. To
/// include the redaction policy, wrap the layer with `.redacted(policy)`. The layer does not filter
/// or write.
///
/// ```
/// use spanwise_core::ContextLayer;
/// use spanwise_testing::{CaptureLayer, capture};
/// use tracing_subscriber::prelude::*;
///
/// tracing_subscriber::registry()
///     .with(ContextLayer::default().key("order_id"))
///     .with(CaptureLayer::default())
///     .init();
///
/// let logs = capture();
/// tracing::info_span!("order", order_id = 42).in_scope(|| tracing::info!("paid"));
/// logs.one("paid").assert_context("order_id", "42");
/// ```
#[derive(Debug)]
pub struct CaptureLayer {
    json: JsonLayer<EncodedLineWriter>,
}

/// The maximum length of a line, in bytes. It is large enough that lines are not truncated, because
/// assertions search them.
const MAX_LINE_LEN: usize = 64 * MAX_TEXT_LEN;

impl Default for CaptureLayer {
    fn default() -> Self {
        let json = JsonLayer::new()
            .max_field(MAX_TEXT_LEN)
            .max_line(MAX_LINE_LEN)
            .report(&SelfReport::silent())
            .with_writer(EncodedLineWriter);
        Self { json }
    }
}

impl<S> Layer<S> for CaptureLayer
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    forward!(json: on_register_dispatch, register_callsite, on_enter, on_exit, on_close);

    fn on_event(&self, event: &Event<'_>, ctx: LayerContext<'_, S>) {
        if encoded_line::is_paused() {
            return;
        }
        let route = Route::new(&[
            owner_of(ctx.event_span(event).as_ref()),
            owner_of(ctx.lookup_current().as_ref()),
        ]);
        if !route.has_destination() {
            return;
        }
        // `collect` and `encode_line` each format the event's values. During `collect`, a value
        // may log another event, which re-enters this function.
        let mut fields = fields::collect(|visitor| event.record(visitor));
        let json_line = encoded_line::encode_line(|| {
            encoded_line::while_paused(|| self.json.on_event(event, ctx.clone()));
        });
        let (message, target) = (take_message(&mut fields), take_target(&mut fields, event));
        let data = event::EventData {
            level: *event.metadata().level(),
            target,
            message,
            fields,
            spans: enclosing_spans(event, &ctx),
            context: Context::from_event(event, &ctx),
            json_line,
        };
        route.add_event(&crate::Event(Arc::new(data)));
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, ctx: LayerContext<'_, S>) {
        let is_paused = encoded_line::is_paused();
        let fields = fields::collect(|visitor| attrs.record(visitor));
        if let Some(span) = ctx.span(id) {
            let route = Route::new(&[
                owner_of(span.parent().as_ref()),
                owner_of(ctx.lookup_current().as_ref()),
            ]);
            let record = Arc::new(SpanRecord::new(attrs.metadata(), fields, route.owner()));
            // `replace`, because another `CaptureLayer` in the stack may have stored its record.
            span.extensions_mut().replace(Arc::clone(&record));
            if !is_paused {
                route.add_span(&record);
            }
        }
        encoded_line::while_paused(|| self.json.on_new_span(attrs, id, ctx.clone()));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: LayerContext<'_, S>) {
        let fields = fields::collect(|visitor| values.record(visitor));
        if let Some(record) = ctx.span(id).and_then(|span| record_of(&span)) {
            record.record(fields);
            if record.owner().and_then(route::upgrade_live).is_none() {
                route::add_to_unrouted(&record);
            }
        }
        encoded_line::while_paused(|| self.json.on_record(id, values, ctx.clone()));
    }
}

fn record_of<R: for<'s> LookupSpan<'s>>(span: &SpanRef<'_, R>) -> Option<Arc<SpanRecord>> {
    span.extensions().get::<Arc<SpanRecord>>().cloned()
}

fn owner_of<R: for<'s> LookupSpan<'s>>(span: Option<&SpanRef<'_, R>>) -> Option<WeakStore> {
    record_of(span?)?.owner().cloned()
}

/// Returns the spans that enclose the event, innermost first.
fn enclosing_spans<S: SpanSubscriber>(event: &Event<'_>, ctx: &LayerContext<'_, S>) -> Vec<Span> {
    let scope = ctx.event_scope(event).into_iter().flatten();
    scope
        .filter_map(|span| record_of(&span))
        .map(|record| record.snapshot())
        .collect()
}

/// Removes the fields named `message`, and returns the value of the last one.
fn take_message(fields: &mut Fields) -> String {
    let mut messages = fields.extract_if(.., |(name, _)| *name == "message");
    let message = messages.by_ref().last();
    message.map_or_else(String::new, |(_, message)| message.to_string())
}

/// Returns the target. For a record of the `log` crate, removes the fields that contain its origin,
/// and returns the target of the record.
fn take_target(fields: &mut Fields, event: &Event<'_>) -> String {
    let callsite = event.metadata();
    if !is_log_record(callsite) {
        return callsite.target().to_owned();
    }
    fields.retain(|(name, _)| !is_log_field(name));
    let target = LogRecord::from_event(event).target;
    target.unwrap_or_else(|| callsite.target().to_owned())
}
