//! Span fragments: the encoded fields of a span and its ancestors. They are encoded when they are
//! recorded, so that each event of the span only copies them.

mod build;
mod overlap;
mod pieces;

use std::sync::Arc;

use once_cell::race::OnceBox;
use spanwise_core::internal::{SharedValue, SpanData};
use tracing_core::Metadata;

use self::{
    build::NAME_KEY,
    pieces::{Piece, SharedPieces},
};
pub(crate) use self::{
    build::OwnMembers,
    overlap::{Overlap, ShadowedKeys},
};
use crate::{
    altered_fields::{AlteredFields, UNALTERED},
    format_table::Layout,
    line_buffer::LineBuffer,
    member_keys::{KeyedMembers, MemberList},
    rewrite::{RewriteBuffers, RewriteTail, RewrittenPart},
    span_plan::{ContextBits, SpanPlan},
};

/// The fragment of a span, as a node in the tree of spans.
pub(crate) type SpanNode = Arc<SpanData<Fragment>>;

/// The fields of a span and those that it inherits, ready to be copied into a line.
///
/// A *member* is a key with its value. An *object* is all members of one span in a nested line. A
/// *piece* is a run of members or objects that spans share. A *key id* is a number for a key: see
/// [`member_keys`](crate::member_keys). The *trace ids* are the members `trace_id`, `span_id` and
/// `trace_flags`: see [`span_ids`](crate::span_ids). In a line, a fragment is:
///
/// * flat: `bytes[..split]` (members), then `shared` (more members), then `bytes[split..text_len]`,
///   which is the *tail*: the trace ids, the name of the span and the list of spans. The rest of
///   `bytes` is the table of the keys of the members before `split`. If a key has no key id, the
///   rest is a [set](Bits) of the span's own keys instead;
/// * nested: `shared` (outer objects), then `bytes[..split]` (more outer objects), then
///   `bytes[split..]` (the span's own object). If the own object is long, it is the last piece of
///   `shared`, and `bytes` is empty.
///
/// Short inherited members are copied into `bytes`, so that an event appends the whole fragment
/// with one copy. Long inherited members are shared with the parent, because fragments are most of
/// the memory of an open span.
#[derive(Debug)]
pub(crate) struct Fragment {
    span_plan: SharedValue<SpanPlan>,
    /// Everything that is not shared: own and short inherited members or objects, the tail, and the
    /// table of keys. See above.
    bytes: Box<[u8]>,
    /// The pieces that this span shares with others.
    shared: Option<Arc<SharedPieces>>,
    /// A pointer to data that few fragments have. Takes one word of the memory of an open span.
    extras: OnceBox<Extras>,
    /// The bits of the keys of all members and trace ids, also of those of outer spans.
    bits: Bits,
    /// The length of the span's own members in bytes. They come first in `bytes`, or in `shared` if
    /// they are long. Flat lines only.
    own_len: u32,
    /// Flat: where the members in `bytes` end. Nested: where the span's own object starts.
    split: u32,
    /// Where the text in `bytes` ends.
    text_len: u32,
    /// The length of the names in the list of spans, in bytes. 0 if there is no list.
    names_len: u32,
    /// The number of spans from the root to this one.
    depth: u32,
    /// The number of own members (`own_count`), and of all members in `bytes` (`key_count`). Both
    /// are 0 unless `has_key_ids`.
    own_count: u16,
    key_count: u16,
    /// The *pinned* keys are the context keys, such as `request_id`, that `context::set` or the
    /// HTTP layer has set. `own_pinned` are those of this span, and `pinned` also those of outer
    /// spans. If an event or an inner span has a field with a pinned key, that field is renamed.
    own_pinned: ContextBits,
    pinned: ContextBits,
    /// Whether all members have key ids. If so, members with different key ids have different keys.
    has_key_ids: bool,
    /// Whether a flat line shows trace ids.
    has_trace_ids: bool,
    /// The index of the field that is the error of the span. `None` if there is no error, or if
    /// only one field of the callsite can be the error.
    error: Option<u8>,
}

/// A set of keys, with one bit per key. If a layer has more than 128 keys, several share a bit. If
/// two sets have no bit in common, they have no key in common. Not a `u128`, whose larger alignment
/// would cost 16 bytes per open span.
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

/// Data that few fragments have.
#[derive(Debug, Default)]
struct Extras {
    /// The truncated and redacted fields. `None` for nearly all spans.
    altered: Option<SpanAlteredFields>,
    /// The members and the tail in the syntax of a format that is not flat JSON. Written for the
    /// first line that copies the fragment, unless spans share members.
    rewritten: Option<RewrittenPart>,
    /// Like `rewritten`, for a span with altered fields: its `Extras` exist before its first line,
    /// so `rewritten` cannot be set any more.
    rewritten_later: OnceBox<RewrittenPart>,
}

impl Extras {
    fn rewritten(&self) -> Option<&RewrittenPart> {
        self.rewritten
            .as_ref()
            .or_else(|| self.rewritten_later.get())
    }
}

