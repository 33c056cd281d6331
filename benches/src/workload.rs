//! The workloads.

use std::{hint::black_box, ops::Range};

use tracing::{debug, field::Empty, info, info_span, span::EnteredSpan};

use crate::data::{self, Data};

/// One unit of work: one event, or in [`Request`](Self::Request) and
/// [`RequestHidden`](Self::RequestHidden) a span with its events.
///
/// The cost of a policy depends on the texts. So there are three kinds of texts of 24 bytes for
/// `customer`: harmless texts, texts that a policy hides, and both kinds in turn. Each kind has
/// 1,024 different texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workload {
    /// A literal message and four typed fields, outside any span. The text is harmless.
    Flat,
    /// [`Flat`](Self::Flat) with an e-mail address.
    FlatHidden,
    /// [`Flat`](Self::Flat) with IP addresses and texts that resemble them, in turn.
    FlatMixed,
    /// [`Flat`](Self::Flat) inside three spans of three fields each, opened and entered beforehand.
    Nested,
    /// [`Nested`](Self::Nested) with an e-mail address.
    NestedHidden,
    /// [`Nested`](Self::Nested) with the texts of [`FlatMixed`](Self::FlatMixed).
    NestedMixed,
    /// A span of five fields, one of which is recorded late. It has a child span of two fields,
    /// four events, and a fifth event that is disabled. The texts are harmless.
    Request,
    /// [`Request`](Self::Request) with an e-mail address in one event.
    RequestHidden,
    /// A string of 2 KiB without digits. One of twenty characters needs an escape.
    Escape,
    /// A string of 2 KiB with numbers, and as many escapes.
    Text2k,
    /// [`Text2k`](Self::Text2k) with 64 KiB. spanwise shows 16 KiB of a field.
    Text64k,
    /// An event below the level.
    Disabled,
    /// A literal message, numbers and booleans. A policy only scans the message.
    Numbers,
    /// [`Numbers`](Self::Numbers) without the message. A policy scans nothing.
    NumbersOnly,
    /// A literal message and four texts. Because of their keys, a policy hides two, trusts one and
    /// scans one.
    Keys,
    /// [`Keys`](Self::Keys) without the message.
    KeysOnly,
}

/// How often a process repeats a workload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Runs {
    /// Before the measurement, so that caches are filled and buffers have grown.
    pub(crate) warm_up: u64,
    /// In the shorter of two runs under callgrind. The difference of both runs excludes the start
    /// and the warm-up of a process.
    pub(crate) short: u64,
    /// In the longer of the two runs.
    pub(crate) long: u64,
}

impl Workload {
    /// The workloads of the bench `peers`, in the order of the tables.
    pub const ALL: [Self; 12] = [
        Self::Flat,
        Self::FlatMixed,
        Self::FlatHidden,
        Self::Nested,
        Self::NestedMixed,
        Self::NestedHidden,
        Self::Request,
        Self::RequestHidden,
        Self::Escape,
        Self::Text2k,
        Self::Text64k,
        Self::Disabled,
    ];

    /// Returns the name in the tables and in `--workload`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::FlatHidden => "flat-hidden",
            Self::FlatMixed => "flat-mixed",
            Self::Nested => "nested",
            Self::NestedHidden => "nested-hidden",
            Self::NestedMixed => "nested-mixed",
            Self::Request => "request",
            Self::RequestHidden => "request-hidden",
            Self::Escape => "escape",
            Self::Text2k => "text-2k",
            Self::Text64k => "text-64k",
            Self::Disabled => "disabled",
            Self::Numbers => "numbers",
            Self::NumbersOnly => "numbers-only",
            Self::Keys => "keys",
            Self::KeysOnly => "keys-only",
        }
    }

    pub(crate) fn data(self) -> Data {
        let mut data = Data::new();
        match self {
            Self::FlatHidden | Self::NestedHidden | Self::RequestHidden => {
                data.customers = data::hidden();
            }
            Self::FlatMixed | Self::NestedMixed => data.customers = data::mixed(),
            Self::Text2k => data.body = data::text(2 * 1024),
            Self::Text64k => data.body = data::text(64 * 1024),
            _ => {}
        }
        data
    }

    pub(crate) fn runs(self) -> Runs {
        match self {
            Self::Text64k => Runs {
                warm_up: 10,
                short: 10,
                long: 50,
            },
            _ => Runs {
                warm_up: 1_000,
                short: 500,
                long: 2_500,
            },
        }
    }

    /// Opens and enters the spans that are open during all units.
    pub(crate) fn enter_spans(self, data: &Data) -> Option<Spans> {
        self.is_nested().then(|| Spans::enter(data))
    }

    pub(crate) fn is_nested(self) -> bool {
        matches!(self, Self::Nested | Self::NestedHidden | Self::NestedMixed)
    }

    pub(crate) fn repeat(self, data: &Data, times: u64) {
        self.take_turns(data, 0..times);
    }

    /// Runs the units with these numbers. A number selects the text of `customer`.
    pub(crate) fn take_turns(self, data: &Data, turns: Range<u64>) {
        let unit = match self {
            Self::Flat
            | Self::FlatHidden
            | Self::FlatMixed
            | Self::Nested
            | Self::NestedHidden
            | Self::NestedMixed => flat,
            Self::Request | Self::RequestHidden => request,
            Self::Escape | Self::Text2k | Self::Text64k => body,
            Self::Disabled => disabled,
            Self::Numbers => numbers,
            Self::NumbersOnly => numbers_only,
            Self::Keys => keys,
            Self::KeysOnly => keys_only,
        };
        for turn in turns {
            unit(black_box(data), turn);
        }
    }
}

/// Entered spans. The innermost is the first field, because fields are dropped in their order, and
/// dropping exits the span.
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

fn flat(data: &Data, turn: u64) {
    info!(
        order_number = data.order_number,
        amount = data.amount,
        express = data.express,
        customer = data.customer(turn),
        "order placed"
    );
}

fn request(data: &Data, turn: u64) {
    let request = info_span!(
        "request",
        method = data.method,
        route = data.route,
        request_id = %data.id_of_request(turn),
        tenant_id = data.tenant_id,
        user_id = Empty,
    )
    .entered();
    info!(
        port = data.port,
        customer = data.customer(turn),
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

fn body(data: &Data, _: u64) {
    info!(body = data.body.as_str(), "body received");
}

fn disabled(data: &Data, turn: u64) {
    debug!(
        order_number = data.order_number,
        customer = data.customer(turn),
        "not enabled"
    );
}

fn numbers(data: &Data, _: u64) {
    info!(
        status = data.status,
        elapsed_ms = data.elapsed_ms,
        order_number = data.order_number,
        express = data.express,
        "request finished"
    );
}

fn numbers_only(data: &Data, _: u64) {
    info!(
        status = data.status,
        elapsed_ms = data.elapsed_ms,
        order_number = data.order_number,
        express = data.express,
    );
}

fn keys(data: &Data, turn: u64) {
    info!(
        trace_id = data.queue,
        cache_key = data.route,
        session = data.customer(turn),
        api_key = data.tenant_id,
        "request finished"
    );
}

fn keys_only(data: &Data, turn: u64) {
    info!(
        trace_id = data.queue,
        cache_key = data.route,
        session = data.customer(turn),
        api_key = data.tenant_id,
    );
}
