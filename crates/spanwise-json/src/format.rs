//! The formats of lines. All formats share one encoder, which reads the [table](FormatTable) of the
//! format. Each table is in a file of its own.

mod bunyan;
mod datadog;
mod ecs;
mod emf;
mod gcp;
mod gelf;
pub(crate) mod json;
mod json_nested;
pub(crate) mod logfmt;
mod logstash;
mod otlp;

use std::{fmt, str::FromStr};

use spanwise_core::{
    ParseError,
    internal::{TextSetting, suggest::closest},
};

use crate::{
    custom_format::CustomFormat,
    format_table::{FormatTable, TimeText},
    text_template::{self, PREFIX},
};

/// Defines [`Format`] with all names, so that each format is listed once.
macro_rules! formats {
    ($(#[$first_doc:meta])+ $first:ident = $first_name:literal, $first_table:expr;
     $($(#[$doc:meta])+ $format:ident = $name:literal, $table:expr;)*) => {
        /// The format of a line, for [`JsonLayer`](crate::JsonLayer) and for every output of
        /// `spanwise`.
        ///
        /// It displays as its [name](Self::name). A built-in format parses from its name in any
        /// letter case, and a template from its text.
        ///
        /// ```
        /// use spanwise_json::Format;
        ///
        /// assert_eq!("json-nested".parse(), Ok(Format::JsonNested));
        /// let error = "jsn".parse::<Format>().unwrap_err().to_string();
        /// assert!(error.starts_with("`jsn` is not a format: did you mean json? accepts json, json-nested, ecs"));
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub enum Format {
            $(#[$first_doc])+
            #[default]
            $first,
            $($(#[$doc])+ $format,)*
            /// A format that the program has built with [`Format::custom`] or
            /// [`Format::from_code`], or a template, which parses from text such as
            /// `text:{level} {time} {target} {message} {fields}`.
            Custom(CustomFormat),
        }

        impl Format {
            /// The names of the built-in formats, as `LOG_FORMAT` accepts them.
            pub const NAMES: &[&str] = &[$first_name, $($name),*];

            /// [`NAMES`](Self::NAMES), joined by commas.
            pub const ACCEPTS: &str = concat!($first_name, $(", ", $name),*);

            const ALL: &[Self] = &[Self::$first, $(Self::$format),*];

            /// Returns the name of the format.
            #[must_use]
            pub const fn name(&self) -> &str {
                match self {
                    Self::$first => $first_name,
                    $(Self::$format => $name,)*
                    Self::Custom(custom) => custom.name(),
                }
            }

            /// Returns the table of the format. For a human-readable format, returns the table of
            /// `json`, which a [`JsonLayer`](crate::JsonLayer) writes instead.
            pub(crate) const fn table(&self) -> &'static FormatTable {
                match self {
                    Self::$first => &$first_table,
                    $(Self::$format => &$table,)*
                    Self::Custom(custom) => custom.table(),
                }
            }
        }
    };
}

formats! {
    /// All fields at the top level: the event's first, then those of the spans from the innermost
    /// outwards.
    ///
    /// `{"timestamp":…,"level":…,"target":…,"message":…,"order_id":42,"request_id":"…","span":"create_order"}`
    Json = "json", json::TABLE;
    /// The layout of `tracing_subscriber::fmt().json()`, as a drop-in replacement for it.
    ///
    /// `{"timestamp":…,"level":…,"fields":{"message":…,"order_id":42},"target":…,"span":{…,"name":…},"spans":[…]}`
    ///
    /// Each line is the line that `fmt` prints, apart from errors, nested values, limits, redaction
    /// and the faults of `fmt`: see the [crate docs](crate#json-nested).
    JsonNested = "json-nested", json_nested::TABLE;
    /// The Elastic Common Schema, for Filebeat and Elasticsearch.
    ///
    /// `{"@timestamp":…,"log.level":"info","message":…,"numeric_labels.order_id":42,"http.request.id":"…",…}`
    Ecs = "ecs", ecs::TABLE;
    /// Google Cloud, for Cloud Run and the agent of GKE.
    ///
    /// `{"time":…,"severity":"INFO","target":…,"message":…,"order_id":42,…}`
    Gcp = "gcp", gcp::TABLE;
    /// Datadog, with its standard attributes.
    ///
    /// `{"timestamp":…,"status":"info","logger.name":…,"message":…,"order_id":42,…}`
    Datadog = "datadog", datadog::TABLE;
    /// The layout of logstash-logback-encoder.
    ///
    /// `{"@timestamp":…,"@version":"1","level":"INFO","level_value":20000,"logger_name":…,"message":…,…}`
    Logstash = "logstash", logstash::TABLE;
    /// The Graylog Extended Log Format. Values are text and numbers. All other values become text.
    ///
    /// `{"version":"1.1","host":…,"timestamp":…,"level":6,"_target":…,"short_message":…,"_order_id":42,…}`
    Gelf = "gelf", gelf::TABLE;
    /// The records of node-bunyan.
    ///
    /// `{"v":0,"name":…,"hostname":…,"pid":…,"time":…,"level":30,"target":…,"msg":…,"order_id":42,…}`
    Bunyan = "bunyan", bunyan::TABLE;
    /// `json` for Amazon CloudWatch: `service` is the name of the service instead of an object, and
    /// `_aws` describes the metrics of an event.
    Emf = "emf", emf::TABLE;
    /// Key-value pairs: `ts=… level=info target=shop::orders msg="order created" order_id=42`
    Logfmt = "logfmt", logfmt::TABLE;
    /// One `LogsData` of OpenTelemetry in JSON, with typed attributes.
    ///
    /// `{"resourceLogs":[{"resource":…,"scopeLogs":[{"logRecords":[{"timeUnixNano":…}],"scope":…}]}]}`
    Otlp = "otlp", otlp::TABLE;
    /// Human-readable: one line per event if it fits the terminal; spans, errors and values of
    /// several lines have lines of their own. Written by the outputs of `spanwise`, not by a
    /// [`JsonLayer`](crate::JsonLayer).
    Pretty = "pretty", json::TABLE;
    /// Human-readable: one line per event, except for panics. Written by the outputs of `spanwise`,
    /// not by a [`JsonLayer`](crate::JsonLayer).
    Compact = "compact", json::TABLE;
    /// For a command line: the level, the message and the fields. The time is shown in files, and
    /// in other outputs only while events at DEBUG are shown. Written by the outputs of `spanwise`.
    Short = "short", json::TABLE;
}

impl TextSetting for Format {}

impl FromStr for Format {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let start = text.get(..PREFIX.len());
        if start.is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)) {
            return text_template::format(&text[PREFIX.len()..]);
        }
        let is_named = |format: &&Self| format.name().eq_ignore_ascii_case(text);
        let found = Self::ALL.iter().find(is_named).cloned();
        found.ok_or_else(|| {
            let accepts = Self::ACCEPTS;
            let hint = match closest(text, Self::NAMES.iter().copied()) {
                _ if text.contains('{') => "a template begins with `text:`".to_owned(),
                Some(name) => format!("did you mean {name}? accepts {accepts}"),
                None => format!("accepts {accepts}"),
            };
            ParseError::word(text, "is not a format", hint)
        })
    }
}

/// Writes the name.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// Names of the members that describe the line itself. Each format spells them like field names.

/// The list of fields that were cut or dropped.
pub(crate) const TRUNCATED: &str = "truncated";
/// The list of fields whose values are not what was logged.
pub(crate) const REDACTED: &str = "redacted";
/// The ratio with which a sampler kept the event.
pub(crate) const SAMPLE_RATE: &str = "sample_rate";
/// The mark of a line that the recorder had buffered.
pub(crate) const BUFFERED: &str = "buffered";
/// The number of spans that the list of spans omits.
pub(crate) const SPANS_OMITTED: &str = "spans_omitted";

/// The key of the event's fields in the nested layout.
pub(crate) const FIELDS: &str = "fields";

/// The prefix of a field whose name is a key of the line itself.
pub(crate) const FIELDS_PREFIX: &str = "fields.";

/// The prefix of a static field whose name is a key of the line itself.
pub(crate) const ADDED_PREFIX: &str = "added.";

impl Format {
    /// Returns whether the format is for people, not for programs.
    #[must_use]
    pub const fn is_human_readable(&self) -> bool {
        matches!(self, Self::Pretty | Self::Compact | Self::Short)
    }

    /// Returns what decides which parts a line has, as error texts name it: the code or the
    /// template of a custom format. Returns `None` if the table decides.
    pub(crate) fn decider_of_parts(&self) -> Option<&'static str> {
        match self {
            Self::Custom(custom) if custom.code().is_some() => {
                let is_template = custom.name().starts_with(PREFIX);
                Some(if is_template {
                    "the template"
                } else {
                    "the code"
                })
            }
            _ => None,
        }
    }

    /// Returns whether the time zone of timestamps can be set. If not, the format defines it.
    #[must_use]
    pub fn has_time_zone(&self) -> bool {
        self.table().time == TimeText::AsSet
    }

    /// Returns whether the key is reserved. A [static field](crate::JsonLayer::add) with such a key
    /// gets the key `added.KEY`. Reserved are keys that begin with `fields.` or `added.`, and the
    /// keys of all parts of `json` and `json-nested`, apart from `service`, `host` and `pid`.
    #[must_use]
    pub fn is_reserved(key: &str) -> bool {
        let takes = |table: &FormatTable| {
            table.reserves(key)
                || table.is_location_key(key)
                || table.parts().any(|(part, _)| *part == key)
        };
        [&json::TABLE, &json_nested::TABLE].into_iter().any(takes)
            || key == FIELDS
            || key.starts_with(FIELDS_PREFIX)
            || key.starts_with(ADDED_PREFIX)
    }
}
