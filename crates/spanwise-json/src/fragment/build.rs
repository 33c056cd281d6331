//! Building a fragment, from the fields of a span and the fragment of its parent.

use std::{borrow::Cow, cell::OnceCell, sync::Arc};

use once_cell::race::OnceBox;
use spanwise_core::internal::{Inherit, SharedValue};

use super::{
    Bits, Extras, Fragment, MAX_COPIED_LEN, SpanAlteredFields, omitted_span_count_at,
    pieces::{MemberPieces, Piece, SharedPieces},
};
use crate::{
    altered_fields::AlteredFields,
    conversion::push_field,
    escape,
    format::SPANS_OMITTED,
    format_table::Layout,
    json_lexer::{KeySet, members},
    member_keys::{KeyId, KeyedMembers, MemberList, push_table, table_len},
    plan::quoted_key,
    span_ids::TraceIdKeys,
    span_plan::{ContextBits, SpanPlan},
    work,
};

/// The own members of a span, from which its fragment is built. They come from a visit of its
/// fields, or from its earlier fragment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnMembers<'a> {
    /// The members in the order of the line. In the result of [`Fragment::record`], the first part
    /// has the earlier members that stay, and the second the recorded ones. Otherwise the second
    /// part is empty.
    pub(crate) members: [KeyedMembers<'a>; 2],
    /// Whether all keys have [ids](crate::member_keys).
    pub(crate) has_key_ids: bool,
    /// The keys as a [set](super::Bits), possibly with further bits.
    pub(crate) bits: u128,
    /// The context keys that the members pin: see [`Fragment`].
    pub(crate) pinned: ContextBits,
    pub(crate) altered: &'a AlteredFields,
    /// The members `trace_id`, `span_id` and `trace_flags`, if a flat line shows them. If so,
    /// `members` has none of their keys.
    pub(crate) trace_ids: &'a [u8],
    /// The length in bytes of the trace ids at the end of the first part of `members`, if a nested
    /// line shows them. No field has their keys. Only [`Fragment::record`] reads it.
    pub(crate) nested_ids_len: usize,
    /// See [`Fragment::error`].
    pub(crate) error: Option<u8>,
}

/// The parts of a fragment that depend on the layout of the line.
#[derive(Default)]
struct Built {
    bytes: Vec<u8>,
    shared: Option<Arc<SharedPieces>>,
    /// The lists of truncated and redacted fields. `None` for nearly all spans.
    altered: Option<Box<AlteredFields>>,
    /// The truncated and redacted own fields under their new keys, if own members were renamed.
    /// [`OwnMembers::altered`] has the old keys.
    renamed_altered: Option<Box<AlteredFields>>,
    /// The bits of the own keys and of the trace ids. [`Fragment::new`] adds the parent's.
    bits: u128,
    split: usize,
    text_len: usize,
    names_len: usize,
    own_len: usize,
    own_count: usize,
    key_count: usize,
    has_key_ids: bool,
    /// Whether own members were renamed.
    is_renamed: bool,
}

impl Fragment {
    #[inline(never)] // Called for new spans, late records and rebuilds.
    pub(crate) fn new(
        span_plan: SharedValue<SpanPlan>,
        own: &OwnMembers<'_>,
        parent: Option<&Self>,
    ) -> Self {
        work::step(1);
        let built = match span_plan.table.layout {
            Layout::Flat => build_flat(&span_plan, own, parent),
            Layout::Nested => build_nested(&span_plan, own, parent),
        };
        let extras = OnceBox::new();
        if let Some(all) = built.altered.filter(|all| !all.is_empty()) {
            let altered = SpanAlteredFields {
                own: built
                    .renamed_altered
                    .map_or_else(|| own.altered.clone(), |altered| *altered),
                members: all.to_members(span_plan.table),
                all: *all,
            };
            let _ = extras.set(Box::new(Extras {
                altered: Some(altered),
                ..Extras::default()
            }));
        }
        Self {
            bytes: built.bytes.into(),
            shared: built.shared,
            extras,
            bits: Bits::new(built.bits | parent.map_or(0, Self::bits)),
            own_len: built.own_len as u32,
            split: built.split as u32,
            text_len: built.text_len as u32,
            names_len: built.names_len as u32,
            depth: depth_below(parent),
            own_count: built.own_count as u16,
            key_count: built.key_count as u16,
            own_pinned: own.pinned,
            pinned: own.pinned | parent.map_or(0, |parent| parent.pinned),
            has_key_ids: built.has_key_ids,
            has_trace_ids: !own.trace_ids.is_empty(),
            error: own.error,
            span_plan,
        }
    }

