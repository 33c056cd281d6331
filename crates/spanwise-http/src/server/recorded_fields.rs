//! Fields, timings and failures that the handler of a request adds to the access event.

use std::{error::Error, fmt::Write as _, time::Instant};

use spanwise_core::{
    AsError, Clock,
    internal::{
        errors::ErrorCopy,
        sync::{Mutex, MutexGuard},
    },
};

use super::{field_names, recorded_value::RecordedValue};
use crate::request_context::RequestContext;

/// Sets a field of the access event of the current request.
///
/// The current span determines the request. So a task that runs in a span of the request, such as
/// `tokio::spawn(work.in_current_span())`, belongs to the request. Outside a request, and after the
/// access event of the request, a call does nothing.
///
/// The first use of a name adds it to the callsite of the access event. Names are never removed. A
/// process has at most 128 names, including timings and headers. Names beyond this limit, an empty
/// name and the names of built-in fields are refused. [`SelfReport`](spanwise_core::SelfReport)
/// reports the first name beyond the limit, the first empty name, and each built-in name once.
///
/// ```
/// # fn handler() {
/// spanwise_http::record("order.id", 42);
/// spanwise_http::record("order.kind", "express");
/// # }
/// ```
pub fn record(name: &'static str, value: impl Into<RecordedValue>) {
    let request = RequestContext::current_received();
    let Some(recorded) = request
        .as_ref()
        .and_then(|request| request.recorded.as_ref())
    else {
        return;
    };
    let Some(index) = field_names::register(name) else {
        return;
    };
    let value = value.into();
    let fields = &mut recorded.values().fields;
    match fields.iter_mut().find(|(known, _)| *known == index) {
        Some((_, known)) => *known = value,
        None => fields.push((index, value)),
    }
}

/// Records the time since the last timing, or since the start of the request, as `timing.name_ms`
/// in the access event.
///
/// Timings of the same name add up. The rules of [`record`] apply. With
/// [`ServerLayer::server_timing`](crate::ServerLayer::server_timing), timings that were recorded
/// before the response began are also sent to the client.
///
/// ```
/// # async fn load() {}
/// # async fn handler() {
/// load().await;
/// spanwise_http::record_timing("db");
/// # }
/// ```
pub fn record_timing(name: &'static str) {
    let request = RequestContext::current_received();
    if let Some(recorded) = request
        .as_ref()
        .and_then(|request| request.recorded.as_ref())
    {
        recorded.record_timing(name);
    }
}

/// Marks the current request as failed. The access event has the error with its causes.
///
/// The access event is then the only line about the failure: `request failed` at ERROR with
/// `error`, even if the response has a success status. A response with a 4xx status remains a
/// `client_error` with its level. A 5xx status keeps the level that
/// [`expect_status`](crate::ServerLayer::expect_status) or
/// [`warn_on`](crate::ServerLayer::warn_on) sets. The last call of `fail` counts. In Sentry, the
/// request is one issue with this error.
///
/// If the request panics after this call, the access event has the panic. The error is then logged
/// as a separate event at ERROR: `request failed before it panicked`.
///
/// `error` may be of any type that [`err`](spanwise_core::err) accepts: a reference to an error, a
/// `dyn Error`, a `Box<dyn Error + Send + Sync>`, an `anyhow::Error` or an `eyre::Report`.
///
/// Like [`record`], this works in all code that runs in a span of the request. After the access
/// event, or outside a request, the error is logged as a separate event at ERROR, with the message
/// `failed after the request` or `failed outside of a request`.
///
/// ```
/// use http::StatusCode;
///
/// fn respond(error: std::io::Error) -> StatusCode {
///     spanwise_http::fail(&error);
///     StatusCode::BAD_GATEWAY
/// }
/// # let logs = spanwise_testing::capture();
/// # respond(std::io::Error::other("of no request"));
/// ```
pub fn fail<E, Kind>(error: &E)
where
    E: AsError<Kind> + ?Sized,
{
    let error = error.as_error();
    let request = RequestContext::current_received();
    let recorded = request.as_ref();
    let Some(recorded) = recorded.and_then(|request| request.recorded.as_ref()) else {
        return log_failure(error, "failed outside of a request");
    };
    // Copied before the lock is taken, because the `Display` of the error may record fields, which
    // takes the same lock.
    let failure = Box::new(ErrorCopy::new(error));
    let mut values = recorded.values();
    if values.are_taken {
        drop(values);
        return log_failure(error, "failed after the request");
    }
    values.failure = Some(failure);
}

