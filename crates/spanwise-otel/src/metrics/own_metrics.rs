//! Metrics of the telemetry itself: the outcomes of the events that reached each sink, the queues
//! of exporters, and the reloads of the configuration.
//!
//! Exports over OTLP are also counted under the names of the semantic conventions, so that one
//! dashboard serves services in any language.

use std::{collections::BTreeMap, sync::Arc};

use opentelemetry::{
    KeyValue,
    metrics::{AsyncInstrument, Meter},
};
use spanwise_core::{SelfReport, SinkStats};

use crate::{Protocol, SignalKind};

/// Registers the metrics of sinks. `protocols` are the protocols of the exported signals.
pub(crate) fn observe_sinks(
    meter: &Meter,
    report: &SelfReport,
    protocols: &[(SignalKind, Protocol)],
) {
    let sinks = report.clone();
    meter
        .u64_observable_counter("spanwise.sink.records")
        .with_unit("{record}")
        .with_description("The events, spans and points that reached a sink, by their outcome.")
        .with_callback(move |records| {
            for (name, stats) in totals_by_sink(&sinks) {
                for (outcome, count) in stats.outcomes() {
                    let attributes = [
                        KeyValue::new("outcome", outcome),
                        KeyValue::new("sink", name.clone()),
                    ];
                    records.observe(count, &attributes);
                }
            }
        })
        .build();
    for signal in &SIGNALS {
        let is_of_signal = |(kind, _): &&(SignalKind, Protocol)| *kind == signal.kind;
        if let Some((_, protocol)) = protocols.iter().find(is_of_signal) {
            signal.observe_exports(meter, report, *protocol);
        }
    }
}

/// Registers the metrics of reloads. They have no values if the configuration cannot be reloaded.
pub(crate) fn observe_reloads(meter: &Meter, report: &SelfReport) {
    let stats = report.clone();
    meter
        .u64_observable_counter("spanwise.config.reloads")
        .with_unit("{reload}")
        .with_description("The changed configurations, by their outcome.")
        .with_callback(move |reloads| {
            if let Some(counts) = stats.stats().reloads {
                for (outcome, count) in [("applied", counts.applied), ("refused", counts.refused)] {
                    reloads.observe(count, &[KeyValue::new("outcome", outcome)]);
                }
            }
        })
        .build();
    let stats = report.clone();
    meter
        .u64_observable_gauge("spanwise.config.problems")
        .with_unit("{problem}")
        .with_description("The problems of the newest configuration. 0 if it is in use.")
        .with_callback(move |problems| {
            if let Some(counts) = stats.stats().reloads {
                problems.observe(counts.problems, &[]);
            }
        })
        .build();
}

/// The fill level of the queue of an exporter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QueueState {
    pub(crate) sink: &'static str,
    /// The number of records that wait or are being sent, and the maximum of that number. `None` if
    /// there is no maximum.
    pub(crate) records: Option<(u64, u64)>,
    pub(crate) bytes: usize,
    /// The number of times that a request was put back into the queue because the server failed.
    pub(crate) retries: u64,
}

/// Returns the state of a queue. `None` if its exporter was dropped, or if this process has no such
/// queue.
pub(crate) type ReadQueue = Arc<dyn Fn() -> Option<QueueState> + Send + Sync>;

/// Registers the metrics of queues.
pub(crate) fn observe_queues(meter: &Meter, queues: Vec<ReadQueue>) {
    let queues: Arc<[ReadQueue]> = queues.into();
    let states_reader = |queues: &Arc<[ReadQueue]>| {
        let queues = Arc::clone(queues);
        move || -> Vec<QueueState> { queues.iter().filter_map(|read| read()).collect() }
    };
    let attributes = |state: &QueueState| [KeyValue::new("sink", state.sink)];
    let read_states = states_reader(&queues);
    meter
        .i64_observable_up_down_counter("spanwise.sink.queue.bytes")
        .with_unit("By")
        .with_description("The memory of what waits for a sink.")
        .with_callback(move |bytes| {
            for state in read_states() {
                bytes.observe(saturating_i64(state.bytes as u64), &attributes(&state));
            }
        })
        .build();
    let read_states = states_reader(&queues);
    meter
        .u64_observable_counter("spanwise.sink.retries")
        .with_unit("{request}")
        .with_description("The requests that failed and were repeated.")
        .with_callback(move |retries| {
            for state in read_states() {
                retries.observe(state.retries, &attributes(&state));
            }
        })
        .build();
    for signal in &SIGNALS {
        signal.observe_queue(meter, &queues);
    }
}

fn saturating_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The names that the semantic conventions give to the items of a signal and to its processor.
struct ExportedSignal {
    kind: SignalKind,
    name: &'static str,
    unit: &'static str,
    /// The type of the processor. `None` for metrics, which have no processor.
    processor: Option<&'static str>,
}

