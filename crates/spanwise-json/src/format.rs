//! The formats: a table of names each, over one encoder.

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Format {
    /// All fields at the top level, the event's first, then those of the spans from the innermost outwards.
    ///
    /// `{"timestamp":…,"level":…,"target":…,"message":…,"order_id":42,"request_id":"…","span":"create_order"}`
    #[default]
    Json,
    /// The layout of `tracing_subscriber::fmt().json()`, for a drop-in change.
    ///
    /// `{"timestamp":…,"level":…,"fields":{"message":…,"order_id":42},"target":…,"span":{…,"name":…},"spans":[…]}`
    ///
    /// Line for line what that prints, without its faults: see the [crate docs](crate#json-nested).
    JsonNested,
}

/// Where the fields of an event and of its spans go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Flat,
    Nested,
}

/// The names and the layout of a format.
#[derive(Debug)]
pub(crate) struct Table {
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

/// Stands before the name of a user's field that is a key of the line itself.
pub(crate) const DISPLACED: &str = "fields.";

/// Stands before the name of a static field that is one.
pub(crate) const ADDED: &str = "added.";

impl Format {
    pub(crate) const fn table(self) -> &'static Table {
        match self {
            Self::Json => &JSON,
            Self::JsonNested => &JSON_NESTED,
        }
    }
}

const JSON: Table = Table {
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

const JSON_NESTED: Table = Table {
    layout: Layout::Nested,
    file: "filename",
    line: "line_number",
    thread_name: "threadName",
    thread_id: "threadId",
    ..JSON
};

impl Table {
    /// The keys that a user's field at the top level may not take, whether or not a line shows them.
    pub(crate) fn own_keys(&self) -> [&'static str; 15] {
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
