//! The encoder of fields: each becomes a member, `,"key":value`.

mod converted_values;

use std::{
    error::Error,
    fmt, iter,
    sync::{Arc, OnceLock},
};

use spanwise_core::{
    Redact,
    internal::{
        error_chain,
        errors::{self, MAX_SHOWN_CAUSES, WithCauses},
        panic_safe,
    },
};
use tracing_core::{Field, field::Visit};

use self::converted_values::FieldValue;
use crate::{
    altered_fields::AlteredFields,
    conversion::Written,
    escape,
    format_table::{Kind, Layout},
    line_buffer::LineBuffer,
    line_template::plain_name,
    plan::{Key, Plan, Role},
    text_value::{self, Alteration, TextPolicy},
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
    pub(crate) lists_redacted: bool,
    pub(crate) is_event: bool,
    /// See [`Plan::clean_message`](crate::plan::Plan::clean_message).
    pub(crate) clean_message: &'a OnceLock<Box<str>>,
}

/// The [`Role`]s that one pass writes. Two passes are needed if the message comes after other
/// fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Pass {
    All = Role::Message as u8 | Role::Field as u8 | Role::Trusted as u8 | Role::ScannedText as u8,
    Message = Role::Message as u8,
    AllButMessage = Role::Field as u8 | Role::Trusted as u8 | Role::ScannedText as u8,
}

/// Results of encoding the fields.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    /// The fields that were redacted because of their key, a bit each.
    pub(crate) redacted_bits: u128,
    /// The bits of the keys that had a value.
    pub(crate) bits: u128,
    /// Boxed, as it is rarely needed.
    pub(crate) altered: Option<Box<AlteredFields>>,
}

impl Encoded {
    pub(crate) fn altered(&mut self) -> &mut AlteredFields {
        self.altered.get_or_insert_default()
    }

    /// Lists the fields that were redacted because of their key.
    #[cold]
    pub(crate) fn add_redacted_by_key(&mut self, plan: &Plan) {
        if plan.redacted_member.is_empty() {
            return;
        }
        for (index, key) in plan.keys.iter().enumerate() {
            if key.field_role() == Role::Redacted && self.redacted_bits & redacted_bit(index) != 0 {
                self.altered().redacted.push(key.name());
            }
        }
    }
}

/// Appends the fields that `record` visits, as `keys` specify.
///
/// A value that panics loses only its own text: what it wrote is removed, and the fields after it
/// are visited again.
#[inline(always)] // A step of every line: with the others it is one function.
pub(crate) fn encode(
    line: &mut LineBuffer,
    keys: &[Key],
    pass: Pass,
    encoding: Encoding<'_>,
    encoded: &mut Encoded,
    record: impl Fn(&mut dyn Visit),
) {
    let mut encoder = Encoder {
        line,
        keys,
        pass,
        encoding,
        encoded,
        at: 0,
        resume_at: 0,
        value_start: 0,
        written: Written::default(),
    };
    while panic_safe::catch_panic(|| record(&mut encoder)).is_none() {
        if !encoder.replace_panicked_value() {
            return;
        }
    }
}

struct Encoder<'a> {
    line: &'a mut LineBuffer,
    keys: &'a [Key],
    pass: Pass,
    encoding: Encoding<'a>,
    encoded: &'a mut Encoded,
    /// The field being encoded.
    at: usize,
    /// Fields before this one are done.
    resume_at: usize,
    value_start: usize,
    /// For a value that is being converted.
    written: Written,
}

