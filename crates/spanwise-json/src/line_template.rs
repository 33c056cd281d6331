//! The bytes and keys that all lines of a layer have in common, prepared once for each layer.
//!
//! The *opening* of a member is everything before its value, mostly `,"key":`.

mod field_keys;

use std::{collections::HashMap, sync::atomic::AtomicU32};

use once_cell::race::OnceBox;
use spanwise_core::{Redact, internal::sync::Mutex};

pub(crate) use self::field_keys::FieldSource;
use self::field_keys::KnownOpening;
use crate::{
    builder::Options,
    conversion::push_field,
    escape,
    format::{ADDED_PREFIX, BUFFERED, FIELDS, FIELDS_PREFIX, SAMPLE_RATE},
    format_table::{FormatTable, Layout, Part, PartInputs, TimeText},
    line_buffer::PaddedBytes,
    span_plan::{PinnedKeys, SpanKeys},
    timestamp::Timestamp,
};

#[derive(Debug)]
pub(crate) struct LineTemplate {
    pub(crate) table: &'static FormatTable,
    pub(crate) timestamp: Option<Timestamp>,
    /// The members that a format has in front of the timestamp. For a format with
    /// [`RewriteByParts`](crate::rewrite::RewriteByParts), also the opening of the timestamp. Empty
    /// if lines have no timestamp.
    pub(crate) before_open: PaddedBytes<64>,
    /// The opening of the timestamp, with the quote of its text. Empty if lines have no timestamp,
    /// or if `before_open` has the opening.
    pub(crate) open: Vec<u8>,
    /// The members that are the same in all lines, such as the static fields, and the end of the
    /// line.
    pub(crate) close: Vec<u8>,
    /// `,"span":`
    pub(crate) span: PaddedBytes<16>,
    /// `,"spans":[`
    pub(crate) spans: PaddedBytes<16>,
    /// `,"buffered":true`
    pub(crate) buffered: PaddedBytes<32>,
    /// `,"thread_name":` and `,"thread_id":`
    pub(crate) thread: [Vec<u8>; 2],
    /// `,"sample_rate":`
    pub(crate) sample_rate: Vec<u8>,
    pub(crate) has_threads: bool,
    pub(crate) max_line: usize,
    /// The start of a line that is [rewritten](crate::rewrite) as a whole.
    pub(crate) rewritten_start: Vec<u8>,
    /// The start of a line that such a format writes directly in its syntax, up to the text of the
    /// timestamp.
    pub(crate) rewritten_open: PaddedBytes<64>,
    /// Whether the policy scans text.
    pub(crate) redacts_text: bool,
    /// The keys of the parts of the line and of the static fields, as they appear in the line.
    taken_keys: Vec<String>,
    /// The openings of the members of all fields that the layer has seen.
    openings: Mutex<HashMap<Box<[u8]>, KnownOpening>>,
    /// The number of the next bit of a [`KnownOpening`], modulo 128.
    next_bit: AtomicU32,
    pub(crate) pinned_keys: PinnedKeys,
    /// Not a `OnceLock`, because a forked child could wait there for a thread that only its parent
    /// has.
    span_keys: OnceBox<SpanKeys>,
}

