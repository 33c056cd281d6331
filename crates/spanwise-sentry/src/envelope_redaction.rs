//! What is in an envelope, as far as it may be sent.
//!
//! What our layer sends was read on its way in. What others put in, a hook of the program's, an integration, who talks to
//! sentry past the log, is read here.

use std::borrow::Cow;

use sentry_core::protocol::Value;
use spanwise_core::{KeyVerdict, Redact, Redaction};

/// The envelope's bytes with everything hidden that `policy` hides. What is also in `read`, at the same place, was read before.
///
/// Nothing if it cannot be understood: what cannot be read is not sent.
pub(crate) fn redact_envelope(
    bytes: &[u8],
    read: Option<&Value>,
    policy: &dyn Redact,
) -> Option<Vec<u8>> {
    let (header, mut rest) = line(bytes)?;
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(header);
    out.push(b'\n');
    while !rest.is_empty() {
        let (header, after) = line(rest)?;
        let mut header: Value = serde_json::from_slice(header).ok()?;
        let (payload, after) = match header.get("length").and_then(Value::as_u64) {
            Some(length) => {
                let length = usize::try_from(length).ok()?;
                (after.get(..length)?, after.get(length..)?)
            }
            None => line(after)?,
        };
        rest = after.strip_prefix(b"\n").unwrap_or(after);
        let is_event = header.get("type").and_then(Value::as_str) == Some("event");
        let payload = match header.get("type").and_then(Value::as_str)? {
            "attachment" => {
                let text = String::from_utf8_lossy(payload);
                // What is no text stays as it is where nothing in it is hidden.
                match policy.redact_text(&text) {
                    shown if shown == text => payload.to_vec(),
                    shown => shown.into_owned().into_bytes(),
                }
            }
            // Numbers about sessions and losses.
            "session" | "sessions" | "client_report" => payload.to_vec(),
            _ => {
                let mut value: Value = serde_json::from_slice(payload).ok()?;
                hide(&mut value, read.filter(|_| is_event), policy);
                serde_json::to_vec(&value).ok()?
            }
        };
        if let Some(length) = header.get_mut("length") {
            *length = payload.len().into();
        }
        serde_json::to_writer(&mut out, &header).ok()?;
        out.push(b'\n');
        out.extend_from_slice(&payload);
        out.push(b'\n');
    }
    Some(out)
}

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let end = end.unwrap_or(bytes.len());
    Some((&bytes[..end], bytes.get(end + 1..).unwrap_or_default()))
}

fn hide(value: &mut Value, read: Option<&Value>, policy: &dyn Redact) {
    if Some(&*value) == read {
        return;
    }
    match value {
        Value::String(text) => {
            if let Some(shown) = policy.replacement_for(None, text) {
                *text = shown;
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter_mut().enumerate() {
                hide(value, read.and_then(|read| read.get(index)), policy);
            }
        }
        Value::Object(members) => {
            members.retain(|key, value| {
                let read = read.and_then(|read| read.get(key));
                if Some(&*value) == read || value.is_null() {
                    return true;
                }
                let verdicts = policy.verdicts(key);
                let verdict = match value {
                    Value::Bool(_) => verdicts.boolean,
                    Value::Number(_) => verdicts.number,
                    _ => verdicts.text,
                };
                if matches!(verdict, KeyVerdict::Pass | KeyVerdict::Text) && !value.is_string() {
                    hide(value, read, policy);
                    return true;
                }
                let text = || match &*value {
                    Value::String(text) => Cow::Borrowed(&**text),
                    other => Cow::Owned(other.to_string()),
                };
                match policy.apply(verdict, key, text) {
                    Redaction::Keep => true,
                    Redaction::Replace(text) => {
                        *value = text.into();
                        true
                    }
                    Redaction::Remove => false,
                }
            });
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
