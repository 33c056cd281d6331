//! The workloads.

use std::hint::black_box;

use tracing::{debug, field::Empty, info, info_span, span::EnteredSpan};

use crate::data::Data;

/// One unit of work: one event, but for [`Request`](Self::Request).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workload {
    /// A literal message and four typed fields, outside any span.
    Flat,
    /// The same event inside three spans of three fields each, opened and entered beforehand.
    Nested,
    /// A span of five fields, one of them recorded late, a child of two, four events, and one that
    /// is disabled.
    Request,
    /// A string of 2 KiB with a character to escape in every twenty.
    Escape,
    /// An event below the level.
    Disabled,
    /// A literal message, and numbers and booleans: there is nothing to read but the message.
    Numbers,
    /// The same without the message: there is nothing to read.
    NumbersOnly,
    /// A literal message, and texts whose keys decide: two are trusted and two are hidden.
    Keys,
    /// The same without the message.
    KeysOnly,
    /// [`Flat`](Self::Flat) with a harmless text of the same length instead of the e-mail address.
    FlatClean,
    /// [`Request`](Self::Request), in the same way.
    RequestClean,
}

impl Workload {
    /// Those of the peers, in the order of the tables.
    pub const ALL: [Self; 5] = [
        Self::Flat,
        Self::Nested,
        Self::Request,
        Self::Escape,
        Self::Disabled,
    ];

    /// As in the tables and in `--workload`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Nested => "nested",
            Self::Request => "request",
            Self::Escape => "escape",
            Self::Disabled => "disabled",
            Self::Numbers => "numbers",
            Self::NumbersOnly => "numbers-only",
            Self::Keys => "keys",
            Self::KeysOnly => "keys-only",
            Self::FlatClean => "flat-clean",
            Self::RequestClean => "request-clean",
        }
    }

    pub(crate) fn data(self) -> Data {
        let mut data = Data::new();
        if let Self::FlatClean | Self::RequestClean = self {
            data.customer = "customer-0042-of-example";
        }
        data
    }

    /// The spans that are open during all units.
    pub(crate) fn enter_spans(self, data: &Data) -> Option<Spans> {
        (self == Self::Nested).then(|| Spans::enter(data))
    }

    pub(crate) fn repeat(self, data: &Data, times: u64) {
        let unit = match self {
            Self::Flat | Self::Nested | Self::FlatClean => flat,
            Self::Request | Self::RequestClean => request,
            Self::Escape => escape,
            Self::Disabled => disabled,
            Self::Numbers => numbers,
            Self::NumbersOnly => numbers_only,
            Self::Keys => keys,
            Self::KeysOnly => keys_only,
        };
        for _ in 0..times {
            unit(black_box(data));
        }
    }
}

/// Innermost first: fields are dropped, and so left, in this order.
#[derive(Debug)]
pub(crate) struct Spans {
    _charge: EnteredSpan,
    _order: EnteredSpan,
    _request: EnteredSpan,
}

impl Spans {
    fn enter(data: &Data) -> Self {
        let request = info_span!("request", route = data.route, port = data.port, request_id = %data.request_id).entered();
        let order = info_span!("order", queue = data.queue, attempt = data.attempt, order_id = %data.order_id).entered();
        let charge = info_span!("charge", provider = data.provider, timeout_ms = data.timeout_ms, payment_id = %data.payment_id).entered();
        Self {
            _charge: charge,
            _order: order,
            _request: request,
        }
    }
}

fn flat(data: &Data) {
    info!(
        order_number = data.order_number,
        amount = data.amount,
        express = data.express,
        customer = data.customer,
        "order placed"
    );
}

fn request(data: &Data) {
    let request = info_span!(
        "request",
        method = data.method,
        route = data.route,
        request_id = %data.request_id,
        tenant_id = data.tenant_id,
        user_id = Empty,
    )
    .entered();
    info!(
        port = data.port,
        customer = data.customer,
        "request received"
    );
    request.record("user_id", data.user_id);
    {
        let _charge =
            info_span!("charge", provider = data.provider, amount = data.amount).entered();
        info!(
            attempt = data.attempt,
            timeout_ms = data.timeout_ms,
            "charging"
        );
        debug!(queue = data.queue, "provider answered");
        info!(
            payment_id = %data.payment_id,
            elapsed_ms = data.elapsed_ms,
            express = data.express,
            "charged"
        );
    }
    info!(
        status = data.status,
        elapsed_ms = data.elapsed_ms,
        order_number = data.order_number,
        queue = data.queue,
        "request finished"
    );
}

fn escape(data: &Data) {
    info!(body = data.body.as_str(), "body received");
}

fn disabled(data: &Data) {
    debug!(
        order_number = data.order_number,
        customer = data.customer,
        "not enabled"
    );
}

fn numbers(data: &Data) {
    info!(
        status = data.status,
        elapsed_ms = data.elapsed_ms,
        order_number = data.order_number,
        express = data.express,
        "request finished"
    );
}

fn numbers_only(data: &Data) {
    info!(
        status = data.status,
        elapsed_ms = data.elapsed_ms,
        order_number = data.order_number,
        express = data.express,
    );
}

fn keys(data: &Data) {
    info!(
        trace_id = data.queue,
        cache_key = data.route,
        session = data.customer,
        api_key = data.tenant_id,
        "request finished"
    );
}

fn keys_only(data: &Data) {
    info!(
        trace_id = data.queue,
        cache_key = data.route,
        session = data.customer,
        api_key = data.tenant_id,
    );
}
