//! The encoder of values that are written in one step: the bytes in front, the value, the bytes
//! behind. The [`Encoder`] writes all other values.
//!
//! For a format that rewrites lines of JSON, each value is written in the format's own syntax. Only
//! a value that has to be rewritten becomes JSON first. No value is formatted twice.

use std::{error::Error, fmt};

use spanwise_core::internal::panic_safe;
use tracing_core::{Field, field::Visit};

use super::{Encoded, Encoder, Encoding, MemberStarts, Pass};
use crate::{
    digits::{push_i64, push_u64},
    escape,
    format::logfmt::unquote_word,
    format_table::Kind,
    line_buffer::LineBuffer,
    plan::{Key, Role},
    precomputed_key::{PrecomputedKey, ValueFrame},
    rewrite::RewrittenFields,
    text_value::{self, TextPolicy},
};

/// The keys of fields whose values are mostly written in one step.
pub(crate) struct PrecomputedKeys<'a> {
    pub(crate) keys: &'a [Key],
    /// The bytes around values, for each of `keys`.
    pub(crate) precomputed: &'a [PrecomputedKey],
    /// How the format writes fields, if it rewrites lines of JSON.
    pub(crate) rewritten: Option<RewrittenFields>,
}

/// Like [`encode`](super::encode), for callsites with converted keys, or for a format that rewrites
/// lines of JSON.
#[inline]
pub(crate) fn encode_precomputed(
    line: &mut LineBuffer,
    keys: &PrecomputedKeys<'_>,
    pass: Pass,
    encoding: Encoding<'_>,
    encoded: &mut Encoded,
    starts: &mut MemberStarts,
    record: impl Fn(&mut dyn Visit),
) {
    let PrecomputedKeys {
        keys,
        precomputed,
        rewritten,
    } = *keys;
    let encoder = Encoder::new(line, keys, pass, encoding, encoded, starts);
    let mut encoder = OneStepEncoder {
        encoder,
        precomputed,
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

struct OneStepEncoder<'a> {
    encoder: Encoder<'a>,
    precomputed: &'a [PrecomputedKey],
    rewritten: Option<RewrittenFields>,
    /// The offset of a member that was written as JSON and has to be rewritten.
    json_start: Option<usize>,
}

impl<'a> OneStepEncoder<'a> {
    /// Appends the bytes in front of a value. Returns `None` if the value is not written in one
    /// step.
    #[inline]
    fn begin(
        &mut self,
        field: &Field,
        wanted: u8,
        frame: impl FnOnce(&'a PrecomputedKey) -> &'a ValueFrame,
    ) -> Option<(&'a PrecomputedKey, &'a ValueFrame)> {
        let index = field.index();
        let key = self.precomputed.get(index)?;
        let frame = frame(key);
        let encoder = &mut self.encoder;
        if frame.role & wanted == 0 || index < encoder.resume_at {
            return None;
        }
        encoder.at = index;
        encoder.note_member(index);
        encoder.line.push_padded(&frame.opening);
        encoder.value_start = encoder.line.len();
        Some((key, frame))
    }

    #[inline]
    fn begin_number(
        &mut self,
        field: &Field,
        frame: impl FnOnce(&'a PrecomputedKey) -> &'a ValueFrame,
    ) -> Option<&'a ValueFrame> {
        let wanted = self.encoder.pass as u8 & !(Role::ScannedText as u8);
        let (_, frame) = self.begin(field, wanted, frame)?;
        Some(frame)
    }

    #[inline]
    fn begin_text(&mut self, field: &Field) -> Option<(&'a PrecomputedKey, &'a ValueFrame)> {
        self.begin(field, self.encoder.pass as u8, |key| &key.text)
    }

    /// Handles a value that is not written in one step.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn write_by_encoder(&mut self, write: impl FnOnce(&mut Encoder<'a>)) {
        if self.rewritten.is_some() {
            self.json_start = Some(self.encoder.line.len());
        }
        write(&mut self.encoder);
        self.rewrite_json();
    }

    /// Rewrites the member at the end of the line, if it is JSON.
    fn rewrite_json(&mut self) {
        let Some((start, rewritten)) = self.json_start.take().zip(self.rewritten) else {
            return;
        };
        let line = &mut *self.encoder.line;
        let json = line.as_bytes()[start..].to_vec();
        line.truncate(start);
        (rewritten.rewrite)(&json, line);
    }

    /// Replaces the value that panicked. Returns false if no value was being encoded.
    #[cold]
    fn replace_panicked_value(&mut self) -> bool {
        if self.rewritten.is_none() || self.json_start.is_some() {
            let is_replaced = self.encoder.replace_panicked_value();
            self.rewrite_json();
            return is_replaced;
        }
        let encoder = &mut self.encoder;
        let Some(key) = self
            .precomputed
            .get(encoder.at)
            .filter(|_| encoder.value_start > 0)
        else {
            return false;
        };
        if encoder.at < encoder.resume_at {
            return false;
        }
        encoder.line.truncate(encoder.value_start);
        encoder.line.push(&escape::quoted(panic_safe::PANICKED));
        encoder.resume_at = encoder.at + 1;
        self.end_text(&key.text);
        true
    }

    /// Appends the bytes behind a value. Most values have none.
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
    fn end_text(&mut self, frame: &ValueFrame) {
        if self.rewritten.is_some_and(|fields| fields.has_words) {
            unquote_word(self.encoder.line, self.encoder.value_start);
        }
        self.end(frame);
    }

    #[inline]
    fn text_policy(&self, key: &PrecomputedKey, field: &Field) -> Option<TextPolicy<'a>> {
        self.encoder.encoding.policy?;
        self.encoder.text_policy(key.text_role, field)
    }

    /// Returns whether the value that was written is a text that the format surely does not
    /// replace.
    #[inline]
    fn is_as_planned(&self, key: &PrecomputedKey) -> bool {
        match &self.encoder.line.as_bytes()[self.encoder.value_start..] {
            [b'"', first, ..] => !key.has_blank || first.is_ascii_alphanumeric(),
            _ => false,
        }
    }

    /// Ends a member whose value may be blank, or is not a text, by its conversion.
    #[cold]
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn convert_text(&mut self, frame: &ValueFrame) {
        self.note_text_start(frame);
        let encoder = &mut self.encoder;
        let Some(key) = encoder.keys.get(encoder.at) else {
            return;
        };
        let conversion = key.conversion.as_deref();
        if self.rewritten.is_some() {
            // Replaces the opening in the format's syntax by that of JSON.
            let opening =
                conversion.map_or(key.opening.as_bytes(), |own| own.opening_for(Kind::Text));
            let member_start = encoder.written.member_start;
            encoder
                .line
                .splice(member_start..encoder.value_start, opening);
            encoder.value_start = member_start + opening.len();
            encoder.written.value_start = encoder.value_start;
            self.json_start = Some(member_start);
        }
        if let Some(conversion) = conversion {
            encoder.finish_converted(conversion, Kind::Text);
        }
        self.rewrite_json();
    }

    /// Notes the offsets of the member and of its value, which the conversion of a text needs.
    #[inline]
    fn note_text_start(&mut self, frame: &ValueFrame) {
        let encoder = &mut self.encoder;
        encoder.written.value_start = encoder.value_start;
        encoder.written.member_start = encoder.value_start - frame.opening.as_bytes().len();
    }
}

