//! The bytes that a span adds to the lines of the events in it, encoded once.

use std::{borrow::Cow, sync::Arc};

use spanwise_core::{Inherit, SpanData};
use tracing_core::Metadata;

use crate::{
    escape,
    format::{DISPLACED, Layout, SPANS_OMITTED, Table},
    line::Line,
    members::{Keys, members},
    notes::{NO_NOTES, Notes},
};

/// A span's fragment, shared with the spans below it.
pub(crate) type SpanNode = Arc<SpanData<Fragment>>;

/// A span's own fields and those it inherits, ready to be copied into a line.
///
/// An open span is mostly this: it has no room to spare. Short texts are copied from the parent,
/// since one copy is the fastest way into a line; long ones are shared.
#[derive(Debug)]
pub(crate) struct Fragment {
    label: Arc<Label>,
    /// Flat: the first members, then `,"span":…`. Nested: the last objects of the spans around,
    /// each with a comma before it, then the span's own object.
    bytes: Box<[u8]>,
    /// Flat: further members, after those in `bytes`. Nested: objects, before those in `bytes`.
    shared: Option<Arc<Shared>>,
    notes: Option<Box<AllNotes>>,
    own_bits: Bits,
    bits: Bits,
    /// The length of the span's own members, which come first in a flat fragment.
    own_len: u32,
    /// Where the members end in a flat fragment; where this span's object begins in a nested one.
    split: u32,
    /// Where in `bytes` the names of all spans are, where they are listed.
    names: [u32; 2],
    depth: u32,
    /// The context keys that were decided here, and here or above.
    own_decided: Places,
    decided: Places,
}

/// A bit for each of the [`Label::context`] keys; those from the sixteenth on share the last.
pub(crate) type Places = u16;

pub(crate) fn places(place: usize) -> Places {
    1 << place.min(Places::BITS as usize - 1)
}

/// The bits of keys, aligned as everything around them: a `u128` would cost an open span 16 bytes.
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

/// What is the same for all spans of a callsite.
#[derive(Debug)]
pub(crate) struct Label {
    pub(crate) callsite: &'static Metadata<'static>,
    pub(crate) table: &'static Table,
    /// The span's name, as a JSON string.
    pub(crate) name: Box<[u8]>,
    pub(crate) list: bool,
    /// Inherited members are left out of a fragment that would be longer than this.
    pub(crate) max_len: usize,
    /// The keys of the context, as JSON strings.
    pub(crate) context: Box<[Vec<u8>]>,
}

/// Long texts, which spans share with the spans inside them.
#[derive(Debug)]
struct Shared {
    pieces: Box<[Arc<[u8]>]>,
    len: usize,
}

/// What a line says of the fields of its spans.
#[derive(Debug)]
struct AllNotes {
    own: Notes,
    all: Notes,
    /// As they stand in a line.
    members: Vec<u8>,
}

/// `spans` lists no more than this many.
const MOST_SPANS: usize = 64;

/// What is longer than this many bytes is shared between spans, and not copied.
const SHARED_FROM: usize = 512;

/// The members that one visit of a span's fields gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own<'a> {
    /// One after the other.
    pub(crate) members: [&'a [u8]; 2],
    pub(crate) bits: u128,
    pub(crate) decided: Places,
    pub(crate) notes: &'a Notes,
}

impl Fragment {
    pub(crate) fn new(label: &Arc<Label>, own: Own<'_>, parent: Option<&Self>) -> Self {
        let own_len = own.members[0].len() + own.members[1].len();
        let mut fragment = Self {
            label: Arc::clone(label),
            bytes: Box::default(),
            shared: None,
            notes: None,
            own_bits: Bits::new(own.bits),
            bits: Bits::new(own.bits),
            own_len: own_len as u32,
            split: 0,
            names: [0, 0],
            depth: parent.map_or(0, |parent| parent.depth) + 1,
            own_decided: own.decided,
            decided: own.decided | parent.map_or(0, |parent| parent.decided),
        };
        let mut notes = own.notes.clone();
        match label.table.layout {
            Layout::Flat => fragment.build_flat(own.members, parent, &mut notes),
            Layout::Nested => fragment.build_nested(own.members, parent, &mut notes),
        }
        if !notes.is_empty() {
            fragment.notes = Some(Box::new(AllNotes {
                own: own.notes.clone(),
                members: notes.to_members(),
                all: notes,
            }));
        }
        fragment
    }

