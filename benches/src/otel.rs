//! The cost of traces and logs over OTLP, compared with the crates of OpenTelemetry.
//!
//! ```text
//! cargo bench -p benches --bench otel                       instructions under callgrind, and allocations
//! cargo bench -p benches --bench otel -- --contender spanwise --workload request --units 100000 --collector 127.0.0.1:4318    one contender, for a profiler
//! ```
//!
//! Each contender exports to a collector on the loopback, which reads requests and drops them. The
//! collector runs in the parent process. The first table has the instructions of the thread that
//! logs. The second table has those of all threads, with encoding and with sending over HTTP. Each
//! run waits until everything is exported.
//!
//! `upstream` is tracing-opentelemetry, opentelemetry-appender-tracing, the batch processors of the
//! SDK and opentelemetry-otlp, with their defaults. `upstream-lean` omits what the layer for spans
//! can omit: the thread, the target, the location, the busy and idle times. In `nested`, each
//! record of every contender has the fields of its spans.
//!
//! In `request`, the span layer of upstream also adds each event to its span, unless a filter hides
//! the events from it. Our layer does not, where log records have the events. On the other hand,
//! our records have the context keys of their spans, and those of upstream only in `nested`.

use std::{
    collections::BTreeMap,
    error::Error,
    hint::black_box,
    io::{self, Write as _},
    process::Command,
    sync::Arc,
    time::Duration,
};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::{OpenTelemetryTracingBridge, TracingSpanAttributes};
use opentelemetry_otlp::{LogExporter, Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    logs::{BatchConfigBuilder as LogConfig, BatchLogProcessor, SdkLoggerProvider},
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use spanwise_otel::{ExportOptions, Otel, OtelGuard, TraceSampler};
use spanwise_redact::Policy;
use tracing::{Dispatch, Span, dispatcher, info_span, level_filters::LevelFilter};
use tracing_subscriber::{Layer, prelude::*, registry};

use crate::{
    Workload as Events, child,
    collector::Collector,
    data::Data,
    figures,
    options::{named, number},
    table,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Contender {
    /// A `Registry` and a layer that does nothing.
    Floor,
    Spanwise,
    /// [`Spanwise`](Self::Spanwise) with the policy for secrets and PII.
    SpanwisePolicy,
    Upstream,
    UpstreamLean,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Workload {
    /// A span of two fields, opened and closed.
    Span,
    /// Entering and leaving an open span.
    Enter,
    /// [`Events::Request`] with both signals.
    Request,
    /// [`Events::Request`] with traces only, and a sampler that keeps no trace.
    Unsampled,
    /// A log record of four fields, outside any span.
    Log,
    /// The record of [`Log`](Self::Log) inside three spans of three fields each.
    Nested,
}

const CONTENDERS: [Contender; 5] = [
    Contender::Floor,
    Contender::Spanwise,
    Contender::SpanwisePolicy,
    Contender::Upstream,
    Contender::UpstreamLean,
];
const WORKLOADS: [Workload; 6] = [
    Workload::Span,
    Workload::Enter,
    Workload::Request,
    Workload::Unsampled,
    Workload::Log,
    Workload::Nested,
];

/// The difference of two runs excludes the start and the warm-up of a process.
const SHORT_RUN: u64 = 512;
const LONG_RUN: u64 = 2_560;
const WARM_UP: u64 = 128;
/// More than any run exports, so that nothing is dropped.
const QUEUE_LEN: usize = 100_000;
const TIMEOUT: Duration = Duration::from_secs(600);

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Spanwise => "spanwise",
            Self::SpanwisePolicy => "spanwise-policy",
            Self::Upstream => "upstream",
            Self::UpstreamLean => "upstream-lean",
        }
    }
}

