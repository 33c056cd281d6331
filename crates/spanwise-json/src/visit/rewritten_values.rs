//! The encoder of fields in the syntax of a format that [rewrites](crate::rewrite) JSON.
//!
//! Most values are written in one step: the bytes in front, the value, the bytes behind. For all
//! other values, the [`Encoder`] writes JSON, which is then rewritten. A value is formatted only
//! once, unless the whole line turns out to need flat JSON, for example because it is too long.

use std::{error::Error, fmt};

use spanwise_core::internal::panic_safe;
use tracing_core::{Field, field::Visit};

use super::{Encoded, Encoder, Encoding, MemberStarts, Pass};
use crate::{
    digits::{push_i64, push_u64},
    escape,
    format::logfmt::{push_word, unquote_word},
    line_buffer::LineBuffer,
    plan::Key,
    rewritten_plan::{RewrittenKey, RewrittenPlan, ValueFrame},
    text_value::{self, Alteration},
};

/// Like [`encode`](super::encode), in the format's own syntax. `rewritten` is the plan for `keys`.
#[inline]
pub(crate) fn encode_rewritten(
    line: &mut LineBuffer,
    (keys, rewritten): (&[Key], &RewrittenPlan),
    pass: Pass,
    encoding: Encoding<'_>,
    encoded: &mut Encoded,
    starts: &mut MemberStarts,
    record: impl Fn(&mut dyn Visit),
) {
    let mut encoder = RewrittenEncoder {
        encoder: Encoder::new(line, keys, pass, encoding, encoded, starts),
        rewritten,
        json_start: None,
    };
    while panic_safe::catch_panic(|| record(&mut encoder)).is_none() {
        if !encoder.replace_panicked_value() {
            break;
        }
    }
    encoder.encoder.finish();
}

struct RewrittenEncoder<'a> {
    encoder: Encoder<'a>,
    rewritten: &'a RewrittenPlan,
    /// The offset of the member that is written as JSON and will be rewritten, if there is one.
    json_start: Option<usize>,
}

impl<'a> RewrittenEncoder<'a> {
    /// Appends the bytes in front of a value. Appends nothing, and returns `None`, if the value is
    /// not written in one step.
    #[inline]
    fn begin(
        &mut self,
        field: &Field,
        wanted_roles: u8,
        frame: impl FnOnce(&'a RewrittenKey) -> &'a ValueFrame,
    ) -> Option<(&'a RewrittenKey, &'a ValueFrame)> {
        let index = field.index();
        let key = self.rewritten.keys.get(index)?;
        let frame = frame(key);
        let encoder = &mut self.encoder;
        if frame.role as u8 & wanted_roles == 0 || index < encoder.resume_at {
            return None;
        }
        encoder.field_index = index;
        // Unlike `Encoder::note_member`, stores no offset: only flat JSON needs it.
        encoder.fields.add(index);
        encoder.line.push_padded(&frame.opening);
        encoder.value_start = encoder.line.len();
        Some((key, frame))
    }

    #[inline]
    fn begin_number(
        &mut self,
        field: &Field,
        frame: impl FnOnce(&'a RewrittenKey) -> &'a ValueFrame,
    ) -> Option<&'a ValueFrame> {
        let wanted_roles = self.encoder.number_roles();
        let (_, frame) = self.begin(field, wanted_roles, frame)?;
        Some(frame)
    }

    #[inline]
    fn begin_text(&mut self, field: &Field) -> Option<(&'a RewrittenKey, &'a ValueFrame)> {
        self.begin(field, self.encoder.pass as u8, |key| &key.text)
    }

    /// Calls `write`, which writes a member as JSON, and rewrites the member.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn write_as_json(&mut self, write: impl FnOnce(&mut Encoder<'a>)) {
        self.json_start = Some(self.encoder.line.len());
        write(&mut self.encoder);
        self.rewrite_json();
    }

    /// Rewrites the member from `json_start` to the end of the line, if `json_start` is set.
    fn rewrite_json(&mut self) {
        let Some(start) = self.json_start.take() else {
            return;
        };
        let line = &mut *self.encoder.line;
        let json = line.as_bytes()[start..].to_vec();
        line.truncate(start);
        (self.rewritten.by_parts.fields)(&json, line);
    }

    /// Replaces the value that panicked. Returns false if no value was being encoded.
    #[cold]
    fn replace_panicked_value(&mut self) -> bool {
        if self.json_start.is_some() {
            let is_replaced = self.encoder.replace_panicked_value();
            self.rewrite_json();
            return is_replaced;
        }
        let encoder = &mut self.encoder;
        let key = self.rewritten.keys.get(encoder.field_index);
        let Some(key) = key.filter(|_| encoder.value_start > 0) else {
            return false;
        };
        if encoder.field_index < encoder.resume_at {
            return false;
        }
        encoder.line.truncate(encoder.value_start);
        encoder.line.push(&escape::quoted(panic_safe::PANICKED));
        encoder.resume_at = encoder.field_index + 1;
        self.end_text(&key.text, Alteration::NONE);
        true
    }

