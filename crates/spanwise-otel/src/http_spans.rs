//! The observer that adds attributes and the status to the spans of HTTP requests. `spanwise-http`
//! calls it at the start and the end of a request.

use std::sync::Arc;

use opentelemetry::{KeyValue, Value};
use spanwise_core::internal::request_observer::{
    ObservedRequest, RequestEnd, RequestObserver, RequestSide,
};
use tracing::Span;

use crate::{
    api_attributes::set_attributes,
    attributes::Attributes,
    open_span::{OpenSpan, RecordedSpan},
    span_collector::SpanCollector,
    span_encoding::SPAN_ATTRIBUTES,
    span_pipeline::SpanPipeline,
    span_status::RequestOutcome,
};

/// Completes the spans of HTTP requests by the [semantic conventions]. It finds the exporter by
/// the subscriber of the span, so one observer serves all exporters.
///
/// [semantic conventions]: https://opentelemetry.io/docs/specs/semconv/http/http-spans/
#[derive(Debug)]
pub(crate) struct HttpSpans;

impl RequestObserver for HttpSpans {
    fn begin(&self, request: &ObservedRequest) {
        if request.side == RequestSide::Client {
            return;
        }
        with_recording_span(&request.span, |pipeline, open| {
            let mut attributes = vec![
                KeyValue::new("url.scheme", request.scheme.unwrap_or("http")),
                KeyValue::new("url.path", request.path.to_string()),
            ];
            if let Some(version) = request.protocol_version {
                attributes.push(KeyValue::new("network.protocol.version", version));
            }
            update_span(pipeline, open, attributes, |_| {});
        });
    }

    fn end(&self, request: &ObservedRequest, end: &RequestEnd<'_>) {
        with_recording_span(&request.span, |pipeline, open| {
            let mut attributes = Vec::new();
            if let Some(status) = end.status {
                let status = Value::I64(status.into());
                attributes.push(KeyValue::new("http.response.status_code", status));
            }
            if let Some(version) = end.protocol_version {
                attributes.push(KeyValue::new("network.protocol.version", version));
            }
            if let Some(size) = end.body_size
                && request.side == RequestSide::Server
                && let Ok(size) = i64::try_from(size)
            {
                attributes.push(KeyValue::new("http.response.body.size", size));
            }
            let outcome = RequestOutcome {
                outcome: end.outcome,
                status: end.status,
                error_type: end.error_type.as_deref().map(Into::into),
            };
            // A server span ends now. A client span ends when the body is read and the span closes.
            let ended_at = match request.side {
                RequestSide::Server => Some(open.now(&pipeline.options.clock)),
                RequestSide::Client => None,
            };
            update_span(pipeline, open, attributes, |recorded| {
                recorded.set_outcome(outcome);
                recorded.ended_at = ended_at;
            });
        });
    }
}

/// Calls `change` with the data of `span` in the exporter, if the span is recording.
fn with_recording_span(span: &Span, change: impl FnOnce(&SpanPipeline, &OpenSpan)) {
    span.with_subscriber(|(id, dispatch)| {
        let collector = dispatch.downcast_ref::<SpanCollector>()?;
        let pipeline: &Arc<SpanPipeline> = &collector.pipeline;
        let open = pipeline.open.get(id).filter(|open| open.is_recording())?;
        change(pipeline, &open);
        Some(())
    });
}

/// Sets attributes of the span, and calls `change` with its recorded data.
fn update_span(
    pipeline: &SpanPipeline,
    open: &OpenSpan,
    attributes: Vec<KeyValue>,
    change: impl FnOnce(&mut RecordedSpan),
) {
    let mut encoded = Attributes::new(SPAN_ATTRIBUTES, pipeline.options.limits.attributes);
    set_attributes(&mut encoded, pipeline.policy(), attributes);
    open.record(|recorded| {
        recorded.set_attributes(&encoded);
        change(recorded);
    });
}
