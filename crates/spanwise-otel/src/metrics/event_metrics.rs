//! The layers that count events and make metrics of their fields.
//!
//! A field with a prefix such as `monotonic_counter.` is a metric. Other fields are its attributes.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

use opentelemetry::{
    Key, KeyValue, Value,
    metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter},
};
use spanwise_core::{
    Context as SpanContext, Fault, KeyVerdict, Redact, SelfReport,
    export::is_sender_thread,
    internal::{CallsitePlans, ShardedCounter, forks},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_core::{Level, Metadata};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::{limits::AttributeLimits, logs::is_opentelemetry_target};

/// Counts events by level. Created by [`Otel::event_counts`](crate::Otel::event_counts).
#[derive(Debug)]
pub struct OtelEventCounts(Arc<EventCounts>);

/// Counts events by level, and makes metrics of their fields. Created by
/// [`Otel::metrics_of_events`](crate::Otel::metrics_of_events).
///
/// An attribute with a text is cut after 256 characters.
///
/// ```
/// use spanwise_otel::{MetricsOptions, Otel};
/// use tracing_subscriber::prelude::*;
///
/// let (otel, _guard) = Otel::builder_without_endpoint()
///     .metrics_options(MetricsOptions::text)
///     .build()?;
/// let stack = tracing_subscriber::registry().with(otel.metrics_of_events());
/// tracing::subscriber::with_default(stack, || {
///     tracing::info!(monotonic_counter.orders = 1, kind = "card", "paid");
/// });
/// // The content type and the text are the response to a scrape by Prometheus.
/// let (_content_type, text) = otel.metrics_text(None);
/// assert!(text.contains("orders_total{kind=\"card\"} 1\n"));
/// # Ok::<(), spanwise_otel::OtelError>(())
/// ```
#[derive(Debug)]
pub struct OtelEventMetrics {
    counts: Arc<EventCounts>,
    fields: FieldMetrics,
}

/// The maximum number of characters in an attribute. Longer texts are cut, because each value of an
/// attribute makes a series, whose attributes stay in memory.
const MAX_TEXT_CHARS: usize = 256;

/// Counters of events by level, in the order of [`LEVELS`](Self::LEVELS).
#[derive(Debug, Default)]
pub(crate) struct EventCounts([ShardedCounter; 5]);

/// Records the fields of events that are metrics.
#[derive(Debug)]
struct FieldMetrics {
    meter: Meter,
    report: SelfReport,
    policy: Option<Arc<dyn Redact>>,
    context_keys: Vec<String>,
    /// The [generation](forks::generation) of the process that exports. A forked child records
    /// nothing, because a lock of the SDK may never be released there.
    generation: u32,
    /// The roles of the fields of each callsite. `None` for callsites without a metric.
    plans: CallsitePlans<Option<EventPlan>>,
}

/// The roles of the fields of a callsite, by the index of the field.
#[derive(Debug)]
struct EventPlan {
    roles: Box<[EventFieldRole]>,
    has_repeated_keys: bool,
}

#[derive(Debug)]
enum EventFieldRole {
    Metric(FieldInstrument),
    Attribute,
    /// The field is the message.
    Ignored,
}

/// The instrument of a field that is a metric.
#[derive(Debug)]
struct FieldInstrument {
    /// The name of the field without its prefix.
    name: &'static str,
    kind: MetricKind,
}

/// The kind of a metric, by the prefix of its field. An instrument is created with its first value.
/// Counters and gauges may have one for integers and one for floats, because the type of a field is
/// known only from its values.
#[derive(Debug)]
enum MetricKind {
    MonotonicCounter(OnceLock<Counter<u64>>, OnceLock<Counter<f64>>),
    Counter(OnceLock<UpDownCounter<i64>>, OnceLock<UpDownCounter<f64>>),
    Gauge(OnceLock<Gauge<i64>>, OnceLock<Gauge<f64>>),
    Histogram(OnceLock<Histogram<f64>>),
}

/// A number in a field: the value of a metric or of an attribute.
#[derive(Debug, Clone, Copy)]
enum FieldNumber {
    Int(i64),
    Float(f64),
}

impl EventCounts {
    const LEVELS: [Level; 5] = [
        Level::ERROR,
        Level::WARN,
        Level::INFO,
        Level::DEBUG,
        Level::TRACE,
    ];

    /// Creates the counters and registers them as a metric.
    pub(crate) fn register(meter: &Meter) -> Arc<Self> {
        let counts = Arc::new(Self::default());
        let observed = Arc::clone(&counts);
        meter
            .u64_observable_counter("spanwise.events")
            .with_unit("{event}")
            .with_description("The events that were logged, by level.")
            .with_callback(move |events| {
                for (level, count) in Self::LEVELS.iter().zip(&observed.0) {
                    events.observe(count.total(), &[KeyValue::new("level", level.as_str())]);
                }
            })
            .build();
        counts
    }

    /// Counts an event, unless a sender thread or a crate of OpenTelemetry logged it. Returns
    /// whether the event was counted.
    fn count(&self, event: &Event<'_>) -> bool {
        if is_sender_thread() || is_opentelemetry_target(event.metadata().target()) {
            return false;
        }
        let index = match *event.metadata().level() {
            Level::ERROR => 0,
            Level::WARN => 1,
            Level::INFO => 2,
            Level::DEBUG => 3,
            Level::TRACE => 4,
        };
        self.0[index].count();
        true
    }
}

impl OtelEventCounts {
    pub(crate) fn new(counts: Arc<EventCounts>) -> Self {
        Self(counts)
    }
}

impl OtelEventMetrics {
    pub(crate) fn new(
        counts: Arc<EventCounts>,
        meter: Meter,
        report: SelfReport,
        policy: Option<Arc<dyn Redact>>,
    ) -> Self {
        Self {
            counts,
            fields: FieldMetrics {
                meter,
                report,
                policy,
                context_keys: Vec::new(),
                generation: forks::generation(),
                plans: CallsitePlans::default(),
            },
        }
    }

    /// Adds the values of these context keys, such as `tenant_id`, to the attributes of each
    /// metric. Defaults to none, because each value makes a series of its own.
    #[must_use]
    pub fn context_keys<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().map(Into::into);
        self.fields.context_keys.extend(keys);
        self
    }
}

