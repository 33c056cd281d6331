//! Encoding of a snapshot in the text formats that Prometheus scrapes.
//!
//! A *family* is what Prometheus calls a metric. A *sample* is a line with one of its values.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::{self, Write as _},
};

use opentelemetry::{InstrumentationScope, KeyValue};

use super::{
    distributions::{Buckets, Distribution, ExponentialDistribution, Summary},
    prometheus_names::{FamilyKind, FamilyName, family_name, label_name},
    snapshot::{MetricSnapshot, Number, Point, Points, ScopeSnapshot, Snapshot},
};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFormat {
    /// The text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl TextFormat {
    /// Returns the format that a client with this `Accept` header prefers.
    pub(crate) fn accepted(accept: Option<&str>) -> Self {
        let (mut open_metrics_quality, mut text_quality): (f32, f32) = (0.0, 0.0);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut is_known_version) = (1.0, true);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim() {
                    "q" => quality = value.trim().parse().unwrap_or(0.0),
                    "version" => {
                        let version = value.trim().trim_matches('"');
                        is_known_version = matches!(version, "1.0.0" | "1.0" | "0.0.4");
                    }
                    _ => {}
                }
            }
            match &*media_type {
                "application/openmetrics-text" if is_known_version => {
                    open_metrics_quality = open_metrics_quality.max(quality);
                }
                "text/plain" | "text/*" => text_quality = text_quality.max(quality),
                _ => {}
            }
        }
        match open_metrics_quality > 0.0 && open_metrics_quality >= text_quality {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Returns the name of a family in the `# HELP` and `# TYPE` lines of this format. `name` is
    /// the name without `_total`.
    fn name_in_comments(self, name: &str, kind: FamilyKind) -> String {
        match (self, kind) {
            (Self::Prometheus, FamilyKind::Counter) => format!("{name}_total"),
            _ => name.to_owned(),
        }
    }
}

/// A snapshot as text.
#[derive(Debug)]
pub(crate) struct MetricsText {
    pub(crate) text: String,
    /// The instruments of which at least one series is omitted. The reason is another series with
    /// the same name and labels, or a family of another type with the same name.
    pub(crate) omitted: Vec<String>,
}

/// The instruments that have the same name and type in Prometheus.
struct Family<'s> {
    kind: FamilyKind,
    unit: Option<String>,
    metrics: Vec<(&'s ScopeSnapshot, &'s MetricSnapshot)>,
}

/// Returns the cumulative values of a snapshot as text. `resource` has the labels of `target_info`.
pub(crate) fn metrics_text(
    snapshot: &Snapshot,
    resource: &[KeyValue],
    format: TextFormat,
) -> MetricsText {
    let mut families = Families::default();
    for scope in &snapshot.scopes {
        for metric in &scope.metrics {
            families.add(scope, metric);
        }
    }
    let mut writer = TextWriter {
        format,
        text: String::new(),
        omitted: families.omitted,
    };
    writer.write_target_info(resource);
    for (name, family) in &families.by_name {
        writer.write_family(name, family);
    }
    if format == TextFormat::OpenMetrics {
        writer.text.push_str("# EOF\n");
    }
    MetricsText {
        text: writer.text,
        omitted: writer.omitted,
    }
}

/// The families of a snapshot.
#[derive(Default)]
struct Families<'s> {
    by_name: BTreeMap<String, Family<'s>>,
    /// The names of all families and of their samples.
    taken_names: HashSet<String>,
    omitted: Vec<String>,
}

/// The sample whose labels are the attributes of the resource.
const TARGET_INFO: &str = "target_info";

impl<'s> Families<'s> {
    fn add(&mut self, scope: &'s ScopeSnapshot, metric: &'s MetricSnapshot) {
        let Some(kind) = family_kind(&metric.points) else {
            return;
        };
        let FamilyName { name, unit } = family_name(&metric.name, &metric.unit, kind);
        if let Some(family) = self.by_name.get_mut(&name)
            && family.kind == kind
        {
            family.metrics.push((scope, metric));
            return;
        }
        let names = names_to_take(&name, kind);
        if names.iter().any(|name| self.is_taken(name)) {
            self.omitted.push(metric.name.clone());
            return;
        }
        let family = Family {
            kind,
            unit,
            metrics: vec![(scope, metric)],
        };
        self.taken_names.extend(names);
        self.by_name.insert(name, family);
    }

