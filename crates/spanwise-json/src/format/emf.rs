//! `emf`: `json`, with the metrics of an event for Amazon CloudWatch.

use crate::{
    addition::{Addition, AdditionInputs, AdditionOutput},
    conversion::{kind_of, unquoted},
    escape,
    format::json,
    format_table::{
        FormatTable, Kind, environment, object, service_name, service_node, service_version, text,
    },
    json_lexer::Member,
    line_template::push_member,
};

pub(crate) const TABLE: FormatTable = FormatTable {
    max_line: 1024 * 1024,
    tail: &[
        ("service", service_name),
        ("version", service_version),
        ("environment", environment),
        ("service_node", service_node),
    ],
    reserved: &["_aws"],
    // CloudWatch reads `_aws`, and refuses any other value under this key.
    required: &["_aws"],
    dimension: Some("service"),
    addition: Some(Addition {
        applies: |name| name.starts_with(METRIC_PREFIX) || name == METRIC_VALUE,
        make: metrics,
    }),
    ..json::TABLE
};

/// A field of an event whose name has this prefix is a metric.
const METRIC_PREFIX: &str = "metric.";

/// The fields of an event that together describe one metric.
const METRIC_NAME: &str = "metric_name";
const METRIC_VALUE: &str = "metric_value";
const METRIC_UNIT: &str = "metric_unit";

/// CloudWatch reads at most this many metrics of a line.
const MAX_METRICS: usize = 100;

/// A metric: a number at the top level of the line.
struct Metric {
    name: String,
    unit: &'static str,
}

/// Removes the prefix of metrics, adds a member for the metric that three fields describe, and
/// describes all metrics in `_aws`.
fn metrics(inputs: &AdditionInputs<'_>) -> AdditionOutput {
    let mut output = AdditionOutput::default();
    let mut metrics = Vec::new();
    let is_usable = |name: &str, metrics: &[Metric]| {
        let quoted = escape::quoted(name);
        let is_shown = inputs
            .members
            .iter()
            .any(|member| member.quoted_key() == quoted);
        is_metric_name(name)
            && !is_shown
            && !(inputs.is_taken)(name)
            && metrics.iter().all(|metric| metric.name != name)
    };
    let event_members = &inputs.members[..inputs.event_member_count];
    for (index, member) in event_members.iter().enumerate() {
        let quoted = member.quoted_key();
        if !unquoted(quoted).starts_with(METRIC_PREFIX.as_bytes()) {
            continue;
        }
        // The name without the escapes of JSON.
        let key: String = serde_json::from_slice(quoted).unwrap_or_default();
        let Some(name) = key.strip_prefix(METRIC_PREFIX) else {
            continue;
        };
        if metrics.len() < MAX_METRICS && is_number(member.value()) && is_usable(name, &metrics) {
            let mut renamed = Vec::new();
            push_member(&mut renamed, name, member.value());
            output.replaced.push((index, renamed));
            metrics.push(Metric {
                name: name.to_owned(),
                unit: unit_of_name(name),
            });
        }
    }
    if let Some((metric, value)) = described_metric(event_members)
        && metrics.len() < MAX_METRICS
        && is_usable(&metric.name, &metrics)
    {
        push_member(&mut output.new_members, &metric.name, value);
        metrics.push(metric);
    }
    if !metrics.is_empty() {
        push_member(
            &mut output.new_members,
            "_aws",
            &description(&metrics, inputs),
        );
    }
    output
}

/// Returns the metric that the fields [`METRIC_NAME`], [`METRIC_VALUE`] and optionally
/// [`METRIC_UNIT`] describe, and the value of this metric.
fn described_metric<'a>(event_members: &[Member<'a>]) -> Option<(Metric, &'a [u8])> {
    let value_of = |name: &str| {
        let quoted = escape::quoted(name);
        let mut members = event_members.iter();
        Some(
            members
                .find(|member| member.quoted_key() == quoted)?
                .value(),
        )
    };
    let text_of = |name| serde_json::from_slice::<String>(value_of(name)?).ok();
    let value = value_of(METRIC_VALUE).filter(|value| is_number(value))?;
    let name = text_of(METRIC_NAME)?;
    let unit = text_of(METRIC_UNIT).and_then(|unit| known_unit(&unit));
    let unit = unit.unwrap_or_else(|| unit_of_name(&name));
    Some((Metric { name, unit }, value))
}

fn is_number(json: &[u8]) -> bool {
    kind_of(json).fits(Kind::Number)
}

