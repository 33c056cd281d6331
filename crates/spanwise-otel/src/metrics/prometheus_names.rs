//! Names of metrics and labels in the syntax of Prometheus.
//!
//! A *family* is what Prometheus calls a metric: series with the same name and type.

use std::borrow::Cow;

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FamilyKind {
    Counter,
    Gauge,
    Histogram,
}

/// The name and the unit of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FamilyName {
    /// The name, without the `_total` of a counter.
    pub(crate) name: String,
    /// The unit, if the name ends with it, as OpenMetrics requires.
    pub(crate) unit: Option<String>,
}

/// Returns the name of the family of an instrument. Invalid characters become `_`. The unit is
/// appended, unless it is already a part of the name.
pub(crate) fn family_name(instrument: &str, unit: &str, kind: FamilyKind) -> FamilyName {
    let mut name = sanitized(instrument);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    if kind == FamilyKind::Counter {
        name = without_suffix(name, "_total");
    }
    let unit = prometheus_unit(unit, kind);
    if let Some(unit) = &unit
        && !format!("_{name}_").contains(&format!("_{unit}_"))
    {
        name = name + "_" + unit;
    }
    // The samples of counters and histograms have names with these suffixes. The name of a gauge or
    // a histogram must not look like one of them.
    let reserved: &[&str] = match kind {
        FamilyKind::Counter => &[],
        FamilyKind::Gauge | FamilyKind::Histogram => &["_total", "_count", "_sum", "_bucket"],
    };
    if reserved.iter().any(|suffix| name.ends_with(suffix)) {
        name += "_value";
    }
    FamilyName {
        unit: unit.filter(|unit| name.ends_with(&format!("_{unit}"))),
        name,
    }
}

fn without_suffix(mut name: String, suffix: &str) -> String {
    if name.len() > suffix.len() && name.ends_with(suffix) {
        name.truncate(name.len() - suffix.len());
    }
    name
}

/// Returns the name of a label.
pub(crate) fn label_name(key: &str) -> String {
    let mut name = sanitized(&key.replace(':', "_"));
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// Replaces invalid characters with `_`, and consecutive `_` with one.
fn sanitized(name: &str) -> String {
    let mut sanitized = String::with_capacity(name.len());
    for c in name.chars() {
        let c = match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | ':' => c,
            _ => '_',
        };
        if c != '_' || !sanitized.ends_with('_') {
            sanitized.push(c);
        }
    }
    sanitized
}

/// Returns the words for a unit of UCUM (the Unified Code for Units of Measure), such as
/// `bytes_per_second` for `By/s`. The unit `1` becomes `ratio`, for a gauge only.
fn prometheus_unit(unit: &str, kind: FamilyKind) -> Option<String> {
    let unit = without_annotations(unit);
    if unit == "1" {
        return (kind == FamilyKind::Gauge).then(|| "ratio".to_owned());
    }
    let (counted, per) = match unit.split_once('/') {
        Some((counted, per)) => (counted, Some(per)),
        None => (&*unit, None),
    };
    let mut words = sanitized(unit_word(counted).unwrap_or(counted));
    if let Some(per) = per.filter(|per| !per.is_empty()) {
        words = format!("{words}_per_{}", sanitized(per_word(per).unwrap_or(per)));
    }
    let words = words.trim_matches('_').replace(':', "_");
    (!words.is_empty()).then_some(words)
}

/// Removes the annotations of a unit: each `{…}`, which only explains what is counted.
fn without_annotations(unit: &str) -> Cow<'_, str> {
    if !unit.contains('{') {
        return Cow::Borrowed(unit.trim());
    }
    let mut depth = 0;
    let mut unannotated = String::new();
    for c in unit.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth <= 0 => unannotated.push(c),
            _ => {}
        }
    }
    Cow::Owned(unannotated.trim().to_owned())
}

/// Returns the plural word for a unit, or for the unit in front of `/`.
fn unit_word(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "bit" => "bits",
        "m" => "meters",
        "g" => "grams",
        "kg" => "kilograms",
        "V" => "volts",
        "A" => "amperes",
        "W" => "watts",
        "J" => "joules",
        "Hz" => "hertz",
        "Cel" => "celsius",
        "%" => "percent",
        _ => return None,
    })
}

/// Returns the singular word for the unit after `/`.
fn per_word(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "s" => "second",
        "min" | "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
