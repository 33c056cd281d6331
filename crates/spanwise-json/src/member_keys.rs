//! Numbers of keys: which members have the same key is known without reading their text.

use crate::{
    json_lexer::members,
    plan::{Key, MAX_SPAN_FIELDS},
    visit::{Encoded, MemberStarts},
    work,
};

/// The number of a key: of the start of a member, `,"key":`. Each start that a layer has seen has
/// its own number.
pub(crate) type KeyNumber = u16;

/// The number of a member that can only be compared as text: the layer has seen 65,535 starts
/// before, or the start depends on the value.
pub(crate) const NO_NUMBER: KeyNumber = KeyNumber::MAX;

/// Encoded members, with the number of each key and the length of each member.
///
/// Members without numbers are split by the lexer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KeyedMembers<'a> {
    pub(crate) text: &'a [u8],
    /// One entry per member, or none if the numbers are not known.
    entries: &'a [Entry],
}

/// Members that are being collected.
#[derive(Debug, Default)]
pub(crate) struct MemberList {
    pub(crate) text: Vec<u8>,
    entries: Vec<Entry>,
}

/// The numbers and the lengths of the own members of a span.
#[derive(Debug)]
pub(crate) struct OwnKeys {
    entries: [Entry; MAX_SPAN_FIELDS],
    count: usize,
}

/// The number of a member's key, and the length of the member. In bytes, so that a span stores them
/// in one allocation with the text.
type Entry = [u8; 4];

/// The length of a longer member is read from its text.
const LONG: u16 = u16::MAX;

