//! The formats: each is a layout and a table of key names for one encoder.

use std::{fmt, str::FromStr};

use spanwise_core::{
    ParseError,
    internal::{TextSetting, suggest::closest},
};

/// Defines [`Format`] with all names, so that each format is listed once.
macro_rules! formats {
    ($first:ident = $first_name:literal: $(#[$first_doc:meta])+
     $($format:ident = $name:literal: $(#[$doc:meta])+)*) => {
        /// The format of a line, for [`JsonLayer`](crate::JsonLayer) and for every output of
        /// `spanwise`.
        ///
        /// It displays as its [name](Self::name), and parses from it in any case.
        ///
        /// ```
        /// use spanwise_json::Format;
        ///
        /// assert_eq!("json-nested".parse(), Ok(Format::JsonNested));
        /// assert_eq!(
        ///     "jsn".parse::<Format>().unwrap_err().to_string(),
        ///     "`jsn` is not a format: did you mean json? accepts json, json-nested, pretty, compact, short"
        /// );
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub enum Format {
            $(#[$first_doc])+
            #[default]
            $first,
            $($(#[$doc])+ $format,)*
        }

        impl Format {
            /// The names of all formats, as `LOG_FORMAT` accepts them.
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
                }
            }
        }
    };
}

formats! {
    Json = "json":
    /// All fields at the top level: the event's first, then those of the spans from the innermost
    /// outwards.
    ///
    /// `{"timestamp":…,"level":…,"target":…,"message":…,"order_id":42,"request_id":"…","span":"create_order"}`
    JsonNested = "json-nested":
    /// The layout of `tracing_subscriber::fmt().json()`, as a drop-in replacement.
    ///
    /// `{"timestamp":…,"level":…,"fields":{"message":…,"order_id":42},"target":…,"span":{…,"name":…},"spans":[…]}`
    ///
    /// Line for line what that prints, without its faults, and with the causes of an error: see the
    /// [crate docs](crate#json-nested).
    Pretty = "pretty":
    /// Human-readable: one line per event if it fits the terminal; spans, errors and values of
    /// several lines have lines of their own. Written by the outputs of `spanwise`, not by a
    /// [`JsonLayer`](crate::JsonLayer).
    Compact = "compact":
    /// Human-readable: one line per event, except for panics. Written by the outputs of `spanwise`,
    /// not by a [`JsonLayer`](crate::JsonLayer).
    Short = "short":
    /// For a command line: the level, the message and the fields. The time is shown in files, and
    /// while events at DEBUG are shown. Written by the outputs of `spanwise`.
}

impl TextSetting for Format {}

impl FromStr for Format {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_named = |format: &&Self| format.name().eq_ignore_ascii_case(text);
        let found = Self::ALL.iter().find(is_named).cloned();
        found.ok_or_else(|| {
            let accepts = Self::ACCEPTS;
            let hint = match closest(text, Self::NAMES.iter().copied()) {
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

/// The place of the fields of an event and of its spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Flat,
    Nested,
}

/// The layout of a format, and the names of its keys.
#[derive(Debug)]
pub(crate) struct KeyNames {
    pub(crate) layout: Layout,
    pub(crate) timestamp: &'static str,
    pub(crate) level: &'static str,
    pub(crate) target: &'static str,
    pub(crate) message: &'static str,
    pub(crate) span: &'static str,
    pub(crate) spans: &'static str,
    pub(crate) file: &'static str,
    pub(crate) line: &'static str,
    pub(crate) thread_name: &'static str,
    pub(crate) thread_id: &'static str,
}

/// Keys with information about the line itself, in every format.
pub(crate) const TRUNCATED: &str = "truncated";
pub(crate) const REDACTED: &str = "redacted";
pub(crate) const SAMPLE_RATE: &str = "sample_rate";
pub(crate) const BUFFERED: &str = "buffered";
pub(crate) const IS_BUFFERED: &[u8; 16] = b",\"buffered\":true";
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
        match self {
            Self::Json | Self::JsonNested => false,
            Self::Pretty | Self::Compact | Self::Short => true,
        }
    }

    /// Returns whether a line of JSON has `key`, or may have it. A [static
    /// field](crate::JsonLayer::add) cannot use such a key.
    #[must_use]
    pub fn is_reserved(key: &str) -> bool {
        let takes = |format: &Self| format.key_names().reserved().contains(&key);
        Self::ALL.iter().any(takes)
            || key == FIELDS
            || key.starts_with(FIELDS_PREFIX)
            || key.starts_with(ADDED_PREFIX)
    }

    /// The names of the keys. A [`JsonLayer`](crate::JsonLayer) with a human-readable format uses
    /// those of `json`.
    pub(crate) const fn key_names(&self) -> &'static KeyNames {
        match self {
            Self::Json | Self::Pretty | Self::Compact | Self::Short => &JSON,
            Self::JsonNested => &JSON_NESTED,
        }
    }
}

const JSON: KeyNames = KeyNames {
    layout: Layout::Flat,
    timestamp: "timestamp",
    level: "level",
    target: "target",
    message: "message",
    span: "span",
    spans: "spans",
    file: "file",
    line: "line",
    thread_name: "thread_name",
    thread_id: "thread_id",
};

const JSON_NESTED: KeyNames = KeyNames {
    layout: Layout::Nested,
    file: "filename",
    line: "line_number",
    thread_name: "threadName",
    thread_id: "threadId",
    ..JSON
};

impl KeyNames {
    /// The keys that a static field cannot use, whether or not a line shows them. Other fields may
    /// use those of the location if lines do not show it.
    #[rustfmt::skip]
    pub(crate) fn reserved(&self) -> [&'static str; 15] {
        [
            self.timestamp, self.level, self.target, self.message, self.span, self.spans, self.file,
            self.line, self.thread_name, self.thread_id, TRUNCATED, REDACTED, SAMPLE_RATE, BUFFERED,
            SPANS_OMITTED,
        ]
    }
}
