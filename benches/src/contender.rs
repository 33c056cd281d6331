//! The contenders.

use std::sync::Arc;

use spanwise_core::{
    ContextLayer, LayerExt as _, LevelLayer, Levels,
    internal::{SpanIdentity, span_identity::SAMPLED},
};
use spanwise_json::{Format, JsonLayer};
use spanwise_redact::Policy;
use tracing::{
    Dispatch, Level,
    level_filters::LevelFilter,
    span::{Attributes, Id},
};
use tracing_bunyan_formatter::{BunyanFormattingLayer, JsonStorageLayer};
use tracing_ecs::ECSLayerBuilder;
use tracing_logstash::logstash::LogstashFormat;
use tracing_subscriber::{
    Layer, fmt::MakeWriter, layer::Context, prelude::*, registry, registry::LookupSpan,
};

use crate::{Workload, own_formats, prod};

/// A way to write lines, with a filter at `info` and otherwise with its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// What the facade installs under the preset `prod`, with the policy for secrets and PII.
    SpanwiseProd,
    /// `JsonLayer` and `LevelLayer`: no redaction, no context.
    Spanwise,
    /// [`Spanwise`](Self::Spanwise), with trace and span ids on the lines.
    SpanwiseIds,
    /// [`Spanwise`](Self::Spanwise) and `ContextLayer`.
    SpanwiseStack,
    /// `JsonLayer` in the layout of `fmt().json()`.
    SpanwiseNested,
    /// `JsonLayer` in the format of a receiver.
    SpanwiseFormat(ReceiverFormat),
    /// `tracing_subscriber::fmt().json()`.
    FmtJson,
    /// `json_subscriber::fmt()`.
    JsonSubscriber,
    /// `tracing_bunyan_formatter`, which also writes a line when a span starts and ends.
    Bunyan,
    /// `tracing_microjson::JsonLayer`.
    Microjson,
    /// `tracing_stackdriver`, in the format of Google Cloud.
    Stackdriver,
    /// `tracing_logfmt`.
    TracingLogfmt,
    /// `tracing_ecs`.
    TracingEcs,
    /// `tracing_logstash`.
    TracingLogstash,
    /// `tracing_subscriber::fmt()`, for the disabled event only: its lines are not JSON.
    Fmt,
    /// A `Registry` and a layer that does nothing. Every layer costs at least as much.
    Floor,
    /// Straight-line code without `tracing`, which is written for the lines of the workload.
    Limit,
    /// [`Spanwise`](Self::Spanwise) with the default policy.
    SpanwisePolicy,
    /// [`FmtJson`](Self::FmtJson) behind the default policy.
    FmtJsonRedacted,
    /// [`FmtJsonRedacted`](Self::FmtJsonRedacted), without a call of `event_enabled` of the layer.
    FmtJsonUnasked,
    /// [`Floor`](Self::Floor) behind the default policy, for the cost of the wrapper itself.
    FloorRedacted,
    /// [`FloorRedacted`](Self::FloorRedacted), without a call of `event_enabled` of the layer.
    FloorUnasked,
}

/// A format that a receiver defines.
#[expect(missing_docs, reason = "most are the format of that name")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceiverFormat {
    Ecs,
    Gcp,
    Datadog,
    Logstash,
    Gelf,
    Bunyan,
    Emf,
    Logfmt,
    Otlp,
    /// A table that the bench builds with `Format::custom`.
    Table,
    /// A `LineFormat`: code of the bench that writes words.
    Code,
    /// A template of text.
    Template,
}