    fn is_taken(&self, name: &str) -> bool {
        // `target` is the family of `target_info` in OpenMetrics.
        name == TARGET_INFO || name == "target" || self.taken_names.contains(name)
    }
}

/// Returns the type of the family. `None` for deltas, which Prometheus does not have.
fn family_kind(points: &Points) -> Option<FamilyKind> {
    match points {
        Points::Sum { is_delta: true, .. }
        | Points::Histogram { is_delta: true, .. }
        | Points::Exponential { is_delta: true, .. } => None,
        Points::Sum {
            is_monotonic: true, ..
        } => Some(FamilyKind::Counter),
        Points::Gauge(_) | Points::Sum { .. } => Some(FamilyKind::Gauge),
        Points::Histogram { .. } | Points::Exponential { .. } => Some(FamilyKind::Histogram),
    }
}

/// Returns the names that a family needs for itself and for its samples.
fn names_to_take(name: &str, kind: FamilyKind) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        FamilyKind::Counter => &["", "_total"],
        FamilyKind::Gauge => &[""],
        FamilyKind::Histogram => &["", "_bucket", "_count", "_sum"],
    };
    let names = suffixes.iter().map(|suffix| format!("{name}{suffix}"));
    names.collect()
}

struct TextWriter {
    format: TextFormat,
    text: String,
    omitted: Vec<String>,
}

impl TextWriter {
    fn write_target_info(&mut self, resource: &[KeyValue]) {
        if resource.is_empty() {
            return;
        }
        let (family, kind) = match self.format {
            TextFormat::Prometheus => (TARGET_INFO, "gauge"),
            TextFormat::OpenMetrics => ("target", "info"),
        };
        self.write_help(
            family,
            "Attributes of the resource that all metrics describe.",
        );
        self.write_comment("TYPE", family, kind);
        let labels = Labels::new(resource, []);
        self.write_sample(TARGET_INFO, &labels, None, &1);
    }

    fn write_family(&mut self, name: &str, family: &Family<'_>) {
        let shown_name = self.format.name_in_comments(name, family.kind);
        let with_description = family
            .metrics
            .iter()
            .find(|(_, metric)| !metric.description.is_empty());
        match with_description {
            Some((_, metric)) => self.write_help(&shown_name, &metric.description),
            None => {
                let instrument = &family.metrics[0].1.name;
                self.write_help(&shown_name, &format!("The metric {instrument}."));
            }
        }
        let kind = match family.kind {
            FamilyKind::Counter => "counter",
            FamilyKind::Gauge => "gauge",
            FamilyKind::Histogram => "histogram",
        };
        self.write_comment("TYPE", &shown_name, kind);
        if let (TextFormat::OpenMetrics, Some(unit)) = (self.format, &family.unit) {
            self.write_comment("UNIT", &shown_name, unit);
        }
        let (first_scope, _) = family.metrics[0];
        let is_one_scope = family
            .metrics
            .iter()
            .all(|(scope, _)| scope.scope == first_scope.scope);
        let mut written_labels = HashSet::new();
        for (scope, metric) in &family.metrics {
            let scope = (!is_one_scope).then_some(*scope);
            self.write_metric(name, metric, scope, &mut written_labels);
        }
    }

    /// Writes the series of one instrument. `scope` is written as labels, if it is needed to
    /// distinguish instruments. `written_labels` has the labels of the family's earlier series.
    fn write_metric(
        &mut self,
        name: &str,
        metric: &MetricSnapshot,
        scope: Option<&ScopeSnapshot>,
        written_labels: &mut HashSet<String>,
    ) {
        let mut is_complete = true;
        let mut labels_if_new = |attributes: &[KeyValue]| {
            let scope = scope.map(|scope| &scope.scope);
            let labels = Labels::new(attributes, scope.into_iter().flat_map(scope_labels));
            // Different keys may become the same label, so series with different attributes may
            // have the same labels. Only the first of these series is written.
            let is_first = written_labels.insert(labels.to_string());
            is_complete &= is_first;
            is_first.then_some(labels)
        };
        match &metric.points {
            Points::Gauge(points) | Points::Sum { points, .. } => {
                let is_counter = family_kind(&metric.points) == Some(FamilyKind::Counter);
                let name = if is_counter {
                    format!("{name}_total")
                } else {
                    name.to_owned()
                };
                for Point { attributes, value } in points {
                    if let Some(labels) = labels_if_new(attributes) {
                        self.write_sample(&name, &labels, None, &self.number(*value));
                    }
                }
            }
            Points::Histogram { points, .. } => {
                for Point { attributes, value } in points {
                    if let Some(labels) = labels_if_new(attributes) {
                        self.write_histogram(
                            name,
                            &labels,
                            &value.summary,
                            &explicit_buckets(value),
                        );
                    }
                }
            }
            Points::Exponential { points, .. } => {
                for Point { attributes, value } in points {
                    if let Some(labels) = labels_if_new(attributes) {
                        self.write_histogram(name, &labels, &value.summary, &base2_buckets(value));
                    }
                }
            }
        }
        if !is_complete {
            self.omitted.push(metric.name.clone());
        }
    }

