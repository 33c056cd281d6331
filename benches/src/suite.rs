//! The suites: the contenders and workloads of a bench target, and the ratios in its tables.

use crate::{Contender, ReceiverFormat, Workload, table::Results};

/// What one bench target compares.
#[derive(Debug)]
pub(crate) struct Suite {
    /// The first part of the ids of its figures.
    pub(crate) name: &'static str,
    pub(crate) contenders: &'static [Contender],
    pub(crate) workloads: &'static [Workload],
    /// The title of the table of ratios.
    pub(crate) ratios: &'static str,
    /// Returns the ratios in one cell of that table.
    pub(crate) ratio: fn(&Results, Contender, Workload) -> Vec<Ratio>,
    /// The number of digits of a ratio after the point.
    pub(crate) decimals: usize,
    /// Whether the bench accepts `--texts`.
    pub(crate) has_texts: bool,
}

/// A ratio of two costs of one workload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ratio {
    /// The contender whose cost is the other part of the ratio.
    pub(crate) to: Contender,
    pub(crate) value: f64,
}

/// Spanwise and the peers that write JSON, and two lower bounds.
pub(crate) static PEERS: Suite = Suite {
    name: "peers",
    contenders: &Contender::ALL,
    workloads: &Workload::ALL,
    ratios: "fmt-json / contender, microjson / contender (disabled: fmt / contender)",
    ratio: peers_to_own,
    decimals: 2,
    has_texts: false,
};

/// The formats of receivers, and the peers that write some of them.
pub(crate) static FORMATS: Suite = Suite {
    name: "formats",
    contenders: &[
        Contender::Spanwise,
        Contender::SpanwiseIds,
        Contender::SpanwiseFormat(ReceiverFormat::Ecs),
        Contender::SpanwiseFormat(ReceiverFormat::Gcp),
        Contender::SpanwiseFormat(ReceiverFormat::Datadog),
        Contender::SpanwiseFormat(ReceiverFormat::Logstash),
        Contender::SpanwiseFormat(ReceiverFormat::Gelf),
        Contender::SpanwiseFormat(ReceiverFormat::Bunyan),
        Contender::SpanwiseFormat(ReceiverFormat::Emf),
        Contender::SpanwiseFormat(ReceiverFormat::Logfmt),
        Contender::SpanwiseFormat(ReceiverFormat::Otlp),
        Contender::SpanwiseFormat(ReceiverFormat::Table),
        Contender::SpanwiseFormat(ReceiverFormat::Code),
        Contender::SpanwiseFormat(ReceiverFormat::Template),
        Contender::Stackdriver,
        Contender::TracingLogfmt,
        Contender::TracingEcs,
        Contender::TracingLogstash,
        Contender::Bunyan,
        Contender::JsonSubscriber,
    ],
    workloads: &[Workload::Flat, Workload::Nested, Workload::Request],
    ratios: "contender / json of spanwise",
    ratio: own_to_json,
    decimals: 3,
    has_texts: false,
};

/// Layers with a redaction policy and without.
pub(crate) static REDACTION: Suite = Suite {
    name: "redaction",
    contenders: &[
        Contender::Spanwise,
        Contender::SpanwisePolicy,
        Contender::FmtJson,
        Contender::FmtJsonRedacted,
        Contender::FmtJsonUnasked,
        Contender::Floor,
        Contender::FloorRedacted,
        Contender::FloorUnasked,
    ],
    workloads: &[
        Workload::Numbers,
        Workload::NumbersOnly,
        Workload::Keys,
        Workload::KeysOnly,
        Workload::Flat,
        Workload::FlatMixed,
        Workload::FlatHidden,
        Workload::Request,
        Workload::RequestHidden,
        Workload::Escape,
        Workload::Text2k,
    ],
    ratios: "With the policy / without",
    ratio: own_to_plain,
    decimals: 3,
    has_texts: true,
};

/// Returns the costs of two peers, each divided by the cost of the contender. The peers are the one
/// that most services use, and the fastest. For a disabled event, the peer is bare `fmt`, because
/// nothing is written.
fn peers_to_own(results: &Results, contender: Contender, workload: Workload) -> Vec<Ratio> {
    let peers: &[_] = match workload {
        Workload::Disabled => &[Contender::Fmt],
        _ => &[Contender::FmtJson, Contender::Microjson],
    };
    let cost = |contender| results.get(&(contender, workload)).copied();
    let ratio = |&to: &Contender| {
        let value = cost(to)? / cost(contender)?;
        Some(Ratio { to, value })
    };
    peers.iter().filter_map(ratio).collect()
}

/// Returns the cost of a format, divided by that of `json`.
fn own_to_json(results: &Results, contender: Contender, workload: Workload) -> Vec<Ratio> {
    own_to(Contender::Spanwise, results, contender, workload)
}

/// Returns the cost with a policy, divided by the cost without.
fn own_to_plain(results: &Results, contender: Contender, workload: Workload) -> Vec<Ratio> {
    match contender.without_policy() {
        Some(plain) => own_to(plain, results, contender, workload),
        None => Vec::new(),
    }
}

fn own_to(
    to: Contender,
    results: &Results,
    contender: Contender,
    workload: Workload,
) -> Vec<Ratio> {
    let cost = |contender| results.get(&(contender, workload)).copied();
    let costs = cost(contender).zip(cost(to));
    let ratio = costs.map(|(own, other)| Ratio {
        to,
        value: own / other,
    });
    ratio.into_iter().collect()
}
