//! Observes the start and the end of every HTTP request, for metrics and for spans.
//!
//! `spanwise-http` reports each request that it serves or sends to the observers, even if levels or
//! options suppress the access event of the request. Without an observer, nothing is computed.

use std::{
    borrow::Cow,
    fmt,
    iter::successors,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tracing::Span;

use crate::internal::panic_safe;

/// Called at the start and the end of each request. It must not block.
pub trait RequestObserver: fmt::Debug + Send + Sync {
    /// A request starts. The span of the request, if it is enabled, is already open.
    fn begin(&self, request: &ObservedRequest);

    /// A request ends. Called once for each call of `begin`, while the span is still open.
    fn end(&self, request: &ObservedRequest, end: &RequestEnd<'_>);
}

/// The role of this process in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestSide {
    /// This process serves the request.
    Server,
    /// This process sends the request.
    Client,
}

/// The facts about a request at its start.
#[derive(Debug)]
pub struct ObservedRequest {
    /// The side of this process.
    pub side: RequestSide,
    /// A method of RFC 9110 or 5789, or `_OTHER`.
    pub method: &'static str,
    /// `http` or `https`, if it is known.
    pub scheme: Option<&'static str>,
    /// The route, such as `/orders/{id}`. Set only on the server.
    pub route: Option<Box<str>>,
    /// The path without the query, at most 2,048 bytes.
    pub path: Box<str>,
    /// The version of HTTP, such as `1.1` or `2`. Set on the server. On the client, it is unknown
    /// until the response.
    pub protocol_version: Option<&'static str>,
    /// The host that is called. Set only on the client.
    pub server_address: Option<Box<str>>,
    /// The port that is called. Set only on the client.
    pub server_port: Option<u16>,
    /// The length of the request body in bytes, if it is declared.
    pub body_size: Option<u64>,
    /// The span of the request. Disabled if a filter disables it.
    pub span: Span,
}

/// The facts about a request at its end.
#[derive(Debug, Default)]
pub struct RequestEnd<'a> {
    /// The status of the response, if there is one.
    pub status: Option<u16>,
    /// `ok`, `client_error`, `server_error`, `cancelled`, `panicked`, `stream_aborted`, or, only on
    /// the client, `no_response`.
    pub outcome: &'static str,
    /// The value of `error.type`: the status as text, or else the outcome. `None` if the request
    /// did not fail from the point of view of its side.
    pub error_type: Option<Cow<'a, str>>,
    /// The version of HTTP, if it was unknown at the start.
    pub protocol_version: Option<&'static str>,
    /// The time from the start of the request. On the server, to the end of the response body. On
    /// the client, to the head of the response.
    pub duration: Duration,
    /// The length of the response body in bytes, if it is known.
    pub body_size: Option<u64>,
}

/// The linked list of the observers of this process. It only grows, so readers need no lock.
static FIRST_OBSERVER: OnceLock<Box<ListedObserver>> = OnceLock::new();

struct ListedObserver {
    observer: Arc<dyn RequestObserver>,
    next: OnceLock<Box<Self>>,
}

/// Adds an observer for all requests that start after this call, until the process ends.
pub fn observe_requests(observer: Arc<dyn RequestObserver>) {
    let mut listed = Box::new(ListedObserver {
        observer,
        next: OnceLock::new(),
    });
    let mut slot = &FIRST_OBSERVER;
    while let Err(not_stored) = slot.set(listed) {
        listed = not_stored;
        match slot.get() {
            Some(earlier) => slot = &earlier.next,
            None => unreachable!("the slot is filled"),
        }
    }
}

fn observers() -> impl Iterator<Item = &'static dyn RequestObserver> {
    let first = FIRST_OBSERVER.get();
    let all = successors(first, |listed| listed.next.get());
    all.map(|listed| &*listed.observer)
}

/// A request whose start was reported to the observers, and whose end will be.
#[derive(Debug)]
pub struct RequestObservation {
    request: Box<ObservedRequest>,
    /// The number of observers that have received the start. Observers that were added later do not
    /// receive the end.
    observer_count: usize,
}

impl RequestObservation {
    /// Reports the start of the request that `make` returns. If there is no observer, returns
    /// `None` without a call of `make`.
    #[inline]
    pub fn begin(make: impl FnOnce() -> ObservedRequest) -> Option<Self> {
        FIRST_OBSERVER.get()?;
        Some(Self::begin_observed(make()))
    }

    fn begin_observed(request: ObservedRequest) -> Self {
        let request = Box::new(request);
        let mut count = 0;
        for observer in observers() {
            panic_safe::catch_panic(|| observer.begin(&request));
            count += 1;
        }
        Self {
            request,
            observer_count: count,
        }
    }

    /// Reports the end of the request.
    pub fn end(self, end: &RequestEnd<'_>) {
        for observer in observers().take(self.observer_count) {
            panic_safe::catch_panic(|| observer.end(&self.request, end));
        }
    }
}
