//! The one event of a request, when it truly ends.

use std::{borrow::Cow, error::Error, fmt, sync::Arc, time::Instant};

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{self, Entry},
};
use http_body::Body;
use spanwise_core::{
    REDACTED,
    internal::{errors::ErrorCopy, panic_safe},
};
use tracing::{Level, Span, Value, level_filters::LevelFilter};

use super::{
    access_event::{AccessEvent, Own},
    options::Options,
    outcome::{Outcome, grpc_to_http_status},
    recorded_fields::{self, RecordedFields, RecordedValues},
    request::RequestInfo,
};
use crate::{
    bounded_text::{self, bounded},
    request_context::RequestContext,
};

/// Owned by whatever has the request now: the future, and then the response's body. Dropped, it tells that the request was cancelled.
pub(crate) struct RequestGuard {
    pub(crate) options: Arc<Options>,
    pub(crate) span: Span,
    pub(crate) start: Instant,
    pub(crate) request_context: Arc<RequestContext>,
    /// Whether the span carries it.
    pub(crate) span_has_context: bool,
    pub(crate) request: RequestInfo,
    pub(crate) head: Option<ResponseHead>,
    /// Of the body, so far.
    pub(crate) bytes: u64,
    pub(crate) is_logged: bool,
}

/// What is known when the response begins.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    status: StatusCode,
    ttfb: f64,
    /// How long the body is going to be.
    length: Option<u64>,
    /// Whether HTTP sends no body with such a response, whatever there is.
    has_no_body: bool,
    is_grpc: bool,
    grpc_status: Option<i32>,
    /// Whether the response is a stream of events, or of a length that nobody knows: a client
    /// leaves it when it has enough.
    is_open_ended: bool,
    /// The service's own `x-request-id`, where it is another one than ours.
    own_id: Option<HeaderValue>,
}

impl ResponseHead {
    /// The status that says how it went. gRPC has one of its own, where HTTP says 200.
    fn result(&self) -> u16 {
        let grpc_status = self.grpc_status.map(grpc_to_http_status);
        grpc_status.unwrap_or(self.status.as_u16())
    }

    fn outcome(&self) -> Outcome {
        Outcome::from_status(self.result())
    }
}

