//! What a span adds to the lines of the events in it, encoded once.

use std::sync::Arc;

use spanwise_core::{Inherit, Node};

use crate::{
    escape,
    format::{Layout, SPANS_OMITTED, Table},
    members::members,
    notes::Notes,
};

/// A span's fragment, shared with the spans below it.
pub(crate) type SpanNode = Arc<Node<Fragment>>;

/// A span's own fields and those it inherits, ready to be copied into a line.
#[derive(Debug)]
pub(crate) struct Fragment {
    kind: Kind,
    /// The span's, as a JSON string.
    name: Arc<[u8]>,
    /// The span's own members, where they are not the start of `bytes`.
    own_nested: Vec<u8>,
    own_len: usize,
    own_notes: Notes,
    own_bits: u128,
    /// Flat: own members, inherited members, then `,"span":…`. Nested: the objects of all spans, joined by commas, outermost first.
    bytes: Vec<u8>,
    /// Where the members end in a flat fragment; where this span's object begins in a nested one.
    split: usize,
    /// The names of all spans in `bytes`, where they are listed.
    names: std::ops::Range<usize>,
    bits: u128,
    notes: Notes,
    /// As they stand in a line.
    note_members: Vec<u8>,
    depth: usize,
}

/// What is the same for all spans of a layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) table: &'static Table,
    pub(crate) list: bool,
    /// Inherited members are left out of a fragment that would be longer than this.
    pub(crate) max_len: usize,
}

/// `spans` lists no more than this many.
const MOST_SPANS: usize = 64;

/// The members that one visit of a span's fields gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own<'a> {
    /// One after the other.
    pub(crate) members: [&'a [u8]; 2],
    pub(crate) bits: u128,
    pub(crate) notes: &'a Notes,
}

impl Fragment {
    /// `name` is the span's, as a JSON string.
    pub(crate) fn new(kind: Kind, name: &Arc<[u8]>, own: Own<'_>, parent: Option<&Self>) -> Self {
        let mut fragment = Self {
            kind,
            name: Arc::clone(name),
            own_nested: Vec::new(),
            own_len: own.members[0].len() + own.members[1].len(),
            own_notes: own.notes.clone(),
            own_bits: own.bits,
            bytes: Vec::new(),
            split: 0,
            names: 0..0,
            bits: own.bits,
            notes: own.notes.clone(),
            note_members: Vec::new(),
            depth: parent.map_or(0, |parent| parent.depth) + 1,
        };
        match kind.table.layout {
            Layout::Flat => fragment.build_flat(own.members, parent),
            Layout::Nested => fragment.build_nested(own.members, parent),
        }
        fragment.note_members = fragment.notes.to_members();
        fragment
    }

    /// The same span after `recorded`, under `parent`.
    pub(crate) fn record(&self, recorded: Own<'_>, parent: Option<&Self>) -> Self {
        let new = recorded.members[0];
        let bits = self.own_bits | recorded.bits;
        let mut notes = Notes::default();
        let mut kept = Vec::new();
        // If no field had a value before, the new ones come after the old.
        let old = if self.own_bits & recorded.bits == 0 {
            notes.clone_from(&self.own_notes);
            self.own()
        } else {
            let is_new = |key: &[u8]| members(new).any(|new| new.quoted_key() == key);
            let own = members(self.own()).filter(|old| !is_new(old.quoted_key()));
            own.for_each(|member| kept.extend(member.bytes));
            notes.add(&self.own_notes, |name| !is_new(name));
            &kept
        };
        notes.add(recorded.notes, |_| true);
        let own = Own {
            members: [old, new],
            bits,
            notes: &notes,
        };
        Self::new(self.kind, &self.name, own, parent)
    }

    fn own(&self) -> &[u8] {
        match self.kind.table.layout {
            Layout::Flat => &self.bytes[..self.own_len],
            Layout::Nested => &self.own_nested,
        }
    }

    /// Own and inherited members, in a flat line.
    pub(crate) fn members(&self) -> &[u8] {
        &self.bytes[..self.split]
    }

    /// What comes after the members in a flat line.
    pub(crate) fn tail(&self) -> &[u8] {
        &self.bytes[self.split..]
    }

    pub(crate) fn all(&self) -> &[u8] {
        &self.bytes
    }

    /// The object of the span itself, in a nested line.
    pub(crate) fn object(&self) -> &[u8] {
        &self.bytes[self.split..]
    }

