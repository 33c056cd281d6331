//! The plan of a callsite: everything about its lines that depends on the callsite alone. A layer
//! computes the plan when it first sees the callsite.

use std::{collections::HashSet, error::Error, fmt, sync::OnceLock};

use spanwise_core::{
    Redact,
    internal::{LineDisposition, ShardedArc, log_record, pins_context},
};
use tracing_core::{Field, Metadata, field::Visit};

use crate::{
    altered_fields::AlteredFields,
    builder::Options,
    clean_texts::CleanTexts,
    conversion::{Conversion, Rule},
    escape,
    format_table::{ERROR_NAMES, ErrorPart, ErrorShape, FormatTable, Layout, PartInputs},
    json_lexer::string_end,
    line_buffer::PaddedBytes,
    line_template::{FieldSource, LineTemplate, plain_name, push_parts, text_policy},
    member_keys::{KeyId, NO_KEY_ID, OwnKeys},
    rewritten_plan::RewrittenPlan,
    span_plan::{ContextBits, ContextKey, PinnedKeys, SpanPlan},
    stored_values::StoredFields,
    value_starts::ValueStarts,
    visit::{Encoded, FieldSet, MemberStarts, redacted_bit},
};

#[derive(Debug)]
pub(crate) struct Plan {
    /// The bytes between the text of the timestamp and the first field. Empty for records of `log`,
    /// because each has a target of its own.
    pub(crate) head: PaddedBytes<64>,
    /// The keys of the fields, in their order. If the format shows errors in its own way, the first
    /// field with the name of an error is treated as the error.
    pub(crate) keys: Box<[Key]>,
    /// For each further field with the name of an error: its index, and the keys that treat it as
    /// the error. Only the values show which field is the error. Empty if the format shows an error
    /// like any other field.
    pub(crate) other_errors: Box<[(usize, Box<[Key]>)]>,
    /// For an event whose lines are mostly written directly in a syntax that is not flat JSON.
    pub(crate) rewritten: Option<RewrittenPlan>,
    /// Whether the message is not the first field of the callsite. Lines show it first.
    pub(crate) message_not_first: bool,
    /// Whether the fields are visited once, in their order, with `keys`.
    pub(crate) is_visited_once: bool,
    /// Whether two fields may become members with the same key.
    pub(crate) has_repeated_keys: bool,
    /// The message, if the format requires a message.
    pub(crate) required_message: Option<RequiredMessage>,
    /// The bits of all keys.
    pub(crate) bits: u128,
    /// Whether all members have key ids, and no two can have the same key.
    has_key_ids: bool,
    /// Whether a field may have the key of an error's message, in a format with a member for each
    /// part of an error. The keys of all these parts then count as keys of the event, so that no
    /// line shows parts of two errors.
    pub(crate) has_error_key: bool,
    /// Whether the callsite is one of `tracing-log`.
    pub(crate) is_log: bool,
    /// Whether events of the callsite are `log` records, or headers of dumps of a recorder.
    pub(crate) is_uncommon: bool,
    /// Whether lines may have the origin of a `log` record, a thread or an addition.
    pub(crate) has_rare_members: bool,
    /// The maximum length, in bytes, of a line that is written as it was assembled. 0 if no line
    /// is: the format rewrites lines, they may have an addition, or they are headers of dumps.
    pub(crate) max_plain: usize,
    /// Whether lines may have the [addition](crate::addition::Addition) of the format.
    pub(crate) has_addition: bool,
    /// The fields that are redacted because of their key, a bit each.
    pub(crate) redacted_bits: u128,
    /// The member `redacted` that lists all the fields of `redacted_bits`.
    pub(crate) redacted_member: Vec<u8>,
    /// The first four members `redacted` with other lists that lines of the callsite had.
    other_redacted_members: [OnceLock<RedactedMember>; 4],
    /// For each key, texts that the policy leaves unchanged. Empty if the policy scans no text.
    pub(crate) clean_texts: Box<[CleanTexts]>,
    /// The bytes between the fields of the event and those of the spans. Nested lines only.
    pub(crate) after_fields: Vec<u8>,
    /// The source location, if lines may have a thread or an addition. In all other flat lines, the
    /// location is part of `close`, and in nested lines, of `after_fields`.
    pub(crate) location: Vec<u8>,
    /// The end of the line: the members that are the same in all lines of the callsite.
    pub(crate) close: PaddedBytes<32>,
    /// The part of the plan for spans. `None` for the callsite of an event.
    pub(crate) span_plan: Option<ShardedArc<SpanPlan>>,
    /// The fields that [pin](crate::span_plan) a context key. Empty unless spans of the callsite
    /// pin context.
    pinning_fields: Box<[PinningField]>,
    pinned_keys: PinnedKeys,
    /// See [`stored_fields`](Self::stored_fields).
    stored_fields: OnceLock<StoredFields>,
}

