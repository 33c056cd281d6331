//! The encoder of fields: each becomes a member, `,"key":value`.

mod converted_values;
mod encoded;
mod error_values;
mod rewritten_values;

use std::{error::Error, fmt, sync::Arc};

use spanwise_core::{Redact, internal::panic_safe};
use tracing_core::{Field, field::Visit};

use self::{
    converted_values::FieldValue,
    encoded::REDACTED_TEXT_BITS,
    error_values::{push_error_object, push_error_text},
};
pub(crate) use self::{
    encoded::{Encoded, FieldSet, MemberStarts, redacted_bit},
    rewritten_values::encode_rewritten,
};
use crate::{
    clean_texts::CleanTexts,
    conversion::Written,
    digits::{push_i64, push_u64},
    escape,
    format_table::{Kind, Layout},
    line_buffer::{LineBuffer, PaddedBytes},
    line_template::plain_name,
    plan::{Key, MAX_SPAN_FIELDS, Role},
    text_value::{self, Alteration, TextPolicy},
    value_starts::ValueStart,
};

/// How values are encoded.
#[derive(Clone, Copy)]
pub(crate) struct Encoding<'a> {
    pub(crate) layout: Layout,
    /// The policy, if it scans text.
    pub(crate) policy: Option<&'a dyn Redact>,
    /// The policy, for values under keys that it replaces.
    pub(crate) replacer: &'a Arc<dyn Redact>,
    /// Whether the line lists redacted fields.
    pub(crate) lists_redacted_fields: bool,
    /// Whether the fields are those of an event, not of a span.
    pub(crate) is_event: bool,
    /// Whether values under keys that the policy replaces have already been replaced.
    pub(crate) are_replaced: bool,
    /// See [`Plan::clean_texts`](crate::plan::Plan::clean_texts).
    pub(crate) clean_texts: &'a [CleanTexts],
}

/// One visit of all fields, as a set of the [`Role`]s that it writes in one step. A message that
/// comes after other fields needs two passes: one for the message, and one for all other fields.
/// [`Encoder::encode_special`] handles values with other roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Pass {
    All = Role::Message as u8 | Role::Field as u8 | Role::Trusted as u8 | Role::ScannedText as u8,
    Message = Role::Message as u8,
    AllButMessage = Role::Field as u8 | Role::Trusted as u8 | Role::ScannedText as u8,
}

/// Appends the fields that `record` visits, under `keys` and with the treatment that `keys` has.
///
/// If a value panics while it is formatted, only its own text is lost: the bytes that it wrote are
/// removed, and `record` is called again for the fields after it.
#[inline(always)] // Every line takes each of these steps: inlined, they are one function.
pub(crate) fn encode(
    line: &mut LineBuffer,
    keys: &[Key],
    pass: Pass,
    encoding: Encoding<'_>,
    encoded: &mut Encoded,
    starts: &mut MemberStarts,
    record: impl Fn(&mut dyn Visit),
) {
    let mut encoder = Encoder::new(line, keys, pass, encoding, encoded, starts);
    while panic_safe::catch_panic(|| record(&mut encoder)).is_none() {
        if !encoder.replace_panicked_value() {
            break;
        }
    }
    encoder.finish();
}

struct Encoder<'a> {
    line: &'a mut LineBuffer,
    starts: &'a mut MemberStarts,
    keys: &'a [Key],
    pass: Pass,
    encoding: Encoding<'a>,
    encoded: &'a mut Encoded,
    /// Copies of the two fields of `encoded` that each value changes: `fields` and `member_count`.
    fields: FieldSet,
    member_count: u32,
    /// The index of the field being encoded.
    field_index: usize,
    /// The index of the first field that is not yet done, after a value has panicked. 0 before.
    resume_at: usize,
    /// The offset of the value being encoded. 0 before the first value.
    value_start: usize,
    /// The offsets of the value that is being converted.
    written: Written,
}

impl<'a> Encoder<'a> {
    #[inline(always)] // Two functions call it, each of them first.
    fn new(
        line: &'a mut LineBuffer,
        keys: &'a [Key],
        pass: Pass,
        encoding: Encoding<'a>,
        encoded: &'a mut Encoded,
        starts: &'a mut MemberStarts,
    ) -> Self {
        Self {
            line,
            starts,
            keys,
            pass,
            encoding,
            fields: encoded.fields,
            member_count: encoded.member_count,
            encoded,
            field_index: 0,
            resume_at: 0,
            value_start: 0,
            written: Written::default(),
        }
    }

    /// Copies the results back to `encoded`.
    #[inline(always)] // Two functions call it, each of them last.
    fn finish(self) {
        self.encoded.fields = self.fields;
        self.encoded.member_count = self.member_count;
    }