    /// Appends the bytes behind a value.
    #[inline]
    fn end(&mut self, frame: &ValueFrame) {
        if frame.closing_len > 0 {
            let line = &mut *self.encoder.line;
            line.push_block(&frame.closing, usize::from(frame.closing_len));
        }
    }

    /// Removes the quotes of a text if the format writes it without quotes, and appends the bytes
    /// behind it.
    #[inline]
    fn end_text(&mut self, frame: &ValueFrame, alteration: Alteration) {
        if alteration != Alteration::NONE {
            return self.end_altered(frame, alteration);
        }
        if self.rewritten.by_parts.has_words {
            unquote_word(self.encoder.line, self.encoder.value_start);
        }
        self.end(frame);
    }

    /// Like [`end_text`](Self::end_text), for a value with alterations. Lists the field.
    #[cold]
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn end_altered(&mut self, frame: &ValueFrame, alteration: Alteration) {
        if alteration.has(Alteration::NESTED) {
            self.rewrite_nested(frame);
        } else {
            self.end_text(frame, Alteration::NONE);
        }
        self.encoder.end(alteration.without(Alteration::NESTED));
    }

    /// Rewrites a member whose value turned out to be nested JSON.
    fn rewrite_nested(&mut self, frame: &ValueFrame) {
        let encoder = &mut self.encoder;
        let Some(key) = encoder.keys.get(encoder.field_index) else {
            return;
        };
        // The opening is in the format's syntax. Replaces it by the opening in JSON.
        let member_start = encoder.value_start - frame.opening.as_bytes().len();
        let opening = key.opening();
        encoder
            .line
            .splice(member_start..encoder.value_start, opening);
        encoder.value_start = member_start + opening.len();
        self.json_start = Some(member_start);
        encoder.end(Alteration::NESTED);
        self.rewrite_json();
    }
}

impl Visit for RewrittenEncoder<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        // Receivers of rewritten lines may read only 63 bits.
        if i64::try_from(value).is_ok()
            && let Some(frame) = self.begin_number(field, |key| &key.integer)
        {
            push_u64(self.encoder.line, value);
            return self.end(frame);
        }
        self.write_as_json(|encoder| encoder.record_u64(field, value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        let Some(frame) = self.begin_number(field, |key| &key.integer) else {
            return self.write_as_json(|encoder| encoder.record_i64(field, value));
        };
        push_i64(self.encoder.line, value);
        self.end(frame);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.write_as_json(|encoder| encoder.record_u128(field, value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.write_as_json(|encoder| encoder.record_i128(field, value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite()
            && let Some(frame) = self.begin_number(field, |key| &key.float)
        {
            let line = &mut *self.encoder.line;
            line.push_small(zmij::Buffer::new().format_finite(value).as_bytes());
            return self.end(frame);
        }
        self.write_as_json(|encoder| encoder.record_f64(field, value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        let wanted_roles = self.encoder.pass as u8;
        let Some((_, frame)) = self.begin(field, wanted_roles, |key| &key.boolean) else {
            return self.write_as_json(|encoder| encoder.record_bool(field, value));
        };
        let (block, len) = match value {
            true => (b"true    ", 4),
            false => (b"false   ", 5),
        };
        self.encoder.line.push_block(block, len);
        self.end(frame);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let Some((key, frame)) = self.begin_text(field) else {
            return self.write_as_json(|encoder| encoder.record_str(field, value));
        };
        let text_policy = self.encoder.text_policy(frame.role, field);
        let line = &mut *self.encoder.line;
        let is_whole = text_policy.is_none() && value.len() <= key.max_len;
        let has_words = self.rewritten.by_parts.has_words;
        if is_whole && !has_words {
            escape::push_quoted(line, value);
            return self.end(frame);
        }
        if is_whole && push_word(line, value) {
            return self.end(frame);
        }
        let alteration = text_value::push_str(line, value, key.max_len, text_policy);
        self.end_text(frame, alteration);
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.write_as_json(|encoder| encoder.record_bytes(field, value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.write_as_json(|encoder| encoder.record_error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let Some((key, frame)) = self.begin_text(field) else {
            return self.write_as_json(|encoder| encoder.record_debug(field, value));
        };
        let text_policy = self.encoder.text_policy(frame.role, field);
        let line = &mut *self.encoder.line;
        let value = format_args!("{value:?}");
        let alteration = text_value::push_display(line, value, key.max_len, text_policy);
        self.end_text(frame, alteration);
    }
}
