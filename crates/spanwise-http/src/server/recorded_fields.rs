//! What code that handles a request adds to the request's event: fields, and how long things took.

use std::{error::Error, fmt::Write as _, time::Instant};

use spanwise_core::{
    AsError, Clock,
    internal::{
        errors::ErrorCopy,
        sync::{Mutex, MutexGuard},
    },
};

use super::{field_names, value::Value};
use crate::request_context::RequestContext;

/// Adds a field to the event of the current request, or changes it if there is one of that name.
///
/// Which request that is follows from the current span: tasks that run in a span of the request belong to it too, as by
/// `tokio::spawn(work.in_current_span())`. Outside of any request, and after its event, nothing happens.
///
/// The name becomes part of the event's callsite when it is first seen, for good: so that every layer sees a field of its own. A program has
/// at most 128 of them, timings and headers among them; what is beyond, an empty name, and the name of a field of the event's own is refused, and
/// told once by [`SelfReport`](spanwise_core::SelfReport), each of the event's own fields by itself.
///
/// ```
/// # fn handler() {
/// spanwise_http::record("order.id", 42);
/// spanwise_http::record("order.kind", "express");
/// # }
/// ```
pub fn record(name: &'static str, value: impl Into<Value>) {
    let request = RequestContext::received();
    let Some(recorded) = request
        .as_ref()
        .and_then(|request| request.recorded.as_ref())
    else {
        return;
    };
    let Some(index) = field_names::index(name) else {
        return;
    };
    let value = value.into();
    let fields = &mut recorded.values().fields;
    match fields.iter_mut().find(|(known, _)| *known == index) {
        Some((_, known)) => *known = value,
        None => fields.push((index, value)),
    }
}

/// Says that what took the time since the last mark, or since the request came, was `name`: the request's event gets `timing.name_ms`.
///
/// Marks of one name add up. Else all is as [`record`] says; with [`ServerLayer::server_timing`](crate::ServerLayer::server_timing) the
/// client is told too, of what was marked by the time the response begins.
///
/// ```
/// # async fn load() {}
/// # async fn handler() {
/// load().await;
/// spanwise_http::record_timing("db");
/// # }
/// ```
pub fn record_timing(name: &'static str) {
    let request = RequestContext::received();
    if let Some(recorded) = request
        .as_ref()
        .and_then(|request| request.recorded.as_ref())
    {
        recorded.record_timing(name);
    }
}

/// Says that the current request failed, and why: its event has the error, with the causes.
///
/// The event is then the one line about it: `request failed` at ERROR, with `error`, whatever the
/// response says. A response with a 4xx status stays a `client_error` of its level. Of two calls the
/// last one counts. In Sentry, the request is one issue with that error.
///
/// It takes what [`err`](spanwise_core::err) takes: a reference to an error, a `dyn Error`, a `Box<dyn Error + Send +
/// Sync>`, an `anyhow::Error` or an `eyre::Report`.
///
/// It works at any depth, as [`record`] does. After the request's event, and outside of any request,
/// the error is an event of its own: `failed after the request`, `failed outside of a request`.
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
    let request = RequestContext::received();
    let recorded = request.as_ref();
    let Some(recorded) = recorded.and_then(|request| request.recorded.as_ref()) else {
        return log_failure(error, "failed outside of a request");
    };
    // Before the values are locked: the error's code may log, and add to them.
    let failure = Box::new(ErrorCopy::new(error));
    let mut values = recorded.values();
    if values.are_taken {
        drop(values);
        return log_failure(error, "failed after the request");
    }
    values.failure = Some(failure);
}

/// Logs an error that the event of the request does not have.
pub(crate) fn log_failure(error: &(dyn Error + 'static), message: &str) {
    tracing::error!(target: "spanwise_http::fail", error, "{message}");
}

/// What a request's span carries for them.
#[derive(Debug)]
pub(crate) struct RecordedFields {
    clock: Clock,
    values: Mutex<RecordedValues>,
}

#[derive(Debug)]
pub(crate) struct RecordedValues {
    /// By the index of their names.
    pub(crate) fields: Vec<(u8, Value)>,
    pub(crate) timings: Vec<Timing>,
    pub(crate) failure: Option<Box<ErrorCopy>>,
    /// Whether the event of the request has them already.
    are_taken: bool,
    /// When the last of them ended.
    last_timing: Instant,
}

#[derive(Debug)]
pub(crate) struct Timing {
    name: &'static str,
    /// Of its field; `None` if it can have none.
    pub(crate) index: Option<u8>,
    pub(crate) millis: f64,
}

impl RecordedFields {
    /// Of a request that came at `start`.
    pub(crate) fn new(clock: Clock, start: Instant) -> Self {
        let values = Mutex::new(RecordedValues::new(start));
        Self { clock, values }
    }

    pub(crate) fn values(&self) -> MutexGuard<'_, RecordedValues> {
        self.values.lock()
    }

    /// All that was noted; nothing is left.
    pub(crate) fn take_values(&self) -> RecordedValues {
        let mut values = self.values();
        let mut empty = RecordedValues::new(values.last_timing);
        empty.are_taken = true;
        std::mem::replace(&mut *values, empty)
    }

    fn record_timing(&self, name: &'static str) {
        let index = field_names::timing(name);
        let now = self.clock.instant();
        let mut values = self.values();
        let took = millis(values.last_timing, now);
        values.last_timing = now;
        match values.timings.iter_mut().find(|known| known.name == name) {
            Some(known) => known.millis += took,
            None => values.timings.push(Timing {
                name,
                index,
                millis: took,
            }),
        }
    }
}

impl RecordedValues {
    pub(crate) fn new(last_timing: Instant) -> Self {
        Self {
            fields: Vec::new(),
            timings: Vec::new(),
            failure: None,
            are_taken: false,
            last_timing,
        }
    }

    /// The timings, as [`Server-Timing`] has it; names that are no tokens are left out.
    ///
    /// [`Server-Timing`]: https://www.w3.org/TR/server-timing/
    pub(crate) fn server_timing(&self) -> Option<http::HeaderValue> {
        let mut header = String::new();
        for timing in self.timings.iter().filter(|timing| is_token(timing.name)) {
            let comma = if header.is_empty() { "" } else { ", " };
            let _ = write!(header, "{comma}{};dur={:.3}", timing.name, timing.millis); // a String takes all
        }
        (!header.is_empty())
            .then(|| header.try_into().ok())
            .flatten()
    }
}

fn is_token(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

pub(crate) fn millis(from: Instant, to: Instant) -> f64 {
    let took = to.saturating_duration_since(from);
    let micros = took.as_secs() * 1_000_000 + u64::from(took.subsec_micros());
    // Rounded once: a tenth is a tenth in what is printed.
    micros as f64 / 1e3
}