    /// The objects of all spans, outermost first, in a nested line.
    pub(crate) fn objects(&self) -> &[u8] {
        if self.depth > MOST_SPANS {
            &self.bytes[..self.split.saturating_sub(1)]
        } else {
            &self.bytes
        }
    }

    pub(crate) fn bits(&self) -> u128 {
        self.bits
    }

    pub(crate) fn note_members(&self) -> &[u8] {
        &self.note_members
    }

    pub(crate) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// How many spans `spans` leaves out.
    pub(crate) fn omitted(&self) -> usize {
        self.depth.saturating_sub(MOST_SPANS)
    }

    fn build_flat(&mut self, own: [&[u8]; 2], parent: Option<&Self>) {
        let name = Arc::clone(&self.name);
        let Kind {
            table,
            list,
            max_len,
        } = self.kind;
        let inherited = parent.map(Self::members).unwrap_or_default();
        let mut bytes = Vec::with_capacity(self.own_len + inherited.len() + name.len() + 16);
        own.iter().for_each(|own| bytes.extend_from_slice(own));
        if let Some(parent) = parent {
            let fits = bytes.len() + inherited.len() <= max_len;
            if self.own_bits & parent.bits == 0 && fits {
                bytes.extend(inherited);
                self.notes.add(&parent.notes, |_| true);
            } else {
                self.inherit_one_by_one(&mut bytes, parent);
            }
            self.bits |= parent.bits;
        }
        self.split = bytes.len();
        push_key(&mut bytes, table.span);
        bytes.extend_from_slice(&name);
        if list {
            push_key(&mut bytes, table.spans);
            bytes.push(b'[');
            let start = bytes.len();
            if let Some(parent) = parent {
                bytes.extend(&parent.bytes[parent.names.clone()]);
            }
            if self.depth <= MOST_SPANS {
                if bytes.len() > start {
                    bytes.push(b',');
                }
                bytes.extend_from_slice(&name);
            }
            self.names = start..bytes.len();
            bytes.push(b']');
            if self.omitted() > 0 {
                push_key(&mut bytes, SPANS_OMITTED);
                bytes.extend(self.omitted().to_string().as_bytes());
            }
        }
        self.bytes = bytes;
    }

    /// Where a key of the parent is one of ours too, or not all of the parent's fit.
    #[cold]
    fn inherit_one_by_one(&mut self, bytes: &mut Vec<u8>, parent: &Self) {
        let own = bytes.clone();
        let is_own = |name: &[u8]| members(&own).any(|own| own.quoted_key() == name);
        // What was cut or left out above is so here too, unless this span has a value of that name.
        self.notes.add(&parent.notes, |name| !is_own(name));
        for member in members(parent.members()).filter(|member| !is_own(member.quoted_key())) {
            if bytes.len() + member.bytes.len() <= self.kind.max_len {
                bytes.extend(member.bytes);
            } else {
                self.notes.cut.push(member.quoted_key());
            }
        }
    }

    fn build_nested(&mut self, own: [&[u8]; 2], parent: Option<&Self>) {
        let own = own.concat();
        let outer = parent.map(Self::objects).unwrap_or_default();
        let mut bytes = Vec::with_capacity(outer.len() + own.len() + self.name.len() + 16);
        if outer.len() + own.len() <= self.kind.max_len {
            bytes.extend(outer);
            if let Some(parent) = parent {
                self.notes.add(&parent.notes, |_| true);
            }
        } else {
            // The outer objects are the first to go; the span's own comes last.
            self.notes.cut.push(&escape::quoted(self.kind.table.spans));
        }
        if !bytes.is_empty() {
            bytes.push(b',');
        }
        self.split = bytes.len();
        let mut sorted: Vec<_> = members(&own).collect();
        sorted.sort_by_key(|member| member.key());
        bytes.push(b'{');
        for member in sorted {
            bytes.extend(&member.bytes[1..]);
            bytes.push(b',');
        }
        bytes.extend(b"\"name\":");
        bytes.extend_from_slice(&self.name);
        bytes.push(b'}');
        self.bytes = bytes;
        self.own_nested = own;
    }
}

impl Inherit for Fragment {
    fn rebase(&self, parent: Option<&Self>) -> Self {
        let own = Own {
            members: [self.own(), b""],
            bits: self.own_bits,
            notes: &self.own_notes,
        };
        Self::new(self.kind, &self.name, own, parent)
    }
}

fn push_key(bytes: &mut Vec<u8>, key: &str) {
    bytes.extend(b",\"");
    bytes.extend(key.as_bytes());
    bytes.extend(b"\":");
}
