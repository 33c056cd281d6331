//! The encoder of errors: an object in flat lines, one text in nested lines.

use std::{error::Error, iter};

use spanwise_core::{
    Redact,
    internal::{
        error_chain,
        errors::{self, MAX_SHOWN_CAUSES, WithCauses},
        panic_safe,
    },
};

use crate::{
    line_buffer::LineBuffer,
    text_value::{self, Alteration, TextPolicy},
};

/// Writes `{"type":…,"message":…,"chain":[…],"backtrace":…}`.
pub(super) fn push_error_object(
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

/// Writes an error with its causes as one string. The policy scans each text separately, because it
/// might otherwise read the end of a text and the start of the next as a key and its value.
pub(super) fn push_error_text(
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
    let errors = iter::once(error).chain(error_chain(error, MAX_SHOWN_CAUSES));
    for (index, error) in errors.enumerate() {
        if index > 0 {
            shown.push_str(": ");
        }
        let mut text = String::new();
        panic_safe::format_into(
            &mut text,
            format_args!("{error}"),
            <dyn Redact>::MAX_COLLECT_LEN,
        );
        let replacement = text_policy.replacement_for(&text);
        redacted |= replacement.is_some();
        shown.push_str(replacement.as_deref().unwrap_or(&text));
    }
    let alteration = text_value::push_str(line, &shown, max_len, None);
    match redacted {
        true => alteration | Alteration::REDACTED,
        false => alteration,
    }
}
