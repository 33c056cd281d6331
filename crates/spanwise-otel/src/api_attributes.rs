//! Attributes from the OpenTelemetry API. They bypass the redacting layer, so they are redacted
//! here.

use std::borrow::Cow;

use opentelemetry::{Array, KeyValue, StringValue, Value};
use spanwise_core::{
    KeyVerdict, Redact, Redaction,
    internal::{KeyVerdicts, panic_safe},
};

use crate::{
    attributes::{AnyValue, Attributes},
    limits::MAX_VALUE_LEN,
    wire::WireWriter as _,
};

/// Sets attributes, redacted by the policy.
pub(crate) fn set_attributes(
    to: &mut Attributes,
    policy: Option<&dyn Redact>,
    attributes: impl IntoIterator<Item = KeyValue>,
) {
    for KeyValue { key, value, .. } in attributes {
        set_attribute(to, policy, key.as_str(), &value);
    }
}

/// Returns a text without a key, such as a span name, redacted by the policy.
pub(crate) fn redacted_text<'t>(policy: Option<&dyn Redact>, text: &'t str) -> Cow<'t, str> {
    policy.map_or(Cow::Borrowed(text), |policy| policy.redact_text(text))
}

fn set_attribute(to: &mut Attributes, policy: Option<&dyn Redact>, key: &str, value: &Value) {
    let verdicts = policy.map(|policy| (policy, policy.verdicts(key)));
    let redaction = verdicts.map_or(Redaction::Keep, |(policy, verdicts)| {
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
            let scanned = verdicts.filter(|(_, verdicts)| verdicts.text != KeyVerdict::Trust);
            let elements = encode_array(to, scanned.map(|(policy, _)| policy), key, array);
            to.set_named(key, AnyValue::Array(&elements));
        }
        // `Value` is non-exhaustive.
        other => to.set_named(key, AnyValue::Text(&other.as_str())),
    }
}

/// Returns the policy's decision about a value. About an array of texts, the policy decides only if
/// the key suffices. Otherwise the result is [`Redaction::Keep`], and the caller must redact each
/// text, unless the verdict is [`KeyVerdict::Trust`].
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

/// The maximum encoded length of an element that is not a text, and of the tags and lengths around
/// a text.
const MAX_ELEMENT_OVERHEAD_LEN: usize = 16;

/// Returns the encoded elements of an `ArrayValue`, with texts that `policy` has redacted. They
/// have at most [`MAX_VALUE_LEN`] bytes: a text that does not fit is cut, and further elements are
/// omitted.
fn encode_array(to: &Attributes, policy: Option<&dyn Redact>, key: &str, array: &Array) -> Vec<u8> {
    const VALUES: u32 = 1;
    let mut encoded = Vec::new();
    let mut push = |value: AnyValue<'_>| {
        let len_without_text = encoded.len() + MAX_ELEMENT_OVERHEAD_LEN;
        let room = MAX_VALUE_LEN.saturating_sub(len_without_text);
        if room == 0 {
            return;
        }
        let value = match value {
            AnyValue::Text(text) => AnyValue::Text(panic_safe::truncate_at(text, room)),
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
                let shown =
                    policy.map_or(Cow::Borrowed(text), |policy| policy.redact_value(key, text));
                push(AnyValue::Text(to.limits().cut_text(&shown)));
            }
        }
        // `Array` is non-exhaustive.
        other => push(AnyValue::Text(&other.to_string())),
    }
    encoded
}
