//! The formats: a table of names each, over one encoder.

use std::{error::Error, fmt, str::FromStr};

use spanwise_core::internal::{Grammar, suggest::closest};

/// Defines [`Format`] with the name of each, so that a format is listed once.
macro_rules! formats {
    ($first:ident = $first_name:literal: $(#[$first_doc:meta])+
     $($format:ident = $name:literal: $(#[$doc:meta])+)*) => {
        /// What a line looks like: for [`JsonLayer`](crate::JsonLayer), and for every output of
        /// `spanwise`.
        ///
        /// As a text it is its [name](Self::name), in any case.
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
            /// The names of all formats, which `LOG_FORMAT` accepts.
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
    /// All fields at the top level, the event's first, then those of the spans from the innermost
    /// outwards.
    ///
    /// `{"timestamp":…,"level":…,"target":…,"message":…,"order_id":42,"request_id":"…","span":"create_order"}`
    JsonNested = "json-nested":
    /// The layout of `tracing_subscriber::fmt().json()`, for a drop-in change.
    ///
    /// `{"timestamp":…,"level":…,"fields":{"message":…,"order_id":42},"target":…,"span":{…,"name":…},"spans":[…]}`
    ///
    /// LineBuffer for line what that prints, without its faults, and with the causes of an error: see the
    /// [crate docs](crate#json-nested).
    Pretty = "pretty":
    /// For people: the event on one line, where it happened on the next. Written by the outputs of
    /// `spanwise`, not by a [`JsonLayer`](crate::JsonLayer).
    Compact = "compact":
    /// For people: one line an event. Written by the outputs of `spanwise`, not by a
    /// [`JsonLayer`](crate::JsonLayer).
    Short = "short":
    /// For the person at a command line: the level, the message and the fields. The time is there
    /// in files, and while events at DEBUG are shown. Written by the outputs of `spanwise`.
}

/// A text that is not the name of a [`Format`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError {
    name: String,
}

impl Grammar for Format {}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let is_named = |format: &&Self| format.name().eq_ignore_ascii_case(text);
        let found = Self::ALL.iter().find(is_named).cloned();
        found.ok_or_else(|| FormatError {
            name: text.to_owned(),
        })
    }
}

/// Its name.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a format: ", self.name)?;
        if let Some(name) = closest(&self.name, Format::NAMES.iter().copied()) {
            write!(f, "did you mean {name}? ")?;
        }
        write!(f, "accepts {}", Format::ACCEPTS)
    }
}

impl Error for FormatError {}

/// Where the fields of an event and of its spans go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Flat,
    Nested,
}

/// The names and the layout of a format.
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

/// Keys of a line that say something about the line itself, in every format.
pub(crate) const TRUNCATED: &str = "truncated";
pub(crate) const REDACTED: &str = "redacted";
pub(crate) const SAMPLE_RATE: &str = "sample_rate";
pub(crate) const BUFFERED: &str = "buffered";
pub(crate) const IS_BUFFERED: &[u8; 16] = b",\"buffered\":true";
pub(crate) const SPANS_OMITTED: &str = "spans_omitted";

/// Holds the fields of an event in the nested layout.
pub(crate) const FIELDS: &str = "fields";

/// Stands before the name of a user's field that is a key of the line itself.
pub(crate) const FIELDS_PREFIX: &str = "fields.";

/// Stands before the name of a static field that is one.
pub(crate) const ADDED_PREFIX: &str = "added.";

impl Format {
    /// Returns whether a person reads the lines, and not a program.
    #[must_use]
    pub const fn is_human_readable(&self) -> bool {
        match self {
            Self::Json | Self::JsonNested => false,
            Self::Pretty | Self::Compact | Self::Short => true,
        }
    }

    /// Returns whether `key` is one that a line has in a format for programs, or may have: not to
    /// be taken by a [static field](crate::JsonLayer::add).
    #[must_use]
    pub fn is_reserved(key: &str) -> bool {
        let takes = |format: &Self| format.key_names().reserved().contains(&key);
        Self::ALL.iter().any(takes)
            || key == FIELDS
            || key.starts_with(FIELDS_PREFIX)
            || key.starts_with(ADDED_PREFIX)
    }

    /// The names in a line; of a format for people those that are used instead.
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
    /// The keys that a static field may not take, whether or not a line shows them. Those of the
    /// location are free for the fields of lines that show none.
    pub(crate) fn reserved(&self) -> [&'static str; 15] {
        [
            self.timestamp,
            self.level,
            self.target,
            self.message,
            self.span,
            self.spans,
            self.file,
            self.line,
            self.thread_name,
            self.thread_id,
            TRUNCATED,
            REDACTED,
            SAMPLE_RATE,
            BUFFERED,
            SPANS_OMITTED,
        ]
    }
}