    /// Writes the samples of one series. Each bucket has its upper bound and its cumulative count.
    fn write_histogram(
        &mut self,
        name: &str,
        labels: &Labels,
        summary: &Summary,
        buckets: &[(f64, u64)],
    ) {
        let bucket = format!("{name}_bucket");
        for (bound, count) in buckets {
            let bound = self.float(*bound).to_string();
            self.write_sample(&bucket, labels, Some(&bound), count);
        }
        self.write_sample(&bucket, labels, Some("+Inf"), &summary.count);
        // In OpenMetrics, a histogram with negative buckets has no sum, and so no count either.
        let has_negative_bound = buckets.first().is_some_and(|(bound, _)| *bound < 0.0);
        if self.format == TextFormat::Prometheus || !has_negative_bound {
            let sum = self.float(summary.sum);
            self.write_sample(&format!("{name}_sum"), labels, None, &sum);
            self.write_sample(&format!("{name}_count"), labels, None, &summary.count);
        }
    }

    fn number(&self, number: Number) -> TextNumber {
        match number {
            Number::Int(value) => TextNumber::Int(value),
            Number::Float(value) => self.float(value),
        }
    }

    fn float(&self, value: f64) -> TextNumber {
        match self.format {
            TextFormat::Prometheus => TextNumber::ShortFloat(value),
            TextFormat::OpenMetrics => TextNumber::Float(value),
        }
    }

    fn write_help(&mut self, family: &str, text: &str) {
        let mut escaped = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '\\' => escaped.push_str(r"\\"),
                '\n' => escaped.push_str(r"\n"),
                '"' if self.format == TextFormat::OpenMetrics => escaped.push_str(r#"\""#),
                // A parser may end the line at a carriage return.
                '\r' => escaped.push(' '),
                c => escaped.push(c),
            }
        }
        self.write_comment("HELP", family, &escaped);
    }

    fn write_comment(&mut self, kind: &str, family: &str, text: &str) {
        self.write_line(format_args!("# {kind} {family} {text}"));
    }

    fn write_sample(
        &mut self,
        name: &str,
        labels: &Labels,
        bound: Option<&str>,
        value: &dyn fmt::Display,
    ) {
        match (bound, labels.0.is_empty()) {
            (None, true) => self.write_line(format_args!("{name} {value}")),
            (None, false) => self.write_line(format_args!("{name}{{{labels}}} {value}")),
            (Some(bound), true) => {
                self.write_line(format_args!("{name}{{le=\"{bound}\"}} {value}"))
            }
            (Some(bound), false) => {
                self.write_line(format_args!("{name}{{{labels},le=\"{bound}\"}} {value}"));
            }
        }
    }

    fn write_line(&mut self, line: fmt::Arguments<'_>) {
        // Writing into a `String` does not fail.
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }
}

/// Returns the labels of a scope by the [specification] of the compatibility with Prometheus.
///
/// [specification]: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
fn scope_labels(scope: &InstrumentationScope) -> impl Iterator<Item = (String, String)> {
    const PROPERTIES: [&str; 3] = ["name", "version", "schema_url"];
    let properties = [Some(scope.name()), scope.version(), scope.schema_url()];
    let properties = PROPERTIES.into_iter().zip(properties);
    let properties = properties.filter_map(|(key, value)| Some((key, value?.to_owned())));
    let attributes = scope
        .attributes()
        .map(|attribute| {
            (
                attribute.key.as_str(),
                attribute.value.as_str().into_owned(),
            )
        })
        .filter(|(key, _)| !PROPERTIES.contains(key));
    properties
        .chain(attributes)
        .map(|(key, value)| (label_name(&format!("otel_scope_{key}")), value))
}