    /// Returns the fragment of the span after a `record`. Recorded values are added, or replace
    /// earlier values of the same key. If the span has pinned the key of a recorded value, the
    /// value gets another key, unless this `record` pins the key, too.
    pub(crate) fn record(&self, recorded: &OwnMembers<'_>, parent: Option<&Self>) -> Self {
        let pinned = self.own_pinned & !recorded.pinned;
        let may_rename = |members| match recorded.has_key_ids {
            true => self.span_plan.may_rename_one_of(pinned, members),
            false => true,
        };
        let renamed = match pinned {
            0 => None,
            _ if !may_rename(recorded.members[0]) => None,
            _ => self.rename_recorded(pinned, recorded),
        };
        let with_new_keys;
        let recorded = match &renamed {
            None => recorded,
            // The key ids and bits of the renamed keys are unknown. With all bits set, keys are
            // compared as text.
            Some((members, altered)) => {
                with_new_keys = OwnMembers {
                    members: [KeyedMembers::from_text(members), KeyedMembers::default()],
                    has_key_ids: false,
                    bits: u128::MAX,
                    altered,
                    ..*recorded
                };
                &with_new_keys
            }
        };
        let new_members = recorded.members[0];
        let own_part = self.own();
        let earlier = own_part.as_members();
        let has_key_ids = self.has_key_ids && recorded.has_key_ids;
        let mut altered = Cow::Borrowed(self.own_altered());
        let kept;
        let has_only_new_keys = match has_key_ids {
            true => !earlier.has_key_of(new_members),
            false => self.own_bits() & recorded.bits == 0,
        };
        // If the layer that exports traces is outside of this layer, the span gets its ids after
        // `on_new_span` of this layer.
        let has_late_ids = !recorded.trace_ids.is_empty() && !self.has_trace_ids;
        // The new members follow the earlier members that they do not replace.
        let still_valid = if has_only_new_keys && !has_late_ids {
            earlier
        } else {
            let keys = KeySet::new(new_members.text, self.span_plan.table);
            let is_replaced = |quoted: &[u8]| {
                keys.contains(quoted) || has_late_ids && self.span_plan.trace_ids.contains(quoted)
            };
            kept = earlier.filter(|_, member| !is_replaced(quoted_key(member)));
            let mut unchanged = AlteredFields::default();
            unchanged.add(&altered, |name| !is_replaced(name));
            altered = Cow::Owned(unchanged);
            kept.as_members()
        };
        if !recorded.altered.is_empty() {
            altered.to_mut().add(recorded.altered, |_| true);
        }
        let own = OwnMembers {
            members: [still_valid, new_members],
            has_key_ids,
            bits: self.own_bits() | recorded.bits,
            pinned: self.own_pinned | recorded.pinned,
            altered: &altered,
            trace_ids: match recorded.trace_ids {
                b"" => self.trace_ids(),
                ids => ids,
            },
            nested_ids_len: 0,
            error: self.error.or(recorded.error),
        };
        Self::new(self.span_plan.clone(), &own, parent)
    }

    /// Renames the recorded members whose keys are `pinned`. Returns all recorded members, and
    /// their altered fields under the new keys. Returns `None` if no key is `pinned`.
    #[inline(never)] // Kept out of line: few spans pin context.
    fn rename_recorded(
        &self,
        pinned: ContextBits,
        recorded: &OwnMembers<'_>,
    ) -> Option<(Vec<u8>, AlteredFields)> {
        let members = recorded.members[0].text;
        // `trace_id` and `span_id` are also context keys, so the span may have pinned them. Then
        // recorded fields with these keys are renamed, but not the ids of the exported span, which
        // come last.
        let (fields, nested_ids) = members.split_at(members.len() - recorded.nested_ids_len);
        let mut renamed = self.span_plan.rename_pinned(pinned, fields)?;
        renamed.text.extend_from_slice(nested_ids);
        let mut altered = recorded.altered.clone();
        renamed.rename_listed(&mut altered);
        Some((renamed.text, altered))
    }

    /// Returns the bits of the span's own keys, and possibly further bits.
    fn own_bits(&self) -> u128 {
        let table = &self.bytes[self.text_len as usize..];
        match table.first_chunk() {
            Some(bits) if !self.has_key_ids => u128::from_le_bytes(*bits),
            _ => self.bits(),
        }
    }

    /// Returns the names in the list of spans. Empty if there is no list.
    fn names(&self) -> &[u8] {
        let Some(opening) = &self.span_plan.list else {
            return &[];
        };
        let start = self.trace_ids().len() + self.span_plan.tail.len() + opening.len();
        &self.tail()[start..][..self.names_len as usize]
    }

