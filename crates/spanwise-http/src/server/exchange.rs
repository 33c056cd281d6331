//! What code that handles a request adds to the request's event: fields, and how long things took.

use std::{error::Error, fmt::Write as _, time::Instant};

use spanwise_core::{
    AsError, Clock,
    internal::{
        errors::ErrorCopy,
        sync::{Mutex, MutexGuard},
    },
};

use super::{names, value::Value};
use crate::carried::Carried;

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
    let request = Carried::received();
    let Some(exchange) = request
        .as_ref()
        .and_then(|request| request.exchange.as_ref())
    else {
        return;
    };
    let Some(index) = names::index(name) else {
        return;
    };
    let value = value.into();
    let fields = &mut exchange.notes().fields;
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
/// spanwise_http::mark("db");
/// # }
/// ```
pub fn mark(name: &'static str) {
    let request = Carried::received();
    if let Some(exchange) = request
        .as_ref()
        .and_then(|request| request.exchange.as_ref())
    {
        exchange.mark(name);
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
    let request = Carried::received();
    let exchange = request.as_ref();
    let Some(exchange) = exchange.and_then(|request| request.exchange.as_ref()) else {
        return log_failure(error, "failed outside of a request");
    };
    // Before the notes are locked: the error's code may log, and add to them.
    let failure = Box::new(ErrorCopy::new(error));
    let mut notes = exchange.notes();
    if notes.are_taken {
        drop(notes);
        return log_failure(error, "failed after the request");
    }
    notes.failure = Some(failure);
}

/// Logs an error that the event of the request does not have.
pub(crate) fn log_failure(error: &(dyn Error + 'static), message: &str) {
    tracing::error!(target: "spanwise_http::fail", error, "{message}");
}

/// What a request's span carries for them.
#[derive(Debug)]
pub(crate) struct Exchange {
    clock: Clock,
    notes: Mutex<Notes>,
}

#[derive(Debug)]
pub(crate) struct Notes {
    /// By the index of their names.
    pub(crate) fields: Vec<(u8, Value)>,
    pub(crate) timings: Vec<Timing>,
    pub(crate) failure: Option<Box<ErrorCopy>>,
    /// Whether the event of the request has them already.
    are_taken: bool,
    /// When the last of them ended.
    marked: Instant,
}

#[derive(Debug)]
pub(crate) struct Timing {
    name: &'static str,
    /// Of its field; `None` if it can have none.
    pub(crate) index: Option<u8>,
    pub(crate) millis: f64,
}

impl Exchange {
    /// Of a request that came at `start`.
    pub(crate) fn new(clock: Clock, start: Instant) -> Self {
        let notes = Mutex::new(Notes::new(start));
        Self { clock, notes }
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock()
    }

    /// All that was noted; nothing is left.
    pub(crate) fn take_notes(&self) -> Notes {
        let mut notes = self.notes();
        let mut empty = Notes::new(notes.marked);
        empty.are_taken = true;
        std::mem::replace(&mut *notes, empty)
    }

    fn mark(&self, name: &'static str) {
        let index = names::timing(name);
        let now = self.clock.instant();
        let mut notes = self.notes();
        let took = millis(notes.marked, now);
        notes.marked = now;
        match notes.timings.iter_mut().find(|known| known.name == name) {
            Some(known) => known.millis += took,
            None => notes.timings.push(Timing {
                name,
                index,
                millis: took,
            }),
        }
    }
}

impl Notes {
    pub(crate) fn new(marked: Instant) -> Self {
        Self {
            fields: Vec::new(),
            timings: Vec::new(),
            failure: None,
            are_taken: false,
            marked,
        }
    }

    /// What was marked, as [`Server-Timing`] has it; names that are no tokens are left out.
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