impl<'a> Encoder<'a> {
    /// Appends the key. Returns `None` if the value is not written as it is: see
    /// [`skip`](Self::skip).
    #[inline]
    fn begin(&mut self, field: &Field) -> Option<&'a Key> {
        self.begin_as(field, self.pass as u8, |key| key.role)
    }

    /// As [`begin`](Self::begin), for a number.
    #[inline]
    fn begin_number(&mut self, field: &Field) -> Option<&'a Key> {
        self.begin_as(field, self.pass as u8 & !(Role::ScannedText as u8), |key| {
            key.role
        })
    }

    #[inline]
    fn begin_as(
        &mut self,
        field: &Field,
        wanted: u8,
        role: impl FnOnce(&Key) -> Role,
    ) -> Option<&'a Key> {
        let index = field.index();
        let key = self.keys.get(index)?;
        if role(key) as u8 & wanted == 0 || index < self.resume_at {
            return None;
        }
        self.at = index;
        self.encoded.bits |= key.bit;
        self.line.push_padded(&key.member);
        self.value_start = self.line.len();
        Some(key)
    }

    /// Handles a field that is omitted, redacted, replaced or converted.
    #[inline(never)] // Off the common path, which stays small.
    fn skip(&mut self, field: &Field, value: FieldValue<'_>) {
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
                self.at = field.index();
                self.encoded.bits |= key.bit;
                self.line.push_padded(&key.member);
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

    #[cold]
    #[inline(never)] // Off the common path, which stays small.
    fn replace(&mut self, field: &Field, key: &Key, value: FieldValue<'_>) {
        let replacer = self.encoding.replacer;
        let shown = replacer.replace_display(plain_name(field.name()), format_args!("{value}"));
        self.at = field.index();
        self.encoded.bits |= key.bit;
        self.line.push_padded(&key.member);
        let alteration = text_value::push_str(self.line, &shown, key.max_len, None);
        self.end(Alteration {
            redacted: true,
            ..alteration
        });
    }

    /// Returns the policy for the text of the value being encoded.
    #[inline]
    fn text_policy(&self, role: Role, field: &Field) -> Option<TextPolicy<'a>> {
        let policy = self.encoding.policy?;
        let (key, clean) = match role {
            Role::Trusted => return None,
            Role::Message => (None, Some(self.encoding.clean_message)),
            Role::Field
            | Role::ScannedText
            | Role::Omitted
            | Role::Redacted
            | Role::Replaced
            | Role::Converted => (Some(plain_name(field.name())), None),
        };
        Some(TextPolicy { policy, key, clean })
    }

    #[inline]
    fn end(&mut self, alteration: Alteration) {
        if alteration.truncated || alteration.redacted {
            self.list_alteration(alteration);
        }
    }

    #[cold]
    fn list_alteration(&mut self, alteration: Alteration) {
        let Some(key) = self.keys.get(self.at) else {
            return;
        };
        let altered = self.encoded.altered();
        if alteration.truncated {
            altered.truncated.push(key.name());
        }
        if alteration.redacted && self.encoding.lists_redacted {
            altered.redacted.push(key.name());
        }
    }

    /// Replaces the value that panicked. Returns false if no value was being encoded.
    #[cold]
    fn replace_panicked_value(&mut self) -> bool {
        if self.value_start == 0 || self.at < self.resume_at {
            return false;
        }
        self.line.truncate(self.value_start);
        self.line.push(&escape::quoted(panic_safe::PANICKED));
        self.resume_at = self.at + 1;
        let key = self.keys.get(self.at);
        if let Some(conversion) = key.and_then(|key| key.conversion.as_deref()) {
            self.finish_converted(conversion, Kind::Text);
        }
        true
    }

    #[inline]
    fn display(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if let Some(key) = self.begin(field) {
            let text_policy = self.text_policy(key.role, field);
            let alteration = text_value::push_display(self.line, value, key.max_len, text_policy);
            self.end(alteration);
        } else {
            self.skip(field, FieldValue::Text(value));
        }
    }
}

impl Encoder<'_> {
    /// Writes a number as a string.
    fn big_number(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if let Some(key) = self.begin_number(field) {
            let alteration = text_value::push_display(self.line, value, key.max_len, None);
            self.end(alteration);
        } else {
            self.skip(field, FieldValue::BigNumber(value));
        }
    }
}

impl Visit for Encoder<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if self.begin_number(field).is_some() {
            self.line
                .push_small(itoa::Buffer::new().format(value).as_bytes());
        } else {
            self.skip(field, FieldValue::U64(value));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if self.begin_number(field).is_some() {
            self.line
                .push_small(itoa::Buffer::new().format(value).as_bytes());
        } else {
            self.skip(field, FieldValue::I64(value));
        }
    }

    /// A number beyond 64 bits is a string: most JSON readers would round it.
    fn record_u128(&mut self, field: &Field, value: u128) {
        match u64::try_from(value) {
            Ok(value) if self.encoding.layout == Layout::Flat => self.record_u64(field, value),
            _ => self.big_number(field, format_args!("{value}")),
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) if self.encoding.layout == Layout::Flat => self.record_i64(field, value),
            (_, Ok(value)) if self.encoding.layout == Layout::Flat => self.record_u64(field, value),
            _ => self.big_number(field, format_args!("{value}")),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if self.begin_number(field).is_none() {
            return self.skip(field, FieldValue::F64(value));
        }
        if value.is_finite() {
            self.line
                .push_small(zmij::Buffer::new().format_finite(value).as_bytes());
            return;
        }
        let name = match self.encoding.layout {
            Layout::Nested => "null",
            Layout::Flat => name_of_non_finite(value),
        };
        self.line.push(name.as_bytes());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        let wanted = self.pass as u8;
        if self
            .begin_as(field, wanted, |key| key.role_of_bool)
            .is_some()
        {
            let (block, len) = if value {
                (b"true    ", 4)
            } else {
                (b"false   ", 5)
            };
            self.line.push_block(block, len);
        } else {
            self.skip(field, FieldValue::Bool(value));
        }
    }

    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(key) = self.begin(field) {
            let text_policy = self.text_policy(key.role, field);
            let alteration = text_value::push_str(self.line, value, key.max_len, text_policy);
            self.end(alteration);
        } else {
            self.skip(field, FieldValue::Str(value));
        }
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        let Some(key) = self.begin(field) else {
            return self.skip(field, FieldValue::Bytes(value));
        };
        // The policy scans the text of the bytes, not their digits.
        let replacement = self
            .text_policy(key.role, field)
            .and_then(|text_policy| text_policy.replacement_for(&String::from_utf8_lossy(value)));
        let limit = key.max_len;
        let alteration = match (replacement, self.encoding.layout, self.encoding.is_event) {
            (Some(shown), _, _) => Alteration {
                redacted: true,
                ..text_value::push_str(self.line, &shown, limit, None)
            },
            (None, Layout::Flat, _) => {
                text_value::push_display(self.line, format_args!("{}", Hex(value)), limit, None)
            }
            // As `fmt().json()` shows them: differently in a span than in an event.
            (None, Layout::Nested, true) => {
                let digits = SpacedHex(value);
                text_value::push_display(self.line, format_args!("[{digits}]"), limit, None)
            }
            (None, Layout::Nested, false) => {
                let numbers = serde_json::json!(value).to_string();
                self.line.push(numbers.as_bytes());
                Alteration::default()
            }
        };
        self.end(alteration);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let Some(key) = self.begin(field) else {
            return self.skip(field, FieldValue::Error(value));
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
        self.display(field, format_args!("{value:?}"));
    }
}

