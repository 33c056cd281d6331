//! Span fragments: the bytes that a span adds to the lines of its events, encoded once.

use std::{borrow::Cow, sync::Arc};

use spanwise_core::internal::{Inherit, SpanData};
use tracing_core::Metadata;

use crate::{
    altered_fields::{AlteredFields, UNALTERED},
    conversion::push_field,
    escape,
    format::SPANS_OMITTED,
    format_table::Layout,
    json_lexer::{KeySet, members},
    line_buffer::LineBuffer,
    span_plan::{ContextBits, SpanPlan},
};

/// A span's fragment in the tree of spans.
pub(crate) type SpanNode = Arc<SpanData<Fragment>>;

/// A span's own fields and those it inherits, ready to be copied into a line.
///
/// A *member* is a key with its value, an *object* is all members of one span in a nested line, and
/// a *piece* is a run of members or objects that spans share. In a line, a fragment is:
///
/// * flat: `bytes[..split]` (members), then `shared` (more members), then `bytes[split..]`, which
///   has the name of the span and the list of spans;
/// * nested: `shared` (outer objects), then `bytes[..split]` (more outer objects), then
///   `bytes[split..]` (the span's own object). If the own object is long, it is the last piece of
///   `shared`, and `bytes` is empty.
///
/// Short inherited members are copied into `bytes`, so that an event appends the whole fragment
/// with one copy. Long ones are shared with the parent. This is most of the memory of an open span.
#[derive(Debug)]
pub(crate) struct Fragment {
    span_plan: Arc<SpanPlan>,
    /// Everything that is not shared: own and short inherited members or objects. `split` divides
    /// it.
    bytes: Box<[u8]>,
    /// The pieces that this span shares with others.
    shared: Option<Arc<Shared>>,
    altered: Option<Box<SpanAlteredFields>>,
    /// The keys of the span's own members, and those of all members, outer spans included.
    own_bits: Bits,
    bits: Bits,
    /// The length of the span's own members, which come first in `bytes`, or in `shared` if they
    /// are long. Flat lines only.
    own_len: u32,
    /// Flat: where the members in `bytes` end. Nested: where the span's own object starts.
    split: u32,
    /// The range in `bytes` of the names of all spans, if they are listed.
    names: [u32; 2],
    depth: u32,
    /// The context keys, such as `request_id`, that this span sets for the spans and events inside
    /// it, and those that it or an outer span sets. A field with such a key is renamed there.
    own_pinned: ContextBits,
    pinned: ContextBits,
}

/// A set of keys, one bit per key; beyond 128 keys some share one. Disjoint sets prove disjoint
/// keys. A `u128` has a larger alignment, which would cost 16 bytes per open span.
#[derive(Debug, Clone, Copy)]
struct Bits([u64; 2]);

impl Bits {
    fn new(bits: u128) -> Self {
        Self([bits as u64, (bits >> 64) as u64])
    }

    #[inline]
    fn get(self) -> u128 {
        let [low, high] = self.0;
        u128::from(high) << 64 | u128::from(low)
    }
}

/// Long members or objects, which a span shares with the spans inside it.
#[derive(Debug)]
struct Shared {
    pieces: Box<[Arc<[u8]>]>,
    len: usize,
}

/// The truncated and redacted fields of a span and its parents.
#[derive(Debug)]
struct SpanAlteredFields {
    own: AlteredFields,
    all: AlteredFields,
    /// The members `truncated` and `redacted` that list `all`.
    members: Vec<u8>,
}

/// `spans` lists at most this many spans.
const MAX_LISTED_SPANS: usize = 64;

/// Members and objects longer than this many bytes are shared between spans, not copied.
const MIN_SHARED_LEN: usize = 512;

/// The members that one visit of a span's fields produced.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnMembers<'a> {
    /// In the order of the line. Only a late `record` has a second part: the values that it adds.
    pub(crate) members: [&'a [u8]; 2],
    pub(crate) bits: u128,
    pub(crate) pinned: ContextBits,
    pub(crate) altered: &'a AlteredFields,
    /// The members of the span's ids, if a flat line shows them. Then there are none in `members`.
    pub(crate) ids: &'a [u8],
}