/// Returns whether CloudWatch accepts a name of a metric.
fn is_metric_name(name: &str) -> bool {
    let is_accepted = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    !name.trim().is_empty()
        && name.len() <= 255
        && !name.starts_with(':')
        && name.bytes().all(is_accepted)
}

/// Short units, each with the unit of CloudWatch. A short unit is the end of a metric's name, as in
/// `latency_ms`, or the value of [`METRIC_UNIT`].
const UNITS: [(&str, &str); 7] = [
    ("ms", "Milliseconds"),
    ("s", "Seconds"),
    ("us", "Microseconds"),
    ("bytes", "Bytes"),
    ("percent", "Percent"),
    ("count", "Count"),
    ("total", "Count"),
];

/// Returns the unit that the end of a metric's name means.
fn unit_of_name(name: &str) -> &'static str {
    let end = name.rsplit_once('_').map(|(_, end)| end);
    let found = UNITS.iter().find(|(suffix, _)| Some(*suffix) == end);
    found.map_or("None", |(_, unit)| *unit)
}

/// Returns a unit of CloudWatch, given in any letter case, or the unit that a short unit means.
fn known_unit(unit: &str) -> Option<&'static str> {
    const ALL: [&str; 27] = [
        "Seconds",
        "Microseconds",
        "Milliseconds",
        "Bytes",
        "Kilobytes",
        "Megabytes",
        "Gigabytes",
        "Terabytes",
        "Bits",
        "Kilobits",
        "Megabits",
        "Gigabits",
        "Terabits",
        "Percent",
        "Count",
        "Bytes/Second",
        "Kilobytes/Second",
        "Megabytes/Second",
        "Gigabytes/Second",
        "Terabytes/Second",
        "Bits/Second",
        "Kilobits/Second",
        "Megabits/Second",
        "Gigabits/Second",
        "Terabits/Second",
        "Count/Second",
        "None",
    ];
    let spelled = ALL
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(unit));
    let short = || UNITS.iter().find(|(short, _)| *short == unit);
    spelled.or_else(|| short().map(|(_, unit)| *unit))
}

/// Returns the value of `_aws`.
fn description(metrics: &[Metric], inputs: &AdditionInputs<'_>) -> Vec<u8> {
    let options = inputs.options;
    // Without a stored time, the clock is read again. The line has its time only as a text, in the
    // precision and time zone of the layer.
    let now = || options.clock.since_epoch();
    let (seconds, nanos) = inputs.stored_time.unwrap_or_else(now);
    let millis = seconds.max(0).saturating_mul(1_000);
    let millis = millis.saturating_add(i64::from(nanos / 1_000_000));
    let service = options.service.name.as_deref().unwrap_or_default();
    let mut names = Vec::new();
    for Metric { name, unit } in metrics {
        let metric = object(&[("Name", text(name)), ("Unit", text(unit))]);
        names.push(metric.unwrap_or_default());
    }
    // CloudWatch has the same rules for the name and for the value of a dimension.
    let is_accepted = |key: &&str| is_dimension(key) && is_dimension(service);
    let dimension = options.table.dimension.filter(is_accepted);
    let dimensions = dimension.map(escape::quoted).unwrap_or_default();
    let metrics = object(&[
        ("Namespace", text(&namespace(service))),
        ("Dimensions", Some(array(&[array(&[dimensions])]))),
        ("Metrics", Some(array(&names))),
    ]);
    let description = object(&[
        ("Timestamp", Some(millis.to_string().into_bytes())),
        (
            "CloudWatchMetrics",
            Some(array(&[metrics.unwrap_or_default()])),
        ),
    ]);
    description.unwrap_or_default()
}

fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [b"[", &*items.join(&b','), b"]"].concat()
}

/// Returns whether CloudWatch accepts the name or the value of a dimension.
fn is_dimension(value: &str) -> bool {
    let is_accepted = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    !value.trim().is_empty()
        && value.len() <= 1024
        && !value.starts_with(':')
        && value.bytes().all(is_accepted)
}

/// Returns the name of the service with the characters that a namespace can have.
fn namespace(service: &str) -> String {
    let is_kept = |c: &char| c.is_ascii_alphanumeric() || "._#:/-".contains(*c);
    let or_underscore = |c: char| if is_kept(&c) { c } else { '_' };
    let name: String = service.chars().take(255).map(or_underscore).collect();
    match name.is_empty() {
        true => "unknown_service".to_owned(),
        false => name,
    }
}
