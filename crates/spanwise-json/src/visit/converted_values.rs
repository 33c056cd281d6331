//! The encoder of fields that have a [`Conversion`], because the format writes them in its own way.

use std::{error::Error, fmt};

use spanwise_core::{
    Redact,
    internal::{
        error_chain,
        errors::{self, MAX_SHOWN_CAUSES},
        panic_safe,
    },
};
use tracing_core::Field;

use super::{Encoder, Hex, Pass, REDACTED_BLOCK, redacted_bit};
use crate::{
    conversion::Conversion,
    format_table::{ErrorPart, Kind},
    plan::{Key, Role},
    text_value::{self, Alteration, TextPolicy},
};

/// A value that a visitor receives.
#[derive(Clone, Copy)]
pub(super) enum FieldValue<'a> {
    U64(u64),
    I64(i64),
    F64(f64),
    /// A number of 128 bits that is written as a string.
    BigNumber(fmt::Arguments<'a>),
    Bool(bool),
    Str(&'a str),
    Bytes(&'a [u8]),
    Error(&'a (dyn Error + 'static)),
    /// The text of a `Display` or a `Debug`.
    Text(fmt::Arguments<'a>),
}

impl FieldValue<'_> {
    fn is_number(&self) -> bool {
        matches!(
            self,
            Self::U64(_) | Self::I64(_) | Self::F64(_) | Self::BigNumber(_)
        )
    }
}

impl fmt::Display for FieldValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::U64(value) => value.fmt(f),
            Self::I64(value) => value.fmt(f),
            Self::F64(value) => value.fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::Str(value) => f.write_str(value),
            Self::Bytes(value) => f.write_str(&String::from_utf8_lossy(value)),
            Self::Error(value) => value.fmt(f),
            Self::BigNumber(value) | Self::Text(value) => f.write_fmt(*value),
        }
    }
}

impl<'a> Encoder<'a> {
    /// Appends a field that has a conversion, if this pass writes it.
    #[inline(never)] // Kept out of line, so that the path of `json` stays small.
    pub(super) fn convert(&mut self, field: &Field, key: &'a Key, value: FieldValue<'_>) {
        let Some(conversion) = &key.conversion else {
            return;
        };
        let role = match value {
            FieldValue::Bool(_) => conversion.role_of_bool,
            _ => conversion.role,
        };
        let is_wanted = match role {
            Role::Omitted => false,
            Role::Message => self.pass != Pass::AllButMessage,
            _ => self.pass != Pass::Message,
        };
        if !is_wanted {
            return;
        }
        self.field_index = field.index();
        self.note_member(field.index());
        match (role, value) {
            (Role::Redacted, _) => {
                self.push_redacted(conversion);
                self.encoded.redacted_bits |= redacted_bit(field.index());
            }
            (Role::ScannedText, value) if value.is_number() => {
                self.push_redacted(conversion);
                self.end(Alteration::REDACTED);
            }
            (Role::Replaced, value) => {
                let shown = self.replacement(field, value);
                let alteration = self.push_text(conversion, |encoder| {
                    text_value::push_str(encoder.line, &shown, key.max_len, None)
                });
                self.end(alteration | Alteration::REDACTED);
            }
            (_, value) => {
                let text_policy = self.text_policy(role, field);
                let alteration = self.push_converted(key, conversion, value, text_policy);
                self.end(alteration);
            }
        }
    }

    /// Appends a member with this value, and converts it.
    fn push_converted(
        &mut self,
        key: &Key,
        conversion: &'a Conversion,
        value: FieldValue<'_>,
        text_policy: Option<TextPolicy<'_>>,
    ) -> Alteration {
        let limit = key.max_len;
        match value {
            FieldValue::U64(value) => {
                self.push_digits(conversion, itoa::Buffer::new().format(value).as_bytes());
            }
            FieldValue::I64(value) => {
                self.push_digits(conversion, itoa::Buffer::new().format(value).as_bytes());
            }
            FieldValue::F64(value) => self.push_float(conversion, value),
            FieldValue::BigNumber(value) => {
                self.written.is_number_as_text = true;
                let alteration = self.push_text(conversion, |encoder| {
                    text_value::push_display(encoder.line, value, limit, None)
                });
                self.written.is_number_as_text = false;
                return alteration;
            }
            FieldValue::Bool(value) => {
                self.begin_converted(conversion, Kind::Bool);
                let json: &[u8] = if value { b"true" } else { b"false" };
                self.line.push_small(json);
                self.finish_converted(conversion, Kind::Bool);
            }
            FieldValue::Str(value) => {
                return self.push_text(conversion, |encoder| {
                    text_value::push_str(encoder.line, value, limit, text_policy)
                });
            }
            FieldValue::Text(value) => {
                return self.push_text(conversion, |encoder| {
                    text_value::push_display(encoder.line, value, limit, text_policy)
                });
            }
            FieldValue::Bytes(value) => {
                let replacement = text_policy
                    .and_then(|policy| policy.replacement_for(&String::from_utf8_lossy(value)));
                return self.push_text(conversion, |encoder| match replacement {
                    Some(shown) => {
                        let alteration = text_value::push_str(encoder.line, &shown, limit, None);
                        alteration | Alteration::REDACTED
                    }
                    None => {
                        let digits = format_args!("{}", Hex(value));
                        text_value::push_display(encoder.line, digits, limit, None)
                    }
                });
            }
            FieldValue::Error(error) => {
                return self.push_error(conversion, error, limit, text_policy);
            }
        }
        Alteration::NONE
    }