impl Workload {
    fn name(self) -> &'static str {
        match self {
            Self::Span => "span",
            Self::Enter => "enter",
            Self::Request => "request",
            Self::Unsampled => "unsampled",
            Self::Log => "log",
            Self::Nested => "nested",
        }
    }

    fn has_traces(self) -> bool {
        !matches!(self, Self::Log)
    }

    fn has_logs(self) -> bool {
        matches!(self, Self::Request | Self::Log | Self::Nested)
    }

    /// Runs this many units.
    fn repeat(self, data: &Data, units: u64) {
        match self {
            Self::Span => {
                for _ in 0..units {
                    let data = black_box(data);
                    drop(info_span!(
                        "charge",
                        provider = data.provider,
                        amount = data.amount
                    ));
                }
            }
            Self::Enter => {
                let span: Span = info_span!("charge", provider = data.provider);
                for _ in 0..units {
                    drop(black_box(&span).enter());
                }
            }
            Self::Request | Self::Unsampled => Events::Request.repeat(data, units),
            Self::Log => Events::Flat.repeat(data, units),
            Self::Nested => {
                let _spans = Events::Nested.enter_spans(data);
                Events::Nested.repeat(data, units);
            }
        }
    }
}

struct Nothing;

impl<S: tracing::Subscriber> Layer<S> for Nothing {}

/// The exporter, which runs until [`finish`](Self::finish).
enum Running {
    Nothing,
    Spanwise(OtelGuard),
    Upstream(SdkTracerProvider, SdkLoggerProvider),
}

impl Contender {
    /// Returns the subscriber, and the exporter that sends to `collector`.
    fn start(
        self,
        workload: Workload,
        collector: &str,
    ) -> Result<(Dispatch, Running), Box<dyn Error>> {
        let level = LevelFilter::INFO;
        Ok(match self {
            Self::Floor => (
                registry().with(Nothing).with(level).into(),
                Running::Nothing,
            ),
            Self::Spanwise | Self::SpanwisePolicy => {
                let mut otel = Otel::builder(format!("http://{collector}"))
                    .service_name("benches")
                    .all_signals(|options| options.max_queue_len(QUEUE_LEN))
                    .metrics(ExportOptions::off);
                if self == Self::SpanwisePolicy {
                    otel = otel.redact(Arc::new(Policy::secrets_and_pii()));
                }
                if workload == Workload::Unsampled {
                    let off = TraceSampler::always_off();
                    otel = otel.span_options(|options| options.sampler(off));
                }
                let (otel, guard) = otel.build()?;
                let spans = workload.has_traces().then(|| otel.spans());
                let logs = workload.has_logs().then(|| otel.logs());
                let subscriber = registry().with(spans).with(logs).with(level);
                (subscriber.into(), Running::Spanwise(guard))
            }
            Self::Upstream | Self::UpstreamLean => {
                let spans = SpanExporter::builder()
                    .with_http()
                    .with_protocol(Protocol::HttpBinary)
                    .with_endpoint(format!("http://{collector}/v1/traces"))
                    .build()?;
                let config = BatchConfigBuilder::default()
                    .with_max_queue_size(QUEUE_LEN)
                    .build();
                let processor = BatchSpanProcessor::builder(spans)
                    .with_batch_config(config)
                    .build();
                let sampler = match workload {
                    Workload::Unsampled => Sampler::AlwaysOff,
                    _ => Sampler::AlwaysOn,
                };
                let tracers = SdkTracerProvider::builder()
                    .with_span_processor(processor)
                    .with_sampler(sampler)
                    .build();
                let logs = LogExporter::builder()
                    .with_http()
                    .with_protocol(Protocol::HttpBinary)
                    .with_endpoint(format!("http://{collector}/v1/logs"))
                    .build()?;
                let config = LogConfig::default().with_max_queue_size(QUEUE_LEN).build();
                let processor = BatchLogProcessor::builder(logs)
                    .with_batch_config(config)
                    .build();
                let loggers = SdkLoggerProvider::builder()
                    .with_log_processor(processor)
                    .build();

                let is_lean = self == Self::UpstreamLean;
                let tracing = workload.has_traces().then(|| {
                    let layer =
                        tracing_opentelemetry::layer().with_tracer(tracers.tracer("benches"));
                    match is_lean {
                        true => layer
                            .with_threads(false)
                            .with_target(false)
                            .with_location(false)
                            .with_tracked_inactivity(false),
                        false => layer,
                    }
                });
                let bridge = workload.has_logs().then(|| {
                    let bridge = OpenTelemetryTracingBridge::builder(&loggers);
                    match workload {
                        Workload::Nested => bridge
                            .with_tracing_span_attributes(TracingSpanAttributes::all())
                            .build(),
                        _ => bridge.build(),
                    }
                });
                let subscriber = registry().with(tracing).with(bridge).with(level);
                (subscriber.into(), Running::Upstream(tracers, loggers))
            }
        })
    }
}