/// Logs an error that is not in the access event.
pub(crate) fn log_failure(error: &(dyn Error + 'static), message: &str) {
    tracing::error!(target: "spanwise_http::fail", error, "{message}");
}

/// The [`RecordedValues`] of a request, behind a lock. Stored in the context of the request.
#[derive(Debug)]
pub(crate) struct RecordedFields {
    clock: Clock,
    values: Mutex<RecordedValues>,
}

/// The fields, timings and failure that a handler has recorded so far.
#[derive(Debug)]
pub(crate) struct RecordedValues {
    /// The values, each with the index of its name in [`field_names`].
    pub(crate) fields: Vec<(u8, RecordedValue)>,
    pub(crate) timings: Vec<Timing>,
    pub(crate) failure: Option<Box<ErrorCopy>>,
    /// Whether the access event has taken the values.
    are_taken: bool,
    /// The time of the last timing, or else the start of the request.
    last_timing_at: Instant,
}

/// The sum of all timings with the same name.
#[derive(Debug)]
pub(crate) struct Timing {
    name: &'static str,
    /// The index of the timing's field name, or `None` if the name was refused.
    pub(crate) index: Option<u8>,
    pub(crate) millis: f64,
}

impl RecordedFields {
    /// Creates an empty list for a request that began at `start`.
    pub(crate) fn new(clock: Clock, start: Instant) -> Self {
        let values = Mutex::new(RecordedValues::new(start));
        Self { clock, values }
    }

    pub(crate) fn values(&self) -> MutexGuard<'_, RecordedValues> {
        self.values.lock()
    }

    /// Takes all values for the access event. Values that are recorded later have no effect.
    pub(crate) fn take_values(&self) -> RecordedValues {
        let mut values = self.values();
        let mut empty = RecordedValues::new(values.last_timing_at);
        empty.are_taken = true;
        std::mem::replace(&mut *values, empty)
    }

    fn record_timing(&self, name: &'static str) {
        let index = field_names::register_timing(name);
        let now = self.clock.instant();
        let mut values = self.values();
        let elapsed = millis(values.last_timing_at, now);
        values.last_timing_at = now;
        match values.timings.iter_mut().find(|known| known.name == name) {
            Some(known) => known.millis += elapsed,
            None => values.timings.push(Timing {
                name,
                index,
                millis: elapsed,
            }),
        }
    }
}

impl RecordedValues {
    pub(crate) fn new(last_timing_at: Instant) -> Self {
        Self {
            fields: Vec::new(),
            timings: Vec::new(),
            failure: None,
            are_taken: false,
            last_timing_at,
        }
    }

    /// Formats the timings as [`Server-Timing`]. Skips timings whose name is not an HTTP `token`.
    ///
    /// [`Server-Timing`]: https://www.w3.org/TR/server-timing/
    pub(crate) fn server_timing(&self) -> Option<http::HeaderValue> {
        let mut header = String::new();
        for timing in self.timings.iter().filter(|timing| is_token(timing.name)) {
            let comma = if header.is_empty() { "" } else { ", " };
            let _ = write!(header, "{comma}{};dur={:.3}", timing.name, timing.millis); // infallible
        }
        (!header.is_empty())
            .then(|| header.try_into().ok())
            .flatten()
    }
}

fn is_token(name: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_allowed)
}

/// Returns the milliseconds between two times, in steps of 1 µs.
pub(crate) fn millis(from: Instant, to: Instant) -> f64 {
    let elapsed = to.saturating_duration_since(from);
    let micros = elapsed.as_secs() * 1_000_000 + u64::from(elapsed.subsec_micros());
    // Only this division of an integer rounds. So 100 µs print as `0.1`.
    micros as f64 / 1e3
}
