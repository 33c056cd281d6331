//! The trace ids that lines show for a span, if a layer exports traces.
//!
//! The trace ids are `trace_id`, `span_id` and `trace_flags` of the span's
//! [identity](SpanIdentity). A line that shows them drops the span's fields with their keys. A flat
//! line also drops such fields of outer spans and of the event.

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
    /// Each member up to its digits: `,"trace_id":"`. Empty if lines omit it.
    shown: [Box<[u8]>; 3],
    /// The keys as JSON strings. Also the keys of fields that have these names, but values that are
    /// not valid ids.
    quoted: Box<[Box<[u8]>]>,
    /// The bits of all these keys.
    pub(crate) bits: u128,
    /// The key ids of all these keys.
    key_ids: Box<[KeyId]>,
    /// The length of the three members together, in bytes.
    len: usize,
}

const NAMES: [&str; 3] = ["trace_id", "span_id", "trace_flags"];

/// The lengths of the values with their closing quotes.
const VALUE_LENS: [usize; 3] = [33, 17, 3];

impl TraceIdKeys {
    pub(crate) fn new(options: &Options, template: &LineTemplate) -> Self {
        let keys = NAMES.map(|name| template.key(options, name, FieldSource::Span));
        let shown: [Box<[u8]>; 3] = keys.each_ref().map(|key| match key.role {
            Role::Omitted => Box::default(),
            _ => id_opening(key).into(),
        });
        let lens = shown.iter().zip(VALUE_LENS);
        let len = lens
            .filter(|(member, _)| !member.is_empty())
            .map(|(member, value_len)| member.len() + value_len)
            .sum();
        let openings = keys.iter().flat_map(|key| match &key.conversion {
            Some(conversion) => conversion.all_openings().collect(),
            None => vec![key.opening()],
        });
        Self {
            shown,
            quoted: openings.map(|opening| quoted_key(opening).into()).collect(),
            bits: keys.iter().fold(0, |bits, key| bits | key.bits),
            key_ids: keys.iter().flat_map(|key| key.key_ids.clone()).collect(),
            len,
        }
    }

    /// Returns the members of a span with this identity.
    pub(crate) fn members(&self, identity: &SpanIdentity) -> Vec<u8> {
        let (trace_id, span_id) = (identity.trace_id_digits(), identity.span_id_digits());
        let flags = HexDigits::<2>::from_bytes(&[identity.flags()]);
        let values = [trace_id.as_str(), span_id.as_str(), flags.as_str()];
        let mut members = Vec::with_capacity(self.len);
        for (member, value) in self.shown.iter().zip(values) {
            if !member.is_empty() {
                members.extend_from_slice(member);
                members.extend_from_slice(value.as_bytes());
                members.push(b'"');
            }
        }
        members
    }

    /// Returns the trace ids at the start of `tail`, or nothing if there are none.
    pub(crate) fn at_start<'t>(&self, tail: &'t [u8]) -> &'t [u8] {
        let first = self.shown.iter().find(|member| !member.is_empty());
        match first {
            Some(first) if tail.starts_with(first) => &tail[..self.len],
            Some(_) | None => b"",
        }
    }

    /// Returns whether a key, which is a JSON string, is the key of a trace id.
    pub(crate) fn contains(&self, quoted: &[u8]) -> bool {
        self.quoted.iter().any(|key| **key == *quoted)
    }

    pub(crate) fn key_ids(&self) -> &[KeyId] {
        &self.key_ids
    }

    /// Returns whether a member of `key` may have the key of a trace id.
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
fn id_opening(key: &Key) -> Vec<u8> {
    match &key.conversion {
        Some(conversion) => match conversion.rule {
            Rule::Hex { .. } => conversion.openings.fitting.to_vec(),
            _ => [conversion.opening_for(Kind::Text), b"\""].concat(),
        },
        None => [key.opening(), b"\""].concat(),
    }
}
