//! The part of a callsite's plan that its spans refer to, and their pinned context.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
};

use spanwise_core::CONTEXT_KEYS;
use tracing_core::Metadata;

use crate::{
    altered_fields::AlteredFields,
    builder::Options,
    conversion::{Conversion, Rule},
    escape,
    format_table::{FormatTable, Kind},
    json_lexer::{Member, members},
    line_template::{FieldSource, LineTemplate, opening_of, push_member},
    member_keys::{KeyId, KeyedMembers, NO_KEY_ID},
    name_limits::limit_name,
    plan::{Key, quoted_key},
    span_ids::TraceIdKeys,
    spelling::{Spell, Spelling},
};

/// The data that all spans of a callsite share.
#[derive(Debug)]
pub(crate) struct SpanPlan {
    pub(crate) callsite: &'static Metadata<'static>,
    pub(crate) table: &'static FormatTable,
    /// The span's name, as a JSON string.
    pub(crate) name: Box<[u8]>,
    /// The member with the span's name. Empty if lines omit it.
    pub(crate) tail: Box<[u8]>,
    /// The start of the list of spans, such as `,"spans":[`. `None` if lines omit it.
    pub(crate) list: Option<Box<[u8]>>,
    /// Inherited members are dropped from a fragment that would be longer than this.
    pub(crate) max_len: usize,
    pub(crate) context: Arc<[ContextKey]>,
    pinned_keys: PinnedKeys,
    pub(crate) trace_ids: Arc<TraceIdKeys>,
}

/// The keys of spans that do not depend on the callsite.
#[derive(Debug)]
pub(crate) struct SpanKeys {
    context: Arc<[ContextKey]>,
    trace_ids: Arc<TraceIdKeys>,
}

impl SpanKeys {
    pub(crate) fn new(options: &Options, template: &LineTemplate) -> Self {
        let configured = options.context_keys.iter().map(String::as_str);
        let context = CONTEXT_KEYS.into_iter().chain(configured);
        Self {
            context: context
                .map(|name| ContextKey::new(options, template, name))
                .collect(),
            trace_ids: Arc::new(TraceIdKeys::new(options, template)),
        }
    }
}

/// A key of the context, such as `request_id`. The opening of a member is `,"key":`.
#[derive(Debug)]
pub(crate) struct ContextKey {
    /// For each member that a field with this key may become: its opening, and its opening after it
    /// is renamed.
    openings: Vec<(Box<[u8]>, Vec<u8>)>,
    key_ids: Box<[KeyId]>,
}

impl ContextKey {
    fn new(options: &Options, template: &LineTemplate, name: &str) -> Self {
        let key = template.key(options, name, FieldSource::Span);
        let (field_name, _) = template.field_name(options, name, FieldSource::Span);
        let renamed = template.displaced(&field_name);
        let Spelling {
            text,
            number,
            number_as_text,
        } = template.table.spelling;
        let opening = |spell: Spell| opening_of(&limit_name(&spell(&renamed)));
        let Some(Conversion { openings, rule, .. }) = key.conversion.as_deref() else {
            return Self {
                openings: vec![(key.opening().into(), opening(text))],
                key_ids: key.key_ids,
            };
        };
        let fitting = match rule {
            // The opening includes the quote of the value.
            Rule::Hex { .. } => [&*opening(text), b"\""].concat(),
            Rule::Nanos | Rule::Leaf(Kind::Integer | Kind::Number) => opening(number),
            _ => opening(text),
        };
        let all = [
            (&openings.fitting, fitting),
            (&openings.text, opening(text)),
            (&openings.number, opening(number)),
            (&openings.number_as_text, opening(number_as_text)),
            (&openings.other_as_text, opening(text)),
        ];
        let known = all.into_iter().filter(|(from, _)| !from.is_empty());
        Self {
            openings: known.map(|(from, to)| (from.clone(), to)).collect(),
            key_ids: key.key_ids,
        }
    }

    /// Returns whether a member with this opening has the key.
    pub(crate) fn has(&self, opening: &[u8]) -> bool {
        let mut openings = self.openings.iter();
        openings.any(|(original, _)| **original == *opening)
    }
}

impl SpanPlan {
    pub(crate) fn new(
        callsite: &'static Metadata<'static>,
        options: &Options,
        template: &LineTemplate,
    ) -> Self {
        let SpanKeys { context, trace_ids } = template.span_keys(options);
        let name = escape::quoted(&limit_name(callsite.name()));
        let mut tail = Vec::new();
        if options.span_name {
            push_member(&mut tail, template.table.span, &name);
        }
        let list = options.span_list.then(|| {
            let mut opening = Vec::new();
            let table = template.table;
            push_member(&mut opening, table.spans, table.style.list().open);
            opening.into()
        });
        Self {
            callsite,
            table: template.table,
            name: name.into(),
            tail: tail.into(),
            list,
            max_len: options.max_line,
            context: Arc::clone(context),
            pinned_keys: template.pinned_keys.clone(),
            trace_ids: Arc::clone(trace_ids),
        }
    }

    /// Returns whether a member of `key` may have one of the `pinned` keys.
    pub(crate) fn may_rename(&self, pinned: ContextBits, key: &Key) -> bool {
        self.pinned_keys(pinned).any(|known| {
            key.key_ids
                .iter()
                .any(|key_id| known.key_ids.contains(key_id))
        })
    }

