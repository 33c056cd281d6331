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
    format::Layout,
    line_buffer::PaddedBytes,
    line_template::LineTemplate,
    span_plan::{ContextBits, SpanPlan, context_bit},
    visit::redacted_bit,
};

#[derive(Debug)]
pub(crate) struct Plan {
    /// The part from the timestamp to the first field.
    pub(crate) head: PaddedBytes<64>,
    pub(crate) keys: Box<[Key]>,
    /// The message comes after other fields, but is written first.
    pub(crate) message_not_first: bool,
    /// Two fields have the same key.
    pub(crate) has_repeated_keys: bool,
    pub(crate) is_log: bool,
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
        let mut seen = HashSet::new();
        let mut shown = keys.iter().filter(is_shown);
        let has_repeated_keys = !shown.all(|key| seen.insert(key.member.as_bytes()));
        let message = keys.iter().position(|key| key.role == Role::Message);

        let (mut redacted_bits, mut altered) = (0, AlteredFields::default());
        for (index, key) in keys.iter().enumerate() {
            if key.role == Role::Redacted {
                redacted_bits |= redacted_bit(index);
                altered.redacted.push(key.name());
            }
        }
        if !options.redacted_list {
            altered = AlteredFields::default();
        }
        let (mut after_fields, mut location) = (Vec::new(), Vec::new());
        if !is_log {
            let line = callsite.line().map(u64::from);
            let to = match template.key_names.layout {
                Layout::Flat => &mut location,
                Layout::Nested => {
                    template.push_target(&mut after_fields, options, callsite.target());
                    &mut after_fields
                }
            };
            template.push_location(to, options, callsite.file(), line);
        }
        // The source location comes before the thread. Without a thread, it is part of the end.
        let mut close = Vec::new();
        if !template.has_threads {
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
            head: PaddedBytes::new(template.head(options, callsite, is_log)),
            message_not_first: template.key_names.layout == Layout::Flat
                && message.is_some_and(|index| index > 0),
            has_repeated_keys,
            is_log,
            redacted_bits,
            redacted_member: altered.to_members(),
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
    let key = |field: Field| {
        let mut key = template.key(options, field.name(), callsite.is_event());
        if log_record::is_origin_field(callsite, field.name())
            || (callsite.is_span() && field.index() >= MAX_SPAN_FIELDS)
        {
            key.role = Role::Omitted;
            key.role_of_bool = Role::Omitted;
        }
        key
    };
    callsite.fields().iter().map(key).collect()
}

fn pins(keys: &[Key], context: &[Vec<u8>]) -> Box<[(u128, ContextBits)]> {
    let pin = |key: &Key| {
        let place = context.iter().position(|name| name == key.name())?;
        Some((key.bit, context_bit(place)))
    };
    keys.iter().filter_map(pin).collect()
}

impl Key {
    /// Returns the key as a JSON string.
    pub(crate) fn name(&self) -> &[u8] {
        let member = self.member.as_bytes();
        &member[1..member.len() - 1]
    }
}

/// A span shows at most this many fields.
const MAX_SPAN_FIELDS: usize = 64;
