//! The parts that all lines of a layer have in common, derived from its options.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::atomic::{AtomicU32, Ordering},
};

use spanwise_core::{
    CONTEXT_KEYS, KeyVerdict, Redact,
    internal::{MAX_CONTEXT_VALUE_LEN, sync::Mutex},
};

use crate::{
    builder::Options,
    conversion::{Conversion, ErrorMembers, Rule, Starts, push_field},
    escape,
    format::{ADDED_PREFIX, BUFFERED, FIELDS, FIELDS_PREFIX, SAMPLE_RATE},
    format_table::{
        ErrorPart, ErrorShape, Facts, FormatTable, Kind, Known, Layout, Part, Style, TimeText,
    },
    line_buffer::PaddedBytes,
    name_limits::limit_name,
    plan::{Key, Role},
    timestamp::Timestamp,
};

#[derive(Debug)]
pub(crate) struct LineTemplate {
    pub(crate) table: &'static FormatTable,
    pub(crate) timestamp: Option<Timestamp>,
    /// The members before that of the timestamp; empty if lines have no timestamp.
    pub(crate) before_open: Vec<u8>,
    /// Up to the timestamp; empty if lines have none.
    pub(crate) open: Vec<u8>,
    /// The static fields and the end of the line.
    pub(crate) close: Vec<u8>,
    /// `,"span":` and `,"spans":[`
    pub(crate) span: PaddedBytes<16>,
    pub(crate) spans: PaddedBytes<16>,
    /// `,"buffered":true`
    pub(crate) buffered: PaddedBytes<32>,
    /// `,"thread_name":` and `,"thread_id":`
    pub(crate) thread: [Vec<u8>; 2],
    /// `,"sample_rate":`
    pub(crate) sample_rate: Vec<u8>,
    pub(crate) has_threads: bool,
    pub(crate) max_line: usize,
    /// Longer lines are truncated or rewritten.
    pub(crate) max_plain: usize,
    /// What a rewritten line starts with.
    pub(crate) rewritten_start: Vec<u8>,
    pub(crate) redacts_text: bool,
    /// The keys of the layer's own members, and of the static fields, as they appear in the line.
    taken: Vec<String>,
    /// The starts of all members seen, each with its bit. Those of one field share a bit.
    keys: Mutex<HashMap<Box<[u8]>, u128>>,
    next_bit: AtomicU32,
}

/// Where a field occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Event,
    /// The first field of a callsite with the name of an error.
    ErrorOfEvent,
    Span,
    ErrorOfSpan,
}

impl Place {
    fn is_event(self) -> bool {
        matches!(self, Self::Event | Self::ErrorOfEvent)
    }

    fn is_error(self) -> bool {
        matches!(self, Self::ErrorOfEvent | Self::ErrorOfSpan)
    }
}

impl LineTemplate {
    pub(crate) fn new(options: &Options) -> Self {
        let table = options.format.table();
        let facts = Facts::of_layer(options);
        let timestamp = options.timestamp.map(|set| match table.time {
            TimeText::AsSet => set,
            TimeText::Utc(digits) => Timestamp::with_digits(digits),
            TimeText::EpochSeconds(digits) => Timestamp::epoch(digits),
            TimeText::EpochNanos => Timestamp::epoch_nanos(),
        });
        let (mut before_open, mut open) = (Vec::new(), Vec::new());
        if timestamp.is_some() {
            push_parts(&mut before_open, table.open, &facts);
            push_member(&mut open, table.timestamp, table.time.quote());
            open_object(if before_open.is_empty() {
                &mut open
            } else {
                &mut before_open
            });
        }
        let has_value = |part: &&Part| (part.1)(&facts).is_some();
        let tail = table.tail.iter().filter(has_value);
        let of_layer = table.parts().chain(tail).map(|(key, _)| *key);
        let mut taken: Vec<String> = of_layer.map(str::to_owned).collect();
        let mut close = Vec::new();
        push_parts(&mut close, table.tail, &facts);
        for (key, value) in &options.add {
            let spelled = table.spell(key);
            let renamed_on_conflict = table.reserves(&spelled)
                || taken.contains(&spelled)
                || table.is_of_location(&spelled)
                || table.is_place(&spelled)
                || (table.layout == Layout::Nested && key == FIELDS)
                || key.starts_with(FIELDS_PREFIX)
                || key.starts_with(ADDED_PREFIX);
            let key = if renamed_on_conflict {
                format!("{ADDED_PREFIX}{key}")
            } else {
                key.clone()
            };
            push_field(&mut close, table, &key, value);
            taken.push(table.spell(&key));
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
            thread: [table.thread.name, table.thread.id].map(start_of),
            sample_rate,
            before_open,
            open,
            close,
            has_threads: options.thread_name || options.thread_id || table.thread.always,
            max_line,
            rewritten_start: table
                .rewrite
                .map(|rewrite| (rewrite.start)(options))
                .unwrap_or_default(),
            max_plain: if table.rewrite.is_some() { 0 } else { max_line },
            redacts_text: options.redact.reads_text(),
            taken,
            keys: Mutex::default(),
            next_bit: AtomicU32::new(0),
        }
    }