impl<S: Subscriber> Layer<S> for OtelEventCounts {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.count(event);
    }
}

impl<S> Layer<S> for OtelEventMetrics
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if self.counts.count(event) && forks::generation() == self.fields.generation {
            self.fields.measure(event, &ctx);
        }
    }
}

impl FieldMetrics {
    fn measure<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let plan = self.plans.get(event.metadata(), EventPlan::new);
        let Some(plan) = plan else {
            return;
        };
        let mut visitor = MeasuringVisitor {
            metrics: self,
            roles: &plan.roles,
            measurements: Vec::new(),
            attributes: Vec::new(),
        };
        event.record(&mut visitor);
        let MeasuringVisitor {
            measurements,
            mut attributes,
            ..
        } = visitor;
        if plan.has_repeated_keys {
            keep_last_of_each_key(&mut attributes);
        }
        if !self.context_keys.is_empty() {
            let context = SpanContext::from_event(event, ctx);
            let wanted = context
                .iter()
                .filter(|(key, _)| self.context_keys.iter().any(|wanted| wanted == key));
            for (key, value) in wanted {
                // A field of the event has precedence over the context.
                if attributes.iter().all(|field| field.key.as_str() != key) {
                    attributes.push(self.text_attribute(Key::new(key), value));
                }
            }
        }
        for (instrument, measurement) in measurements {
            let is_recorded = instrument.record(&self.meter, measurement, &attributes);
            if !is_recorded {
                let name = instrument.name;
                let reason = format_args!("the counter {name} ignores a negative value");
                self.report.fault(Fault::Setup, &reason);
            }
        }
    }

    /// Returns an attribute with the first [`MAX_TEXT_CHARS`] characters of a text. The policy
    /// redacts all attributes when they are collected. A text that may be cut is also redacted
    /// here, unless the policy decides by the key alone.
    fn text_attribute(&self, key: Key, text: &str) -> KeyValue {
        if text.len() <= MAX_TEXT_CHARS {
            return KeyValue::new(key, text.to_owned());
        }
        let shown = match &self.policy {
            // Redact before the cut, because the policy may not recognize a part of a secret. A
            // decision by the key alone can wait, because it does not need the whole text.
            Some(policy) => match policy.verdicts(key.as_str()).text {
                KeyVerdict::Pass | KeyVerdict::Text => policy.redact_value(key.as_str(), text),
                _ => Cow::Borrowed(text),
            },
            None => Cow::Borrowed(text),
        };
        let limits = AttributeLimits {
            value_chars: MAX_TEXT_CHARS,
            ..AttributeLimits::default()
        };
        KeyValue::new(key, limits.cut_text(&shown).to_owned())
    }
}

impl EventPlan {
    fn new(callsite: &'static Metadata<'static>) -> Option<Self> {
        let roles: Box<[EventFieldRole]> = callsite
            .fields()
            .iter()
            .map(|field| match FieldInstrument::new(field.name()) {
                Some(instrument) => EventFieldRole::Metric(instrument),
                None if field.name() == "message" => EventFieldRole::Ignored,
                None => EventFieldRole::Attribute,
            })
            .collect();
        let is_metric = |role: &EventFieldRole| matches!(role, EventFieldRole::Metric(_));
        let names: Vec<&str> = callsite.fields().iter().map(|field| field.name()).collect();
        let is_repeated = |(index, name)| names[..index].contains(name);
        roles.iter().any(is_metric).then_some(Self {
            has_repeated_keys: names.iter().enumerate().any(is_repeated),
            roles,
        })
    }
}