/// A member `redacted`.
#[derive(Debug)]
struct RedactedMember {
    /// The listed fields: [`Encoded::redacted_bits`] and [`Encoded::redacted_texts`].
    redacted: (u128, u64),
    member: Vec<u8>,
}

/// A field that pins a context key.
#[derive(Debug)]
struct PinningField {
    /// The index of the field in the callsite.
    field_index: usize,
    /// The index of the key in [`SpanPlan::context`].
    context_index: usize,
}

/// A message that the format requires.
#[derive(Debug)]
pub(crate) struct RequiredMessage {
    /// The index of the message's field in the callsite.
    pub(crate) index: usize,
    /// The offset of the message's text from the start of the fields. `None` if the callsite alone
    /// does not show which member is the message.
    pub(crate) text_at: Option<usize>,
}

/// How the values of a field are written, and under which keys.
#[derive(Debug)]
pub(crate) struct Key {
    /// The bytes in front of values, mostly the opening of a member: `,"key":`.
    pub(crate) starts: ValueStarts,
    /// The bits of the keys that a member of the field may have, mostly one of 128 bits. If two
    /// fields have no bit in common, they have no key in common.
    pub(crate) bits: u128,
    /// The id of the key. [`NO_KEY_ID`] if the values are converted, or if the layer has no more
    /// ids.
    pub(crate) key_id: KeyId,
    /// The ids of all keys that a member of the field may have.
    pub(crate) key_ids: Box<[KeyId]>,
    /// The treatment of all values except booleans. If it is [`Role::Converted`], `starts` has the
    /// treatment of values that need no conversion.
    pub(crate) role: Role,
    pub(crate) role_of_bool: Role,
    /// The maximum length of a value's text, in bytes.
    pub(crate) max_len: usize,
    /// The conversion, for the role [`Role::Converted`].
    pub(crate) conversion: Option<Box<Conversion>>,
}

/// The treatment of a field. Each role has a bit, so that one test decides whether a value is
/// written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub(crate) enum Role {
    #[default]
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
    /// Written in the format's own way, by a [`Conversion`].
    Converted = 64,
}