/// Why it did not end well.
#[derive(Debug)]
enum FailureReason<'a> {
    Text(Cow<'a, str>),
    /// The program said so.
    Failure(&'a ErrorCopy),
}

/// How it ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Completion<'a> {
    /// The body was read to its end.
    BodyEnd,
    /// What had the request let go of it.
    Dropped,
    /// The service had no response.
    ServiceError(&'a str),
    /// The body had no more.
    BodyError(&'a str),
    Panic(&'a str),
}

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

impl RequestGuard {
    /// Runs `work` in the request's span.
    #[inline]
    pub(crate) fn in_span<T>(&self, work: impl FnOnce() -> T) -> T {
        let _span = self.span.enter();
        let _carried = (!self.span_has_context).then(|| self.request_context.enter());
        work()
    }

    /// [`RequestGuard::inside`], for a destructor. A thread that ends may have no place for the spans
    /// that it is in.
    pub(crate) fn in_span_on_drop(&self, work: impl FnOnce()) {
        let _span = panic_safe::catch_panic(|| self.span.enter());
        let _carried = (!self.span_has_context).then(|| self.request_context.enter());
        work();
    }

    /// The response has begun: reads its head, and adds ours to it.
    pub(crate) fn begin<R: Body>(&mut self, response: &mut Response<R>) {
        let status = response.status();
        let headers = response.headers();
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.map_or(&b""[..], HeaderValue::as_bytes);
        let is_grpc = kind.starts_with(b"application/grpc");
        let is_event_stream = {
            let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
            kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
        };
        let declared = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        let length = declared.or_else(|| response.body().size_hint().exact());
        self.head = Some(ResponseHead {
            status,
            ttfb: self.millis(),
            length,
            is_open_ended: is_event_stream || length.is_none(),
            own_id: None,
            has_no_body: self.request.has_no_response_body(status)
                || status.is_informational()
                || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED),
            is_grpc,
            // A response that is trailers only has them in its head.
            grpc_status: is_grpc.then(|| grpc_status(headers)).flatten(),
        });
        if status.is_server_error() {
            // A flight recorder writes the request's lines for it. The event says it too, so lines of other requests do without.
            self.span
                .record("http.response.status_code", status.as_u16());
        }
        self.add_headers(response.headers_mut());
    }

    fn add_headers(&mut self, headers: &mut HeaderMap) {
        let id = self.request.id.header_value();
        match headers.entry(X_REQUEST_ID) {
            Entry::Vacant(header) => {
                header.insert(id.clone());
            }
            Entry::Occupied(header) if header.get() == id => {}
            Entry::Occupied(header) => {
                if let Some(head) = &mut self.head {
                    head.own_id = Some(header.get().clone());
                }
            }
        }
        if self.options.server_timing
            && let Some(recorded) = &self.request_context.recorded
            && let Some(timing) = recorded.values().server_timing()
        {
            headers.append(SERVER_TIMING, timing);
        }
    }

    /// More of the body was handed on.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    pub(crate) fn read_trailers(&mut self, trailers: &HeaderMap) {
        if let Some(head) = self.head.as_mut().filter(|head| head.is_grpc) {
            head.grpc_status = grpc_status(trailers);
        }
    }

    /// Whether all there is to send was sent, also if the body was not asked for its end.
    fn is_complete(&self) -> bool {
        self.head.as_ref().is_some_and(|head| {
            head.has_no_body || head.length.is_some_and(|length| self.bytes >= length)
        })
    }

    /// Whether the response has no end but the client's, and nothing has gone wrong with it so far.
    fn is_healthy_stream(&self) -> bool {
        let head = self.head.as_ref();
        head.is_some_and(|head| head.is_open_ended && head.outcome() == Outcome::Ok)
    }

    /// Of a body that ended, where more of it was declared: the client sees it fail.
    fn missing_body(&self) -> Option<String> {
        let length = self.head.as_ref()?.length?;
        let sent = self.bytes;
        (!self.is_complete()).then(|| format!("the body ended after {sent} of {length} bytes"))
    }

    /// Says so to the span, where letting go now means that the request is cancelled: before what is let go of logs its last.
    pub(crate) fn record_cancelled(&self) {
        if !self.is_logged && !self.is_complete() && !self.is_healthy_stream() {
            self.span.record("spanwise.cancelled", true);
        }
    }

    /// Tells it. What comes later is not told.
    pub(crate) fn end(&mut self, end: Completion<'_>) {
        let is_logged = std::mem::replace(&mut self.is_logged, true);
        if is_logged || LevelFilter::current() == LevelFilter::OFF {
            return;
        }
        // First, since an event has the names that are known when its callsite is chosen, and a task may add one at any time. And not held
        // while layers run, which may come back to us.
        let recorded = self.request_context.recorded.as_ref();
        let values = recorded.map_or_else(
            || RecordedValues::new(self.start),
            RecordedFields::take_values,
        );
        let (outcome, reason) = self.outcome(end, values.failure.as_deref());
        let duration = self.millis();
        let is_slow = self
            .options
            .slow
            .is_some_and(|slow| duration > slow.as_secs_f64() * 1e3);
        if outcome == Outcome::Ok && !is_slow && self.request.is_quiet {
            return;
        }
        let level = self.level(outcome, is_slow);
        if let Some(event) = AccessEvent::enabled(level, &self.span) {
            self.send(event, outcome, duration, is_slow, reason.as_ref(), &values);
        }
        if let (Completion::Panic(_), Some(failure)) = (end, values.failure.as_deref()) {
            // The event has the panic. It came first, so Sentry takes both.
            self.in_span_on_drop(|| {
                recorded_fields::log_failure(failure, "failed before the panic")
            });
        }
    }

    fn outcome<'a>(
        &self,
        end: Completion<'a>,
        failure: Option<&'a ErrorCopy>,
    ) -> (Outcome, Option<FailureReason<'a>>) {
        let by_status = || {
            let head = self.head.as_ref();
            head.map_or(Outcome::ServerError, ResponseHead::outcome)
        };
        let (outcome, text) = match end {
            // It ended what the program was about to do, whatever had failed before.
            Completion::Panic(message) => {
                return (Outcome::Panicked, Some(FailureReason::Text(message.into())));
            }
            Completion::BodyEnd => match self.missing_body() {
                Some(missing) => (Outcome::StreamAborted, Some(missing.into())),
                None => (by_status(), None),
            },
            Completion::Dropped if self.is_complete() => (by_status(), None),
            Completion::Dropped if self.is_healthy_stream() => (Outcome::StreamLeft, None),
            Completion::Dropped => (Outcome::Cancelled, None),
            Completion::ServiceError(error) => (Outcome::ServerError, Some(error.into())),
            Completion::BodyError(error) => (Outcome::StreamAborted, Some(error.into())),
        };
        match failure {
            Some(failure) => (outcome.failed(), Some(FailureReason::Failure(failure))),
            None => (outcome, text.map(FailureReason::Text)),
        }
    }

    fn level(&self, outcome: Outcome, is_slow: bool) -> Level {
        // A rule is about a response that says by its status how the request ended.
        let head = self.head.as_ref();
        let head = head.filter(|head| head.outcome() == outcome);
        let rule = head.and_then(|head| self.options.status_level(head.result()));
        let level = rule.unwrap_or(outcome.level());
        if is_slow {
            level.min(Level::WARN)
        } else {
            level
        }
    }

    /// Since the request came.
    fn millis(&self) -> f64 {
        recorded_fields::millis(self.start, self.options.clock.instant())
    }

    fn send(
        &self,
        event: AccessEvent,
        outcome: Outcome,
        duration: f64,
        is_slow: bool,
        reason: Option<&FailureReason<'_>>,
        values: &RecordedValues,
    ) {
        let head = self.head.as_ref();
        let status = head.map(|head| head.status.as_u16());
        let ttfb = head.map(|head| head.ttfb);
        let bytes = head.map(|_| self.bytes);
        let grpc_status = head.and_then(|head| head.grpc_status);
        let spanless = self.request.spanless.as_deref();
        let id = spanless.map(|_| self.request.id.as_str());
        let tenant_id = self.request_context.tenant_id.as_deref();
        let own_id = head.and_then(|head| head.own_id.as_ref());
        let own_id = own_id.map(|id| String::from_utf8_lossy(id.as_bytes()));
        let own_id = own_id.as_deref().map(bounded);
        let own_id = own_id.as_deref();
        let routed_path = self.request.routed_path.as_ref();
        let routed_path = routed_path.filter(|_| outcome != Outcome::Ok || self.options.url_path);
        let routed_path = routed_path.map(|path| bounded(path.path()));
        let path = routed_path.as_deref();
        let path = path.or_else(|| spanless.and_then(|spanless| spanless.path.as_deref()));
        let (message, outcome) = (outcome.message(), outcome.name());
        let failure = match reason {
            Some(FailureReason::Failure(failure)) => Some(*failure as &(dyn Error + 'static)),
            Some(FailureReason::Text(_)) | None => None,
        };
        let text = match reason {
            Some(FailureReason::Text(text)) => Some(&**text),
            Some(FailureReason::Failure(_)) | None => None,
        };
        let own: Own<'_> = [
            Some(&message),
            value(&status),
            Some(&duration),
            value(&ttfb),
            value(&bytes),
            Some(&outcome),
            is_slow.then_some(&true as &dyn Value),
            value(&grpc_status),
            value(&failure).or(value(&text)),
            value(&path),
            value(&own_id),
            spanless.map(|spanless| &spanless.method as &dyn Value),
            spanless.and_then(|spanless| value(&spanless.route)),
            value(&id),
            value(&tenant_id),
            spanless.and_then(|spanless| value(&spanless.client_address)),
            spanless.map(|spanless| &spanless.trace_id as &dyn Value),
        ];
        let headers: Vec<(u8, String)> = self.headers();
        let headers = headers
            .iter()
            .map(|(index, text)| (*index, text as &dyn Value));
        let timings = values.timings.iter();
        let timings =
            timings.filter_map(|timing| Some((timing.index?, &timing.millis as &dyn Value)));
        let fields = values.fields.iter();
        let fields = fields.map(|(index, value)| (*index, value.as_tracing()));
        event.send(&self.span, &own, headers.chain(timings).chain(fields));
    }

    /// The headers that are to be told; several lines of one name with commas between them.
    fn headers(&self) -> Vec<(u8, String)> {
        let mut headers: Vec<(u8, String)> = Vec::new();
        for (index, line) in &self.request.headers {
            let text = if line.is_sensitive() {
                REDACTED.into()
            } else {
                String::from_utf8_lossy(line.as_bytes())
            };
            match headers.last_mut() {
                // What is beyond the limit is cut below.
                Some((last, joined)) if last == index && joined.len() > bounded_text::MAX_LEN => {}
                Some((last, joined)) if last == index => {
                    joined.push_str(", ");
                    joined.push_str(&text);
                }
                _ => headers.push((*index, text.into_owned())),
            }
        }
        for (_, text) in &mut headers {
            if let Cow::Owned(shown) = bounded(text) {
                *text = shown;
            }
        }
        headers
    }
}

pub(super) fn value<T: Value>(value: &Option<T>) -> Option<&dyn Value> {
    value.as_ref().map(|value| value as &dyn Value)
}

fn grpc_status(headers: &HeaderMap) -> Option<i32> {
    headers.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()
}

/// Of what a program may print: with nothing in it that the client sent, which no policy has read.
impl fmt::Debug for RequestGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestGuard").finish_non_exhaustive()
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.end(Completion::Dropped);
    }
}