    /// Returns whether an inner span with the own members `own` shadows no member of this span:
    /// neither its own members nor its trace ids have a key of this span. Compares key ids if all
    /// keys have them.
    fn is_unshadowed(&self, span_plan: &SpanPlan, own: &OwnMembers<'_>, has_key_ids: bool) -> bool {
        let is_disjoint = own.bits & self.bits() == 0
            || (has_key_ids && !own.members.iter().any(|own| self.has_key_of(*own)));
        let has_trace_id_field = || match has_key_ids {
            true => span_plan
                .trace_ids
                .key_ids()
                .iter()
                .any(|key_id| self.may_have(*key_id)),
            false => self.bits() & span_plan.trace_ids.bits != 0,
        };
        // If this span has trace ids, its members do not have the keys of trace ids.
        is_disjoint && (own.trace_ids.is_empty() || self.has_trace_ids || !has_trace_id_field())
    }

    fn has_key_of(&self, own: KeyedMembers<'_>) -> bool {
        self.member_parts().any(|part| part.has_key_of(own))
    }
}

impl Built {
    #[inline]
    fn new(own: &OwnMembers<'_>) -> Self {
        Self {
            bits: own.bits,
            altered: (!own.altered.is_empty()).then(|| Box::new(own.altered.clone())),
            ..Self::default()
        }
    }

    fn altered(&mut self) -> &mut AlteredFields {
        self.altered.get_or_insert_default()
    }

    /// Adds all fields that the parent lists as truncated or redacted.
    fn add_altered_of(&mut self, parent: &Fragment) {
        if parent.span_altered().is_some() {
            self.altered().add(parent.altered(), |_| true);
        }
    }
}

/// Builds the text of a flat line.
#[inline(always)] // Its only caller moves the result into the fragment.
fn build_flat(span_plan: &SpanPlan, own: &OwnMembers<'_>, parent: Option<&Fragment>) -> Built {
    let mut built = Built {
        own_len: own.members[0].text.len() + own.members[1].text.len(),
        own_count: own.members[0].count() + own.members[1].count(),
        has_key_ids: own.has_key_ids && parent.is_none_or(|parent| parent.has_key_ids),
        ..Built::new(own)
    };
    let inherited = parent.map(Fragment::head_members).unwrap_or_default();
    let total = built.own_len + parent.map_or(0, Fragment::members_len);
    let can_append = built.own_len + inherited.text.len() <= MAX_COPIED_LEN
        && total <= span_plan.max_len
        && parent.is_none_or(|parent| parent.is_unshadowed(span_plan, own, built.has_key_ids));
    if can_append {
        if let Some(parent) = parent {
            built.add_altered_of(parent);
            built.shared.clone_from(&parent.shared);
        }
        let [members, recorded] = own.members;
        let parts = [members, recorded, inherited];
        push_text(span_plan, own, parent, &mut built, &parts);
    } else {
        build_shared(span_plan, own, parent, &mut built);
    }
    built
}