impl Fragment {
    pub(crate) fn new(
        span_plan: &Arc<SpanPlan>,
        own: OwnMembers<'_>,
        parent: Option<&Self>,
    ) -> Self {
        let own_len = own.members[0].len() + own.members[1].len();
        let id_bits = if own.ids.is_empty() {
            0
        } else {
            span_plan.ids.bits
        };
        let mut fragment = Self {
            span_plan: Arc::clone(span_plan),
            bytes: Box::default(),
            shared: None,
            altered: None,
            own_bits: Bits::new(own.bits),
            bits: Bits::new(own.bits | id_bits),
            own_len: own_len as u32,
            split: 0,
            names: [0, 0],
            depth: parent.map_or(0, |parent| parent.depth) + 1,
            own_pinned: own.pinned,
            pinned: own.pinned | parent.map_or(0, |parent| parent.pinned),
        };
        let mut altered = own.altered.clone();
        match span_plan.table.layout {
            Layout::Flat => fragment.build_flat(own.members, own.ids, parent, &mut altered),
            Layout::Nested => fragment.build_nested(own.members, parent, &mut altered),
        }
        if !altered.is_empty() {
            fragment.altered = Some(Box::new(SpanAlteredFields {
                own: own.altered.clone(),
                members: altered.to_members(span_plan.table),
                all: altered,
            }));
        }
        fragment
    }

    /// Returns the span's fragment with the recorded values: they are added, or replace earlier
    /// ones.
    pub(crate) fn record(&self, recorded: OwnMembers<'_>, parent: Option<&Self>) -> Self {
        let new = recorded.members[0];
        let bits = self.own_bits.get() | recorded.bits;
        let own = self.own();
        let mut altered = AlteredFields::default();
        let mut kept = Vec::new();
        // If no field had a value before, the new ones come after the old ones.
        let old = if self.own_bits.get() & recorded.bits == 0 {
            altered.clone_from(self.own_altered());
            &*own
        } else {
            let keys = KeySet::new(new, self.span_plan.table);
            let own = members(&own).filter(|old| !keys.contains(old.quoted_key()));
            own.for_each(|member| kept.extend(member.bytes));
            altered.add(self.own_altered(), |name| !keys.contains(name));
            &kept
        };
        altered.add(recorded.altered, |_| true);
        let own = OwnMembers {
            members: [old, new],
            bits,
            pinned: self.own_pinned | recorded.pinned,
            altered: &altered,
            ids: match recorded.ids {
                b"" => self.ids(),
                ids => ids,
            },
        };
        Self::new(&self.span_plan, own, parent)
    }

    pub(crate) fn callsite(&self) -> &'static Metadata<'static> {
        self.span_plan.callsite
    }