/// Writes `{"type":…,"message":…,"chain":[…],"backtrace":…}`.
fn push_error_object(
    line: &mut LineBuffer,
    error: &(dyn Error + 'static),
    max_len: usize,
    text_policy: Option<TextPolicy<'_>>,
) -> Alteration {
    match errors::type_name(error) {
        Some(name) => {
            line.push(b"{\"type\":");
            text_value::push_str(line, name, max_len, None);
            line.push(b",\"message\":");
        }
        None => line.push(b"{\"message\":"),
    }
    let mut alteration =
        text_value::push_display(line, format_args!("{error}"), max_len, text_policy);
    line.push(b",\"chain\":[");
    for (index, cause) in error_chain(error, MAX_SHOWN_CAUSES).enumerate() {
        if index > 0 {
            line.push_byte(b',');
        }
        alteration |= text_value::push_display(line, format_args!("{cause}"), max_len, text_policy);
    }
    line.push(b"]");
    if let Some(backtrace) = errors::short_backtrace(error) {
        line.push(b",\"backtrace\":");
        alteration |= text_value::push_str(line, &backtrace, max_len, text_policy);
    }
    line.push_byte(b'}');
    alteration
}

/// Returns the JSON string for NaN or an infinity.
fn name_of_non_finite(value: f64) -> &'static str {
    match value {
        value if value.is_nan() => "\"NaN\"",
        value if value > 0.0 => "\"Infinity\"",
        _ => "\"-Infinity\"",
    }
}

/// Writes an error with its causes as one string. The policy scans each text on its own: the end of
/// one text and the start of the next do not form a key and its value.
fn push_error_text(
    line: &mut LineBuffer,
    error: &(dyn Error + 'static),
    max_len: usize,
    text_policy: Option<TextPolicy<'_>>,
) -> Alteration {
    let has_cause = error_chain(error, 1).next().is_some();
    let Some(text_policy) = text_policy.filter(|_| has_cause) else {
        return text_value::push_display(
            line,
            format_args!("{}", WithCauses(error)),
            max_len,
            text_policy,
        );
    };
    let mut shown = String::new();
    let mut redacted = false;
    let links = iter::once(error).chain(error_chain(error, MAX_SHOWN_CAUSES));
    for (index, link) in links.enumerate() {
        if index > 0 {
            shown.push_str(": ");
        }
        let mut text = String::new();
        panic_safe::format_into(
            &mut text,
            format_args!("{link}"),
            <dyn Redact>::MAX_COLLECT_LEN,
        );
        let replacement = text_policy.replacement_for(&text);
        redacted |= replacement.is_some();
        shown.push_str(replacement.as_deref().unwrap_or(&text));
    }
    let alteration = text_value::push_str(line, &shown, max_len, None);
    Alteration {
        redacted,
        ..alteration
    }
}

/// If a callsite has more fields than bits, some fields share a bit.
pub(crate) fn redacted_bit(index: usize) -> u128 {
    1 << (index % 128)
}

/// [`REDACTED`] as a JSON string, padded to one block.
const REDACTED_BLOCK: &[u8; 16] = b"\"[REDACTED]\"    ";

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

struct SpacedHex<'a>(&'a [u8]);

impl fmt::Display for SpacedHex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(index, byte)| {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{byte:02x}")
        })
    }
}
