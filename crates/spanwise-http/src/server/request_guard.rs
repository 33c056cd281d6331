//! The guard of a request, which logs the access event when the request ends.

use std::{borrow::Cow, error::Error, fmt, mem, sync::Arc, time::Instant};

use http::{HeaderMap, HeaderName, Response, header::Entry};
use http_body::Body;
use spanwise_core::{
    REDACTED,
    internal::{
        errors::ErrorCopy,
        panic_safe,
        request_observer::{RequestEnd, RequestObservation},
    },
};
use tracing::{Level, Span, Value, level_filters::LevelFilter};

use super::{
    access_event::{AccessEvent, BuiltInValues},
    options::Options,
    outcome::Outcome,
    recorded_fields::{self, RecordedFields, RecordedValues},
    request::RequestInfo,
    response_head::ResponseHead,
};
use crate::{
    bounded_text::{self, bounded},
    request_context::RequestContext,
    request_id::X_REQUEST_ID,
};

/// The state of a request, which moves from the response future to the response body. Dropping the
/// guard before a call of [`end`](Self::end) ends the request as [`Completion::Dropped`].
pub(crate) struct RequestGuard {
    pub(crate) options: Arc<Options>,
    pub(crate) span: Span,
    pub(crate) start: Instant,
    pub(crate) request_context: Arc<RequestContext>,
    /// Whether the context is stored in the span.
    pub(crate) span_has_context: bool,
    pub(crate) request: RequestInfo,
    /// `None` if nothing observes requests, and after the request has ended.
    pub(crate) observation: Option<RequestObservation>,
    /// `None` until the service responds.
    pub(crate) head: Option<ResponseHead>,
    /// The number of body bytes so far.
    pub(crate) body_bytes: u64,
    /// Whether [`end`](Self::end) was called, so that it logs no second access event.
    pub(crate) has_ended: bool,
}