impl<'a> KeyedMembers<'a> {
    /// Members whose numbers are not known.
    pub(crate) fn from_text(text: &'a [u8]) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }

    /// Reads what [`push_table`] wrote.
    #[inline]
    pub(crate) fn from_table(text: &'a [u8], table: &'a [u8], count: usize) -> Self {
        Self {
            text,
            entries: &table.as_chunks().0[..count],
        }
    }

    /// Returns the number of members, or 0 if the numbers of their keys are not known.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Returns the first `count` members, whose length is `len`.
    #[inline]
    pub(crate) fn first(self, count: usize, len: usize) -> Self {
        Self {
            text: &self.text[..len],
            entries: &self.entries[..count],
        }
    }

    /// Returns whether a member has the key with this number.
    #[inline]
    pub(crate) fn contains(&self, number: KeyNumber) -> bool {
        let (blocks, rest) = self.entries.as_chunks::<8>();
        work::step(blocks.len() as u64 + 1);
        blocks.iter().any(|block| has_number(block, number)) || has_number(rest, number)
    }

    /// Returns whether a member has the key of a member of `others`.
    #[inline]
    pub(crate) fn has_key_of(&self, others: Self) -> bool {
        let mut others = others.entries.iter();
        others.any(|entry| self.contains(number_in(*entry)))
    }

    /// Returns each member with the number of its key.
    pub(crate) fn iter(self) -> impl Iterator<Item = (KeyNumber, &'a [u8])> {
        let mut entries = self.entries.iter();
        let mut rest = self.text;
        std::iter::from_fn(move || {
            work::step(1);
            let (number, len) = match entries.next() {
                Some(entry) => (number_in(*entry), len_in(*entry)),
                None => (NO_NUMBER, LONG),
            };
            let len = match len {
                LONG => members(rest).next()?.bytes.len(),
                len => usize::from(len),
            };
            let (member, behind) = rest.split_at_checked(len)?;
            rest = behind;
            Some((number, member))
        })
    }

    /// Returns the members that `keep` returns true for.
    pub(crate) fn filter(self, keep: impl Fn(KeyNumber, &[u8]) -> bool) -> MemberList {
        let mut kept = MemberList::default();
        let wanted = self.iter().filter(|(number, member)| keep(*number, member));
        wanted.for_each(|(number, member)| kept.push(number, member));
        kept
    }
}

#[inline]
fn has_number(entries: &[Entry], number: KeyNumber) -> bool {
    // Without a branch for each number, the compiler compares several in one instruction.
    let mut found = false;
    for entry in entries {
        found |= number_in(*entry) == number;
    }
    found
}

#[inline]
fn entry(number: KeyNumber, len: usize) -> Entry {
    let len = len.min(usize::from(LONG)) as u32;
    (u32::from(number) | len << 16).to_le_bytes()
}

#[inline]
fn number_in(entry: Entry) -> KeyNumber {
    u32::from_le_bytes(entry) as KeyNumber
}

#[inline]
fn len_in(entry: Entry) -> u16 {
    (u32::from_le_bytes(entry) >> 16) as u16
}

/// Returns the length of a table of `count` keys.
pub(crate) fn table_len(count: usize) -> usize {
    count * size_of::<Entry>()
}

/// Appends the numbers and the lengths of the keys of all `parts`.
pub(crate) fn push_table(to: &mut Vec<u8>, parts: &[KeyedMembers<'_>]) {
    for part in parts.iter().filter(|part| !part.entries.is_empty()) {
        to.extend_from_slice(part.entries.as_flattened());
    }
}

impl OwnKeys {
    pub(crate) const fn new() -> Self {
        Self {
            entries: [[0; 4]; MAX_SPAN_FIELDS],
            count: 0,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.count = 0;
    }

    /// Lists the members of a span in a text up to `end`. `starts` has the start of each. Returns
    /// false, and lists none, if a field has two, or if they are not in the order of the fields.
    #[inline]
    pub(crate) fn list(
        &mut self,
        encoded: &Encoded,
        starts: &mut MemberStarts,
        end: usize,
        keys: &[Key],
    ) -> bool {
        let Some(range) = encoded.fields.as_range() else {
            return self.list_scattered(encoded, starts, end, keys);
        };
        if range.len() != encoded.members as usize {
            return false;
        }
        let Some(keys) = keys.get(range.clone()) else {
            return false;
        };
        starts[range.end % starts.len()] = end;
        self.list_members(
            range.len(),
            keys.iter(),
            &starts[range.start % starts.len()..],
        )
    }

    #[inline(never)] // Kept out of line: a gap between the fields is uncommon.
    fn list_scattered(
        &mut self,
        encoded: &Encoded,
        starts: &mut MemberStarts,
        end: usize,
        keys: &[Key],
    ) -> bool {
        let fields = encoded.fields;
        if fields.len() != encoded.members as usize {
            return false;
        }
        for (to, index) in fields.iter().enumerate() {
            starts[to] = starts[index];
        }
        starts[fields.len()] = end;
        let keys = fields.iter().filter_map(|index| keys.get(index));
        self.list_members(fields.len(), keys, starts)
    }

    /// Lists `count` members with these keys and starts, of which the last is the end of the text.
    /// Returns false, and lists none, unless the starts ascend.
    #[inline]
    fn list_members<'a>(
        &mut self,
        count: usize,
        keys: impl Iterator<Item = &'a Key>,
        starts: &[usize],
    ) -> bool {
        let mut is_ordered = true;
        let members = self.entries.iter_mut().zip(keys).zip(starts.windows(2));
        for ((to, key), ends) in members {
            is_ordered &= ends[0] <= ends[1];
            *to = entry(key.number, ends[1].wrapping_sub(ends[0]));
        }
        self.count = if is_ordered {
            count % (MAX_SPAN_FIELDS + 1)
        } else {
            0
        };
        is_ordered
    }

    #[inline]
    pub(crate) fn with_text<'a>(&'a self, text: &'a [u8]) -> KeyedMembers<'a> {
        KeyedMembers {
            text,
            entries: &self.entries[..self.count],
        }
    }
}

impl MemberList {
    pub(crate) fn push(&mut self, number: KeyNumber, member: &[u8]) {
        self.text.extend_from_slice(member);
        self.entries.push(entry(number, member.len()));
    }

    pub(crate) fn extend(&mut self, members: KeyedMembers<'_>) {
        if members.count() == 0 {
            let all = members.iter();
            return all.for_each(|(number, member)| self.push(number, member));
        }
        self.text.extend_from_slice(members.text);
        self.entries.extend_from_slice(members.entries);
    }

    /// Returns the members, with their numbers if all members of the span have numbers.
    pub(crate) fn with_numbers(&self, is_numbered: bool) -> KeyedMembers<'_> {
        match is_numbered {
            true => self.as_members(),
            false => KeyedMembers::from_text(&self.text),
        }
    }

    pub(crate) fn as_members(&self) -> KeyedMembers<'_> {
        KeyedMembers {
            text: &self.text,
            entries: &self.entries,
        }
    }
}
