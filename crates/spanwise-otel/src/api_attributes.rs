//! Redaction and encoding of attributes that are set through the OpenTelemetry API.
//!
//! Fields of `tracing` pass through the redacting layer. Attributes from the API bypass that layer,
//! so this module applies the policy to them.

use std::borrow::Cow;

use opentelemetry::{Array, KeyValue, StringValue, Value};
use spanwise_core::{
    KeyVerdict, Redact, Redaction,
    internal::{KeyVerdicts, panic_safe},
};

use crate::{
    attributes::{AnyValue, Attributes},
    limits::{AttributeLimits, MAX_VALUE_LEN},
    wire::WireWriter as _,
};

/// Redacts `attributes` with the policy, and sets them in `to`.
pub(crate) fn set_attributes(
    to: &mut Attributes,
    policy: Option<&dyn Redact>,
    attributes: impl IntoIterator<Item = KeyValue>,
) {
    for KeyValue { key, value, .. } in attributes {
        set_attribute(to, policy, key.as_str(), &value);
    }
}

/// Redacts a text that has no key, such as a span name, with the policy.
pub(crate) fn redacted_text<'t>(policy: Option<&dyn Redact>, text: &'t str) -> Cow<'t, str> {
    policy.map_or(Cow::Borrowed(text), |policy| policy.redact_text(text))
}

fn set_attribute(to: &mut Attributes, policy: Option<&dyn Redact>, key: &str, value: &Value) {
    let policy_and_verdicts = policy.map(|policy| (policy, policy.verdicts(key)));
    let redaction = policy_and_verdicts.map_or(Redaction::Keep, |(policy, verdicts)| {
        redaction(policy, verdicts, key, value)
    });
    match redaction {
        Redaction::Keep => {}
        Redaction::Replace(text) => return to.set_named(key, AnyValue::Text(&text)),
        Redaction::Remove => return,
    }
    match value {
        Value::Bool(bool) => to.set_named(key, AnyValue::Bool(*bool)),
        Value::I64(int) => to.set_named(key, AnyValue::Int(*int)),
        Value::F64(double) => to.set_named(key, AnyValue::Double(*double)),
        Value::String(text) => to.set_named(key, AnyValue::Text(text.as_str())),
        Value::Array(array) => {
            // `redaction` may have left the texts of an array to be redacted one by one.
            let text_policy = policy_and_verdicts
                .filter(|(_, verdicts)| verdicts.text != KeyVerdict::Trust)
                .map(|(policy, _)| policy);
            let elements = encode_array(to.limits(), text_policy, key, array);
            to.set_named(key, AnyValue::Array(&elements));
        }
        // `Value` is non-exhaustive.
        other => to.set_named(key, AnyValue::Text(&other.as_str())),
    }
}

/// Returns the policy's decision about a value.
///
/// For an array of texts, the policy sees only the key. If it must also see the texts, the result
/// is [`Redaction::Keep`], and the caller must redact each text. Texts whose verdict is
/// [`KeyVerdict::Trust`] need no redaction.
pub(crate) fn redaction(
    policy: &dyn Redact,
    verdicts: KeyVerdicts,
    key: &str,
    value: &Value,
) -> Redaction {
    let verdict = match value {
        Value::Bool(_) | Value::Array(Array::Bool(_)) => verdicts.boolean,
        Value::I64(_) | Value::F64(_) | Value::Array(Array::I64(_) | Array::F64(_)) => {
            verdicts.number
        }
        _ => verdicts.text,
    };
    match (value, verdict) {
        (Value::Array(Array::String(_)), KeyVerdict::Pass | KeyVerdict::Text) => Redaction::Keep,
        _ => policy.apply(verdict, key, || value.as_str()),
    }
}

/// The maximum encoded length, in bytes, of an array element that is not a text. The tags and
/// lengths around a text are not longer, either.
const MAX_ELEMENT_OVERHEAD_LEN: usize = 16;

/// Returns the encoded elements of an `ArrayValue`. Redacts texts with `text_policy`.
///
/// The result has at most [`MAX_VALUE_LEN`] bytes: a text that does not fit is cut, and further
/// elements are omitted.
fn encode_array(
    limits: AttributeLimits,
    text_policy: Option<&dyn Redact>,
    key: &str,
    array: &Array,
) -> Vec<u8> {
    const VALUES: u32 = 1;
    let mut encoded = Vec::new();
    let mut push = |value: AnyValue<'_>| {
        let len_without_text = encoded.len() + MAX_ELEMENT_OVERHEAD_LEN;
        let max_text_len = MAX_VALUE_LEN.saturating_sub(len_without_text);
        if max_text_len == 0 {
            return;
        }
        let value = match value {
            AnyValue::Text(text) => AnyValue::Text(panic_safe::truncate_at(text, max_text_len)),
            value => value,
        };
        encoded.message(VALUES, |element| value.encode(element));
    };
    match array {
        Array::Bool(values) => values.iter().for_each(|bool| push(AnyValue::Bool(*bool))),
        Array::I64(values) => values.iter().for_each(|int| push(AnyValue::Int(*int))),
        Array::F64(values) => values
            .iter()
            .for_each(|double| push(AnyValue::Double(*double))),
        Array::String(values) => {
            for text in values.iter().map(StringValue::as_str) {
                let redacted = text_policy
                    .map_or(Cow::Borrowed(text), |policy| policy.redact_value(key, text));
                push(AnyValue::Text(limits.cut_text(&redacted)));
            }
        }
        // `Array` is non-exhaustive.
        other => push(AnyValue::Text(&other.to_string())),
    }
    encoded
}