    /// Returns whether one of the members may have one of the `pinned` keys. Members without
    /// entries may.
    pub(crate) fn may_rename_one_of(&self, pinned: ContextBits, members: KeyedMembers<'_>) -> bool {
        let may_have = |key_id: &KeyId| *key_id == NO_KEY_ID || members.contains(*key_id);
        let mut pinned = self.pinned_keys(pinned);
        pinned.any(|known| members.count() == 0 || known.key_ids.iter().any(may_have))
    }

    /// Returns the context keys with these bits.
    fn pinned_keys(&self, pinned: ContextBits) -> impl Iterator<Item = &ContextKey> {
        let context = self.context.iter().zip(&self.pinned_keys.0.bits);
        let known = context.filter(move |(_, bit)| pinned & bit.load(Ordering::Relaxed) != 0);
        known.map(|(key, _)| key)
    }

    /// Renames the members whose keys are `pinned`. Returns `None` if there are none.
    pub(crate) fn rename_pinned(&self, pinned: ContextBits, all: &[u8]) -> Option<RenamedMembers> {
        if pinned == 0 {
            return None;
        }
        let keys: Vec<&ContextKey> = self.pinned_keys(pinned).collect();
        let rename = |member: &Member<'_>| {
            let mut openings = keys.iter().flat_map(|key| &key.openings);
            openings.find(|(from, _)| member.bytes.starts_with(from))
        };
        // Each new key, with the index of the last member that gets it.
        let renamed: HashMap<&[u8], usize> = members(all)
            .enumerate()
            .filter_map(|(index, member)| {
                let (_, new_opening) = rename(&member)?;
                Some((quoted_key(new_opening), index))
            })
            .collect();
        if renamed.is_empty() {
            return None;
        }
        let mut kept = Vec::with_capacity(all.len() + 16);
        let mut changed_keys = Vec::new();
        for (index, member) in members(all).enumerate() {
            let after = match rename(&member) {
                Some((_, to)) if renamed.get(quoted_key(to)) != Some(&index) => None,
                Some((from, to)) => {
                    kept.extend_from_slice(to);
                    kept.extend_from_slice(&member.bytes[from.len()..]);
                    Some(quoted_key(to).into())
                }
                // This member has its key from an earlier rename. A newer value now gets the key.
                None if renamed.contains_key(member.quoted_key()) => None,
                None => {
                    kept.extend_from_slice(member.bytes);
                    continue;
                }
            };
            let before = member.quoted_key().into();
            changed_keys.push(ChangedKey { before, after });
        }
        Some(RenamedMembers {
            text: kept,
            changed_keys,
        })
    }
}

/// Members after [`SpanPlan::rename_pinned`].
#[derive(Debug)]
pub(crate) struct RenamedMembers {
    pub(crate) text: Vec<u8>,
    changed_keys: Vec<ChangedKey>,
}

/// The key of a member that was renamed or dropped, as a JSON string.
#[derive(Debug)]
struct ChangedKey {
    before: Box<[u8]>,
    /// `None` if the member was dropped, because a newer one has its key.
    after: Option<Box<[u8]>>,
}

impl RenamedMembers {
    /// Changes lists of the members' keys as the keys were changed.
    pub(crate) fn rename_listed(&self, altered: &mut AlteredFields) {
        altered.change_keys(|key| {
            let mut changed = self.changed_keys.iter();
            match changed.find(|changed| *changed.before == *key) {
                Some(changed) => changed.after.as_deref().map(<[u8]>::to_vec),
                None => Some(key.to_vec()),
            }
        });
    }
}

/// A set of context keys: see [`PinnedKeys`].
pub(crate) type ContextBits = u16;

/// The bits of a layer's context keys in [`ContextBits`]. A key gets a bit when a span first pins
/// it, so a key that no span has pinned shares no bit. From the sixteenth pinned key on, they share
/// the last bit.
#[derive(Debug, Clone)]
pub(crate) struct PinnedKeys(Arc<KeyBits>);

#[derive(Debug)]
struct KeyBits {
    /// The bit of each of the [`SpanPlan::context`] keys. 0 if no span has pinned the key.
    bits: Box<[AtomicU16]>,
    used: AtomicU32,
}

impl PinnedKeys {
    pub(crate) fn new(options: &Options) -> Self {
        let count = CONTEXT_KEYS.len() + options.context_keys.len();
        Self(Arc::new(KeyBits {
            bits: (0..count).map(|_| AtomicU16::new(0)).collect(),
            used: AtomicU32::new(0),
        }))
    }

    /// Returns the bit of a key that a span pins.
    #[inline]
    pub(crate) fn bit(&self, index: usize) -> ContextBits {
        match self.0.bits[index].load(Ordering::Relaxed) {
            0 => self.new_bit(index),
            bit => bit,
        }
    }

    #[cold]
    fn new_bit(&self, index: usize) -> ContextBits {
        let KeyBits { bits, used } = &*self.0;
        let used = used.fetch_add(1, Ordering::Relaxed);
        let bit = 1 << used.min(ContextBits::BITS - 1);
        let exchanged = bits[index].compare_exchange(0, bit, Ordering::Relaxed, Ordering::Relaxed);
        // Another thread may have given the key a bit.
        exchanged.map_or_else(|other| other, |_| bit)
    }
}