    /// Appends the bytes in front of a value, and returns its key. `start` returns the role of the
    /// value and these bytes. `wanted_roles` has the bits of the roles to write. For a value with
    /// another role, appends nothing and returns `None`. The caller then calls
    /// [`encode_special`](Self::encode_special).
    #[inline]
    fn begin(
        &mut self,
        field: &Field,
        wanted_roles: u8,
        start: impl FnOnce(&'a Key) -> (Role, &'a PaddedBytes<32>),
    ) -> Option<&'a Key> {
        let index = field.index();
        let key = self.keys.get(index)?;
        let (role, opening) = start(key);
        if role as u8 & wanted_roles == 0 || index < self.resume_at {
            return None;
        }
        self.field_index = index;
        self.note_member(index);
        self.line.push_padded(opening);
        self.value_start = self.line.len();
        Some(key)
    }

    /// Like [`begin`](Self::begin), for a value that is written in one step.
    #[inline]
    fn begin_value(
        &mut self,
        field: &Field,
        wanted_roles: u8,
        start: impl FnOnce(&'a Key) -> &'a ValueStart,
    ) -> Option<&'a Key> {
        self.begin(field, wanted_roles, |key| {
            let ValueStart { role, opening } = start(key);
            (*role, opening)
        })
    }

    /// Returns the roles of the numbers that this pass writes. It excludes numbers under keys whose
    /// texts are scanned, because [`encode_special`](Self::encode_special) redacts them.
    #[inline]
    fn number_roles(&self) -> u8 {
        self.pass as u8 & !(Role::ScannedText as u8)
    }

    /// Like [`begin_value`](Self::begin_value), for a number.
    #[inline]
    fn begin_number(
        &mut self,
        field: &Field,
        start: impl FnOnce(&'a Key) -> &'a ValueStart,
    ) -> Option<&'a Key> {
        self.begin_value(field, self.number_roles(), start)
    }

    #[inline]
    fn begin_text(&mut self, field: &Field) -> Option<&'a Key> {
        self.begin_value(field, self.pass as u8, |key| &key.starts.text)
    }

    /// Like [`begin`](Self::begin), for a value that is never written in one step if its field has
    /// a conversion.
    #[inline]
    fn begin_plain(&mut self, field: &Field, wanted_roles: u8) -> Option<&'a Key> {
        self.begin(field, wanted_roles, |key| {
            (key.role, &key.starts.text.opening)
        })
    }

    #[cold]
    fn is_converted(&self, field: &Field) -> bool {
        let key = self.keys.get(field.index());
        key.is_some_and(|key| key.role == Role::Converted)
    }

    /// Notes that a member of the field begins at the end of the line.
    #[inline]
    fn note_member(&mut self, index: usize) {
        self.fields.add(index);
        self.member_count += 1;
        self.starts[index % MAX_SPAN_FIELDS] = self.line.len();
    }

    /// Handles a field for which [`begin`](Self::begin) returned `None`: writes it redacted,
    /// replaced or converted. Writes nothing if the field is omitted, or if this pass does not
    /// write it.
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn encode_special(&mut self, field: &Field, value: FieldValue<'_>) {
        let Some(key) = self.keys.get(field.index()) else {
            return;
        };
        if field.index() < self.resume_at {
            return;
        }
        let role = match value {
            FieldValue::Bool(_) => key.role_of_bool,
            _ => key.role,
        };
        if role == Role::Converted {
            return self.convert(field, key, value);
        }
        if self.pass == Pass::Message {
            return;
        }
        match role {
            Role::Redacted | Role::ScannedText => {
                self.field_index = field.index();
                self.note_member(field.index());
                self.line.push_padded(&key.starts.text.opening);
                self.line
                    .push_block(REDACTED_BLOCK, REDACTED_BLOCK.trim_ascii_end().len());
                if key.role == Role::Redacted {
                    self.encoded.redacted_bits |= redacted_bit(field.index());
                } else {
                    self.end(Alteration::REDACTED);
                }
            }
            Role::Replaced => self.replace(field, key, value),
            Role::Omitted | Role::Message | Role::Field | Role::Trusted | Role::Converted => {}
        }
    }

    /// Appends a field with the policy's replacement of its value.
    #[cold]
    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn replace(&mut self, field: &Field, key: &Key, value: FieldValue<'_>) {
        let shown = self.replacement(field, value);
        self.field_index = field.index();
        self.note_member(field.index());
        self.line.push_padded(&key.starts.text.opening);
        let alteration = text_value::push_str(self.line, &shown, key.max_len, None);
        self.end(alteration | Alteration::REDACTED);
    }

    /// Returns the policy's replacement of a value.
    fn replacement(&self, field: &Field, value: FieldValue<'_>) -> String {
        match self.encoding.are_replaced {
            true => value.to_string(),
            false => {
                let replacer = self.encoding.replacer;
                replacer.replace_display(plain_name(field.name()), format_args!("{value}"))
            }
        }
    }

    /// Returns the policy for the text of the value being encoded.
    #[inline(always)] // Without a policy, a call would cost more than the function itself.
    fn text_policy(&self, role: Role, field: &Field) -> Option<TextPolicy<'a>> {
        let policy = self.encoding.policy?;
        let key = match role {
            Role::Trusted => return None,
            Role::Message => None,
            Role::Field
            | Role::ScannedText
            | Role::Omitted
            | Role::Redacted
            | Role::Replaced
            | Role::Converted => Some(plain_name(field.name())),
        };
        let clean = self.encoding.clean_texts.get(field.index());
        Some(TextPolicy { policy, key, clean })
    }

    /// Ends a value. A value without alterations is complete.
    #[inline]
    fn end(&mut self, alteration: Alteration) {
        if alteration != Alteration::NONE {
            self.end_altered(alteration);
        }
    }

    /// Ends a value that is altered: converts nested JSON, and lists the field if its value is
    /// truncated or redacted.
    #[cold]
    fn end_altered(&mut self, alteration: Alteration) {
        let Some(key) = self.keys.get(self.field_index) else {
            return;
        };
        if alteration.has(Alteration::NESTED)
            && let Some(conversion) = key.conversion.as_deref()
        {
            self.written = Written {
                member_start: self.value_start - key.opening().len(),
                value_start: self.value_start,
                is_number_as_text: false,
            };
            self.finish_converted(conversion, Kind::Text);
        }
        if alteration.has(Alteration::TRUNCATED) {
            self.encoded.altered().truncated.push(key.name());
        }
        if alteration.has(Alteration::REDACTED) && self.encoding.lists_redacted_fields {
            if self.field_index < REDACTED_TEXT_BITS {
                self.encoded.redacted_texts |= 1 << self.field_index;
            } else {
                self.encoded.altered().redacted.push(key.name());
            }
        }
    }

    /// Replaces the value that panicked by `"<panicked while formatting>"`. Returns false if no
    /// value was being encoded.
    #[cold]
    fn replace_panicked_value(&mut self) -> bool {
        if self.value_start == 0 || self.field_index < self.resume_at {
            return false;
        }
        self.line.truncate(self.value_start);
        self.line.push(&escape::quoted(panic_safe::PANICKED));
        self.resume_at = self.field_index + 1;
        let key = self.keys.get(self.field_index);
        let is_being_converted = self.written.value_start == self.value_start;
        if let Some(conversion) = key.and_then(|key| key.conversion.as_deref())
            && is_being_converted
        {
            self.finish_converted(conversion, Kind::Text);
        }
        true
    }
}