impl Plan {
    pub(crate) fn new(
        callsite: &'static Metadata<'static>,
        options: &Options,
        template: &LineTemplate,
    ) -> Self {
        let is_log = log_record::is_log_record(callsite);
        let is_dump_header = callsite.target() == LineDisposition::HEADER_TARGET;
        let mut errors = error_fields(callsite, template.table);
        let keys = field_keys(callsite, options, template, errors.next());
        let other_errors: Box<[_]> = errors
            .map(|error| (error, field_keys(callsite, options, template, Some(error))))
            .collect();
        let has_other_errors = !other_errors.is_empty();
        let has_repeated_keys = has_repeated_keys(&keys)
            || other_errors.iter().any(|(_, keys)| has_repeated_keys(keys));
        let message = keys.iter().position(Key::is_message);
        let table = template.table;
        let message_not_first =
            table.layout == Layout::Flat && message.is_some_and(|index| index > 0);

        let (mut redacted_bits, mut altered) = (0, AlteredFields::default());
        for (index, key) in keys.iter().enumerate() {
            if key.field_role() == Role::Redacted {
                redacted_bits |= redacted_bit(index);
                altered.redacted.push(key.name());
            }
        }
        if !options.lists_redacted_fields {
            altered = AlteredFields::default();
        }
        let (mut after_fields, mut location) = (Vec::new(), Vec::new());
        let has_addition = table.addition.is_some_and(|addition| {
            let mut fields = callsite.fields().iter();
            fields.any(|field| {
                let name = plain_name(field.name());
                let (name, _) = template.field_name(options, name, FieldSource::Event);
                (addition.applies)(&name)
            })
        });
        // The location comes after the addition and before the thread. If a line can have neither,
        // the location is part of `close`.
        let is_location_separate = template.has_threads || has_addition;
        let inputs = PartInputs::new(options, callsite, None);
        let mut head = Vec::new();
        if !is_log {
            head = template.head(&inputs, message.is_some() || callsite.is_span());
            let origin_part = match table.layout {
                Layout::Flat => &mut location,
                Layout::Nested => &mut after_fields,
            };
            push_parts(origin_part, table.origin, &inputs);
        }
        let mut close = Vec::new();
        if !is_location_separate {
            close.append(&mut location);
        }
        close.extend(&template.close);
        let is_scanned = text_policy(template, options).is_some();
        let clean_texts = keys.iter().filter(|_| is_scanned);
        let clean_texts = clean_texts.map(|_| CleanTexts::default()).collect();
        let span_plan = callsite
            .is_span()
            .then(|| SpanPlan::new(callsite, options, template));
        let pinning_fields = match &span_plan {
            Some(plan) if pins_context(callsite) => pinning_fields(&keys, &plan.context),
            _ => Box::default(),
        };
        // A format may move hexadecimal ids out of the fields. For this, it needs the whole line.
        let has_hoisted_ids = keys.iter().any(|key| {
            let conversion = key.conversion.as_deref();
            conversion.is_some_and(|conversion| matches!(conversion.rule, Rule::Hex { .. }))
        });
        let can_be_written_by_parts = callsite.is_event()
            && !is_log
            && !has_hoisted_ids
            && !has_other_errors
            && !has_repeated_keys
            && !has_addition
            && keys.len() <= MAX_SPAN_FIELDS
            && template.timestamp.is_some();
        let by_parts = table.rewrite.and_then(|rewrite| rewrite.by_parts);
        let rewritten = by_parts
            .filter(|_| can_be_written_by_parts)
            .map(|by_parts| RewrittenPlan::new(by_parts, template, &keys, &head, &close));
        let others = other_errors.iter().flat_map(|(_, keys)| keys);
        let all_bits = keys
            .iter()
            .chain(others)
            .fold(0, |bits, key| bits | key.bits);
        Self {
            head: PaddedBytes::new(head),
            is_visited_once: !message_not_first && !has_other_errors,
            rewritten,
            other_errors,
            message_not_first,
            has_repeated_keys,
            required_message: message
                .filter(|_| table.message.missing.is_some())
                .map(|index| RequiredMessage {
                    index,
                    text_at: (!has_repeated_keys && keys.len() <= MAX_SPAN_FIELDS)
                        .then(|| keys[index].opening().len() + 1),
                }),
            bits: all_bits,
            has_key_ids: !has_repeated_keys
                && !has_other_errors
                && !has_error_key(&keys, table)
                && keys.len() <= MAX_SPAN_FIELDS
                && keys
                    .iter()
                    .filter(|key| key.is_shown())
                    .all(|key| key.key_id != NO_KEY_ID),
            has_error_key: has_error_key(&keys, table) || has_other_errors,
            is_log,
            is_uncommon: is_log || is_dump_header,
            has_rare_members: is_log || template.has_threads || has_addition,
            max_plain: match table.rewrite.is_some() || has_addition || is_dump_header {
                true => 0,
                false => template.max_line,
            },
            has_addition,
            redacted_bits,
            redacted_member: altered.to_members(table),
            other_redacted_members: [const { OnceLock::new() }; 4],
            clean_texts,
            after_fields,
            location,
            close: PaddedBytes::new(close),
            span_plan: span_plan.map(ShardedArc::new),
            keys,
            pinning_fields,
            pinned_keys: template.pinned_keys.clone(),
            stored_fields: OnceLock::new(),
        }
    }

    /// Returns how the values of an event of the callsite are stored for a recorder. Returns `None`
    /// if the line must be encoded at once.
    #[inline]
    pub(crate) fn stored_fields(&self, policy: Option<&dyn Redact>) -> Option<&StoredFields> {
        if self.is_uncommon || !self.other_errors.is_empty() {
            return None;
        }
        let fields = self
            .stored_fields
            .get_or_init(|| StoredFields::new(&self.keys, policy));
        fields.can_be_stored().then_some(fields)
    }

    /// Returns the member that lists these redacted fields, if an earlier line had the same list.
    /// `redacted` is as in [`RedactedMember`].
    pub(crate) fn known_member(&self, redacted: (u128, u64)) -> Option<&[u8]> {
        let mut members = self.other_redacted_members.iter().map_while(OnceLock::get);
        let same_list = members.find(|known| known.redacted == redacted)?;
        Some(&same_list.member)
    }

    /// Remembers the member for [`known_member`](Self::known_member), unless all slots are used.
    pub(crate) fn remember_member(&self, redacted: (u128, u64), member: Vec<u8>) {
        let mut slots = self.other_redacted_members.iter();
        if let Some(free_slot) = slots.find(|slot| slot.get().is_none()) {
            free_slot.get_or_init(|| RedactedMember { redacted, member });
        }
    }