/// Writes `parts`, the tail, and the table of keys or the bits of the own keys to `built.bytes`.
#[inline]
fn push_text<const N: usize>(
    span_plan: &SpanPlan,
    own: &OwnMembers<'_>,
    parent: Option<&Fragment>,
    built: &mut Built,
    parts: &[KeyedMembers<'_>; N],
) {
    let (mut members_len, mut count) = (0, 0);
    for part in parts {
        members_len += part.text.len();
        count += part.count();
    }
    let table_len = match built.has_key_ids {
        true => table_len(count),
        false => size_of::<u128>(),
    };
    let len_without_list = members_len + own.trace_ids.len() + span_plan.tail.len();
    built.bytes = Vec::with_capacity(len_without_list + table_len);
    let bytes = &mut built.bytes;
    for part in parts.iter().filter(|part| !part.text.is_empty()) {
        bytes.extend_from_slice(part.text);
    }
    built.split = bytes.len();
    if !own.trace_ids.is_empty() {
        built.bits |= span_plan.trace_ids.bits;
        bytes.extend_from_slice(own.trace_ids);
    }
    bytes.extend_from_slice(&span_plan.tail);
    if let Some(opening) = &span_plan.list {
        built.names_len = push_names(span_plan, opening, bytes, parent);
    }
    built.text_len = bytes.len();
    if built.has_key_ids {
        built.key_count = count;
        push_table(bytes, parts);
    } else {
        built.own_count = 0;
        // Not `built.bits`, which also has the bits of the trace ids. The bits of renamed keys are
        // unknown, so all are set.
        let own_bits = own.bits | if built.is_renamed { u128::MAX } else { 0 };
        bytes.extend_from_slice(&own_bits.to_le_bytes());
    }
}

/// Appends the list of the names of all spans, up to `MAX_LISTED_SPANS`, and the number of spans
/// that it omits. Returns the length of the names in bytes.
fn push_names(
    span_plan: &SpanPlan,
    opening: &[u8],
    bytes: &mut Vec<u8>,
    parent: Option<&Fragment>,
) -> usize {
    let table = span_plan.table;
    let list = table.style.list();
    bytes.extend_from_slice(opening);
    let start = bytes.len();
    if let Some(parent) = parent {
        bytes.extend_from_slice(parent.names());
    }
    let omitted = omitted_span_count_at(depth_below(parent));
    if omitted == 0 {
        list.push_item(bytes, bytes.len() > start, &span_plan.name);
    }
    let names_len = bytes.len() - start;
    bytes.extend_from_slice(list.close);
    if omitted > 0 {
        push_field(bytes, table, SPANS_OMITTED, omitted.to_string().as_bytes());
    }
    names_len
}

/// Builds a flat fragment if the span cannot inherit all members as they are: some members are
/// long, the parent has one of the span's own keys, or not all of the parent's members fit.
#[cold]
#[inline(never)] // Kept out of line, so that the common path stays small.
fn build_shared(
    span_plan: &SpanPlan,
    own: &OwnMembers<'_>,
    parent: Option<&Fragment>,
    built: &mut Built,
) {
    let mut pieces = MemberPieces::default();
    let mut list = MemberList::default();
    own.members.iter().for_each(|part| list.extend(*part));
    let pinned = parent.map_or(0, |parent| parent.pinned) & !own.pinned;
    let renamed = span_plan.rename_pinned(pinned, &list.text);
    let members = match &renamed {
        Some(renamed) => {
            built.own_len = renamed.text.len();
            if let Some(altered) = &mut built.altered {
                renamed.rename_listed(altered);
                built.renamed_altered = Some(altered.clone());
            }
            // The renamed keys have neither key ids nor bits. With all bits set, each event
            // compares its keys with those of the span as text.
            built.has_key_ids = false;
            built.bits = u128::MAX;
            built.is_renamed = true;
            KeyedMembers::from_text(&renamed.text)
        }
        None => list.as_members_if(built.has_key_ids),
    };
    pieces.push_own(members);
    if let Some(parent) = parent {
        let trace_ids = (!own.trace_ids.is_empty()).then_some(&*span_plan.trace_ids);
        push_inherited(span_plan, members, trace_ids, parent, built, &mut pieces);
    }
    built.shared = SharedPieces::from_pieces(std::mem::take(&mut pieces.pieces));
    let head = pieces.head.as_members();
    push_text(span_plan, own, parent, built, &[head]);
}

/// Appends the members of the parent that the span does not shadow, as long as there is room.
/// `trace_ids` are the keys of the span's trace ids, if it has trace ids.
fn push_inherited(
    span_plan: &SpanPlan,
    own: KeyedMembers<'_>,
    trace_ids: Option<&TraceIdKeys>,
    parent: &Fragment,
    built: &mut Built,
    pieces: &mut MemberPieces,
) {
    let has_key_ids = built.has_key_ids;
    let altered = built.altered();
    let trace_key_ids = trace_ids.map_or(&[][..], TraceIdKeys::key_ids);
    let own_keys = OnceCell::new();
    let is_own_key = |quoted: &[u8]| {
        let keys = own_keys.get_or_init(|| KeySet::new(own.text, span_plan.table));
        keys.contains(quoted) || trace_ids.is_some_and(|ids| ids.contains(quoted))
    };
    let is_shadowed = |key_id: KeyId, member: &[u8]| match has_key_ids {
        true => own.contains(key_id) || trace_key_ids.contains(&key_id),
        false => is_own_key(quoted_key(member)),
    };
    let has_shadowed = |part: KeyedMembers<'_>| match has_key_ids {
        true => part.has_key_of(own) || trace_key_ids.iter().any(|key_id| part.contains(*key_id)),
        false => part
            .iter()
            .any(|(key_id, member)| is_shadowed(key_id, member)),
    };
    // The keys that an outer span lists as truncated or redacted stay listed, unless this span has
    // a value of its own for the key.
    altered.add(parent.altered(), |name| !is_own_key(name));
    let mut room = span_plan.max_len.saturating_sub(own.text.len());
    // Returns the members of a part that this span inherits, or `None` if it inherits all of them.
    let mut take = |part: KeyedMembers<'_>| -> Option<MemberList> {
        if part.text.len() <= room && !has_shadowed(part) {
            room -= part.text.len();
            return None;
        }
        let mut kept = MemberList::default();
        for (key_id, member) in part
            .iter()
            .filter(|(key_id, member)| !is_shadowed(*key_id, member))
        {
            if member.len() <= room {
                room -= member.len();
                kept.push(key_id, member);
            } else {
                altered.truncated.push(quoted_key(member));
            }
        }
        Some(kept)
    };
    let head = parent.head_members();
    match take(head) {
        None => pieces.push(head),
        Some(kept) => pieces.push(kept.as_members_if(has_key_ids)),
    }
    for piece in parent.pieces() {
        match take(piece.members()) {
            None => pieces.pieces.push(piece.clone()),
            Some(kept) => pieces.push(kept.as_members_if(has_key_ids)),
        }
    }
}

