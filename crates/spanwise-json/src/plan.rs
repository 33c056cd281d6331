//! The plan of a callsite: everything that depends on it alone, computed when it is first seen.

use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
};

use spanwise_core::internal::{log_record, pins_context};
use tracing_core::{Field, Metadata};

use crate::{
    altered_fields::AlteredFields,
    builder::Options,
    conversion::Conversion,
    format_table::{ERROR_NAMES, Facts, Layout},
    json_lexer::string_end,
    line_buffer::PaddedBytes,
    line_template::{LineTemplate, Place, plain_name, push_parts},
    span_plan::{ContextBits, ContextKey, SpanPlan, context_bit},
    visit::redacted_bit,
};

#[derive(Debug)]
pub(crate) struct Plan {
    /// The part from the timestamp to the first field. Empty for a record of `log`, whose target is
    /// not that of the callsite.
    pub(crate) head: PaddedBytes<64>,
    pub(crate) keys: Box<[Key]>,
    /// The message comes after other fields, but is written first.
    pub(crate) message_not_first: bool,
    /// Two fields have the same key.
    pub(crate) has_repeated_keys: bool,
    /// The bit of a message that lines cannot do without.
    pub(crate) required_message: Option<u128>,
    pub(crate) is_log: bool,
    /// Lines have parts that are not in every line, after those of the spans.
    pub(crate) has_rare_members: bool,
    /// Lines may have the [addition](crate::format_table::Addition) of the format.
    pub(crate) has_addition: bool,
    /// The fields that are redacted because of their key, a bit each, and the list of all of them.
    pub(crate) redacted_bits: u128,
    pub(crate) redacted_member: Vec<u8>,
    /// A message that the policy shows unchanged: most callsites have only one.
    pub(crate) clean_message: OnceLock<Box<str>>,
    /// The part between the fields of the event and those of the spans.
    pub(crate) after_fields: Vec<u8>,
    /// The source location, if a thread follows it.
    pub(crate) location: Vec<u8>,
    /// The end of the line.
    pub(crate) close: PaddedBytes<32>,
    /// For a span's callsite only.
    pub(crate) span_plan: Option<Arc<SpanPlan>>,
    /// The context keys that this callsite pins: the bit of each, and its place in
    /// [`SpanPlan::context`].
    pins: Box<[(u128, ContextBits)]>,
}

#[derive(Debug)]
pub(crate) struct Key {
    /// `,"key":`
    pub(crate) member: PaddedBytes<32>,
    /// One of 128 bits. Keys with different bits are different; the first 128 keys of a layer have
    /// a bit each.
    pub(crate) bit: u128,
    /// For all values but booleans.
    pub(crate) role: Role,
    pub(crate) role_of_bool: Role,
    /// The maximum length of a value's text, in bytes.
    pub(crate) max_len: usize,
    /// For the role `Converted`.
    pub(crate) conversion: Option<Box<Conversion>>,
}

/// The treatment of a field. One bit each, so that one test decides whether a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Role {
    Omitted = 0,
    Message = 1,
    Field = 2,
    /// Shown as `[REDACTED]`.
    Redacted = 4,
    /// Shown; the policy does not scan it.
    Trusted = 8,
    /// Shown as the policy's replacement.
    Replaced = 16,
    /// Texts are scanned by the policy, numbers are redacted.
    ScannedText = 32,
    /// Written in the way of the format.
    Converted = 64,
}