    /// Returns the part from the timestamp to the first field.
    pub(crate) fn head(&self, facts: &Facts<'_>, has_message: bool) -> Vec<u8> {
        let table = self.table;
        let mut members = Vec::new();
        if self.timestamp.is_none() {
            push_parts(&mut members, table.open, facts);
        }
        push_parts(&mut members, table.head, facts);
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

    /// Returns the member that shows that an event has no message, if the format has one.
    pub(crate) fn missing_message(&self) -> Vec<u8> {
        let mut member = Vec::new();
        let message = self.table.message;
        if let Some(missing) = message.missing {
            push_member(&mut member, message.key, &escape::quoted(missing));
        }
        member
    }

    /// Decides under which key a field is shown, and whether it is.
    pub(crate) fn key(&self, options: &Options, name: &str, place: Place) -> Key {
        let name = plain_name(name);
        let is_message = place.is_event() && name == "message";
        let listed = |names: &[String]| names.iter().any(|listed| listed == name);
        let shown = !listed(&options.exclude) && options.include.as_deref().is_none_or(listed);
        let verdicts = options.redact.verdicts(name);
        let role = |verdict: KeyVerdict| match verdict {
            _ if is_message => Role::Message,
            _ if !shown => Role::Omitted,
            KeyVerdict::Pass => Role::Field,
            KeyVerdict::Text => Role::ScannedText,
            KeyVerdict::Trust => Role::Trusted,
            KeyVerdict::Redact => Role::Redacted,
            KeyVerdict::Replace => Role::Replaced,
            KeyVerdict::Remove => Role::Omitted,
        };
        let is_context = !place.is_event()
            && (CONTEXT_KEYS.contains(&name) || options.context_keys.iter().any(|key| key == name));
        let (role, role_of_bool) = (role(verdicts.text), role(verdicts.boolean));
        let max_len = if is_context {
            options.max_field.min(MAX_CONTEXT_VALUE_LEN)
        } else {
            options.max_field
        };
        let conversion = self.conversion(options, name, place, is_message, [role, role_of_bool]);
        let (member, bit) = match &conversion {
            None => {
                let key = match is_message && self.table.layout == Layout::Flat {
                    true => Cow::Borrowed(self.table.message.key),
                    false => Cow::Owned(self.field_name(options, name, place).0),
                };
                let start = start_of(&limit_name(&key));
                let bit = self.bits(std::iter::once(&*start));
                (start, bit)
            }
            Some(conversion) => {
                let bits = self.bits(conversion.all_starts());
                (conversion.start_for(Kind::Text).to_vec(), bits)
            }
        };
        let is_converted = conversion.is_some();
        let treatment = |role: Role| match role {
            Role::Omitted => Role::Omitted,
            _ if is_converted => Role::Converted,
            role => role,
        };
        Key {
            member: PaddedBytes::new(member),
            bit,
            role: treatment(role),
            role_of_bool: treatment(role_of_bool),
            max_len,
            conversion: conversion.map(Box::new),
        }
    }

    /// Returns the name of a field as options and conflicts change it, and whether it may have a
    /// place of its own.
    pub(crate) fn field_name(&self, options: &Options, name: &str, place: Place) -> (String, bool) {
        let renamed = options.rename.iter().rev().find(|(from, _)| from == name);
        let key = renamed.map_or(name, |(_, to)| to.as_str());
        let taken = match self.table.layout {
            Layout::Flat => self.is_taken(options, key),
            // Event fields have an object of their own; span fields share theirs with the span's
            // name.
            Layout::Nested => {
                !place.is_event() && (key == "name" || key.starts_with(FIELDS_PREFIX))
            }
        };
        match taken {
            true => (self.displaced(key), false),
            false => (key.to_owned(), renamed.is_none()),
        }
    }

    fn is_taken(&self, options: &Options, key: &str) -> bool {
        let spelled = self.table.spell(key);
        self.table.reserves(&spelled)
            || options.source_location && self.table.is_of_location(&spelled)
            || key.starts_with(FIELDS_PREFIX)
            || self.taken.contains(&spelled)
    }

    /// Returns the name of a field whose name is that of a member of the line.
    pub(crate) fn displaced(&self, key: &str) -> String {
        format!("{FIELDS_PREFIX}{key}")
    }

    /// Returns how the format writes the values of a field in its own way, if it does.
    fn conversion(
        &self,
        options: &Options,
        name: &str,
        place: Place,
        is_message: bool,
        [role, role_of_bool]: [Role; 2],
    ) -> Option<Conversion> {
        let table = self.table;
        if table.layout == Layout::Nested {
            return None;
        }
        let style = table.style;
        if is_message {
            let message = table.message;
            return message.is_text.then(|| Conversion {
                role,
                role_of_bool,
                style,
                rule: Rule::Message {
                    blank: message.blank,
                },
                starts: Starts::same(&start_of(message.key)),
                error: None,
            });
        }
        let (field, may_be_known) = self.field_name(options, name, place);
        let spelled_name = |name: &str, spell: fn(&str) -> Cow<'_, str>| {
            let spelled = spell(name).into_owned();
            match self.taken.contains(&spelled) {
                true => start_of(&limit_name(&spell(&self.displaced(name)))),
                false => start_of(&limit_name(&spelled)),
            }
        };
        let spelled = |spell| spelled_name(&field, spell);
        let mut starts = Starts {
            fitting: Box::default(),
            text: spelled(table.spelling.text).into(),
            number: spelled(table.spelling.number).into(),
            number_as_text: spelled(table.spelling.number_as_text).into(),
        };
        let (mut rule, mut error) = (Rule::None, None);
        let known = table.known(name).filter(|_| may_be_known);
        match (table.error, known) {
            (ErrorShape::Members(parts), _) if place.is_error() && may_be_known => {
                error = Some(ErrorMembers::new(None, parts));
                let message = parts.iter().find(|(part, _)| *part == ErrorPart::Message);
                if let Some((_, key)) = message {
                    starts.text = start_of(key).into();
                }
            }
            (ErrorShape::Object(key, parts), _) if place.is_error() && may_be_known => {
                error = Some(ErrorMembers::new(Some(key), parts));
                let message = parts.iter().find(|(part, _)| *part == ErrorPart::Message);
                if let Some((_, message)) = message {
                    let mut inner = start_of(message);
                    open_object(&mut inner);
                    starts.text = [start_of(key), inner].concat().into();
                }
            }
            (_, None) => {}
            (_, Some(Known::Named(key))) => starts = Starts::same(&start_of(key)),
            (_, Some(Known::Leaf(key, kind))) => {
                (rule, starts.fitting) = (Rule::Leaf(kind), start_of(key).into());
            }
            (_, Some(Known::Nanos(key))) => {
                (rule, starts.fitting) = (Rule::Nanos, start_of(key).into());
            }
            (
                _,
                Some(Known::Hex {
                    key,
                    digits,
                    prefix,
                }),
            ) => {
                if let Some(prefix) = prefix(options) {
                    let mut start = start_of(key);
                    // Without its closing quote.
                    start.extend(escape::quoted(&prefix));
                    start.pop();
                    (rule, starts.fitting) = (Rule::Hex { digits }, start.into());
                }
            }
        }
        if error.is_none() && style != Style::Json {
            // An error that is not that of the event.
            let chain = spelled_name(&format!("{field}.chain"), table.spelling.text);
            error = Some(ErrorMembers {
                object: None,
                parts: Box::new([
                    (ErrorPart::Message, starts.text.clone()),
                    (ErrorPart::Chain, chain.into()),
                ]),
            });
        }
        let is_as_in_json = matches!(rule, Rule::None)
            && error.is_none()
            && starts.are_same()
            && *starts.text == *start_of(&limit_name(&field));
        (!is_as_in_json).then_some(Conversion {
            role,
            role_of_bool,
            style,
            rule,
            starts,
            error,
        })
    }