/// Drops each attribute whose key occurs again later, so that the last value counts, as in log
/// records and spans. The SDK might choose another value.
fn keep_last_of_each_key(attributes: &mut Vec<KeyValue>) {
    let mut index = 0;
    while let Some((attribute, later)) = attributes[index..].split_first() {
        match later.iter().any(|later| later.key == attribute.key) {
            true => drop(attributes.remove(index)),
            false => index += 1,
        }
    }
}

impl FieldInstrument {
    /// Returns the instrument of a field. `None` if its name has no prefix of a metric.
    fn new(field: &'static str) -> Option<Self> {
        let (prefix, name) = field.split_once('.')?;
        let kind = match prefix {
            "monotonic_counter" => MetricKind::MonotonicCounter(OnceLock::new(), OnceLock::new()),
            "counter" => MetricKind::Counter(OnceLock::new(), OnceLock::new()),
            "gauge" => MetricKind::Gauge(OnceLock::new(), OnceLock::new()),
            "histogram" => MetricKind::Histogram(OnceLock::new()),
            _ => return None,
        };
        (!name.is_empty()).then_some(Self { name, kind })
    }

    /// Records the value. Returns false if it is negative and the counter is monotonic.
    fn record(&self, meter: &Meter, value: FieldNumber, attributes: &[KeyValue]) -> bool {
        let name = self.name;
        match (&self.kind, value) {
            (MetricKind::MonotonicCounter(ints, _), FieldNumber::Int(value)) => {
                let Ok(value) = u64::try_from(value) else {
                    return false;
                };
                let counter = ints.get_or_init(|| meter.u64_counter(name).build());
                counter.add(value, attributes);
            }
            (MetricKind::MonotonicCounter(_, floats), FieldNumber::Float(value)) => {
                if value < 0.0 {
                    return false;
                }
                let counter = floats.get_or_init(|| meter.f64_counter(name).build());
                counter.add(value, attributes);
            }
            (MetricKind::Counter(ints, _), FieldNumber::Int(value)) => {
                let counter = ints.get_or_init(|| meter.i64_up_down_counter(name).build());
                counter.add(value, attributes);
            }
            (MetricKind::Counter(_, floats), FieldNumber::Float(value)) => {
                let counter = floats.get_or_init(|| meter.f64_up_down_counter(name).build());
                counter.add(value, attributes);
            }
            (MetricKind::Gauge(ints, _), FieldNumber::Int(value)) => {
                let gauge = ints.get_or_init(|| meter.i64_gauge(name).build());
                gauge.record(value, attributes);
            }
            (MetricKind::Gauge(_, floats), FieldNumber::Float(value)) => {
                let gauge = floats.get_or_init(|| meter.f64_gauge(name).build());
                gauge.record(value, attributes);
            }
            (MetricKind::Histogram(histogram), value) => {
                let histogram = histogram.get_or_init(|| meter.f64_histogram(name).build());
                let value = match value {
                    FieldNumber::Int(value) => value as f64,
                    FieldNumber::Float(value) => value,
                };
                histogram.record(value, attributes);
            }
        }
        true
    }
}

/// Sorts the values of an event into metrics and attributes.
struct MeasuringVisitor<'p> {
    metrics: &'p FieldMetrics,
    roles: &'p [EventFieldRole],
    measurements: Vec<(&'p FieldInstrument, FieldNumber)>,
    attributes: Vec<KeyValue>,
}

impl MeasuringVisitor<'_> {
    fn number(&mut self, field: &Field, value: FieldNumber) {
        match self.roles.get(field.index()) {
            Some(EventFieldRole::Metric(instrument)) => self.measurements.push((instrument, value)),
            Some(EventFieldRole::Attribute) => self.attributes.push(KeyValue::new(
                Key::from_static_str(field.name()),
                match value {
                    FieldNumber::Int(value) => Value::I64(value),
                    FieldNumber::Float(value) => Value::F64(value),
                },
            )),
            Some(EventFieldRole::Ignored) | None => {}
        }
    }
}

impl Visit for MeasuringVisitor<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, FieldNumber::Float(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, FieldNumber::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let value = match i64::try_from(value) {
            Ok(value) => FieldNumber::Int(value),
            Err(_) => FieldNumber::Float(value as f64),
        };
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if let Some(EventFieldRole::Attribute) = self.roles.get(field.index()) {
            let key = Key::from_static_str(field.name());
            self.attributes.push(KeyValue::new(key, value));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(EventFieldRole::Attribute) = self.roles.get(field.index()) {
            let key = Key::from_static_str(field.name());
            self.attributes
                .push(self.metrics.text_attribute(key, value));
        }
    }

    /// Ignores the value: formatted values differ too often to be attributes.
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}