/// The way in which a request ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Completion<'a> {
    /// The body was read to its end.
    BodyEnd,
    /// The response future or body was dropped.
    Dropped,
    /// The service returned an error instead of a response.
    ServiceError(&'a str),
    /// The body returned an error.
    BodyError(&'a str),
    Panic(&'a str),
}

/// The reason why a request failed.
#[derive(Debug)]
enum FailureReason<'a> {
    Text(Cow<'a, str>),
    /// The error that the application passed to [`fail`](super::fail).
    Failure(&'a ErrorCopy),
}

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

impl RequestGuard {
    /// Runs `work` in the span of the request.
    #[inline]
    pub(crate) fn in_span<T>(&self, work: impl FnOnce() -> T) -> T {
        let _span = self.span.enter();
        let _context = (!self.span_has_context).then(|| self.request_context.enter());
        work()
    }

    /// Like [`in_span`](Self::in_span), but for destructors: runs `work` even if entering the span
    /// panics, which may happen on an exiting thread.
    pub(crate) fn in_span_on_drop(&self, work: impl FnOnce()) {
        let _span = panic_safe::catch_panic(|| self.span.enter());
        let _context = (!self.span_has_context).then(|| self.request_context.enter());
        work();
    }

    /// Reads the head of the response, and adds headers to it.
    pub(crate) fn begin_response<R: Body>(&mut self, response: &mut Response<R>) {
        let head = ResponseHead::read(&self.request, response, self.elapsed_ms());
        let status = head.status;
        self.head = Some(head);
        if Outcome::from_status(status.as_u16()) == Outcome::ServerError {
            // The span has only the status of a server error, to trigger a flight recorder. The
            // access event has every status.
            self.span
                .record("http.response.status_code", status.as_u16());
        }
        self.add_headers(response.headers_mut());
    }

    /// Adds the request id and the timings to the headers of the response.
    fn add_headers(&mut self, headers: &mut HeaderMap) {
        let id = self.request.id.header_value();
        match headers.entry(X_REQUEST_ID) {
            Entry::Vacant(header) => {
                header.insert(id.clone());
            }
            Entry::Occupied(header) if header.get() == id => {}
            Entry::Occupied(header) => {
                if let Some(head) = &mut self.head {
                    head.service_request_id = Some(header.get().clone());
                }
            }
        }
        if self.options.sends_server_timing
            && let Some(recorded) = &self.request_context.recorded
            && let Some(timing) = recorded.values().server_timing()
        {
            headers.append(SERVER_TIMING, timing);
        }
    }

    pub(crate) fn add_body_bytes(&mut self, bytes: usize) {
        self.body_bytes += bytes as u64;
    }

    pub(crate) fn read_trailers(&mut self, trailers: &HeaderMap) {
        if let Some(head) = &mut self.head {
            head.read_trailers(trailers);
        }
    }

    /// Returns whether the whole body was sent, even if it was not polled to its end.
    fn is_complete(&self) -> bool {
        self.head.as_ref().is_some_and(|head| {
            head.has_no_body
                || head
                    .body_len
                    .is_some_and(|body_len| self.body_bytes >= body_len)
        })
    }

    /// Returns whether the response is an [open-ended](ResponseHead::is_open_ended) stream without
    /// errors. A client that disconnects from such a stream ends it normally.
    fn is_healthy_stream(&self) -> bool {
        let head = self.head.as_ref();
        head.is_some_and(|head| head.is_open_ended && head.outcome() == Outcome::Ok)
    }

    /// Returns the text of an error if the body ended before its declared length. A client treats
    /// such a response as a failure.
    fn incomplete_body_error(&self) -> Option<String> {
        let body_len = self.head.as_ref()?.body_len?;
        let sent = self.body_bytes;
        (!self.is_complete()).then(|| format!("the body ended after {sent} of {body_len} bytes"))
    }

    /// Records a cancellation in the span, unless the request has ended, is complete, or is a
    /// healthy stream. Call this before the future or the body of the service is dropped, because
    /// their destructors may log events in the span.
    pub(crate) fn record_if_cancelled(&self) {
        if !self.has_ended && !self.is_complete() && !self.is_healthy_stream() {
            self.span.record("spanwise.cancelled", true);
        }
    }

    /// Logs the access event. Only the first call logs.
    pub(crate) fn end(&mut self, completion: Completion<'_>) {
        let has_ended = mem::replace(&mut self.has_ended, true);
        // At OFF, no layer would receive the event.
        let is_off = LevelFilter::current() == LevelFilter::OFF;
        if has_ended || is_off && self.observation.is_none() {
            return;
        }
        // The values are taken before a callsite is chosen. If they were taken later, another task
        // could first record a new name, which the callsite lacks. The values are moved out of
        // their lock, because layers may record fields while they handle the event.
        let recorded = self.request_context.recorded.as_ref();
        let values = recorded.map_or_else(
            || RecordedValues::new(self.start),
            RecordedFields::take_values,
        );
        let (outcome, reason) = self.outcome(completion, values.failure.as_deref());
        if let Some(observation) = self.observation.take() {
            self.observe_end(observation, outcome);
        }
        if is_off {
            return;
        }
        let duration_ms = self.elapsed_ms();
        let slow_threshold = self.options.slow_threshold;
        let is_slow =
            slow_threshold.is_some_and(|threshold| duration_ms > threshold.as_secs_f64() * 1e3);
        if outcome == Outcome::Ok && !is_slow && self.request.is_quiet {
            return;
        }
        let level = self.level(outcome, is_slow);
        if let Some(event) = AccessEvent::if_enabled(level, &self.span) {
            self.send(
                event,
                outcome,
                duration_ms,
                is_slow,
                reason.as_ref(),
                &values,
            );
        }
        if let (Completion::Panic(_), Some(failure)) = (completion, values.failure.as_deref()) {
            // The access event shows the panic, so the failure is logged as a separate event. The
            // failure is logged second, because it has an error value and the access event has
            // none. After the event of an error, Sentry would drop the access event.
            self.in_span_on_drop(|| {
                recorded_fields::log_failure(failure, "request failed before it panicked")
            });
        }
    }

    #[cold]
    fn observe_end(&self, observation: RequestObservation, outcome: Outcome) {
        let head = self.head.as_ref();
        let status = head.map(ResponseHead::effective_status).filter(|_| {
            // After a call of `fail`, the status may not be the reason of the outcome.
            head.is_some_and(|head| head.outcome() == outcome)
        });
        let error_type = outcome.is_server_fault().then(|| match status {
            Some(status) => Cow::Owned(status.to_string()),
            None => Cow::Borrowed(outcome.name()),
        });
        let now = self.options.clock.instant();
        observation.end(&RequestEnd {
            status: head.map(|head| head.status.as_u16()),
            outcome: outcome.name(),
            error_type,
            duration: now.saturating_duration_since(self.start),
            body_size: head.map(|_| self.body_bytes),
            ..RequestEnd::default()
        });
    }

    /// Returns the outcome, and the reason if the request failed. `failure` is the error that the
    /// application passed to [`fail`](super::fail).
    fn outcome<'a>(
        &self,
        completion: Completion<'a>,
        failure: Option<&'a ErrorCopy>,
    ) -> (Outcome, Option<FailureReason<'a>>) {
        let status_outcome = || {
            let head = self.head.as_ref();
            head.map_or(Outcome::ServerError, ResponseHead::outcome)
        };
        let (outcome, text) = match completion {
            // A panic decides the outcome, even after a call of `fail`.
            Completion::Panic(message) => {
                return (Outcome::Panicked, Some(FailureReason::Text(message.into())));
            }
            Completion::BodyEnd => match self.incomplete_body_error() {
                Some(error) => (Outcome::StreamAborted, Some(error.into())),
                None => (status_outcome(), None),
            },
            Completion::Dropped if self.is_complete() => (status_outcome(), None),
            Completion::Dropped if self.is_healthy_stream() => (Outcome::ClientClosedStream, None),
            Completion::Dropped => (Outcome::Cancelled, None),
            Completion::ServiceError(error) => (Outcome::ServerError, Some(error.into())),
            Completion::BodyError(error) => (Outcome::StreamAborted, Some(error.into())),
        };
        match failure {
            Some(failure) => (
                outcome.after_failure_mark(),
                Some(FailureReason::Failure(failure)),
            ),
            None => (outcome, text.map(FailureReason::Text)),
        }
    }

    fn level(&self, outcome: Outcome, is_slow: bool) -> Level {
        // The rules of `status_level` apply only if the status decided the outcome.
        let head = self.head.as_ref();
        let head = head.filter(|head| head.outcome() == outcome);
        let rule = head.and_then(|head| self.options.status_level(head.effective_status()));
        let level = rule.unwrap_or(outcome.level());
        if is_slow {
            level.min(Level::WARN)
        } else {
            level
        }
    }

    /// Returns the milliseconds since the start of the request.
    fn elapsed_ms(&self) -> f64 {
        recorded_fields::millis(self.start, self.options.clock.instant())
    }

    /// Logs the access event with all its values.
    fn send(
        &self,
        event: AccessEvent,
        outcome: Outcome,
        duration_ms: f64,
        is_slow: bool,
        reason: Option<&FailureReason<'_>>,
        values: &RecordedValues,
    ) {
        let head = self.head.as_ref();
        let status = head.map(|head| head.status.as_u16());
        let ttfb_ms = head.map(|head| head.ttfb_ms);
        let body_bytes = head.map(|_| self.body_bytes);
        let grpc_status = head.and_then(|head| head.grpc_status);
        let spanless = self.request.spanless.as_deref();
        let request_id = spanless.map(|_| self.request.id.as_str());
        let tenant_id = self.request_context.tenant_id.as_deref();
        let service_request_id = head.and_then(|head| head.service_request_id.as_ref());
        let service_request_id =
            service_request_id.map(|id| String::from_utf8_lossy(id.as_bytes()));
        let service_request_id = service_request_id.as_deref().map(bounded);
        let service_request_id = service_request_id.as_deref();
        let routed_path = self.request.routed_path.as_ref();
        let routed_path =
            routed_path.filter(|_| outcome != Outcome::Ok || self.options.always_logs_url_path);
        let routed_path = routed_path.map(|path| bounded(path.path()));
        let path = routed_path.as_deref();
        let path = path.or_else(|| spanless.and_then(|spanless| spanless.path.as_deref()));
        let (message, outcome) = (outcome.message(), outcome.name());
        let (failure, text) = match reason {
            Some(FailureReason::Failure(failure)) => {
                (Some(*failure as &(dyn Error + 'static)), None)
            }
            Some(FailureReason::Text(text)) => (None, Some(&**text)),
            None => (None, None),
        };
        let built_in: BuiltInValues<'_> = [
            Some(&message),
            optional_value(&status),
            Some(&duration_ms),
            optional_value(&ttfb_ms),
            optional_value(&body_bytes),
            Some(&outcome),
            is_slow.then_some(&true as &dyn Value),
            optional_value(&grpc_status),
            optional_value(&failure).or(optional_value(&text)),
            optional_value(&path),
            optional_value(&service_request_id),
            spanless.map(|spanless| &spanless.method as &dyn Value),
            spanless.and_then(|spanless| optional_value(&spanless.route)),
            optional_value(&request_id),
            optional_value(&tenant_id),
            spanless.and_then(|spanless| optional_value(&spanless.client_address)),
            spanless.map(|spanless| &spanless.trace_id as &dyn Value),
        ];
        let headers: Vec<(u8, String)> = self.joined_headers();
        let headers = headers
            .iter()
            .map(|(index, text)| (*index, text as &dyn Value));
        let timings = values.timings.iter();
        let timings =
            timings.filter_map(|timing| Some((timing.index?, &timing.millis as &dyn Value)));
        let fields = values.fields.iter();
        let fields = fields.map(|(index, value)| (*index, value.as_tracing()));
        event.send(&self.span, &built_in, headers.chain(timings).chain(fields));
    }

    /// Returns the request headers to log, each with the index of its field. Joins repeated headers
    /// with commas.
    fn joined_headers(&self) -> Vec<(u8, String)> {
        let mut headers: Vec<(u8, String)> = Vec::new();
        for (index, line) in &self.request.headers {
            let text = if line.is_sensitive() {
                REDACTED.into()
            } else {
                String::from_utf8_lossy(line.as_bytes())
            };
            match headers.last_mut() {
                // The joined text is already longer than the limit, and is truncated below.
                Some((last_index, joined))
                    if last_index == index && joined.len() > bounded_text::MAX_LEN => {}
                Some((last_index, joined)) if last_index == index => {
                    joined.push_str(", ");
                    joined.push_str(&text);
                }
                _ => headers.push((*index, text.into_owned())),
            }
        }
        for (_, text) in &mut headers {
            if let Cow::Owned(truncated) = bounded(text) {
                *text = truncated;
            }
        }
        headers
    }
}

/// Returns the value as `tracing` accepts it, if there is one.
pub(super) fn optional_value<T: Value>(value: &Option<T>) -> Option<&dyn Value> {
    value.as_ref().map(|value| value as &dyn Value)
}

/// Shows no fields, because no policy has redacted the data of the client, and applications may
/// print the guard.
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