    /// Returns the keys for the values that `record` visits, and the index of the field that is the
    /// error. The index is `None` if no value can be the error, or if only one field can.
    ///
    /// The error is the field `known_error`, if the caller knows it. Otherwise, it is a field with
    /// the name of an error: the first whose value is an error, or else the first with a text.
    #[cold]
    pub(crate) fn keys_for(
        &self,
        known_error: Option<usize>,
        record: &dyn Fn(&mut dyn Visit),
    ) -> (&[Key], Option<usize>) {
        let mut finder = ErrorFinder::default();
        if !self.other_errors.is_empty() && known_error.is_none() {
            record(&mut finder);
        }
        let error = known_error.or(finder.error).or(finder.text);
        let mut others = self.other_errors.iter();
        let other = others.find(|(index, _)| Some(*index) == error);
        (other.map_or(&self.keys, |(_, keys)| keys), error)
    }

    /// Returns the context keys that a span pins if these fields have values.
    #[inline]
    pub(crate) fn pinned(&self, fields: FieldSet) -> ContextBits {
        let all = self.pinning_fields.iter();
        let with_value = all.filter(|pinning| fields.has(pinning.field_index));
        with_value.fold(0, |bits, pinning| {
            bits | self.pinned_keys.bit(pinning.context_index)
        })
    }

    /// Lists the keys of a span's members, which end at the offset `end` of the line. Returns
    /// false, and lists nothing, if a member may have no key id, or if [`OwnKeys::list`] fails.
    #[inline]
    pub(crate) fn list_own_keys(
        &self,
        encoded: &Encoded,
        starts: &mut MemberStarts,
        end: usize,
        list: &mut OwnKeys,
    ) -> bool {
        list.clear();
        self.has_key_ids && list.list(encoded, starts, end, &self.keys)
    }

    /// Returns the bits of the keys of these fields. Returns the bits of all fields if the callsite
    /// has more than [`MAX_SPAN_FIELDS`] fields, or `other_errors`.
    #[inline]
    pub(crate) fn bits_of(&self, fields: FieldSet) -> u128 {
        if self.keys.len() > MAX_SPAN_FIELDS || !self.other_errors.is_empty() {
            return self.bits;
        }
        fields
            .iter()
            .fold(0, |bits, index| bits | self.keys[index].bits)
    }
}

/// Returns the indices of the fields that can be the error of the callsite. There are none if the
/// format shows an error like any other field.
fn error_fields(
    callsite: &'static Metadata<'static>,
    table: &FormatTable,
) -> impl Iterator<Item = usize> {
    let has_error_members = !matches!(table.error, ErrorShape::AsField);
    let fields = callsite.fields().iter().filter(move |_| has_error_members);
    let is_error = |field: &Field| ERROR_NAMES.contains(&plain_name(field.name()));
    fields.filter(is_error).map(|field| field.index())
}

/// Returns the keys of the fields. `error` is the index of the field that is treated as the error.
fn field_keys(
    callsite: &'static Metadata<'static>,
    options: &Options,
    template: &LineTemplate,
    error: Option<usize>,
) -> Box<[Key]> {
    let key = |field: Field| {
        let is_error = error.map(|error| error == field.index());
        let source = match (callsite.is_event(), is_error) {
            (true, Some(true)) => FieldSource::ErrorOfEvent,
            (true, Some(false)) => FieldSource::BesideErrorOfEvent,
            (true, None) => FieldSource::Event,
            (false, Some(true)) => FieldSource::ErrorOfSpan,
            (false, Some(false)) => FieldSource::BesideErrorOfSpan,
            (false, None) => FieldSource::Span,
        };
        let mut key = template.key(options, field.name(), source);
        if log_record::is_origin_field(callsite, field.name())
            || (callsite.is_span() && field.index() >= MAX_SPAN_FIELDS)
        {
            key.omit();
        }
        key
    };
    let mut keys: Vec<Key> = callsite.fields().iter().map(key).collect();
    for (index, field) in callsite.fields().iter().enumerate() {
        let is_taken = |opening: &[u8]| {
            let others = keys.iter().enumerate().filter(|(other, _)| *other != index);
            others
                .flat_map(|(_, key)| key.all_openings())
                .any(|other| other == opening)
        };
        if keys[index].chain_opening().is_some_and(is_taken) {
            template.displace_chain(&mut keys[index], plain_name(field.name()));
        }
    }
    keys.into()
}

/// Finds the fields with the name of an error whose values can be one.
#[derive(Default)]
struct ErrorFinder {
    /// The index of the first such field whose value is an error.
    error: Option<usize>,
    /// The index of the first such field whose value is a text.
    text: Option<usize>,
}

