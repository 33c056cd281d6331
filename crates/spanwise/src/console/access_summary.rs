//! The short form of an access event: `GET /orders/42 200 0.66ms`. `spanwise-http` logs one access
//! event for each incoming request.

use tracing_core::Metadata;

use super::{
    color::TextStyle,
    fields::{Fields, Value, ValueKind},
    pending_spans::SpanUpdate,
    span_label::SpanLabel,
    unit_duration::duration_field,
};

/// The name of the access event.
const EVENT_NAME: &str = "http.access";

const STATUS: &str = "http.response.status_code";
const DURATION: &str = "duration_ms";
const SIZE: &str = "response_bytes";

/// The values that the line of an access event shows without the names of their fields.
#[derive(Debug)]
pub(crate) struct AccessSummary {
    pub(crate) method: String,
    pub(crate) path: Option<String>,
    /// The status code, or the outcome of a request without a status code.
    pub(crate) status: String,
    pub(crate) status_style: TextStyle,
    pub(crate) duration: Option<String>,
    /// The length of the response body, unless it is 0.
    pub(crate) size: Option<String>,
}

impl AccessSummary {
    /// Returns the summary of an access event, and removes its values from `fields`. Returns `None`
    /// for any other event, and for an access event without a method.
    pub(crate) fn take(
        callsite: &Metadata<'_>,
        fields: &mut Fields,
        label: Option<&SpanLabel>,
    ) -> Option<Self> {
        if callsite.name() != EVENT_NAME || fields.get("outcome").is_none() {
            return None;
        }
        let request = label.and_then(SpanLabel::request);
        let method = match (fields.text("http.request.method"), &request) {
            (Some(_), _) => fields.remove("http.request.method")?.text,
            (None, Some((method, _))) => (*method).to_owned(),
            (None, None) => return None,
        };
        let route = fields.remove("http.route");
        let path = fields.remove("url.path").or(route).map(|path| path.text);
        let path = path.or_else(|| request.and_then(|(_, path)| path));
        // Like other console lines, the summary shows no trace id by default.
        fields.remove("trace_id");
        let outcome = fields.text("outcome").unwrap_or_default().to_owned();
        let status = fields.remove(STATUS).map(|status| status.text);
        // Only an outcome that the status code does not imply stays a field.
        if status
            .as_deref()
            .is_none_or(|status| outcome == outcome_of(status))
        {
            fields.remove("outcome");
        }
        let status = status.unwrap_or(outcome);
        fields.message = None;
        let duration = fields.remove(DURATION);
        let time_to_head = fields.get("ttfb_ms").and_then(number);
        // The line shows the time to the first byte only if the body took longer than the head.
        let is_stream = |duration: &Value| {
            let total = number(duration).unwrap_or_default();
            time_to_head.is_some_and(|head| 2.0 * head < total)
        };
        if time_to_head.is_some() && !duration.as_ref().is_some_and(is_stream) {
            fields.remove("ttfb_ms");
        }
        let duration = duration.and_then(|duration| {
            let text = number(&duration).and_then(|number| duration_field(DURATION, number));
            // A value that is not a duration stays a field.
            if text.is_none() {
                fields.set(DURATION, duration);
            }
            text.map(|(_, text)| text)
        });
        let length = fields.get(SIZE).and_then(number);
        if length.is_some_and(|length| length >= 0.0) {
            fields.remove(SIZE);
        }
        let size = length.filter(|length| *length > 0.0).map(size_text);
        let status_style = status_style(&status);
        Some(Self {
            method,
            path,
            status,
            status_style,
            duration,
            size,
        })
    }
}

/// Removes the status code that the summary shows from the fields of spans.
pub(crate) fn remove_shown_status(spans: &mut [SpanUpdate], summary: &AccessSummary) {
    let is_shown = |name: &str, value: &Value| name == STATUS && value.text == summary.status;
    for span in spans {
        span.fields.retain(|(name, value)| !is_shown(name, value));
    }
}

fn number(value: &Value) -> Option<f64> {
    match value.kind {
        ValueKind::Number(number) => Some(number),
        ValueKind::Bool | ValueKind::Text | ValueKind::Error { .. } => None,
    }
}

/// Returns the outcome that a status code implies.
fn outcome_of(status: &str) -> &'static str {
    match status.parse() {
        Ok(500_u16..) => "server_error",
        Ok(400..) => "client_error",
        _ => "ok",
    }
}

fn status_style(status: &str) -> TextStyle {
    match status.as_bytes().first() {
        Some(b'1' | b'2') => TextStyle::GREEN,
        Some(b'3') => TextStyle::CYAN,
        Some(b'5') => TextStyle::BOLD_RED,
        _ => TextStyle::YELLOW,
    }
}

/// Returns a number of bytes: `153B`, `1.2kB`.
fn size_text(bytes: f64) -> String {
    // From these limits on, rounding to one decimal place gives 1000.0 of the smaller unit.
    match bytes {
        ..1e3 => format!("{bytes}B"),
        ..999_950.0 => format!("{:.1}kB", bytes / 1e3),
        ..999_950_000.0 => format!("{:.1}MB", bytes / 1e6),
        _ => format!("{:.1}GB", bytes / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_unit_that_fits() {
        for (bytes, text) in [
            (999.0, "999B"),
            (1000.0, "1.0kB"),
            (999_949.0, "999.9kB"),
            (999_960.0, "1.0MB"),
            (999_960_000.0, "1.0GB"),
        ] {
            assert_eq!(size_text(bytes), text);
        }
    }
}