impl<'a> Encoder<'a> {
    /// Appends a number of 128 bits as a JSON string.
    fn push_big_number(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if let Some(key) = self.begin_plain(field, self.number_roles()) {
            let alteration = text_value::push_display(self.line, value, key.max_len, None);
            self.end(alteration);
        } else {
            self.encode_special(field, FieldValue::BigNumber(value));
        }
    }

    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn push_non_finite(&mut self, field: &Field, value: f64) {
        if self.begin_plain(field, self.number_roles()).is_none() {
            return self.encode_special(field, FieldValue::F64(value));
        }
        let name = match self.encoding.layout {
            Layout::Nested => "null",
            Layout::Flat => name_of_non_finite(value),
        };
        self.line.push(name.as_bytes());
    }
}

impl Visit for Encoder<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        // Some receivers read only 63 bits. For such a format, the conversion decides.
        if i64::try_from(value).is_err() && self.is_converted(field) {
            return self.encode_special(field, FieldValue::U64(value));
        }
        if self
            .begin_number(field, |key| &key.starts.integer)
            .is_some()
        {
            push_u64(self.line, value);
        } else {
            self.encode_special(field, FieldValue::U64(value));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if self
            .begin_number(field, |key| &key.starts.integer)
            .is_some()
        {
            push_i64(self.line, value);
        } else {
            self.encode_special(field, FieldValue::I64(value));
        }
    }

    /// A number beyond 64 bits is a string, because most JSON readers would round it. In nested
    /// lines, every 128-bit number is a string, as in `fmt().json()`.
    fn record_u128(&mut self, field: &Field, value: u128) {
        match u64::try_from(value) {
            Ok(value) if self.encoding.layout == Layout::Flat => self.record_u64(field, value),
            _ => self.push_big_number(field, format_args!("{value}")),
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) if self.encoding.layout == Layout::Flat => self.record_i64(field, value),
            (_, Ok(value)) if self.encoding.layout == Layout::Flat => self.record_u64(field, value),
            _ => self.push_big_number(field, format_args!("{value}")),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if !value.is_finite() {
            return self.push_non_finite(field, value);
        }
        if self.begin_number(field, |key| &key.starts.float).is_some() {
            let mut digits = zmij::Buffer::new();
            self.line.push_small(digits.format_finite(value).as_bytes());
        } else {
            self.encode_special(field, FieldValue::F64(value));
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        let wanted_roles = self.pass as u8;
        if let Some(key) = self.begin_value(field, wanted_roles, |key| &key.starts.boolean) {
            let (block, len) = if value {
                (b"true\"   ", 4)
            } else {
                (b"false\"  ", 5)
            };
            let closing_len = usize::from(key.starts.bool_closing_len);
            self.line.push_block(block, len + closing_len);
        } else {
            self.encode_special(field, FieldValue::Bool(value));
        }
    }

    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(key) = self.begin_text(field) {
            let text_policy = self.text_policy(key.starts.text.role, field);
            let alteration = text_value::push_str(self.line, value, key.max_len, text_policy);
            self.end(alteration);
        } else {
            self.encode_special(field, FieldValue::Str(value));
        }
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        let Some(key) = self.begin_plain(field, self.pass as u8) else {
            return self.encode_special(field, FieldValue::Bytes(value));
        };
        // The policy scans the bytes as text, not their hexadecimal digits.
        let replacement = self
            .text_policy(key.role, field)
            .and_then(|text_policy| text_policy.replacement_for(&String::from_utf8_lossy(value)));
        let limit = key.max_len;
        let alteration = match (replacement, self.encoding.layout, self.encoding.is_event) {
            (Some(shown), _, _) => {
                text_value::push_str(self.line, &shown, limit, None) | Alteration::REDACTED
            }
            (None, Layout::Flat, _) => {
                text_value::push_display(self.line, format_args!("{}", Hex(value)), limit, None)
            }
            // `fmt().json()` shows bytes differently in an event than in a span.
            (None, Layout::Nested, true) => {
                let digits = SpacedHex(value);
                text_value::push_display(self.line, format_args!("[{digits}]"), limit, None)
            }
            (None, Layout::Nested, false) => push_numbers(self.line, value, limit),
        };
        self.end(alteration);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let Some(key) = self.begin_plain(field, self.pass as u8) else {
            return self.encode_special(field, FieldValue::Error(value));
        };
        let (max_len, text_policy) = (key.max_len, self.text_policy(key.role, field));
        if self.encoding.layout == Layout::Nested {
            let alteration = push_error_text(self.line, value, max_len, text_policy);
            return self.end(alteration);
        }
        let alteration = push_error_object(self.line, value, max_len, text_policy);
        self.end(alteration);
    }

    #[inline]
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format_args!("{value:?}");
        if let Some(key) = self.begin_text(field) {
            let text_policy = self.text_policy(key.starts.text.role, field);
            let alteration = text_value::push_display(self.line, value, key.max_len, text_policy);
            self.end(alteration);
        } else {
            self.encode_special(field, FieldValue::Text(value));
        }
    }
}

