//! The part of a callsite's plan that its spans refer to, and pinned context keys.
//!
//! A span *pins* a context key, such as `request_id`, if `context::set` or the HTTP layer records
//! it there. Fields of inner spans and of events with this key are then renamed.

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
    /// The member with the span's name. Empty if lines omit the name.
    pub(crate) tail: Box<[u8]>,
    /// The start of the list of spans, such as `,"spans":[`. `None` if lines omit the list.
    pub(crate) list: Option<Box<[u8]>>,
    /// The maximum length of a fragment in bytes. If it would be longer, inherited members are
    /// dropped.
    pub(crate) max_len: usize,
    /// The context keys of the layer: the built-in ones, then the configured ones.
    pub(crate) context: Arc<[ContextKey]>,
    pinned_keys: PinnedKeys,
    pub(crate) trace_ids: Arc<TraceIdKeys>,
}

/// The keys that the spans of all callsites of a layer have in common.
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
    /// For each member that a field with this key may become: its opening, and the opening that
    /// replaces it when the member is renamed.
    openings: Vec<(Box<[u8]>, Vec<u8>)>,
    key_ids: Box<[KeyId]>,
}

impl ContextKey {
    fn new(options: &Options, template: &LineTemplate, name: &str) -> Self {
        let key = template.key(options, name, FieldSource::Span);
        let (field_name, _) = template.field_name(options, name, FieldSource::Span);
        let renamed = template.displaced_name(&field_name);
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
        let used = all.into_iter().filter(|(from, _)| !from.is_empty());
        Self {
            openings: used.map(|(from, to)| (from.clone(), to)).collect(),
            key_ids: key.key_ids,
        }
    }

    /// Returns whether a member with this opening has the context key.
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

    /// Returns whether a member of a field with this `key` may have one of the `pinned` keys, for
    /// which it would be renamed.
    pub(crate) fn may_rename(&self, pinned: ContextBits, key: &Key) -> bool {
        self.pinned_keys(pinned).any(|known| {
            key.key_ids
                .iter()
                .any(|key_id| known.key_ids.contains(key_id))
        })
    }

    /// Returns whether one of the members may have one of the `pinned` keys, for which it would be
    /// renamed. Members without entries may have any key.
    pub(crate) fn may_rename_one_of(&self, pinned: ContextBits, members: KeyedMembers<'_>) -> bool {
        let may_have = |key_id: &KeyId| *key_id == NO_KEY_ID || members.contains(*key_id);
        let mut pinned = self.pinned_keys(pinned);
        pinned.any(|known| members.count() == 0 || known.key_ids.iter().any(may_have))
    }

    /// Returns the context keys that have one of the `pinned` bits.
    fn pinned_keys(&self, pinned: ContextBits) -> impl Iterator<Item = &ContextKey> {
        let context = self.context.iter().zip(&self.pinned_keys.0.bits);
        let selected = context.filter(move |(_, bit)| pinned & bit.load(Ordering::Relaxed) != 0);
        selected.map(|(key, _)| key)
    }

    /// Renames the members whose keys are `pinned`. Returns `None` if no member has such a key.
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
        let mut text = Vec::with_capacity(all.len() + 16);
        let mut changed_keys = Vec::new();
        for (index, member) in members(all).enumerate() {
            let after = match rename(&member) {
                Some((_, to)) if renamed.get(quoted_key(to)) != Some(&index) => None,
                Some((from, to)) => {
                    text.extend_from_slice(to);
                    text.extend_from_slice(&member.bytes[from.len()..]);
                    Some(quoted_key(to).into())
                }
                // This member got its key when it was renamed earlier. A newer member now gets it.
                None if renamed.contains_key(member.quoted_key()) => None,
                None => {
                    text.extend_from_slice(member.bytes);
                    continue;
                }
            };
            let before = member.quoted_key().into();
            changed_keys.push(ChangedKey { before, after });
        }
        Some(RenamedMembers { text, changed_keys })
    }
}

/// The result of [`SpanPlan::rename_pinned`]: the members, some with other keys.
#[derive(Debug)]
pub(crate) struct RenamedMembers {
    pub(crate) text: Vec<u8>,
    changed_keys: Vec<ChangedKey>,
}

/// The key of a member that was renamed or dropped, as a JSON string.
#[derive(Debug)]
struct ChangedKey {
    before: Box<[u8]>,
    /// `None` if the member was dropped, because a newer member has its key.
    after: Option<Box<[u8]>>,
}

impl RenamedMembers {
    /// Applies the changes of keys to the lists of truncated and redacted members in `altered`.
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
/// it, so that keys that no span pins use no bits. From the sixteenth pinned key on, all keys share
/// the last bit.
#[derive(Debug, Clone)]
pub(crate) struct PinnedKeys(Arc<KeyBits>);

#[derive(Debug)]
struct KeyBits {
    /// The bit of each key in [`SpanPlan::context`]. 0 if no span has pinned the key.
    bits: Box<[AtomicU16]>,
    /// The number of keys that have a bit.
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

    /// Returns the bit of a key that a span pins. `index` is that of the key in
    /// [`SpanPlan::context`].
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
        // If another thread has given the key a bit in the meantime, that bit is valid.
        exchanged.map_or_else(|other| other, |_| bit)
    }
}