    /// Returns the bits of a field whose members start so. New ones get one bit together.
    fn bits<'s>(&self, starts: impl Iterator<Item = &'s [u8]>) -> u128 {
        let mut keys = self.keys.lock();
        let (mut bits, mut new) = (0, None);
        for start in starts {
            bits |= match keys.get(start) {
                Some(bit) => *bit,
                None => {
                    let bit = *new.get_or_insert_with(|| {
                        1 << (self.next_bit.fetch_add(1, Ordering::Relaxed) % 128)
                    });
                    keys.insert(start.into(), bit);
                    bit
                }
            };
        }
        bits
    }
}

/// Turns the first comma of members into the brace that opens their object.
pub(crate) fn open_object(members: &mut [u8]) {
    if let Some(comma) = members.first_mut() {
        *comma = b'{';
    }
}

/// Returns `,"key":`.
pub(crate) fn start_of(key: &str) -> Vec<u8> {
    let mut start = Vec::new();
    push_member(&mut start, key, b"");
    start
}

/// Appends the parts that have a value.
pub(crate) fn push_parts(to: &mut Vec<u8>, parts: &[Part], facts: &Facts<'_>) {
    for (key, value) in parts {
        if let Some(value) = value(facts) {
            push_member(to, key, &value);
        }
    }
}

/// Removes the `r#` of a field whose name is a keyword.
pub(crate) fn plain_name(field: &str) -> &str {
    field.strip_prefix("r#").unwrap_or(field)
}

pub(crate) fn push_member(to: &mut Vec<u8>, key: &str, value: &[u8]) {
    to.push(b',');
    to.extend(escape::quoted(key));
    to.push(b':');
    to.extend(value);
}

/// Returns the policy if it scans text. Its verdicts about keys are read in [`LineTemplate::key`].
pub(crate) fn text_policy<'a>(
    template: &LineTemplate,
    options: &'a Options,
) -> Option<&'a dyn Redact> {
    template.redacts_text.then_some(&*options.redact)
}
