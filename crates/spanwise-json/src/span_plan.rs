//! The part of a callsite's plan that its spans refer to, and their pinned context.

use std::{borrow::Cow, collections::HashSet};

use spanwise_core::CONTEXT_KEYS;
use tracing_core::Metadata;

use crate::{
    builder::Options,
    conversion::{Conversion, Rule},
    escape,
    format_table::{FormatTable, Kind},
    json_lexer::{Member, members},
    line_template::{LineTemplate, Place, start_of},
    name_limits::limit_name,
    plan::quoted_key,
    span_ids::IdKeys,
    spelling::Spelling,
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
    pub(crate) context: Box<[ContextKey]>,
    pub(crate) ids: IdKeys,
}

/// A key of the context: the start of each member that it may become, `,"key":`, and the start of
/// that member where it is renamed.
#[derive(Debug)]
pub(crate) struct ContextKey(Vec<(Box<[u8]>, Vec<u8>)>);

impl ContextKey {
    fn new(options: &Options, template: &LineTemplate, name: &str) -> Self {
        let key = template.key(options, name, Place::Span);
        let renamed = template.displaced(&template.field_name(options, name, Place::Span).0);
        let Spelling {
            text,
            number,
            number_as_text,
        } = template.table.spelling;
        let start = |spell: fn(&str) -> Cow<'_, str>| start_of(&limit_name(&spell(&renamed)));
        let Some(Conversion { starts, rule, .. }) = key.conversion.as_deref() else {
            return Self(vec![(key.member.as_bytes().into(), start(text))]);
        };
        let fitting = match rule {
            // The start of the member ends with that of the value.
            Rule::Hex { .. } => [&*start(text), b"\""].concat(),
            Rule::Nanos | Rule::Leaf(Kind::Integer | Kind::Number) => start(number),
            _ => start(text),
        };
        let all = [
            (&starts.fitting, fitting),
            (&starts.text, start(text)),
            (&starts.number, start(number)),
            (&starts.number_as_text, start(number_as_text)),
        ];
        let known = all.into_iter().filter(|(start, _)| !start.is_empty());
        Self(known.map(|(from, to)| (from.clone(), to)).collect())
    }

    /// Returns whether a member that starts so is one of the key.
    pub(crate) fn has(&self, start: &[u8]) -> bool {
        self.0.iter().any(|(own, _)| **own == *start)
    }
}

impl SpanPlan {
    pub(crate) fn new(
        callsite: &'static Metadata<'static>,
        options: &Options,
        template: &LineTemplate,
    ) -> Self {
        let more = options.context_keys.iter().map(String::as_str);
        let context = CONTEXT_KEYS.into_iter().chain(more);
        let key = |name| ContextKey::new(options, template, name);
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
        let pinned = |(place, key)| (pinned & context_bit(place) != 0).then_some(key);
        let keys: Vec<&ContextKey> = self.context.iter().enumerate().filter_map(pinned).collect();
        let rename = |member: &Member<'_>| {
            let mut starts = keys.iter().flat_map(|key| &key.0);
            starts.find(|(from, _)| member.bytes.starts_with(from))
        };
        let renamed: HashSet<&[u8]> = members(all)
            .filter_map(|member| Some(quoted_key(&rename(&member)?.1)))
            .collect();
        if renamed.is_empty() {
            return None;
        }
        let mut kept = Vec::with_capacity(all.len() + 16);
        for member in members(all) {
            match rename(&member) {
                Some((from, to)) => {
                    kept.extend_from_slice(to);
                    kept.extend_from_slice(&member.bytes[from.len()..]);
                }
                // The newer value replaces one that was renamed before.
                None if renamed.contains(member.quoted_key()) => {}
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
