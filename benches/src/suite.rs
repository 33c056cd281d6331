//! Who is compared in what, and with whom.

use crate::{Contender, ReceiverFormat, Workload, table::Results};

/// What one bench target compares.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(crate) contenders: &'static [Contender],
    pub(crate) workloads: &'static [Workload],
    /// The title of the table of ratios.
    pub(crate) ratios: &'static str,
    /// A cell of it.
    pub(crate) ratio: fn(&Results, Contender, Workload) -> Option<String>,
    pub(crate) has_texts: bool,
}

/// Everybody who writes JSON.
pub(crate) static PEERS: Suite = Suite {
    contenders: &Contender::ALL,
    workloads: &Workload::ALL,
    ratios: "fmt-json / contender, microjson / contender (disabled: fmt / contender)",
    ratio: peers_to_own,
    has_texts: false,
};

/// The formats of receivers, and the peers that write some of them.
pub(crate) static FORMATS: Suite = Suite {
    contenders: &[
        Contender::Spanwise,
        Contender::SpanwiseFormat(ReceiverFormat::Ecs),
        Contender::SpanwiseFormat(ReceiverFormat::Gcp),
        Contender::SpanwiseFormat(ReceiverFormat::Datadog),
        Contender::SpanwiseFormat(ReceiverFormat::Logstash),
        Contender::SpanwiseFormat(ReceiverFormat::Gelf),
        Contender::SpanwiseFormat(ReceiverFormat::Bunyan),
        Contender::SpanwiseFormat(ReceiverFormat::Emf),
        Contender::SpanwiseFormat(ReceiverFormat::Logfmt),
        Contender::SpanwiseFormat(ReceiverFormat::Otlp),
        Contender::Bunyan,
        Contender::JsonSubscriber,
    ],
    workloads: &[Workload::Flat, Workload::Nested, Workload::Request],
    ratios: "contender / json of spanwise",
    ratio: own_to_json,
    has_texts: false,
};

/// With a policy, and without.
pub(crate) static REDACTION: Suite = Suite {
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
        Workload::FlatClean,
        Workload::Flat,
        Workload::RequestClean,
        Workload::Request,
        Workload::Escape,
    ],
    ratios: "With the policy / without",
    ratio: own_to_plain,
    has_texts: true,
};

/// How many times as much the two peers that matter cost: the one that most services have, and the
/// fastest. The disabled event is held against bare `fmt`, since nothing is written.
fn peers_to_own(results: &Results, contender: Contender, workload: Workload) -> Option<String> {
    let own = results.get(&(contender, workload))?;
    let times = |peer| {
        let peer = results.get(&(peer, workload))?;
        Some(format!("{:.2}×", peer / own))
    };
    if workload == Workload::Disabled {
        return times(Contender::Fmt);
    }
    let peers = [times(Contender::FmtJson), times(Contender::Microjson)];
    let known: Vec<_> = peers.into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join(", "))
}

fn own_to_json(results: &Results, contender: Contender, workload: Workload) -> Option<String> {
    let own = results.get(&(contender, workload))?;
    let json = results.get(&(Contender::Spanwise, workload))?;
    Some(format!("{:.3}", own / json))
}

fn own_to_plain(results: &Results, contender: Contender, workload: Workload) -> Option<String> {
    let own = results.get(&(contender, workload))?;
    let plain = results.get(&(contender.without_policy()?, workload))?;
    Some(format!("{:.3}", own / plain))
}