impl Running {
    /// Waits until everything is exported. Fails if spanwise has lost an item, or if a shutdown
    /// fails.
    fn finish(self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Nothing => {}
            Self::Spanwise(guard) => {
                let stats = guard.shutdown(TIMEOUT);
                for signal in [stats.traces, stats.logs] {
                    if signal.accepted != signal.outcomes.delivered {
                        return Err(format!("not all is delivered: {signal:?}").into());
                    }
                }
            }
            Self::Upstream(tracers, loggers) => {
                tracers.shutdown_with_timeout(TIMEOUT)?;
                loggers.shutdown_with_timeout(TIMEOUT)?;
            }
        }
        Ok(())
    }
}

/// Runs the bench as the arguments of the process request.
///
/// # Errors
///
/// If an argument is unknown, or a child process could not be started or failed.
pub fn run(mut arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let (mut is_bench, mut units, mut collector) = (false, None, None);
    let (mut contender, mut workload) = (None, None);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--bench" => is_bench = true,
            "--units" => units = Some(number::<u64>(&argument, &value()?)?),
            "--collector" => collector = Some(value()?),
            "--contender" => contender = Some(named(&value()?, &CONTENDERS, Contender::name)?),
            "--workload" => workload = Some(named(&value()?, &WORKLOADS, Workload::name)?),
            _ => return Err(format!("{argument} is unknown").into()),
        }
    }
    match (units, collector, contender, workload) {
        (Some(units), Some(collector), Some(contender), Some(workload)) => {
            measure(contender, workload, units, &collector)
        }
        (Some(_), ..) => Err("--units needs a --collector, a --contender and a --workload".into()),
        (None, ..) if is_bench => by_instructions(),
        // `cargo test` also runs benches, only to check that they start.
        (None, ..) => Ok(()),
    }
}

fn measure(
    contender: Contender,
    workload: Workload,
    units: u64,
    collector: &str,
) -> Result<(), Box<dyn Error>> {
    // The customers are e-mail addresses, which the policy hides.
    let data = Events::FlatHidden.data();
    let (dispatch, running) = contender.start(workload, collector)?;
    dispatcher::set_global_default(dispatch)?;
    workload.repeat(&data, WARM_UP);
    let (_, allocations) = child::watched(|| workload.repeat(&data, units));
    running.finish()?;
    writeln!(io::stdout(), "{}", allocations as f64 / units.max(1) as f64)?;
    Ok(())
}

/// The cost of one unit.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    /// The instructions of the thread that logs.
    caller: f64,
    /// The instructions of all threads.
    all: f64,
    /// The allocations of the thread that logs, while it logs.
    allocations: f64,
}

type Results = BTreeMap<(Contender, Workload), Cost>;

fn by_instructions() -> Result<(), Box<dyn Error>> {
    let collector = Collector::start()?.address.to_string();
    let mut results = Results::new();
    for contender in CONTENDERS {
        for workload in WORKLOADS {
            let run = |units: u64| counted(&arguments(contender, workload, units, &collector));
            let (few, many) = (run(SHORT_RUN)?, run(LONG_RUN)?);
            let per_unit = |few: u64, many: u64| {
                many.saturating_sub(few) as f64 / (LONG_RUN - SHORT_RUN) as f64
            };
            let cost = Cost {
                caller: per_unit(few.caller, many.caller),
                all: per_unit(few.all, many.all),
                allocations: many.allocations,
            };
            results.insert((contender, workload), cost);
        }
    }
    record("caller", &results, |cost| cost.caller)?;
    record("all-threads", &results, |cost| cost.all)?;
    record("allocations", &results, |cost| cost.allocations)?;
    print("Instructions of the caller per unit", &results, |cost| {
        cost.caller
    })?;
    print_ratios("Caller", &results, |cost| cost.caller)?;
    print("Instructions of all threads per unit", &results, |cost| {
        cost.all
    })?;
    print_ratios("All threads", &results, |cost| cost.all)?;
    print("Allocations of the caller per unit", &results, |cost| {
        cost.allocations
    })
}

