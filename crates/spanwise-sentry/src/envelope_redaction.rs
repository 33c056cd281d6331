//! Redaction of serialized envelopes.
//!
//! The layer redacts events before it passes them to Sentry's client. Hooks, integrations and
//! direct calls of the client may add data. This module redacts the additions.

use sentry_core::protocol::Value;
use spanwise_core::{KeyVerdict, Redact, Redaction};

use crate::fields::text_of;

/// Redacts an envelope. `redacted` is the event of the envelope before hooks changed it. Values
/// that both events have, at the same keys and indexes, are skipped: they are already redacted.
///
/// Returns `None` if the envelope cannot be parsed. In that case it must not be sent.
pub(crate) fn redact_envelope(
    bytes: &[u8],
    redacted: Option<&Value>,
    policy: &dyn Redact,
) -> Option<Vec<u8>> {
    let (envelope_header, mut rest) = split_line(bytes)?;
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(envelope_header);
    out.push(b'\n');
    while !rest.is_empty() {
        let (item_header, after) = split_line(rest)?;
        let mut item_header: Value = serde_json::from_slice(item_header).ok()?;
        let (payload, after) = match item_header.get("length").and_then(Value::as_u64) {
            Some(length) => {
                let length = usize::try_from(length).ok()?;
                (after.get(..length)?, after.get(length..)?)
            }
            None => split_line(after)?,
        };
        rest = after.strip_prefix(b"\n").unwrap_or(after);
        let payload = match item_header.get("type").and_then(Value::as_str)? {
            "attachment" => {
                let text = String::from_utf8_lossy(payload);
                // If the policy finds no secret, the payload stays unchanged, even if it is not
                // text.
                match policy.redact_text(&text) {
                    shown if shown == text => payload.to_vec(),
                    shown => shown.into_owned().into_bytes(),
                }
            }
            // Counts of losses.
            "client_report" => payload.to_vec(),
            ty => {
                let mut value: Value = serde_json::from_slice(payload).ok()?;
                let redacted = redacted.filter(|_| ty == "event");
                match ty {
                    "session" | "sessions" => redact_session(&mut value, policy),
                    _ => redact_value(&mut value, redacted, policy),
                }
                serde_json::to_vec(&value).ok()?
            }
        };
        if let Some(length) = item_header.get_mut("length") {
            *length = payload.len().into();
        }
        serde_json::to_writer(&mut out, &item_header).ok()?;
        out.push(b'\n');
        out.extend_from_slice(&payload);
        out.push(b'\n');
    }
    Some(out)
}

/// Returns the first line, and the bytes after it. `None` if `bytes` is empty.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let end = end.unwrap_or(bytes.len());
    Some((&bytes[..end], bytes.get(end + 1..).unwrap_or_default()))
}

/// Redacts what may be personal in a session of the release health, or in a list of sessions.
/// Sentry cannot parse a session with a replaced status or time.
fn redact_session(session: &mut Value, policy: &dyn Redact) {
    // The id of the user, or else the e-mail address or the name.
    redact_member(session, "did", policy);
    if let Some(Value::Array(sessions)) = session.get_mut("aggregates") {
        for session in sessions {
            redact_member(session, "did", policy);
        }
    }
    if let Some(attributes) = session.get_mut("attrs") {
        redact_member(attributes, "user_agent", policy);
        let before = attributes.get("ip_address").cloned();
        redact_member(attributes, "ip_address", policy);
        if let Value::Object(members) = attributes
            && members.get("ip_address") != before.as_ref()
        {
            // Only a valid address can be parsed.
            members.remove("ip_address");
        }
    }
}

/// Redacts the value of a key of an object, if there is one.
fn redact_member(object: &mut Value, key: &str, policy: &dyn Redact) {
    if let Value::Object(members) = object
        && let Some(value) = members.get_mut(key)
        && !keep_member(key, value, None, policy)
    {
        members.remove(key);
    }
}

/// Redacts a value, except for the members and elements that `redacted` also has.
fn redact_value(value: &mut Value, redacted: Option<&Value>, policy: &dyn Redact) {
    if Some(&*value) == redacted {
        return;
    }
    match value {
        Value::String(text) => {
            if let Some(replacement) = policy.replacement_for(None, text) {
                *text = replacement;
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter_mut().enumerate() {
                redact_value(value, redacted.and_then(|all| all.get(index)), policy);
            }
        }
        Value::Object(members) => members.retain(|key, value| {
            let redacted = redacted.and_then(|all| all.get(key));
            keep_member(key, value, redacted, policy)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Redacts the value of a key. Returns `false` if the policy removes it.
fn keep_member(
    key: &str,
    value: &mut Value,
    redacted: Option<&Value>,
    policy: &dyn Redact,
) -> bool {
    if Some(&*value) == redacted || value.is_null() {
        return true;
    }
    let verdicts = policy.verdicts(key);
    let verdict = match value {
        Value::Bool(_) => verdicts.boolean,
        Value::Number(_) => verdicts.number,
        _ => verdicts.text,
    };
    if matches!(verdict, KeyVerdict::Pass | KeyVerdict::Text) && !value.is_string() {
        redact_value(value, redacted, policy);
        return true;
    }
    match policy.apply(verdict, key, || text_of(value)) {
        Redaction::Keep => true,
        Redaction::Replace(text) => {
            *value = text.into();
            true
        }
        Redaction::Remove => false,
    }
}