    /// Returns the span's own members.
    fn own(&self) -> Cow<'_, [u8]> {
        let own_len = self.own_len as usize;
        match self.span_plan.table.layout {
            Layout::Flat if own_len <= self.head().len() => Cow::Borrowed(&self.bytes[..own_len]),
            Layout::Flat => {
                let mut own = Vec::with_capacity(own_len);
                let mut pieces = self.pieces().iter();
                while own.len() < own_len
                    && let Some(piece) = pieces.next()
                {
                    own.extend_from_slice(piece);
                }
                Cow::Owned(own)
            }
            Layout::Nested => {
                // `{"a":1,"b":2` of `{"a":1,"b":2,"name":"s"}`: readers skip the first byte of each
                // member, `{` or `,`. Empty without fields.
                let object = self.object();
                let end = object.len() - NAME_KEY.len() - self.span_plan.name.len() - 1;
                Cow::Borrowed(&object[..end - 1])
            }
        }
    }

    /// Returns the members of the span's ids. Flat lines only.
    fn ids(&self) -> &[u8] {
        match self.span_plan.table.layout {
            Layout::Flat => self.span_plan.ids.at_start(self.tail()),
            Layout::Nested => b"",
        }
    }

    /// Returns whether own or inherited fields may have the keys of ids. None has beside ids.
    fn may_have_id_fields(&self) -> bool {
        self.bits() & self.span_plan.ids.bits != 0 && self.ids().is_empty()
    }

    /// Returns the fields of an event without those whose keys the span's ids have, if it has ids.
    pub(crate) fn without_ids(&self, event: &[u8]) -> Option<Vec<u8>> {
        (!self.ids().is_empty()).then(|| self.span_plan.ids.remove_from(event))
    }

    fn own_altered(&self) -> &AlteredFields {
        self.altered
            .as_ref()
            .map_or(&UNALTERED, |altered| &altered.own)
    }

    fn pieces(&self) -> &[Arc<[u8]>] {
        self.shared.as_ref().map_or(&[], |shared| &shared.pieces)
    }

    fn shared_len(&self) -> usize {
        self.shared.as_ref().map_or(0, |shared| shared.len)
    }

    /// Returns the part of `bytes` before the split.
    fn head(&self) -> &[u8] {
        &self.bytes[..self.split as usize]
    }

    /// Returns own and inherited members, part by part, for a flat line.
    pub(crate) fn member_parts(&self) -> impl Iterator<Item = &[u8]> {
        let pieces = self.pieces().iter().map(|piece| &**piece);
        std::iter::once(self.head()).chain(pieces)
    }

    pub(crate) fn members_len(&self) -> usize {
        self.split as usize + self.shared_len()
    }

    /// Appends the members and the tail to a flat line.
    #[inline]
    pub(crate) fn push_flat(&self, line: &mut LineBuffer) {
        match &self.shared {
            None => line.push(&self.bytes),
            Some(_) => self.push_parts(line),
        }
    }

    #[inline(never)] // Off the common path, which stays small.
    fn push_parts(&self, line: &mut LineBuffer) {
        self.member_parts().for_each(|part| line.push(part));
        line.push(self.tail());
    }

    /// Returns `bytes` from `split`. Flat: the ids if there are any, `span`, and `spans` if listed.
    /// Nested: the span's own object, after a comma.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.bytes[self.split as usize..]
    }

    /// Returns the object of the span itself, for a nested line.
    pub(crate) fn object(&self) -> &[u8] {
        let object = match self.pieces() {
            [.., own] if self.bytes.is_empty() => own,
            _ => self.tail(),
        };
        &object[1..]
    }

    /// Returns the objects that `spans` lists, outermost first, each after a comma, for a nested
    /// line.
    fn object_parts(&self) -> (&[Arc<[u8]>], &[u8]) {
        let pieces = self.pieces();
        match (pieces, self.omitted() > 0) {
            (_, false) => (pieces, &self.bytes),
            // Deeper than `MAX_LISTED_SPANS`: the span's own object is not listed.
            ([outer @ .., _], true) if self.bytes.is_empty() => (outer, b""),
            (_, true) => (pieces, self.head()),
        }
    }

    /// Appends the objects of all spans, joined by commas.
    #[inline]
    pub(crate) fn push_objects(&self, line: &mut LineBuffer) {
        match &self.shared {
            None if self.omitted() == 0 => line.push(&self.bytes[1..]),
            _ => self.push_object_parts(line),
        }
    }

    #[inline(never)] // Off the common path, which stays small.
    fn push_object_parts(&self, line: &mut LineBuffer) {
        let (pieces, last) = self.object_parts();
        let parts = pieces.iter().map(|piece| &**piece).chain([last]);
        for (index, part) in parts.filter(|part| !part.is_empty()).enumerate() {
            line.push(&part[usize::from(index == 0)..]);
        }
    }

    #[inline]
    pub(crate) fn bits(&self) -> u128 {
        self.bits.get()
    }

    #[inline]
    pub(crate) fn altered_members(&self) -> &[u8] {
        self.altered
            .as_ref()
            .map_or(&[], |altered| &altered.members)
    }

    /// Renames those of `members` whose keys are pinned in this span or above.
    pub(crate) fn rename_pinned(&self, members: &[u8]) -> Option<Vec<u8>> {
        self.span_plan.rename_pinned(self.pinned, members)
    }

    pub(crate) fn altered(&self) -> &AlteredFields {
        self.altered
            .as_ref()
            .map_or(&UNALTERED, |altered| &altered.all)
    }

    /// Returns how many spans the list `spans` omits.
    pub(crate) fn omitted(&self) -> usize {
        (self.depth as usize).saturating_sub(MAX_LISTED_SPANS)
    }

    fn build_flat(
        &mut self,
        own: [&[u8]; 2],
        ids: &[u8],
        parent: Option<&Self>,
        altered: &mut AlteredFields,
    ) {
        let span_plan = Arc::clone(&self.span_plan);
        let own_len = self.own_len as usize;
        let inherited = parent.map(Self::head).unwrap_or_default();
        let total = own_len + parent.map_or(0, Self::members_len);
        let is_plain = own_len + inherited.len() <= MIN_SHARED_LEN
            && total <= span_plan.max_len
            && parent.is_none_or(|parent| self.own_bits.get() & parent.bits() == 0)
            && (ids.is_empty() || parent.is_none_or(|parent| !parent.may_have_id_fields()));
        let tail_len = ids.len() + span_plan.table.span.len() + 4 + span_plan.name.len();
        let mut bytes = Vec::new();
        if is_plain {
            bytes.reserve_exact(own_len + inherited.len() + tail_len);
            own.iter().for_each(|own| bytes.extend_from_slice(own));
            bytes.extend_from_slice(inherited);
            if let Some(parent) = parent {
                altered.add(parent.altered(), |_| true);
                self.shared.clone_from(&parent.shared);
            }
        } else {
            let own = own.concat();
            let pinned = parent.map_or(0, |parent| parent.pinned) & !self.own_pinned;
            match span_plan.rename_pinned(pinned, &own) {
                Some(own) => {
                    self.own_len = own.len() as u32;
                    // The renamed keys have no bit. With all bits set, each event compares its keys
                    // with ours one by one.
                    self.own_bits = Bits::new(u128::MAX);
                    self.bits = self.own_bits;
                    self.build_shared(&own, ids, parent, altered, &mut bytes);
                }
                None => self.build_shared(&own, ids, parent, altered, &mut bytes),
            }
        }
        self.bits = Bits::new(self.bits() | parent.map_or(0, Self::bits));
        self.split = bytes.len() as u32;
        if !ids.is_empty() {
            bytes.extend_from_slice(ids);
        }
        push_key(&mut bytes, span_plan.table.span);
        bytes.extend_from_slice(&span_plan.name);
        if span_plan.list {
            self.push_names(&mut bytes, parent);
        }
        self.bytes = bytes.into();
    }

    fn push_names(&mut self, bytes: &mut Vec<u8>, parent: Option<&Self>) {
        let table = self.span_plan.table;
        let list = table.style.list();
        push_key(bytes, table.spans);
        bytes.extend_from_slice(list.open);
        let start = bytes.len();
        if let Some(parent) = parent {
            let [start, end] = parent.names;
            bytes.extend_from_slice(&parent.bytes[start as usize..end as usize]);
        }
        if self.omitted() == 0 {
            list.push_item(bytes, bytes.len() > start, &self.span_plan.name);
        }
        self.names = [start as u32, bytes.len() as u32];
        bytes.extend_from_slice(list.close);
        if self.omitted() > 0 {
            let count = self.omitted().to_string();
            push_field(bytes, table, SPANS_OMITTED, count.as_bytes());
        }
    }

    /// Builds the members in the cases that are not a plain append: some are long, the parent has
    /// one of our keys, or not all of the parent's members fit.
    #[cold]
    fn build_shared(
        &mut self,
        own: &[u8],
        ids: &[u8],
        parent: Option<&Self>,
        altered: &mut AlteredFields,
        head: &mut Vec<u8>,
    ) {
        let mut parts = MemberPieces {
            head,
            pieces: Vec::new(),
        };
        if own.len() <= MIN_SHARED_LEN {
            parts.push(own);
        } else {
            split_long(own, |piece| parts.pieces.push(piece.into()));
        }
        if let Some(parent) = parent {
            let keys = KeySet::new(own, self.span_plan.table);
            let id_keys = (!ids.is_empty()).then_some(&self.span_plan.ids);
            let is_own = |key: &[u8]| {
                keys.contains(key) || id_keys.is_some_and(|id_keys| id_keys.contains(key))
            };
            // The keys that an outer span lists as truncated or redacted stay listed, unless this
            // span has a value of its own for the key.
            altered.add(parent.altered(), |name| !is_own(name));
            let mut room = self.span_plan.max_len.saturating_sub(own.len());
            let mut take = |part: &[u8], whole: &mut dyn FnMut()| -> Vec<u8> {
                if part.len() <= room && !members(part).any(|member| is_own(member.quoted_key())) {
                    room -= part.len();
                    whole();
                    return Vec::new();
                }
                let mut kept = Vec::new();
                for member in members(part).filter(|member| !is_own(member.quoted_key())) {
                    if member.bytes.len() <= room {
                        room -= member.bytes.len();
                        kept.extend_from_slice(member.bytes);
                    } else {
                        altered.truncated.push(member.quoted_key());
                    }
                }
                kept
            };
            let kept = take(parent.head(), &mut || parts.push(parent.head()));
            parts.push(&kept);
            for piece in parent.pieces() {
                let kept = take(piece, &mut || parts.pieces.push(Arc::clone(piece)));
                parts.push(&kept);
            }
        }
        self.shared = Shared::from_pieces(parts.pieces);
    }

    fn build_nested(
        &mut self,
        own: [&[u8]; 2],
        parent: Option<&Self>,
        altered: &mut AlteredFields,
    ) {
        let span_plan = Arc::clone(&self.span_plan);
        let own = match own {
            [own, b""] => Cow::Borrowed(own),
            own => Cow::Owned(own.concat()),
        };
        let (pieces, outer) = parent.map(Self::object_parts).unwrap_or_default();
        let pieces_len: usize = pieces.iter().map(|piece| piece.len()).sum();
        let (pieces, outer) = if pieces_len + outer.len() + own.len() <= span_plan.max_len {
            if let Some(parent) = parent {
                altered.add(parent.altered(), |_| true);
            }
            (pieces, outer)
        } else {
            // Too long: omit the outer objects, and keep the span's own.
            altered
                .truncated
                .push(&escape::quoted(span_plan.table.spans));
            (&[][..], &b""[..])
        };
        let mut sorted: Vec<_> = members(&own).collect();
        sorted.sort_by_key(|member| member.quoted_key());
        let object_len = own.len() + NAME_KEY.len() + span_plan.name.len() + 3;
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
        if bytes.len() <= MIN_SHARED_LEN {
            let all = parent.filter(|parent| parent.pieces().len() == pieces.len());
            self.shared = match all {
                Some(parent) => parent.shared.clone(),
                None => Shared::from_pieces(pieces.to_vec()),
            };
            self.split = outer.len() as u32;
            self.bytes = bytes.into();
            return;
        }
        let mut pieces = pieces.to_vec();
        if !outer.is_empty() {
            pieces.push(outer.into());
        }
        let object = &bytes[outer.len()..];
        if object.len() > MIN_SHARED_LEN {
            pieces.push(object.into());
        } else {
            self.bytes = object.into();
        }
        self.shared = Shared::from_pieces(pieces);
    }
}

