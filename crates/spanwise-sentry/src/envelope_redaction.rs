//! Redaction of serialized envelopes.
//!
//! The layer redacts events before it passes them to Sentry's client. Hooks, integrations and
//! direct calls of the client may add data later. This module redacts the added data.

use sentry_core::protocol::Value;
use spanwise_core::{KeyVerdict, Redact, Redaction};

use crate::fields::text_of;

/// Redacts an envelope. `already_redacted` is the event of the envelope before hooks changed it.
/// Values that both events have, at the same keys and indexes, are skipped.
///
/// Returns `None` if the envelope cannot be parsed. In that case it must not be sent.
pub(crate) fn redact_envelope(
    bytes: &[u8],
    already_redacted: Option<&Value>,
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
                // If the policy changes nothing, the original bytes are sent. They may differ from
                // `text`, because `text` has replacements for invalid UTF-8.
                match policy.redact_text(&text) {
                    shown if shown == text => payload.to_vec(),
                    shown => shown.into_owned().into_bytes(),
                }
            }
            // A client report contains only counts of lost events.
            "client_report" => payload.to_vec(),
            ty => {
                let mut value: Value = serde_json::from_slice(payload).ok()?;
                let already_redacted = already_redacted.filter(|_| ty == "event");
                match ty {
                    "session" | "sessions" => redact_session(&mut value, policy),
                    _ => redact_value(&mut value, already_redacted, policy),
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

/// Returns the first line without its line break, and the bytes after it. `None` if `bytes` is
/// empty.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let end = end.unwrap_or(bytes.len());
    Some((&bytes[..end], bytes.get(end + 1..).unwrap_or_default()))
}

/// Redacts the PII of a release-health session, or of a list of sessions. All other members, such
/// as status and times, stay unchanged, because Sentry cannot parse replacements of them.
fn redact_session(session: &mut Value, policy: &dyn Redact) {
    // `did` is the id of the user, or else the e-mail address or the name.
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
            // Sentry can parse only a valid address, not its replacement.
            members.remove("ip_address");
        }
    }
}

/// Redacts the value of a key of an object, if there is one.
fn redact_member(object: &mut Value, key: &str, policy: &dyn Redact) {
    if let Value::Object(members) = object
        && let Some(value) = members.get_mut(key)
        && !redact_keyed_value(key, value, None, policy)
    {
        members.remove(key);
    }
}

/// Redacts a value, except for the members and elements that are equal in `already_redacted`.
fn redact_value(value: &mut Value, already_redacted: Option<&Value>, policy: &dyn Redact) {
    if Some(&*value) == already_redacted {
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
                redact_value(
                    value,
                    already_redacted.and_then(|all| all.get(index)),
                    policy,
                );
            }
        }
        Value::Object(members) => members.retain(|key, value| {
            let already_redacted = already_redacted.and_then(|all| all.get(key));
            redact_keyed_value(key, value, already_redacted, policy)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Redacts the value of a key. Returns `false` if the policy requires that the caller removes it.
fn redact_keyed_value(
    key: &str,
    value: &mut Value,
    already_redacted: Option<&Value>,
    policy: &dyn Redact,
) -> bool {
    if Some(&*value) == already_redacted || value.is_null() {
        return true;
    }
    let verdicts = policy.verdicts(key);
    let verdict = match value {
        Value::Bool(_) => verdicts.boolean,
        Value::Number(_) => verdicts.number,
        _ => verdicts.text,
    };
    if matches!(verdict, KeyVerdict::Pass | KeyVerdict::Text) && !value.is_string() {
        redact_value(value, already_redacted, policy);
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