impl Plan {
    pub(crate) fn new(
        callsite: &'static Metadata<'static>,
        options: &Options,
        template: &LineTemplate,
    ) -> Self {
        let is_log = log_record::is_log_record(callsite);
        let keys = keys(callsite, options, template);
        let is_shown = |key: &&Key| key.role != Role::Omitted || key.role_of_bool != Role::Omitted;
        let has_repeated_keys = has_repeated_keys(keys.iter().filter(is_shown));
        let is_message = |key: &Key| key.field_role() == Role::Message;
        let message = keys.iter().position(is_message);
        let table = template.table;

        let (mut redacted_bits, mut altered) = (0, AlteredFields::default());
        for (index, key) in keys.iter().enumerate() {
            if key.field_role() == Role::Redacted {
                redacted_bits |= redacted_bit(index);
                altered.redacted.push(key.name());
            }
        }
        if !options.redacted_list {
            altered = AlteredFields::default();
        }
        let (mut after_fields, mut location) = (Vec::new(), Vec::new());
        let has_addition = table.addition.is_some_and(|addition| {
            let mut fields = callsite.fields().iter();
            fields.any(|field| (addition.applies)(plain_name(field.name())))
        });
        // Then the location is in front of it, as it is in front of the thread.
        let has_location_apart = template.has_threads || has_addition;
        let facts = Facts::new(options, callsite, None);
        let mut head = Vec::new();
        if !is_log {
            head = template.head(&facts, message.is_some() || callsite.is_span());
            let to = match table.layout {
                Layout::Flat => &mut location,
                Layout::Nested => &mut after_fields,
            };
            push_parts(to, table.origin, &facts);
        }
        // The source location comes before the thread. Without a thread, it is part of the end.
        let mut close = Vec::new();
        if !has_location_apart {
            close.append(&mut location);
        }
        close.extend(&template.close);
        let span_plan = callsite
            .is_span()
            .then(|| SpanPlan::new(callsite, options, template));
        let pins = match &span_plan {
            Some(plan) if pins_context(callsite) => pins(&keys, &plan.context),
            _ => Box::default(),
        };
        Self {
            head: PaddedBytes::new(head),
            message_not_first: table.layout == Layout::Flat
                && message.is_some_and(|index| index > 0),
            has_repeated_keys,
            required_message: message
                .filter(|_| table.message.missing.is_some())
                .map(|index| keys[index].bit),
            is_log,
            has_rare_members: is_log || template.has_threads || has_addition,
            has_addition,
            redacted_bits,
            redacted_member: altered.to_members(table),
            clean_message: OnceLock::new(),
            after_fields,
            location,
            close: PaddedBytes::new(close),
            span_plan: span_plan.map(Arc::new),
            keys,
            pins,
        }
    }

    /// Returns the context keys that a span pins if the keys of these bits have values.
    #[inline]
    pub(crate) fn pinned(&self, bits: u128) -> ContextBits {
        let has_value = self.pins.iter().filter(|(bit, _)| bits & bit != 0);
        has_value.fold(0, |bits, (_, bit)| bits | bit)
    }
}

fn keys(
    callsite: &'static Metadata<'static>,
    options: &Options,
    template: &LineTemplate,
) -> Box<[Key]> {
    let mut has_error = false;
    let mut key = |field: Field| {
        let is_error = ERROR_NAMES.contains(&plain_name(field.name())) && !has_error;
        has_error |= is_error;
        let place = match (callsite.is_event(), is_error) {
            (true, true) => Place::ErrorOfEvent,
            (true, false) => Place::Event,
            (false, true) => Place::ErrorOfSpan,
            (false, false) => Place::Span,
        };
        let mut key = template.key(options, field.name(), place);
        if log_record::is_origin_field(callsite, field.name())
            || (callsite.is_span() && field.index() >= MAX_SPAN_FIELDS)
        {
            key.role = Role::Omitted;
            key.role_of_bool = Role::Omitted;
        }
        key
    };
    callsite.fields().iter().map(&mut key).collect()
}

fn pins(keys: &[Key], context: &[ContextKey]) -> Box<[(u128, ContextBits)]> {
    let pin = |key: &Key| {
        let place = context
            .iter()
            .position(|known| known.has(key.member.as_bytes()))?;
        Some((key.bit, context_bit(place)))
    };
    keys.iter().filter_map(pin).collect()
}

/// Returns whether two of the fields may become members with the same key.
fn has_repeated_keys<'k>(keys: impl Iterator<Item = &'k Key>) -> bool {
    let mut seen = HashSet::new();
    for key in keys {
        let own: HashSet<&[u8]> = match &key.conversion {
            None => HashSet::from([key.member.as_bytes()]),
            Some(conversion) => conversion.all_starts().collect(),
        };
        if !own.is_disjoint(&seen) {
            return true;
        }
        seen.extend(own);
    }
    false
}

impl Key {
    /// Returns the treatment of the field, whether or not its values are converted.
    pub(crate) fn field_role(&self) -> Role {
        match &self.conversion {
            Some(conversion) => conversion.role,
            None => self.role,
        }
    }

    /// Returns the key as a JSON string.
    pub(crate) fn name(&self) -> &[u8] {
        quoted_key(self.member.as_bytes())
    }
}

/// Returns the key of a member as a JSON string.
pub(crate) fn quoted_key(member: &[u8]) -> &[u8] {
    &member[1..string_end(member, 1)]
}

/// A span shows at most this many fields.
const MAX_SPAN_FIELDS: usize = 64;