const SIGNALS: [ExportedSignal; 3] = [
    ExportedSignal {
        kind: SignalKind::Traces,
        name: "span",
        unit: "{span}",
        processor: Some("batching_span_processor"),
    },
    ExportedSignal {
        kind: SignalKind::Logs,
        name: "log",
        unit: "{log_record}",
        processor: Some("batching_log_processor"),
    },
    ExportedSignal {
        kind: SignalKind::Metrics,
        name: "metric_data_point",
        unit: "{data_point}",
        processor: None,
    },
];

impl ExportedSignal {
    fn observe_exports(&self, meter: &Meter, report: &SelfReport, protocol: Protocol) {
        let sink = self.kind.sink_name();
        let sinks = report.clone();
        let exporter = component_attributes(match protocol {
            Protocol::Grpc => "otlp_grpc_exporter",
            Protocol::HttpProtobuf => "otlp_http_exporter",
        });
        meter
            .u64_observable_counter(format!("otel.sdk.exporter.{}.exported", self.name))
            .with_unit(self.unit)
            .with_description("The items whose export has ended, with success or not.")
            .with_callback(move |exported| {
                if let Some(stats) = totals_by_sink(&sinks).get(sink) {
                    observe_count(exported, stats.delivered, &exporter, None);
                    observe_count(exported, stats.write_failed, &exporter, Some("rejected"));
                }
            })
            .build();
        let Some(processor) = self.processor else {
            return;
        };
        let sinks = report.clone();
        let processor = component_attributes(processor);
        meter
            .u64_observable_counter(format!("otel.sdk.processor.{}.processed", self.name))
            .with_unit(self.unit)
            .with_description("The items that were passed to the exporter, or dropped.")
            .with_callback(move |processed| {
                if let Some(stats) = totals_by_sink(&sinks).get(sink) {
                    let passed = stats.delivered + stats.write_failed;
                    observe_count(processed, passed, &processor, None);
                    observe_count(processed, stats.shed, &processor, Some("queue_full"));
                    let lost = stats.lost_at_shutdown;
                    observe_count(processed, lost, &processor, Some("already_shutdown"));
                }
            })
            .build();
    }
}

impl ExportedSignal {
    fn observe_queue(&self, meter: &Meter, queues: &Arc<[ReadQueue]>) {
        let Some(processor) = self.processor else {
            return;
        };
        let (name, unit, sink) = (self.name, self.unit, self.kind.sink_name());
        let register = |name_end: &str, text: &'static str, read: fn((u64, u64)) -> u64| {
            let queues = Arc::clone(queues);
            let attributes = component_attributes(processor);
            meter
                .i64_observable_up_down_counter(format!(
                    "otel.sdk.processor.{name}.queue.{name_end}"
                ))
                .with_unit(unit)
                .with_description(text)
                .with_callback(move |observed| {
                    let mut states = queues.iter().filter_map(|read| read());
                    let state = states.find(|state| state.sink == sink);
                    if let Some(records) = state.and_then(|state| state.records) {
                        observed.observe(saturating_i64(read(records)), &attributes);
                    }
                })
                .build();
        };
        register("size", "The items in the queue.", |(records, _)| records);
        register(
            "capacity",
            "The items that the queue can hold.",
            |(_, max)| max,
        );
    }
}

fn component_attributes(kind: &str) -> [KeyValue; 2] {
    [
        KeyValue::new("otel.component.name", format!("{kind}/0")),
        KeyValue::new("otel.component.type", kind.to_owned()),
    ]
}

fn observe_count(
    counter: &dyn AsyncInstrument<u64>,
    count: u64,
    component: &[KeyValue; 2],
    error_type: Option<&'static str>,
) {
    let error_type = error_type.map(|error_type| KeyValue::new("error.type", error_type));
    let attributes: Vec<_> = error_type.into_iter().chain(component.clone()).collect();
    counter.observe(count, &attributes);
}

/// The sums of the counters of all sinks with the same name.
#[derive(Debug, Default)]
struct SinkTotals {
    delivered: u64,
    write_failed: u64,
    shed: u64,
    lost_at_shutdown: u64,
}

impl SinkTotals {
    fn add(&mut self, stats: &SinkStats) {
        self.delivered += stats.delivered;
        self.write_failed += stats.write_failed;
        self.shed += stats.shed.total();
        self.lost_at_shutdown += stats.lost_at_shutdown;
    }

    fn outcomes(&self) -> [(&'static str, u64); 4] {
        [
            ("delivered", self.delivered),
            ("write_failed", self.write_failed),
            ("shed", self.shed),
            ("lost_at_shutdown", self.lost_at_shutdown),
        ]
    }
}

fn totals_by_sink(report: &SelfReport) -> BTreeMap<String, SinkTotals> {
    let mut by_name: BTreeMap<String, SinkTotals> = BTreeMap::new();
    for stats in report.stats().sinks {
        by_name.entry(stats.name.clone()).or_default().add(&stats);
    }
    by_name
}