impl ReceiverFormat {
    const fn name(self) -> &'static str {
        match self {
            Self::Ecs => "spanwise-ecs",
            Self::Gcp => "spanwise-gcp",
            Self::Datadog => "spanwise-datadog",
            Self::Logstash => "spanwise-logstash",
            Self::Gelf => "spanwise-gelf",
            Self::Bunyan => "spanwise-bunyan",
            Self::Emf => "spanwise-emf",
            Self::Logfmt => "spanwise-logfmt",
            Self::Otlp => "spanwise-otlp",
            Self::Table => "custom-table",
            Self::Code => "line-format",
            Self::Template => "text-template",
        }
    }

    fn format(self) -> Format {
        match self {
            Self::Ecs => Format::Ecs,
            Self::Gcp => Format::Gcp,
            Self::Datadog => Format::Datadog,
            Self::Logstash => Format::Logstash,
            Self::Gelf => Format::Gelf,
            Self::Bunyan => Format::Bunyan,
            Self::Emf => Format::Emf,
            Self::Logfmt => Format::Logfmt,
            Self::Otlp => Format::Otlp,
            Self::Table => own_formats::table(),
            Self::Code => own_formats::code(),
            Self::Template => own_formats::template(),
        }
    }
}

impl Contender {
    /// The peers, in the order of the tables.
    pub const ALL: [Self; 11] = [
        Self::SpanwiseProd,
        Self::Spanwise,
        Self::SpanwiseStack,
        Self::SpanwiseNested,
        Self::FmtJson,
        Self::JsonSubscriber,
        Self::Bunyan,
        Self::Microjson,
        Self::Fmt,
        Self::Floor,
        Self::Limit,
    ];

