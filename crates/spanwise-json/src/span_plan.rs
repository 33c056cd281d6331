//! The part of a callsite's plan that its spans refer to, and their pinned context.

use spanwise_core::CONTEXT_KEYS;
use tracing_core::Metadata;

use crate::{
    builder::Options,
    escape,
    format_table::FormatTable,
    json_lexer::members,
    line_template::{LineTemplate, Place},
    name_limits::limit_name,
    span_ids::IdKeys,
};

/// The data that all spans of a callsite share.
#[derive(Debug)]
pub(crate) struct SpanPlan {
    pub(crate) callsite: &'static Metadata<'static>,
    pub(crate) table: &'static FormatTable,
    /// The span's name, as a JSON string.
    pub(crate) name: Box<[u8]>,
    pub(crate) list: bool,
    /// Inherited members are dropped from a fragment that would be longer than this.
    pub(crate) max_len: usize,
    /// The context keys as JSON strings, and the keys of fields that are renamed because of them.
    pub(crate) context: Box<[(Vec<u8>, Vec<u8>)]>,
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
        let key = |name| {
            let key = template.key(options, name, Place::Span);
            let renamed = template.displaced(&template.field_name(options, name, Place::Span).0);
            let renamed = escape::quoted(&limit_name(&template.table.spell(&renamed)));
            (key.name().to_vec(), renamed)
        };
        Self {
            callsite,
            table: template.table,
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
        let renamed_key = |key: &[u8]| {
            let place = self.context.iter().position(|(known, _)| known == key)?;
            (pinned & context_bit(place) != 0).then(|| self.context[place].1.clone())
        };
        let keys = members(all).map(|member| member.quoted_key());
        let renamed: Vec<(&[u8], Vec<u8>)> = keys
            .filter_map(|key| Some((key, renamed_key(key)?)))
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