impl Visit for OneStepEncoder<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        // Receivers of rewritten lines may read only 63 bits.
        let fits = self.rewritten.is_none() || i64::try_from(value).is_ok();
        if fits && let Some(frame) = self.begin_number(field, |key| &key.integer) {
            push_u64(self.encoder.line, value);
            return self.end(frame);
        }
        self.write_by_encoder(|encoder| encoder.record_u64(field, value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        let Some(frame) = self.begin_number(field, |key| &key.integer) else {
            return self.write_by_encoder(|encoder| encoder.record_i64(field, value));
        };
        push_i64(self.encoder.line, value);
        self.end(frame);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.write_by_encoder(|encoder| encoder.record_u128(field, value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.write_by_encoder(|encoder| encoder.record_i128(field, value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite()
            && let Some(frame) = self.begin_number(field, |key| &key.float)
        {
            let line = &mut *self.encoder.line;
            line.push_small(zmij::Buffer::new().format_finite(value).as_bytes());
            return self.end(frame);
        }
        self.write_by_encoder(|encoder| encoder.record_f64(field, value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        let wanted = self.encoder.pass as u8;
        let Some((_, frame)) = self.begin(field, wanted, |key| &key.boolean) else {
            return self.write_by_encoder(|encoder| encoder.record_bool(field, value));
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
            return self.write_by_encoder(|encoder| encoder.record_str(field, value));
        };
        let text_policy = self.text_policy(key, field);
        let line = &mut *self.encoder.line;
        let alteration = text_value::push_str(line, value, key.max_len, text_policy);
        match key.has_blank && !self.is_as_planned(key) {
            true => self.convert_text(frame),
            false => self.end_text(frame),
        }
        self.encoder.end(alteration);
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.write_by_encoder(|encoder| encoder.record_bytes(field, value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.write_by_encoder(|encoder| encoder.record_error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let Some((key, frame)) = self.begin_text(field) else {
            return self.write_by_encoder(|encoder| encoder.record_debug(field, value));
        };
        let text_policy = self.text_policy(key, field);
        // Noted before the value is formatted: if the value panics, the conversion of the text that
        // replaces it needs the offsets.
        self.note_text_start(frame);
        let line = &mut *self.encoder.line;
        let value = format_args!("{value:?}");
        let alteration = text_value::push_display(line, value, key.max_len, text_policy);
        match self.is_as_planned(key) {
            true => self.end_text(frame),
            false => self.convert_text(frame),
        }
        self.encoder.end(alteration);
    }
}