    /// Returns the name in the tables and in `--contender`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SpanwiseProd => "spanwise-prod",
            Self::Spanwise => "spanwise",
            Self::SpanwiseIds => "spanwise-ids",
            Self::SpanwiseStack => "spanwise-stack",
            Self::SpanwiseNested => "spanwise-nested",
            Self::SpanwiseFormat(format) => format.name(),
            Self::FmtJson => "fmt-json",
            Self::JsonSubscriber => "json-subscriber",
            Self::Bunyan => "bunyan",
            Self::Microjson => "microjson",
            Self::Stackdriver => "tracing-stackdriver",
            Self::TracingLogfmt => "tracing-logfmt",
            Self::TracingEcs => "tracing-ecs",
            Self::TracingLogstash => "tracing-logstash",
            Self::Fmt => "fmt",
            Self::Floor => "floor",
            Self::Limit => "limit",
            Self::SpanwisePolicy => "spanwise-policy",
            Self::FmtJsonRedacted => "fmt-json-redacted",
            Self::FmtJsonUnasked => "fmt-json-unasked",
            Self::FloorRedacted => "floor-redacted",
            Self::FloorUnasked => "floor-unasked",
        }
    }

    /// Returns the contender without the policy of this one, if it has a policy.
    pub(crate) fn without_policy(self) -> Option<Self> {
        match self {
            Self::SpanwisePolicy => Some(Self::Spanwise),
            Self::FmtJsonRedacted | Self::FmtJsonUnasked => Some(Self::FmtJson),
            Self::FloorRedacted | Self::FloorUnasked => Some(Self::Floor),
            _ => None,
        }
    }

    /// Returns whether this workload is measured with the contender.
    #[must_use]
    pub fn takes_part_in(self, workload: Workload) -> bool {
        match self {
            Self::Fmt => workload == Workload::Disabled,
            Self::Limit => !matches!(workload, Workload::Disabled | Workload::Text64k),
            _ => true,
        }
    }

    /// Returns the subscriber, or `None` for [`Limit`](Self::Limit), which needs none.
    pub(crate) fn dispatch<W>(self, make_writer: W) -> Option<Dispatch>
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let levels = || LevelLayer::new(Levels::from(LevelFilter::INFO));
        let json = |format| JsonLayer::new().format(format);
        let policy = || Arc::new(Policy::secrets_and_pii());
        Some(match self {
            Self::SpanwiseProd => prod::dispatch(make_writer),
            Self::Spanwise => registry()
                .with(json(Format::Json).with_writer(make_writer))
                .with(levels())
                .into(),
            Self::SpanwiseIds => registry()
                .with(Ids)
                .with(json(Format::Json).with_writer(make_writer))
                .with(levels())
                .into(),
            Self::SpanwiseStack => registry()
                .with(ContextLayer::default())
                .with(json(Format::Json).with_writer(make_writer))
                .with(levels())
                .into(),
            Self::SpanwiseNested => registry()
                .with(json(Format::JsonNested).with_writer(make_writer))
                .with(levels())
                .into(),
            Self::SpanwiseFormat(format) => registry()
                .with(
                    json(format.format())
                        .service_name("benches")
                        .with_writer(make_writer),
                )
                .with(levels())
                .into(),
            Self::FmtJson => tracing_subscriber::fmt()
                .json()
                .with_writer(make_writer)
                .with_max_level(Level::INFO)
                .finish()
                .into(),
            Self::JsonSubscriber => json_subscriber::fmt()
                .with_writer(make_writer)
                .with_max_level(Level::INFO)
                .finish()
                .into(),
            Self::Bunyan => registry()
                .with(JsonStorageLayer)
                .with(BunyanFormattingLayer::new(
                    "benches".to_owned(),
                    make_writer,
                ))
                .with(LevelFilter::INFO)
                .into(),
            Self::Microjson => registry()
                .with(tracing_microjson::JsonLayer::new(make_writer))
                .with(LevelFilter::INFO)
                .into(),
            Self::Stackdriver => registry()
                .with(tracing_stackdriver::layer().with_writer(make_writer))
                .with(LevelFilter::INFO)
                .into(),
            Self::TracingLogfmt => registry()
                .with(
                    tracing_subscriber::fmt::layer()
                        .event_format(tracing_logfmt::EventsFormatter::default())
                        .fmt_fields(tracing_logfmt::FieldsFormatter::default())
                        .with_writer(make_writer),
                )
                .with(LevelFilter::INFO)
                .into(),
            Self::TracingEcs => registry()
                .with(ECSLayerBuilder::default().build_with_writer(make_writer))
                .with(LevelFilter::INFO)
                .into(),
            Self::TracingLogstash => {
                let format = LogstashFormat::default()
                    // The format shows only the span fields that are listed.
                    .with_span_fields(SPAN_FIELDS.map(Into::into).into());
                registry()
                    .with(
                        tracing_logstash::Layer::default()
                            .event_format(format)
                            .with_writer(make_writer),
                    )
                    .with(LevelFilter::INFO)
                    .into()
            }
            Self::Fmt => tracing_subscriber::fmt()
                .with_writer(make_writer)
                .with_max_level(Level::INFO)
                .finish()
                .into(),
            Self::Floor => registry().with(Nothing).with(LevelFilter::INFO).into(),
            Self::SpanwisePolicy => registry()
                .with(json(Format::Json).redact(policy()).with_writer(make_writer))
                .with(levels())
                .into(),
            Self::FmtJsonRedacted => registry()
                .with(
                    tracing_subscriber::fmt::layer()
                        .json()
                        .with_writer(make_writer)
                        .redacted(policy()),
                )
                .with(LevelFilter::INFO)
                .into(),
            Self::FmtJsonUnasked => registry()
                .with(
                    tracing_subscriber::fmt::layer()
                        .json()
                        .with_writer(make_writer)
                        .redacted(policy())
                        .wants_every_event(),
                )
                .with(LevelFilter::INFO)
                .into(),
            Self::FloorUnasked => registry()
                .with(Nothing.redacted(policy()).wants_every_event())
                .with(LevelFilter::INFO)
                .into(),
            Self::FloorRedacted => registry()
                .with(Nothing.redacted(policy()))
                .with(LevelFilter::INFO)
                .into(),
            Self::Limit => return None,
        })
    }
}

/// The fields of all spans of the workloads.
const SPAN_FIELDS: [&str; 13] = [
    "route",
    "port",
    "request_id",
    "queue",
    "attempt",
    "order_id",
    "provider",
    "timeout_ms",
    "payment_id",
    "method",
    "tenant_id",
    "user_id",
    "amount",
];

/// Gives each span the same ids, in place of an exporter of traces.
struct Ids;

impl<S> Layer<S> for Ids
where
    S: tracing::Subscriber + for<'s> LookupSpan<'s>,
{
    fn on_new_span(&self, _: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            SpanIdentity::new([0x4b; 16], [0xf9; 8], SAMPLED, None).attach(&span);
        }
    }
}

struct Nothing;

impl<S: tracing::Subscriber> Layer<S> for Nothing {}