impl LineTemplate {
    pub(crate) fn new(options: &Options) -> Self {
        let table = options.table;
        let inputs = PartInputs::for_layer(options);
        let required_time = table.requires_time.then(Timestamp::micros);
        let requested_time = options.timestamp.or(required_time);
        let precision = options.precision;
        let with_precision = |time: Timestamp| match precision {
            Some(digits) => time.with_precision(digits),
            None => time,
        };
        let timestamp = requested_time.map(|requested_time| match table.time {
            TimeText::AsSet => with_precision(requested_time),
            TimeText::Own(own) => with_precision(own),
            TimeText::Utc(digits) => Timestamp::with_digits(precision.unwrap_or(digits)),
            TimeText::EpochSeconds(digits) => Timestamp::epoch(precision.unwrap_or(digits)),
            TimeText::EpochNanos => Timestamp::epoch_nanos(),
        });
        let (mut before_open, mut open) = (Vec::new(), Vec::new());
        if timestamp.is_some() {
            push_parts(&mut before_open, table.open, &inputs);
            push_member(&mut open, table.timestamp, table.time.quote());
            open_object(match before_open.is_empty() {
                true => &mut open,
                false => &mut before_open,
            });
        }
        let rewritten_start = table.rewrite.map(|rewrite| (rewrite.start)(options));
        let rewritten_start = rewritten_start.unwrap_or_default();
        let mut rewritten_open = Vec::new();
        if let Some(by_parts) = table.rewrite.and_then(|rewrite| rewrite.by_parts) {
            let opening = opening_of(table.timestamp);
            rewritten_open = [&*rewritten_start, &(by_parts.open)(&opening)].concat();
            // A line begins with `rewritten_open`, or with `before_open` if it is JSON at first. So
            // `open` is empty, and `LastSecond` remembers the text of the timestamp alone.
            before_open.append(&mut open);
        }
        let has_value = |(_, value): &&Part| value(&inputs).is_some();
        let tail = table.tail.iter().filter(has_value);
        let layer_keys = table.parts().chain(tail).map(|(key, _)| *key);
        let mut taken_keys: Vec<String> = layer_keys.map(str::to_owned).collect();
        let mut close = Vec::new();
        push_parts(&mut close, table.tail, &inputs);
        for (key, json) in table.constants {
            push_member(&mut close, key, json);
            taken_keys.push((*key).to_owned());
        }
        for (key, value) in &options.add {
            let spelled = table.spell(key);
            let is_taken = table.reserves(&spelled)
                || taken_keys.contains(&spelled)
                || table.is_location_key(&spelled)
                || table.is_place(&spelled)
                || (table.layout == Layout::Nested && key == FIELDS)
                || key.starts_with(FIELDS_PREFIX)
                || key.starts_with(ADDED_PREFIX);
            let key = match is_taken {
                true => format!("{ADDED_PREFIX}{key}"),
                false => key.clone(),
            };
            push_field(&mut close, table, &key, value);
            taken_keys.push(table.spell(&key));
        }
        close.extend(b"}\n");
        let (mut span, mut spans) = (Vec::new(), Vec::new());
        push_member(&mut span, table.span, b"");
        push_member(&mut spans, table.spans, b"[");
        let max_line = options.max_line.min(table.max_line);
        let (mut buffered, mut sample_rate) = (Vec::new(), Vec::new());
        push_field(&mut buffered, table, BUFFERED, b"true");
        push_member(&mut sample_rate, &(table.spelling.number)(SAMPLE_RATE), b"");
        Self {
            table,
            timestamp,
            span: PaddedBytes::new(span),
            spans: PaddedBytes::new(spans),
            buffered: PaddedBytes::new(buffered),
            thread: [table.thread.name, table.thread.id].map(opening_of),
            sample_rate,
            before_open: PaddedBytes::new(before_open),
            open,
            close,
            has_threads: options.thread_name || options.thread_id || table.thread.always,
            max_line,
            rewritten_start,
            rewritten_open: PaddedBytes::new(rewritten_open),
            redacts_text: options.redact.reads_text(),
            taken_keys,
            openings: Mutex::default(),
            next_bit: AtomicU32::new(0),
            pinned_keys: PinnedKeys::new(options),
            span_keys: OnceBox::new(),
        }
    }

    /// Returns the keys that all spans have in common. `options` must be those of
    /// [`new`](Self::new).
    pub(crate) fn span_keys(&self, options: &Options) -> &SpanKeys {
        self.span_keys
            .get_or_init(|| Box::new(SpanKeys::new(options, self)))
    }

    /// Returns the bytes between the text of the timestamp and the first field. They begin with the
    /// closing quote of the timestamp, if it has quotes.
    pub(crate) fn head(&self, inputs: &PartInputs<'_>, has_message: bool) -> Vec<u8> {
        let table = self.table;
        let mut members = Vec::new();
        if self.timestamp.is_none() {
            push_parts(&mut members, table.open, inputs);
        }
        push_parts(&mut members, table.head, inputs);
        if !has_message {
            members.extend(self.missing_message());
        }
        match table.layout {
            Layout::Flat => {}
            Layout::Nested => members.extend(b",\"fields\":"),
        }
        if self.timestamp.is_none() {
            open_object(&mut members);
            return members;
        }
        [table.time.quote(), &members].concat()
    }

    /// Returns the message that the format gives an event without one, as a member. Empty if lines
    /// need no message.
    pub(crate) fn missing_message(&self) -> Vec<u8> {
        let mut member = Vec::new();
        let message = self.table.message;
        if let Some(missing) = message.missing {
            push_member(&mut member, message.key, &escape::quoted(missing));
        }
        member
    }
}

/// Turns the first comma of members into the brace that opens their object.
pub(crate) fn open_object(members: &mut [u8]) {
    if let Some(comma) = members.first_mut() {
        *comma = b'{';
    }
}

/// Returns `,"key":`.
pub(crate) fn opening_of(key: &str) -> Vec<u8> {
    let mut opening = Vec::new();
    push_member(&mut opening, key, b"");
    opening
}

/// Appends the parts that have a value.
pub(crate) fn push_parts(to: &mut Vec<u8>, parts: &[Part], inputs: &PartInputs<'_>) {
    for (key, value) in parts {
        if let Some(value) = value(inputs) {
            push_member(to, key, &value);
        }
    }
}

/// Removes the `r#` of a raw identifier from the name of a field.
pub(crate) fn plain_name(field: &str) -> &str {
    field.strip_prefix("r#").unwrap_or(field)
}

pub(crate) fn push_member(to: &mut Vec<u8>, key: &str, value: &[u8]) {
    to.push(b',');
    to.extend(escape::quoted(key));
    to.push(b':');
    to.extend(value);
}

/// Returns the policy if it scans text. Its verdicts about keys are applied by
/// [`LineTemplate::key`].
pub(crate) fn text_policy<'a>(
    template: &LineTemplate,
    options: &'a Options,
) -> Option<&'a dyn Redact> {
    template.redacts_text.then_some(&*options.redact)
}