/// The truncated and redacted fields of a span and its ancestors.
#[derive(Debug)]
struct SpanAlteredFields {
    own: AlteredFields,
    all: AlteredFields,
    /// The members `truncated` and `redacted` that list `all`.
    members: Vec<u8>,
}

/// `spans` lists at most this many spans.
const MAX_LISTED_SPANS: usize = 64;

/// The maximum length in bytes of the members or objects in [`Fragment::bytes`]. All others are in
/// [`Fragment::shared`], so that inner spans share them instead of copying them.
const MAX_COPIED_LEN: usize = 512;

/// The own members of a fragment: borrowed from `bytes`, or collected from several pieces.
enum OwnPart<'a> {
    Borrowed(KeyedMembers<'a>),
    Collected(MemberList),
}

impl OwnPart<'_> {
    fn as_members(&self) -> KeyedMembers<'_> {
        match self {
            Self::Borrowed(members) => *members,
            Self::Collected(list) => list.as_members(),
        }
    }
}

impl Fragment {
    /// Returns the number of bytes that the fragment has on the heap, without inherited text.
    pub(crate) fn heap_len(&self) -> usize {
        let own_piece_len = match self.pieces() {
            [.., own] if self.bytes.is_empty() => own.text().len(),
            _ if self.own_len > self.split => self.own_len as usize,
            _ => 0,
        };
        let altered = self.span_altered();
        let altered_len = altered.map_or(0, |altered| size_of::<Extras>() + altered.members.len());
        self.bytes.len() + size_of_val(self.pieces()) + own_piece_len + altered_len
    }

    pub(crate) fn callsite(&self) -> &'static Metadata<'static> {
        self.span_plan.callsite
    }

    /// Returns the index of the field that is the error of the span, if several fields can be.
    pub(crate) fn error(&self) -> Option<usize> {
        self.error.map(usize::from)
    }

    /// Returns the span's own members.
    #[inline(always)] // Called once in a late record and once in a rebuild.
    fn own(&self) -> OwnPart<'_> {
        let own_len = self.own_len as usize;
        match self.span_plan.table.layout {
            Layout::Flat if own_len <= self.head().len() => {
                OwnPart::Borrowed(self.head_members().first(self.own_count.into(), own_len))
            }
            Layout::Flat => {
                let mut own = MemberList::default();
                let mut pieces = self.pieces().iter();
                while own.text.len() < own_len
                    && let Some(piece) = pieces.next()
                {
                    own.extend(piece.members());
                }
                OwnPart::Collected(own)
            }
            Layout::Nested => {
                // The part `{"a":1,"b":2` of the object `{"a":1,"b":2,"name":"s"}`. Empty if the
                // span has no fields. The brace may stay, because readers skip the first byte.
                let object = self.object();
                let end = object.len() - NAME_KEY.len() - self.span_plan.name.len() - 1;
                OwnPart::Borrowed(KeyedMembers::from_text(&object[..end - 1]))
            }
        }
    }

    /// Returns the trace ids of the span. Flat lines only.
    fn trace_ids(&self) -> &[u8] {
        match self.has_trace_ids {
            true => self.span_plan.trace_ids.at_start(self.tail()),
            false => b"",
        }
    }

    /// Returns the fields of an event as lines of the span show them. Also updates `altered`, which
    /// lists the truncated and redacted fields of the event.
    ///
    /// An event shadows neither trace ids nor pinned context (see
    /// [`Context`](spanwise_core::Context)). So fields with the keys of trace ids are removed, and
    /// fields with pinned keys are renamed.
    pub(crate) fn adapt_event_fields(
        &self,
        mut event: Vec<u8>,
        mut altered: Option<&mut AlteredFields>,
    ) -> Vec<u8> {
        let trace_ids = &self.span_plan.trace_ids;
        if self.has_trace_ids {
            event = trace_ids.remove_from(KeyedMembers::from_text(&event)).text;
            if let Some(altered) = altered.as_deref_mut() {
                altered.change_keys(|key| (!trace_ids.contains(key)).then(|| key.to_vec()));
            }
        }
        if let Some(renamed) = self.span_plan.rename_pinned(self.pinned, &event) {
            if let Some(altered) = altered {
                renamed.rename_listed(altered);
            }
            event = renamed.text;
        }
        event
    }

    #[inline]
    fn span_altered(&self) -> Option<&SpanAlteredFields> {
        self.extras.get()?.altered.as_ref()
    }

    fn own_altered(&self) -> &AlteredFields {
        self.span_altered()
            .map_or(&UNALTERED, |altered| &altered.own)
    }

    fn pieces(&self) -> &[Piece] {
        self.shared.as_ref().map_or(&[], |shared| &shared.pieces)
    }

    #[inline]
    fn shared_len(&self) -> usize {
        self.shared.as_ref().map_or(0, |shared| shared.len)
    }

    /// Returns the members or objects in `bytes` before `split`.
    fn head(&self) -> &[u8] {
        &self.bytes[..self.split as usize]
    }

    fn head_members(&self) -> KeyedMembers<'_> {
        let table = &self.bytes[self.text_len as usize..];
        KeyedMembers::from_table(self.head(), table, self.key_count.into())
    }

    /// Returns the own and inherited members, part by part. Flat lines only.
    pub(crate) fn member_parts(&self) -> impl Iterator<Item = KeyedMembers<'_>> {
        let pieces = self.pieces().iter().map(Piece::members);
        std::iter::once(self.head_members()).chain(pieces)
    }

    /// Returns the length of the own and inherited members, in bytes. Flat lines only.
    #[inline(always)] // It only adds two numbers.
    pub(crate) fn members_len(&self) -> usize {
        self.split as usize + self.shared_len()
    }

    /// Appends the members and the tail to a flat line.
    #[inline(always)] // Nearly always it is one copy.
    pub(crate) fn push_flat(&self, line: &mut LineBuffer) {
        match &self.shared {
            None => line.push(&self.bytes[..self.text_len as usize]),
            Some(_) => self.push_parts(line),
        }
    }

    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn push_parts(&self, line: &mut LineBuffer) {
        self.member_parts().for_each(|part| line.push(part.text));
        line.push(self.tail());
    }

    /// Returns the fragment if it shares no members with other spans. Flat lines only.
    #[inline]
    pub(crate) fn unshared(&self) -> Option<UnsharedFragment<'_>> {
        self.shared.is_none().then_some(UnsharedFragment(self))
    }

    /// Returns the text in `bytes` from `split`. Flat: the trace ids if there are any, `span`, and
    /// `spans` if listed. Nested: the span's own object, after a comma.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.bytes[self.split as usize..self.text_len as usize]
    }

    /// Returns the object of the span itself, for a nested line.
    pub(crate) fn object(&self) -> &[u8] {
        let object = match self.pieces() {
            [.., own] if self.bytes.is_empty() => own.text(),
            _ => self.tail(),
        };
        &object[1..]
    }

    /// Returns the objects that `spans` lists, outermost first, each after a comma, for a nested
    /// line: pieces, then text from `bytes`.
    fn object_parts(&self) -> (&[Piece], &[u8]) {
        let pieces = self.pieces();
        match (pieces, self.omitted_span_count() > 0) {
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
            None if self.omitted_span_count() == 0 => line.push(&self.bytes[1..]),
            _ => self.push_object_parts(line),
        }
    }

    #[inline(never)] // Kept out of line, so that the common path stays small.
    fn push_object_parts(&self, line: &mut LineBuffer) {
        let (pieces, last) = self.object_parts();
        let parts = pieces.iter().map(Piece::text).chain([last]);
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
        self.span_altered().map_or(&[], |altered| &altered.members)
    }

    pub(crate) fn altered(&self) -> &AlteredFields {
        self.span_altered()
            .map_or(&UNALTERED, |altered| &altered.all)
    }

    /// Returns how many spans the list `spans` omits.
    pub(crate) fn omitted_span_count(&self) -> usize {
        omitted_span_count_at(self.depth)
    }
}

