//! `gcp`: structured logs of Google Cloud, as the agent and Cloud Run read them.

use crate::{
    addition::{Addition, AdditionInputs, AdditionOutput},
    builder::Options,
    conversion::{kind_of, millis_to_nanos, unquoted},
    format::json,
    format_table::{
        EventLevel, FormatTable, Kind, Known, MessageKey, PartInputs, ThreadKeys, TimeText,
        environment, file, line, module, object, service_name, service_node, service_version,
        source_file, target, text,
    },
};

pub(crate) const TABLE: FormatTable = FormatTable {
    max_line: 256 * 1024,
    timestamp: "time",
    time: TimeText::Utc(9),
    head: &[("severity", severity), ("target", target)],
    message: MessageKey {
        key: "message",
        is_text: true,
        missing: None,
        blank: None,
    },
    origin: &[
        ("logging.googleapis.com/sourceLocation", source_location),
        ("@type", error_type),
        ("context", report_context),
    ],
    thread: ThreadKeys {
        name: "thread",
        id: "thread_id",
        always: false,
    },
    tail: &[
        ("serviceContext", service_context),
        ("environment", environment),
        ("service_node", service_node),
    ],
    known: &[
        (
            "trace_id",
            Known::Hex {
                key: "logging.googleapis.com/trace",
                digits: 32,
                prefix: trace_prefix,
            },
        ),
        (
            "span_id",
            Known::Hex {
                key: "logging.googleapis.com/spanId",
                digits: 16,
                prefix: |_| Some(String::new()),
            },
        ),
    ],
    // The agent moves these members out of the payload, or Error Reporting reads them.
    reserved: &[
        "timestamp",
        "timestampSeconds",
        "timestampNanos",
        "timeNanos",
        "httpRequest",
        "@type",
        "context",
        "serviceContext",
    ],
    reserved_prefixes: &["logging.googleapis.com/"],
    addition: Some(Addition {
        // A duration alone does not make an event an access event.
        applies: |name| name != DURATION && HTTP_REQUEST.iter().any(|(field, ..)| *field == name),
        make: http_request,
    }),
    ..json::TABLE
};

fn severity(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    text(inputs.by_level(["DEBUG", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]))
}

fn source_location(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    let file = file(inputs)?;
    // Protocol Buffers write a 64-bit number as text in JSON.
    let line = line(inputs).map(|digits| [b"\"", &*digits, b"\""].concat());
    object(&[
        ("file", Some(file)),
        ("line", line),
        ("function", module(inputs)),
    ])
}

/// Returns the type of an error report. Without it, Error Reporting finds errors by their stack
/// traces, but it cannot read stack traces of Rust.
fn error_type(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    let is_error = matches!(inputs.level, EventLevel::Error | EventLevel::Critical);
    let name = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent";
    is_error.then(|| text(name)).flatten()
}

/// Returns the source location, by which Error Reporting groups events.
fn report_context(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    error_type(inputs)?;
    let location = object(&[
        ("filePath", source_file(inputs)),
        (
            "lineNumber",
            inputs.line.map(|line| line.to_string().into_bytes()),
        ),
        ("functionName", module(inputs)),
    ]);
    object(&[("reportLocation", location)])
}

fn service_context(inputs: &PartInputs<'_>) -> Option<Vec<u8>> {
    object(&[
        ("service", service_name(inputs)),
        ("version", service_version(inputs)),
    ])
}

fn trace_prefix(options: &Options) -> Option<String> {
    let project = options.google_cloud_project.as_deref()?;
    Some(format!("projects/{project}/traces/"))
}

/// A field that moves into the object `httpRequest`: the name of the field, its key in the object,
/// and the kind and the conversion of its value.
type HttpRequestMember = (
    &'static str,
    &'static str,
    Kind,
    fn(&[u8]) -> Option<Vec<u8>>,
);

const DURATION: &str = "duration_ms";

/// The fields of an access event that become `httpRequest`, which the console of Google Cloud shows
/// as one request.
const HTTP_REQUEST: [HttpRequestMember; 7] = [
    (
        "http.request.method",
        "requestMethod",
        Kind::Text,
        unchanged,
    ),
    ("url.path", "requestUrl", Kind::Text, unchanged),
    (
        "http.response.status_code",
        "status",
        Kind::Integer,
        unchanged,
    ),
    ("response_bytes", "responseSize", Kind::Integer, quoted),
    ("client.address", "remoteIp", Kind::Text, unchanged),
    ("user_agent.original", "userAgent", Kind::Text, unchanged),
    (DURATION, "latency", Kind::Number, latency),
];

fn unchanged(value: &[u8]) -> Option<Vec<u8>> {
    Some(value.to_vec())
}

fn quoted(digits: &[u8]) -> Option<Vec<u8>> {
    Some([b"\"", digits, b"\""].concat())
}

/// Converts milliseconds to the text of a duration of Protocol Buffers, in seconds: `0.25s`.
fn latency(millis: &[u8]) -> Option<Vec<u8>> {
    let nanos = millis_to_nanos(millis)?;
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let digits = format!("{seconds}.{rest:09}");
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    text(&format!("{digits}s"))
}

/// Moves the members of [`HTTP_REQUEST`] into the object `httpRequest`.
fn http_request(inputs: &AdditionInputs<'_>) -> AdditionOutput {
    let members = inputs.members;
    let mut replaced = Vec::new();
    let mut values = Vec::new();
    for (field, key, kind, convert) in HTTP_REQUEST {
        let found = members
            .iter()
            .position(|member| unquoted(member.quoted_key()) == field.as_bytes());
        let value = found.and_then(|index| {
            let value = members[index].value();
            let fits = kind_of(value).fits(kind);
            let value = fits.then(|| convert(value)).flatten()?;
            replaced.push((index, Vec::new()));
            Some(value)
        });
        values.push((key, value));
    }
    let added = object(&values).map(|json| [b",\"httpRequest\":", &*json].concat());
    AdditionOutput {
        replaced,
        new_members: added.unwrap_or_default(),
    }
}