impl Visit for ErrorFinder {
    fn record_error(&mut self, field: &Field, _: &(dyn Error + 'static)) {
        if ERROR_NAMES.contains(&plain_name(field.name())) {
            self.error.get_or_insert(field.index());
        }
    }

    /// Receives texts only, because all other values have methods of their own here.
    fn record_debug(&mut self, field: &Field, _: &dyn fmt::Debug) {
        if ERROR_NAMES.contains(&plain_name(field.name())) {
            self.text.get_or_insert(field.index());
        }
    }

    fn record_f64(&mut self, _: &Field, _: f64) {}

    fn record_i64(&mut self, _: &Field, _: i64) {}

    fn record_u64(&mut self, _: &Field, _: u64) {}

    fn record_i128(&mut self, _: &Field, _: i128) {}

    fn record_u128(&mut self, _: &Field, _: u128) {}

    fn record_bool(&mut self, _: &Field, _: bool) {}

    fn record_bytes(&mut self, _: &Field, _: &[u8]) {}
}

/// Returns the fields with context keys: see [`Plan::pinning_fields`].
fn pinning_fields(keys: &[Key], context: &[ContextKey]) -> Box<[PinningField]> {
    let pinning = |(field_index, key): (usize, &Key)| {
        let context_index = context.iter().position(|known| known.has(key.opening()))?;
        Some(PinningField {
            field_index,
            context_index,
        })
    };
    keys.iter().enumerate().filter_map(pinning).collect()
}

/// Returns whether a field may have the key of an error's message, in a format with a member for
/// each part of an error. See [`KeySet`](crate::json_lexer::KeySet).
fn has_error_key(keys: &[Key], table: &FormatTable) -> bool {
    let Some(message) = table.error_keys().next().map(escape::quoted) else {
        return false;
    };
    let has_message = |key: &Key| match &key.conversion {
        None => key.name() == message,
        Some(conversion) => conversion
            .all_openings()
            .any(|opening| quoted_key(opening) == message),
    };
    keys.iter().any(has_message)
}

/// Returns whether two of the fields may become members with the same key.
fn has_repeated_keys(keys: &[Key]) -> bool {
    let mut seen = HashSet::new();
    for key in keys.iter().filter(|key| key.is_shown()) {
        let openings: HashSet<&[u8]> = key.all_openings().collect();
        if !openings.is_disjoint(&seen) {
            return true;
        }
        seen.extend(openings);
    }
    false
}

impl Key {
    /// Returns the opening of a member. If the values are converted, returns the opening of a text.
    #[inline]
    pub(crate) fn opening(&self) -> &[u8] {
        self.starts.text.opening.as_bytes()
    }

    fn omit(&mut self) {
        (self.role, self.role_of_bool) = (Role::Omitted, Role::Omitted);
        self.starts.omit();
    }

    fn is_shown(&self) -> bool {
        self.role != Role::Omitted || self.role_of_bool != Role::Omitted
    }

    /// Returns the treatment of the field. If its values are converted, returns the role that the
    /// conversion has, not [`Role::Converted`].
    pub(crate) fn field_role(&self) -> Role {
        match &self.conversion {
            Some(conversion) => conversion.role,
            None => self.role,
        }
    }

    /// Returns the opening of each member that the field may become.
    pub(crate) fn all_openings(&self) -> impl Iterator<Item = &[u8]> {
        let plain = match &self.conversion {
            None => Some(self.opening()),
            Some(_) => None,
        };
        let conversions = self.conversion.iter();
        let converted = conversions.flat_map(|conversion| conversion.all_openings());
        plain.into_iter().chain(converted)
    }

    /// Returns the opening of the member with the causes of an error that is not the error of the
    /// event or span.
    fn chain_opening(&self) -> Option<&[u8]> {
        let error = self.conversion.as_ref()?.error.as_ref()?;
        let chain = error
            .parts
            .iter()
            .find(|(part, _)| *part == ErrorPart::Chain);
        chain
            .filter(|_| error.is_further)
            .map(|(_, opening)| &**opening)
    }

    pub(crate) fn is_message(&self) -> bool {
        self.field_role() == Role::Message
    }

    /// Returns the key as a JSON string.
    pub(crate) fn name(&self) -> &[u8] {
        quoted_key(self.opening())
    }
}

/// Returns the key of a member as a JSON string.
pub(crate) fn quoted_key(member: &[u8]) -> &[u8] {
    &member[1..string_end(member, 1)]
}

/// The maximum number of fields that a span shows.
pub(crate) const MAX_SPAN_FIELDS: usize = 64;