/// A fragment that shares no member with other spans. Such a fragment is short, so it may also
/// store its text in a second syntax.
#[derive(Clone, Copy)]
pub(crate) struct UnsharedFragment<'a>(&'a Fragment);

impl<'a> UnsharedFragment<'a> {
    /// Returns the members and the tail of a flat line.
    #[inline]
    pub(crate) fn json(self) -> &'a [u8] {
        &self.0.bytes[..self.0.text_len as usize]
    }

    /// Returns the members and the tail in the syntax of the format. If they are not stored yet,
    /// `rewrite` writes them.
    #[inline]
    pub(crate) fn rewritten(
        self,
        rewrite: RewriteTail,
        buffers: &mut RewriteBuffers,
    ) -> &'a RewrittenPart {
        match self.0.extras.get().and_then(|extras| extras.rewritten()) {
            Some(rewritten) => rewritten,
            None => self.rewrite(rewrite, buffers),
        }
    }

    #[inline(never)] // Once per version of a span.
    fn rewrite(self, rewrite: RewriteTail, buffers: &mut RewriteBuffers) -> &'a RewrittenPart {
        let whole = [KeyedMembers::from_text(self.json())];
        let listed = [
            self.0.head_members(),
            KeyedMembers::from_text(self.0.tail()),
        ];
        let parts = match self.0.has_key_ids {
            true => &listed[..],
            false => &whole[..],
        };
        let mut rewritten = || buffers.rewrite(parts, rewrite);
        let extras = self.0.extras.get_or_init(|| {
            Box::new(Extras {
                rewritten: Some(rewritten()),
                ..Extras::default()
            })
        });
        match extras.rewritten() {
            Some(rewritten) => rewritten,
            None => {
                let later = &extras.rewritten_later;
                later.get_or_init(|| Box::new(rewritten()))
            }
        }
    }
}

/// Returns how many spans the list `spans` omits for a span at this depth.
fn omitted_span_count_at(depth: u32) -> usize {
    (depth as usize).saturating_sub(MAX_LISTED_SPANS)
}
