//! The part of a callsite's plan that its spans refer to, and their pinned context.

use spanwise_core::CONTEXT_KEYS;
use tracing_core::Metadata;

use crate::{
    builder::Options,
    escape,
    format::{FIELDS_PREFIX, KeyNames},
    json_lexer::members,
    line_template::LineTemplate,
    name_limits::limit_name,
    span_ids::IdKeys,
};

/// The data that all spans of a callsite share.
#[derive(Debug)]
pub(crate) struct SpanPlan {
    pub(crate) callsite: &'static Metadata<'static>,
    pub(crate) key_names: &'static KeyNames,
    /// The span's name, as a JSON string.
    pub(crate) name: Box<[u8]>,
    pub(crate) list: bool,
    /// Inherited members are dropped from a fragment that would be longer than this.
    pub(crate) max_len: usize,
    /// The context keys, as JSON strings.
    pub(crate) context: Box<[Vec<u8>]>,
    pub(crate) ids: IdKeys,
}

impl SpanPlan {
    pub(crate) fn new(
        callsite: &'static Metadata<'static>,
        options: &Options,
        template: &LineTemplate,
    ) -> Self {
        let more = options.context_keys.iter().map(String::as_str);
        let context = CONTEXT_KEYS.into_iter().chain(more);
        let key = |name| template.key(options, name, false).name().to_vec();
        Self {
            callsite,
            key_names: template.key_names,
            name: escape::quoted(&limit_name(callsite.name())).into(),
            list: options.span_list,
            max_len: options.max_line,
            context: context.map(key).collect(),
            ids: IdKeys::new(options, template),
        }
    }

    /// Renames the members whose keys are `pinned`. Returns `None` if there are none.
    pub(crate) fn rename_pinned(&self, pinned: ContextBits, all: &[u8]) -> Option<Vec<u8>> {
        if pinned == 0 {
            return None;
        }
        let is_pinned = |key: &[u8]| {
            let place = self.context.iter().position(|known| known == key);
            place.is_some_and(|place| pinned & context_bit(place) != 0)
        };
        let keys = members(all).map(|member| member.quoted_key());
        let renamed: Vec<(&[u8], Vec<u8>)> = keys
            .filter(|key| is_pinned(key))
            .map(|key| (key, [b"\"", FIELDS_PREFIX.as_bytes(), &key[1..]].concat()))
            .collect();
        if renamed.is_empty() {
            return None;
        }
        let mut kept = Vec::with_capacity(all.len() + 16);
        for member in members(all) {
            let key = member.quoted_key();
            // The newer value replaces one that was renamed before.
            if renamed.iter().any(|(_, new)| new == key) {
                continue;
            }
            match renamed.iter().find(|(old, _)| *old == key) {
                Some((_, new)) => {
                    kept.push(b',');
                    kept.extend_from_slice(new);
                    kept.extend_from_slice(&member.bytes[1 + key.len()..]);
                }
                None => kept.extend_from_slice(member.bytes),
            }
        }
        Some(kept)
    }
}

/// A bit for each of the [`SpanPlan::context`] keys. From the sixteenth on they share the last.
pub(crate) type ContextBits = u16;

pub(crate) fn context_bit(place: usize) -> ContextBits {
    1 << place.min(ContextBits::BITS as usize - 1)
}
