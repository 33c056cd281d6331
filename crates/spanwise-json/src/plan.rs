//! What follows from a callsite alone: worked out when it is first seen.

use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
};

use spanwise_core::{CONTEXT_KEYS, context::pins_context, log_record};
use tracing_core::Metadata;

use crate::{
    builder::Options,
    escape,
    format::Layout,
    fragment::{self, Label, Places},
    line::Short,
    names::bounded,
    notes::Notes,
    shape::Shape,
    visit::hidden_bit,
};

#[derive(Debug)]
pub(crate) struct Plan {
    /// From the timestamp to the first field.
    pub(crate) head: Short<64>,
    pub(crate) keys: Box<[Key]>,
    /// The message is a field that comes after others, and must be written before them.
    pub(crate) message_late: bool,
    /// Two fields have one key.
    pub(crate) repeats: bool,
    pub(crate) is_log: bool,
    /// The fields that are hidden because of their key, a bit each, and what a line says of them if all of them had a value.
    pub(crate) hidden: u128,
    pub(crate) redacted: Vec<u8>,
    /// A message that the policy was asked about and shows: most callsites have but one.
    pub(crate) clean_message: OnceLock<Box<str>>,
    /// Between the fields of the event and what the spans add.
    pub(crate) after_fields: Vec<u8>,
    /// After what the spans add, where a thread is named before the end.
    pub(crate) location: Vec<u8>,
    /// To the end of the line.
    pub(crate) close: Short<32>,
    /// Of a span's callsite.
    pub(crate) label: Option<Arc<Label>>,
    /// The context keys that this callsite decides: the bit of each, and its place in
    /// [`Label::context`].
    decides: Box<[(u128, Places)]>,
}

#[derive(Debug)]
pub(crate) struct Key {
    /// `,"key":`
    pub(crate) member: Short<32>,
    /// One of 128: two keys with different bits are different. The first 128 keys of a layer have one each.
    pub(crate) bit: u128,
    /// Of all values but booleans.
    pub(crate) role: Role,
    pub(crate) role_of_bool: Role,
    /// A value's text is cut at this many bytes.
    pub(crate) max_len: usize,
}

/// A bit each, so that one test says whether a field is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Role {
    Omitted = 0,
    Message = 1,
    Field = 2,
    /// Shown, without its value.
    Hidden = 4,
    /// A field whose text the policy does not read.
    Trusted = 8,
    /// Shown as what the policy makes of its value.
    Replaced = 16,
    /// A field whose texts the policy reads and whose numbers are hidden.
    Text = 32,
}

impl Plan {
    pub(crate) fn new(
        callsite: &'static Metadata<'static>,
        options: &Options,
        shape: &Shape,
    ) -> Self {
        let is_log = log_record::is_log_record(callsite);
        let keys: Box<[Key]> = callsite
            .fields()
            .iter()
            .map(|field| {
                let mut key = shape.key(options, field.name(), callsite.is_event());
                if log_record::is_origin_field(callsite, field.name())
                    || (callsite.is_span() && field.index() >= MOST_FIELDS)
                {
                    key.role = Role::Omitted;
                    key.role_of_bool = Role::Omitted;
                }
                key
            })
            .collect();
        let shown = || {
            keys.iter()
                .filter(|key| key.role != Role::Omitted || key.role_of_bool != Role::Omitted)
        };
        let message = keys.iter().position(|key| key.role == Role::Message);
        let mut seen = HashSet::new();
        let repeats = !shown().all(|key| seen.insert(key.member.as_bytes()));

        let (mut hidden, mut notes) = (0, Notes::default());
        for (index, key) in keys.iter().enumerate() {
            if key.role == Role::Hidden {
                hidden |= hidden_bit(index);
                notes.redacted.push(key.name());
            }
        }
        let (mut after_fields, mut location) = (Vec::new(), Vec::new());
        if !is_log {
            let line = callsite.line().map(u64::from);
            match shape.table.layout {
                Layout::Flat => shape.push_location(&mut location, options, callsite.file(), line),
                Layout::Nested => {
                    shape.push_target(&mut after_fields, options, callsite.target());
                    shape.push_location(&mut after_fields, options, callsite.file(), line);
                }
            }
        }
        // The source location stands before the thread: where there is none, it is part of the end.
        let mut close = Vec::new();
        if !shape.has_threads {
            close.append(&mut location);
        }
        close.extend(&shape.close);
        let context: Box<[Vec<u8>]> = if callsite.is_span() {
            let more = options.context_keys.iter().map(String::as_str);
            let names = CONTEXT_KEYS.into_iter().chain(more);
            let key = |name| shape.key(options, name, false).name().to_vec();
            names.map(key).collect()
        } else {
            Box::default()
        };
        let decides = keys.iter().filter_map(|key| {
            let place = context.iter().position(|name| name == key.name())?;
            pins_context(callsite).then(|| (key.bit, fragment::places(place)))
        });
        let decides = decides.collect();
        Self {
            head: Short::new(shape.head(options, callsite, is_log)),
            message_late: shape.table.layout == Layout::Flat
                && message.is_some_and(|index| index > 0),
            repeats,
            is_log,
            hidden,
            redacted: if options.redacted_list {
                notes.to_members()
            } else {
                Vec::new()
            },
            clean_message: OnceLock::new(),
            after_fields,
            location,
            close: Short::new(close),
            label: callsite.is_span().then(|| {
                Arc::new(Label {
                    callsite,
                    table: shape.table,
                    name: escape::quoted(&bounded(callsite.name())).into(),
                    list: options.span_list,
                    max_len: options.max_line,
                    context,
                })
            }),
            keys,
            decides,
        }
    }

    /// Which context keys are decided by a span that has values for the keys of these bits.
    #[inline]
    pub(crate) fn decided(&self, bits: u128) -> Places {
        let has_value = self.decides.iter().filter(|(bit, _)| bits & bit != 0);
        has_value.fold(0, |places, (_, place)| places | place)
    }
}

impl Key {
    /// As a JSON string.
    pub(crate) fn name(&self) -> &[u8] {
        let member = self.member.as_bytes();
        &member[1..member.len() - 1]
    }
}

/// A span shows no more fields than this.
const MOST_FIELDS: usize = 64;