    /// The same span after `recorded`, under `parent`.
    pub(crate) fn record(&self, recorded: Own<'_>, parent: Option<&Self>) -> Self {
        let new = recorded.members[0];
        let bits = self.own_bits.get() | recorded.bits;
        let own = self.own();
        let mut notes = Notes::default();
        let mut kept = Vec::new();
        // If no field had a value before, the new ones come after the old.
        let old = if self.own_bits.get() & recorded.bits == 0 {
            notes.clone_from(self.own_notes());
            &*own
        } else {
            let keys = Keys::of(new);
            let own = members(&own).filter(|old| !keys.contains(old.quoted_key()));
            own.for_each(|member| kept.extend(member.bytes));
            notes.add(self.own_notes(), |name| !keys.contains(name));
            &kept
        };
        notes.add(recorded.notes, |_| true);
        let own = Own {
            members: [old, new],
            bits,
            decided: self.own_decided | recorded.decided,
            notes: &notes,
        };
        Self::new(&self.label, own, parent)
    }

    pub(crate) fn callsite(&self) -> &'static Metadata<'static> {
        self.label.callsite
    }

    /// The span's own members.
    fn own(&self) -> Cow<'_, [u8]> {
        let own_len = self.own_len as usize;
        match self.label.table.layout {
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
                // `{"a":1,"b":2,"name":"s"}`: of it, `{"a":1,"b":2`, or nothing.
                let object = self.object();
                let end = object.len() - NAME.len() - self.label.name.len() - 1;
                Cow::Borrowed(&object[..end - 1])
            }
        }
    }

    fn own_notes(&self) -> &Notes {
        self.notes.as_ref().map_or(&NO_NOTES, |notes| &notes.own)
    }

    fn pieces(&self) -> &[Arc<[u8]>] {
        self.shared.as_ref().map_or(&[], |shared| &shared.pieces)
    }

    fn shared_len(&self) -> usize {
        self.shared.as_ref().map_or(0, |shared| shared.len)
    }

    /// What stands before the split.
    fn head(&self) -> &[u8] {
        &self.bytes[..self.split as usize]
    }

    /// Own and inherited members, part by part, in a flat line.
    pub(crate) fn member_parts(&self) -> impl Iterator<Item = &[u8]> {
        let pieces = self.pieces().iter().map(|piece| &**piece);
        std::iter::once(self.head()).chain(pieces)
    }

    pub(crate) fn members_len(&self) -> usize {
        self.split as usize + self.shared_len()
    }

    /// Appends the members and what comes after them in a flat line.
    #[inline]
    pub(crate) fn push_flat(&self, line: &mut Line) {
        match &self.shared {
            None => line.push(&self.bytes),
            Some(_) => self.push_parts(line),
        }
    }

    #[inline(never)]
    fn push_parts(&self, line: &mut Line) {
        self.member_parts().for_each(|part| line.push(part));
        line.push(self.tail());
    }

    /// What comes after the members in a flat line.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.bytes[self.split as usize..]
    }

    /// The object of the span itself, in a nested line.
    pub(crate) fn object(&self) -> &[u8] {
        let object = match self.pieces() {
            [.., own] if self.bytes.is_empty() => own,
            _ => self.tail(),
        };
        &object[1..]
    }

    /// The objects of all spans, outermost first, each with a comma before it, in a nested line.
    fn object_parts(&self) -> (&[Arc<[u8]>], &[u8]) {
        let pieces = self.pieces();
        match (pieces, self.omitted() > 0) {
            (_, false) => (pieces, &self.bytes),
            // Without its own.
            ([outer @ .., _], true) if self.bytes.is_empty() => (outer, b""),
            (_, true) => (pieces, self.head()),
        }
    }

    /// Appends the objects of all spans, joined by commas.
    #[inline]
    pub(crate) fn push_objects(&self, line: &mut Line) {
        match &self.shared {
            None if self.omitted() == 0 => line.push(&self.bytes[1..]),
            _ => self.push_object_parts(line),
        }
    }

    #[inline(never)]
    fn push_object_parts(&self, line: &mut Line) {
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
    pub(crate) fn note_members(&self) -> &[u8] {
        self.notes.as_ref().map_or(&[], |notes| &notes.members)
    }

    /// `members` under other keys where their own are decided in this span or above.
    pub(crate) fn without_decided(&self, members: &[u8]) -> Option<Vec<u8>> {
        self.label.without(self.decided, members)
    }

    pub(crate) fn notes(&self) -> &Notes {
        self.notes.as_ref().map_or(&NO_NOTES, |notes| &notes.all)
    }

    /// How many spans `spans` leaves out.
    pub(crate) fn omitted(&self) -> usize {
        (self.depth as usize).saturating_sub(MOST_SPANS)
    }

    fn build_flat(&mut self, own: [&[u8]; 2], parent: Option<&Self>, notes: &mut Notes) {
        let label = Arc::clone(&self.label);
        let own_len = self.own_len as usize;
        let inherited = parent.map(Self::head).unwrap_or_default();
        let total = own_len + parent.map_or(0, Self::members_len);
        let is_plain = own_len + inherited.len() <= SHARED_FROM
            && total <= label.max_len
            && parent.is_none_or(|parent| self.own_bits.get() & parent.bits() == 0);
        let tail_len = label.table.span.len() + 4 + label.name.len();
        let mut bytes = Vec::new();
        if is_plain {
            bytes.reserve_exact(own_len + inherited.len() + tail_len);
            own.iter().for_each(|own| bytes.extend_from_slice(own));
            bytes.extend_from_slice(inherited);
            if let Some(parent) = parent {
                notes.add(parent.notes(), |_| true);
                self.shared.clone_from(&parent.shared);
            }
        } else {
            let own = own.concat();
            let decided = parent.map_or(0, |parent| parent.decided) & !self.own_decided;
            match label.without(decided, &own) {
                Some(own) => {
                    self.own_len = own.len() as u32;
                    // Whatever key an event has, it is looked for.
                    self.own_bits = Bits::new(u128::MAX);
                    self.bits = self.own_bits;
                    self.assemble(&own, parent, notes, &mut bytes);
                }
                None => self.assemble(&own, parent, notes, &mut bytes),
            }
        }
        self.bits = Bits::new(self.bits() | parent.map_or(0, Self::bits));
        self.split = bytes.len() as u32;
        push_key(&mut bytes, label.table.span);
        bytes.extend_from_slice(&label.name);
        if label.list {
            self.push_names(&mut bytes, parent);
        }
        self.bytes = bytes.into();
    }

    fn push_names(&mut self, bytes: &mut Vec<u8>, parent: Option<&Self>) {
        push_key(bytes, self.label.table.spans);
        bytes.push(b'[');
        let start = bytes.len();
        if let Some(parent) = parent {
            let [start, end] = parent.names;
            bytes.extend_from_slice(&parent.bytes[start as usize..end as usize]);
        }
        if self.omitted() == 0 {
            if bytes.len() > start {
                bytes.push(b',');
            }
            bytes.extend_from_slice(&self.label.name);
        }
        self.names = [start as u32, bytes.len() as u32];
        bytes.push(b']');
        if self.omitted() > 0 {
            push_key(bytes, SPANS_OMITTED);
            bytes.extend(self.omitted().to_string().as_bytes());
        }
    }

    /// The members where something is long, a key of the parent is one of ours too, or not all of
    /// the parent's fit.
    #[cold]
    fn assemble(
        &mut self,
        own: &[u8],
        parent: Option<&Self>,
        notes: &mut Notes,
        head: &mut Vec<u8>,
    ) {
        let mut parts = Parts {
            head,
            pieces: Vec::new(),
        };
        if own.len() <= SHARED_FROM {
            parts.push(own);
        } else {
            split_long(own, |piece| parts.pieces.push(piece.into()));
        }
        if let Some(parent) = parent {
            let keys = Keys::of(own);
            // What was cut or left out above is so here too, unless this span has a value of that name.
            notes.add(parent.notes(), |name| !keys.contains(name));
            let mut room = self.label.max_len.saturating_sub(own.len());
            let mut take = |part: &[u8], whole: &mut dyn FnMut()| -> Vec<u8> {
                let is_own = |key: &[u8]| keys.contains(key);
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
                        notes.cut.push(member.quoted_key());
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
        self.shared = Shared::of(parts.pieces);
    }

    fn build_nested(&mut self, own: [&[u8]; 2], parent: Option<&Self>, notes: &mut Notes) {
        let label = Arc::clone(&self.label);
        let own = match own {
            [own, b""] => Cow::Borrowed(own),
            own => Cow::Owned(own.concat()),
        };
        let (pieces, outer) = parent.map(Self::object_parts).unwrap_or_default();
        let pieces_len: usize = pieces.iter().map(|piece| piece.len()).sum();
        let (pieces, outer) = if pieces_len + outer.len() + own.len() <= label.max_len {
            if let Some(parent) = parent {
                notes.add(parent.notes(), |_| true);
            }
            (pieces, outer)
        } else {
            // The outer objects are the first to go; the span's own comes last.
            notes.cut.push(&escape::quoted(label.table.spans));
            (&[][..], &b""[..])
        };
        let mut sorted: Vec<_> = members(&own).collect();
        sorted.sort_by_key(|member| member.quoted_key());
        let object_len = own.len() + NAME.len() + label.name.len() + 3;
        let mut bytes = Vec::with_capacity(outer.len() + object_len);
        bytes.extend_from_slice(outer);
        bytes.extend_from_slice(b",{");
        for member in sorted {
            bytes.extend_from_slice(&member.bytes[1..]);
            bytes.push(b',');
        }
        bytes.extend_from_slice(NAME);
        bytes.extend_from_slice(&label.name);
        bytes.push(b'}');
        if bytes.len() <= SHARED_FROM {
            let all = parent.filter(|parent| parent.pieces().len() == pieces.len());
            self.shared = match all {
                Some(parent) => parent.shared.clone(),
                None => Shared::of(pieces.to_vec()),
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
        if object.len() > SHARED_FROM {
            pieces.push(object.into());
        } else {
            self.bytes = object.into();
        }
        self.shared = Shared::of(pieces);
    }
}

impl Label {
    /// `members` under other keys where their own are among `decided`; `None` where none is.
    fn without(&self, decided: Places, members_of: &[u8]) -> Option<Vec<u8>> {
        if decided == 0 {
            return None;
        }
        let is_decided = |key: &[u8]| {
            let place = self.context.iter().position(|known| known == key);
            place.is_some_and(|place| decided & places(place) != 0)
        };
        let keys = members(members_of).map(|member| member.quoted_key());
        let displaced: Vec<(&[u8], Vec<u8>)> = keys
            .filter(|key| is_decided(key))
            .map(|key| (key, [b"\"", DISPLACED.as_bytes(), &key[1..]].concat()))
            .collect();
        if displaced.is_empty() {
            return None;
        }
        let mut all = Vec::with_capacity(members_of.len() + 16);
        for member in members(members_of) {
            let key = member.quoted_key();
            // What was displaced before gives way to the newer value.
            if displaced.iter().any(|(_, new)| new == key) {
                continue;
            }
            match displaced.iter().find(|(old, _)| *old == key) {
                Some((_, new)) => {
                    all.push(b',');
                    all.extend_from_slice(new);
                    all.extend_from_slice(&member.bytes[1 + key.len()..]);
                }
                None => all.extend_from_slice(member.bytes),
            }
        }
        Some(all)
    }
}

impl Shared {
    fn of(pieces: Vec<Arc<[u8]>>) -> Option<Arc<Self>> {
        let len = pieces.iter().map(|piece| piece.len()).sum();
        (!pieces.is_empty()).then(|| {
            Arc::new(Self {
                pieces: pieces.into(),
                len,
            })
        })
    }
}

/// The members of a flat fragment while they are put together.
struct Parts<'a> {
    head: &'a mut Vec<u8>,
    pieces: Vec<Arc<[u8]>>,
}

impl Parts<'_> {
    /// Appends a copy of some members.
    fn push(&mut self, members: &[u8]) {
        if self.pieces.is_empty() && self.head.len() + members.len() <= SHARED_FROM {
            self.head.extend_from_slice(members);
        } else if !members.is_empty() {
            self.pieces.push(members.into());
        }
    }
}

/// Splits members so that a long one is a piece by itself: a span that has another one of its name
/// still shares the rest.
fn split_long(bytes: &[u8], mut push: impl FnMut(&[u8])) {
    let (mut start, mut end) = (0, 0);
    for member in members(bytes) {
        let len = member.bytes.len();
        if end > start && end - start + len > SHARED_FROM {
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
        let own = Own {
            members: [&self.own(), b""],
            bits: self.own_bits.get(),
            decided: self.own_decided,
            notes: self.own_notes(),
        };
        Self::new(&self.label, own, parent)
    }
}

/// Before the name in a nested object.
const NAME: &[u8] = b"\"name\":";

fn push_key(bytes: &mut Vec<u8>, key: &str) {
    bytes.extend_from_slice(b",\"");
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(b"\":");
}