/// Builds the objects of a nested line.
#[inline(never)] // Kept out of line, so that the path of flat lines stays small.
fn build_nested(span_plan: &SpanPlan, own: &OwnMembers<'_>, parent: Option<&Fragment>) -> Built {
    let mut built = Built::new(own);
    let own_text = match own.members.map(|part| part.text) {
        [members, b""] => Cow::Borrowed(members),
        parts => Cow::Owned(parts.concat()),
    };
    let (pieces, outer) = parent.map(Fragment::object_parts).unwrap_or_default();
    let pieces_len: usize = pieces.iter().map(|piece| piece.text().len()).sum();
    let (pieces, outer) = if pieces_len + outer.len() + own_text.len() <= span_plan.max_len {
        if let Some(parent) = parent {
            built.add_altered_of(parent);
        }
        (pieces, outer)
    } else {
        // Together, the objects are too long: omit the outer ones, and keep the span's own.
        built
            .altered()
            .truncated
            .push(&escape::quoted(span_plan.table.spans));
        (&[][..], &b""[..])
    };
    // As in `fmt().json()`, the fields of a span are sorted by their keys, and `name` is the last.
    let mut sorted: Vec<_> = members(&own_text).collect();
    sorted.sort_by_key(|member| member.quoted_key());
    let object_len = own_text.len() + NAME_KEY.len() + span_plan.name.len() + 3;
    let mut bytes = Vec::with_capacity(outer.len() + object_len);
    bytes.extend_from_slice(outer);
    bytes.extend_from_slice(b",{");
    for member in sorted {
        bytes.extend_from_slice(&member.bytes[1..]);
        bytes.push(b',');
    }
    bytes.extend_from_slice(NAME_KEY);
    bytes.extend_from_slice(&span_plan.name);
    bytes.push(b'}');
    if bytes.len() <= MAX_COPIED_LEN {
        // If no piece of the parent was omitted, both spans refer to the same list of pieces.
        let unchanged = parent.filter(|parent| parent.pieces().len() == pieces.len());
        built.shared = match unchanged {
            Some(parent) => parent.shared.clone(),
            None => SharedPieces::from_pieces(pieces.to_vec()),
        };
        built.split = outer.len();
        built.text_len = bytes.len();
        built.bytes = bytes;
        return built;
    }
    let mut pieces = pieces.to_vec();
    if !outer.is_empty() {
        pieces.push(Piece::new(KeyedMembers::from_text(outer)));
    }
    let object = &bytes[outer.len()..];
    if object.len() > MAX_COPIED_LEN {
        pieces.push(Piece::new(KeyedMembers::from_text(object)));
    } else {
        built.text_len = object.len();
        built.bytes = object.to_vec();
    }
    built.shared = SharedPieces::from_pieces(pieces);
    built
}

impl Inherit for Fragment {
    fn rebuild(&self, parent: Option<&Self>) -> Self {
        let own_part = self.own();
        let own = OwnMembers {
            members: [own_part.as_members(), KeyedMembers::default()],
            has_key_ids: self.has_key_ids,
            bits: self.own_bits(),
            pinned: self.own_pinned,
            altered: self.own_altered(),
            trace_ids: self.trace_ids(),
            nested_ids_len: 0,
            error: self.error,
        };
        Self::new(self.span_plan.clone(), &own, parent)
    }
}

/// The key of the span's name in a nested object.
pub(super) const NAME_KEY: &[u8] = b"\"name\":";

/// Returns the depth of a span with this parent. The depth of a root span is 1.
fn depth_below(parent: Option<&Fragment>) -> u32 {
    parent.map_or(0, |parent| parent.depth) + 1
}