    fn push_digits(&mut self, conversion: &Conversion, digits: &[u8]) {
        self.begin_converted(conversion, Kind::Integer);
        self.line.push_small(digits);
        self.finish_converted(conversion, Kind::Integer);
    }

    fn push_float(&mut self, conversion: &Conversion, value: f64) {
        if value.is_finite() {
            self.begin_converted(conversion, Kind::Number);
            self.line
                .push_small(zmij::Buffer::new().format_finite(value).as_bytes());
            return self.finish_converted(conversion, Kind::Number);
        }
        self.begin_converted(conversion, Kind::Text);
        self.written.is_number_as_text = true;
        self.line.push(super::name_of_non_finite(value).as_bytes());
        self.finish_converted(conversion, Kind::Text);
        self.written.is_number_as_text = false;
    }

    fn push_redacted(&mut self, conversion: &Conversion) {
        self.begin_converted(conversion, Kind::Text);
        self.line.push(REDACTED_BLOCK.trim_ascii_end());
        self.finish_converted(conversion, Kind::Text);
    }

    /// Appends a member whose value is the text that `write` writes, and converts it. If the field
    /// is the error, the text becomes the message of the error.
    fn push_text(
        &mut self,
        conversion: &'a Conversion,
        write: impl FnOnce(&mut Self) -> Alteration,
    ) -> Alteration {
        self.begin_converted(conversion, Kind::Text);
        let alteration = write(self);
        self.finish_converted(conversion, Kind::Text);
        alteration.without(Alteration::NESTED)
    }

    /// Appends the opening for a value of this kind. Notes where the member and the value begin.
    #[inline]
    fn begin_converted(&mut self, conversion: &Conversion, kind: Kind) {
        self.written.member_start = self.line.len();
        self.line.push(conversion.opening_for(kind));
        self.written.value_start = self.line.len();
        // If the value panics, everything from this offset on is replaced.
        self.value_start = self.line.len();
    }

    /// Converts the value that was written since [`begin_converted`](Self::begin_converted).
    #[inline]
    pub(super) fn finish_converted(&mut self, conversion: &Conversion, kind: Kind) {
        conversion.finish(self.line, self.written, kind);
    }

    /// Appends the members of an error. First collects its texts one by one, so that a text that
    /// panics affects no other text.
    fn push_error(
        &mut self,
        conversion: &'a Conversion,
        error: &(dyn Error + 'static),
        limit: usize,
        text_policy: Option<TextPolicy<'_>>,
    ) -> Alteration {
        let Some(members) = &conversion.error else {
            // `push_text` converts the object to a value that the format accepts.
            return self.push_text(conversion, |encoder| {
                super::push_error_object(encoder.line, error, limit, text_policy)
            });
        };
        let (mut alteration, mut alteration_of_texts) = (Alteration::NONE, Alteration::NONE);
        let mut collect = |value: &dyn fmt::Display| {
            let (text, altered) = collect_text(value, limit, text_policy);
            alteration_of_texts |= altered;
            text
        };
        let message = collect(&error);
        let causes: Vec<String> = error_chain(error, MAX_SHOWN_CAUSES)
            .map(|cause| collect(&cause))
            .collect();
        if let Some(object) = &members.object {
            self.line.push(object);
        }
        let object_start = self.line.len();
        for (part, opening) in &members.parts {
            let text = match part {
                ErrorPart::Message => message.clone(),
                ErrorPart::Type => match errors::short_name(error) {
                    // The policy scans the name, because it may come from the error's `Debug`.
                    Some(name) => collect(&name),
                    None => continue,
                },
                ErrorPart::Chain if causes.is_empty() => continue,
                ErrorPart::Chain => causes.join(": "),
                ErrorPart::Stack => {
                    let mut stack = message.clone();
                    for cause in &causes {
                        stack.push_str("\n  caused by: ");
                        stack.push_str(cause);
                    }
                    if let Some(backtrace) = errors::short_backtrace(error) {
                        stack.push('\n');
                        stack.push_str(&collect(&backtrace));
                    }
                    stack
                }
            };
            self.line.push(opening);
            alteration |= text_value::push_str(self.line, &text, limit, None);
        }
        members.close_object(self.line, object_start);
        alteration |= alteration_of_texts;
        alteration
    }
}

/// Formats a value. Returns the text that is shown, and how it differs from the value. `max_len` is
/// the maximum length of a text without a policy; a policy scans no more than it can decide about.
fn collect_text(
    value: &dyn fmt::Display,
    max_len: usize,
    text_policy: Option<TextPolicy<'_>>,
) -> (String, Alteration) {
    let mut text = String::new();
    let max_len = match text_policy {
        Some(_) => <dyn Redact>::MAX_COLLECT_LEN,
        None => max_len,
    };
    let truncated = panic_safe::format_into(&mut text, format_args!("{value}"), max_len);
    let shown = text_policy.and_then(|policy| policy.replacement_for(&text));
    let mut alteration = Alteration::truncated_if(truncated);
    if shown.is_some() {
        alteration |= Alteration::REDACTED;
    }
    (shown.unwrap_or(text), alteration)
}