impl Shared {
    fn from_pieces(pieces: Vec<Arc<[u8]>>) -> Option<Arc<Self>> {
        let len = pieces.iter().map(|piece| piece.len()).sum();
        (!pieces.is_empty()).then(|| {
            Arc::new(Self {
                pieces: pieces.into(),
                len,
            })
        })
    }
}

/// The members of a flat fragment while it is built.
struct MemberPieces<'a> {
    head: &'a mut Vec<u8>,
    pieces: Vec<Arc<[u8]>>,
}

impl MemberPieces<'_> {
    /// Appends a copy of `members`.
    fn push(&mut self, members: &[u8]) {
        if self.pieces.is_empty() && self.head.len() + members.len() <= MIN_SHARED_LEN {
            self.head.extend_from_slice(members);
        } else if !members.is_empty() {
            self.pieces.push(members.into());
        }
    }
}

/// Splits members so that a long one is a piece by itself. A span inside that overrides one key
/// then copies only that key's piece, and shares the others.
fn split_long(bytes: &[u8], mut push: impl FnMut(&[u8])) {
    let (mut start, mut end) = (0, 0);
    for member in members(bytes) {
        let len = member.bytes.len();
        if end > start && end - start + len > MIN_SHARED_LEN {
            push(&bytes[start..end]);
            start = end;
        }
        end += len;
    }
    if end > start {
        push(&bytes[start..end]);
    }
}

impl Inherit for Fragment {
    fn rebuild(&self, parent: Option<&Self>) -> Self {
        let own = OwnMembers {
            members: [&self.own(), b""],
            bits: self.own_bits.get(),
            pinned: self.own_pinned,
            altered: self.own_altered(),
            ids: self.ids(),
        };
        Self::new(&self.span_plan, own, parent)
    }
}

/// The key of the span's name in a nested object.
const NAME_KEY: &[u8] = b"\"name\":";

fn push_key(bytes: &mut Vec<u8>, key: &str) {
    bytes.extend_from_slice(b",\"");
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(b"\":");
}