fn arguments(contender: Contender, workload: Workload, units: u64, collector: &str) -> [String; 8] {
    [
        "--contender",
        contender.name(),
        "--workload",
        workload.name(),
        "--units",
        &units.to_string(),
        "--collector",
        collector,
    ]
    .map(str::to_owned)
}

/// The instructions of a process, and its allocations per unit.
struct Counted {
    caller: u64,
    all: u64,
    allocations: f64,
}

/// Runs this program under callgrind, and counts the instructions of its threads. The first thread
/// is the caller.
fn counted(arguments: &[String]) -> Result<Counted, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=yes"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .args(arguments)
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    if !output.status.success() {
        let report = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{}: {report}", arguments.join(" ")).into());
    }
    let (mut caller, mut all) = (0, 0);
    for entry in std::fs::read_dir(directory.path())? {
        let entry = entry?;
        let text = std::fs::read_to_string(entry.path())?;
        let totals = text
            .lines()
            .filter_map(|line| line.strip_prefix("totals: "));
        let total: u64 = totals
            .filter_map(|count| count.trim().parse::<u64>().ok())
            .sum();
        all += total;
        if entry.file_name().to_string_lossy().ends_with("-01") {
            caller += total;
        }
    }
    let allocations = String::from_utf8_lossy(&output.stdout).trim().parse()?;
    Ok(Counted {
        caller,
        all,
        allocations,
    })
}

fn record(
    measure: &str,
    results: &Results,
    part: impl Fn(&Cost) -> f64,
) -> Result<(), Box<dyn Error>> {
    figures::record(results.iter().map(|((contender, workload), cost)| {
        let (contender, workload) = (contender.name(), workload.name());
        (format!("otel/{measure}/{contender}/{workload}"), part(cost))
    }))
}

fn print(
    title: &str,
    results: &Results,
    part: impl Fn(&Cost) -> f64 + Copy,
) -> Result<(), Box<dyn Error>> {
    let rows = CONTENDERS.map(|contender| {
        let cell = |workload| Some(table::number(part(results.get(&(contender, workload))?)));
        (contender.name(), WORKLOADS.map(cell).to_vec())
    });
    table::print(
        title,
        "contender",
        &WORKLOADS.map(Workload::name),
        rows.into_iter(),
    )
}

/// Prints the costs of spanwise, each divided by that of another contender.
fn print_ratios(
    title: &str,
    results: &Results,
    part: impl Fn(&Cost) -> f64 + Copy,
) -> Result<(), Box<dyn Error>> {
    let pairs = [
        (
            "spanwise / upstream",
            Contender::Spanwise,
            Contender::Upstream,
        ),
        (
            "spanwise / upstream-lean",
            Contender::Spanwise,
            Contender::UpstreamLean,
        ),
        (
            "spanwise-policy / upstream",
            Contender::SpanwisePolicy,
            Contender::Upstream,
        ),
        (
            "spanwise-policy / spanwise",
            Contender::SpanwisePolicy,
            Contender::Spanwise,
        ),
    ];
    let rows = pairs.map(|(name, own, other)| {
        let ratio = |workload| {
            let cost = |contender| Some(part(results.get(&(contender, workload))?));
            Some(format!("{:.2}", cost(own)? / cost(other)?))
        };
        (name, WORKLOADS.map(ratio).to_vec())
    });
    table::print(
        title,
        "ratio",
        &WORKLOADS.map(Workload::name),
        rows.into_iter(),
    )
}
