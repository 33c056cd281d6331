//! The trace ids that lines show for a span, if a layer exports traces.
//!
//! The trace ids are `trace_id`, `span_id` and `trace_flags` of the span's
//! [identity](SpanIdentity). They replace fields of the span with the same keys. In a flat line,
//! they also replace fields of outer spans and of the event with these keys.

use spanwise_core::internal::{HexDigits, SpanIdentity};

use crate::{
    builder::Options,
    conversion::Rule,
    format_table::Kind,
    line_template::{FieldSource, LineTemplate},
    member_keys::{KeyId, KeyedMembers, MemberList},
    plan::{Key, Role, quoted_key},
};

/// The keys of the trace ids.
#[derive(Debug)]
pub(crate) struct TraceIdKeys {
    /// Each member up to its digits: `,"trace_id":"`. Empty if lines omit the member.
    starts: [Box<[u8]>; 3],
    /// All keys that a field with one of the three names can have, as JSON strings. A value that is
    /// not a valid id may have a different key.
    quoted: Box<[Box<[u8]>]>,
    /// The bits of the keys in `quoted`.
    pub(crate) bits: u128,
    /// The key ids of the keys in `quoted`.
    key_ids: Box<[KeyId]>,
    /// The length of the three members together, in bytes.
    len: usize,
}

const NAMES: [&str; 3] = ["trace_id", "span_id", "trace_flags"];

/// The lengths of the values in bytes, with their closing quotes.
const VALUE_LENS: [usize; 3] = [33, 17, 3];

impl TraceIdKeys {
    pub(crate) fn new(options: &Options, template: &LineTemplate) -> Self {
        let keys = NAMES.map(|name| template.key(options, name, FieldSource::Span));
        let starts: [Box<[u8]>; 3] = keys.each_ref().map(|key| match key.role {
            Role::Omitted => Box::default(),
            _ => member_start(key).into(),
        });
        let lens = starts.iter().zip(VALUE_LENS);
        let len = lens
            .filter(|(start, _)| !start.is_empty())
            .map(|(start, value_len)| start.len() + value_len)
            .sum();
        let openings = keys.iter().flat_map(|key| match &key.conversion {
            Some(conversion) => conversion.all_openings().collect(),
            None => vec![key.opening()],
        });
        Self {
            starts,
            quoted: openings.map(|opening| quoted_key(opening).into()).collect(),
            bits: keys.iter().fold(0, |bits, key| bits | key.bits),
            key_ids: keys.iter().flat_map(|key| key.key_ids.clone()).collect(),
            len,
        }
    }

    /// Returns the trace ids of a span with this identity, as members.
    pub(crate) fn members(&self, identity: &SpanIdentity) -> Vec<u8> {
        let (trace_id, span_id) = (identity.trace_id_digits(), identity.span_id_digits());
        let flags = HexDigits::<2>::from_bytes(&[identity.flags()]);
        let values = [trace_id.as_str(), span_id.as_str(), flags.as_str()];
        let mut members = Vec::with_capacity(self.len);
        for (start, value) in self.starts.iter().zip(values) {
            if !start.is_empty() {
                members.extend_from_slice(start);
                members.extend_from_slice(value.as_bytes());
                members.push(b'"');
            }
        }
        members
    }

    /// Returns the trace ids with which `tail` begins. Empty if it begins with another member.
    pub(crate) fn at_start<'t>(&self, tail: &'t [u8]) -> &'t [u8] {
        let first = self.starts.iter().find(|start| !start.is_empty());
        match first {
            Some(first) if tail.starts_with(first) => &tail[..self.len],
            Some(_) | None => b"",
        }
    }

    /// Returns whether `quoted`, a key as a JSON string, is the key of a trace id.
    pub(crate) fn contains(&self, quoted: &[u8]) -> bool {
        self.quoted.iter().any(|key| **key == *quoted)
    }

    pub(crate) fn key_ids(&self) -> &[KeyId] {
        &self.key_ids
    }

    /// Returns whether a member of a field with this `key` may have the key of a trace id.
    pub(crate) fn may_have(&self, key: &Key) -> bool {
        key.key_ids
            .iter()
            .any(|key_id| self.key_ids.contains(key_id))
    }

    /// Returns the members that do not have the key of a trace id.
    pub(crate) fn remove_from(&self, all: KeyedMembers<'_>) -> MemberList {
        all.filter(|_, member| !self.contains(quoted_key(member)))
    }
}

/// Returns the member of a trace id up to its digits.
fn member_start(key: &Key) -> Vec<u8> {
    match &key.conversion {
        Some(conversion) => match conversion.rule {
            Rule::Hex { .. } => conversion.openings.fitting.to_vec(),
            _ => [conversion.opening_for(Kind::Text), b"\""].concat(),
        },
        None => [key.opening(), b"\""].concat(),
    }
}