/// Returns the name of NaN or an infinity, as a JSON string.
fn name_of_non_finite(value: f64) -> &'static str {
    match value {
        value if value.is_nan() => "\"NaN\"",
        value if value > 0.0 => "\"Infinity\"",
        _ => "\"-Infinity\"",
    }
}

/// [`REDACTED`](spanwise_core::REDACTED) as a JSON string, padded to one block.
const REDACTED_BLOCK: &[u8; 16] = b"\"[REDACTED]\"    ";

/// Appends bytes as a JSON array of numbers, whose length in the line is at most `limit` bytes.
fn push_numbers(line: &mut LineBuffer, bytes: &[u8], limit: usize) -> Alteration {
    // A comma, the longest number, and the bracket that ends the array.
    const MAX_ITEM_LEN: usize = ",255]".len();
    let start = line.len();
    let mut rest = bytes;
    line.push_byte(b'[');
    while let Some((byte, behind)) = rest.split_first()
        && line.len() - start + MAX_ITEM_LEN <= limit
    {
        if rest.len() < bytes.len() {
            line.push_byte(b',');
        }
        push_u64(line, u64::from(*byte));
        rest = behind;
    }
    line.push_byte(b']');
    Alteration::truncated_if(!rest.is_empty())
}

/// Displays bytes as hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Displays bytes as hexadecimal digits, with a space between two bytes.
struct SpacedHex<'a>(&'a [u8]);

impl fmt::Display for SpacedHex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(index, byte)| {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{byte:02x}")
        })
    }
}