/// Labels by name, in the order of the names.
struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Creates labels. Joins the values of attributes that become one label with `;`. Omits empty
    /// labels, because Prometheus does not distinguish them from missing ones.
    fn new(
        attributes: &[KeyValue],
        scope_labels: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut labels: BTreeMap<String, String> = BTreeMap::new();
        let attributes = attributes.iter().map(|attribute| {
            let name = match label_name(attribute.key.as_str()) {
                // `le` is the label with the bound of a bucket.
                name if name == "le" => "exported_le".to_owned(),
                name => name,
            };
            (name, attribute.value.as_str().into_owned())
        });
        for (name, value) in attributes.chain(scope_labels) {
            labels
                .entry(name)
                .and_modify(|joined| *joined = format!("{joined};{value}"))
                .or_insert(value);
        }
        labels.retain(|_, value| !value.is_empty());
        Self(labels)
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{name}=\"")?;
            for c in value.chars() {
                match c {
                    '\\' => f.write_str(r"\\")?,
                    '"' => f.write_str(r#"\""#)?,
                    '\n' => f.write_str(r"\n")?,
                    c => f.write_char(c)?,
                }
            }
            f.write_char('"')?;
        }
        Ok(())
    }
}

/// A number as Go, and thus Prometheus, parses it.
enum TextNumber {
    Int(i64),
    /// A float, written without `.0` if it is an integer.
    ShortFloat(f64),
    /// A float, written with `.0` if it is an integer, as in OpenMetrics.
    Float(f64),
}

impl fmt::Display for TextNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            Self::ShortFloat(value) | Self::Float(value) if value.is_nan() => f.write_str("NaN"),
            Self::ShortFloat(value) | Self::Float(value) if value.is_infinite() => {
                f.write_str(if *value > 0.0 { "+Inf" } else { "-Inf" })
            }
            // `Display` would write all digits of a large number. `Debug` writes an exponent from
            // 1e16 on.
            Self::ShortFloat(value) if value.fract() == 0.0 && value.abs() < 1e15 => value.fmt(f),
            Self::ShortFloat(value) | Self::Float(value) => write!(f, "{value:?}"),
        }
    }
}

fn explicit_buckets(value: &Distribution) -> Vec<(f64, u64)> {
    cumulative(
        value
            .bounds
            .iter()
            .copied()
            .zip(value.counts.iter().copied()),
    )
}

/// Returns cumulative buckets, whose bounds are powers of the base or the threshold around zero.
fn base2_buckets(value: &ExponentialDistribution) -> Vec<(f64, u64)> {
    let power = |index: i32| {
        // The base, 2^(2^-scale), is infinite at low scales. So compute 2^(index * 2^-scale).
        let exponent = f64::from(index) * (-f64::from(value.scale)).exp2();
        exponent.exp2()
    };
    let with_index = |buckets: &Buckets| {
        let offset = buckets.offset;
        let counts = buckets.counts.clone().into_iter().enumerate();
        counts.map(move |(position, count)| (offset.saturating_add(position as i32), count))
    };
    // A negative bucket ranges from -base^(index+1), included, to -base^index, its upper bound.
    let mut negative: Vec<_> = with_index(&value.negative)
        .map(|(index, count)| (-power(index), count))
        .collect();
    negative.reverse();
    let zero = (value.zero_count > 0).then_some((value.zero_threshold, value.zero_count));
    let positive =
        with_index(&value.positive).map(|(index, count)| (power(index.saturating_add(1)), count));
    cumulative(negative.into_iter().chain(zero).chain(positive))
}

/// Returns pairs of an upper bound and a cumulative count. Omits buckets with an infinite bound,
/// because the caller writes the bucket `+Inf`. Buckets with equal bounds become one.
fn cumulative(buckets: impl Iterator<Item = (f64, u64)>) -> Vec<(f64, u64)> {
    let mut sums: Vec<(f64, u64)> = Vec::new();
    let mut sum = 0;
    for (bound, count) in buckets {
        sum += count;
        if !bound.is_finite() {
            continue;
        }
        match sums.last_mut() {
            Some((last, total)) if *last >= bound => *total = sum,
            _ => sums.push((bound, sum)),
        }
    }
    sums
}
