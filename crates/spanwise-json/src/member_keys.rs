//! Ids of keys, so that members are compared by a number and not by the text of their keys.
//!
//! Two members have the same key if their key ids are equal, except for [`NO_KEY_ID`].

use crate::{
    json_lexer::{Member, members},
    plan::{Key, MAX_SPAN_FIELDS},
    visit::{Encoded, MemberStarts},
    work,
};

/// The id of a key. It identifies the text with which members of this key begin: `,"key":`. A layer
/// gives the next id to each text of this form that it has not seen before.
pub(crate) type KeyId = u16;

/// The id of a key that must be compared as text. There are three cases: the layer had seen 65,535
/// keys before, the key depends on the value, or the list of members has no entries.
pub(crate) const NO_KEY_ID: KeyId = KeyId::MAX;

/// Encoded members, mostly with an entry for each: the id of its key and its length. Members
/// without entries are split by the lexer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct KeyedMembers<'a> {
    pub(crate) text: &'a [u8],
    /// One entry per member, or none. The id of an entry may be [`NO_KEY_ID`].
    entries: &'a [Entry],
}

/// A growing list of encoded members.
#[derive(Debug, Default)]
pub(crate) struct MemberList {
    pub(crate) text: Vec<u8>,
    entries: Vec<Entry>,
}

/// The key ids and the lengths of the members that a span has itself, without inherited ones.
#[derive(Debug)]
pub(crate) struct OwnKeys {
    entries: [Entry; MAX_SPAN_FIELDS],
    count: usize,
}

/// The id of a member's key (the low 16 bits) and the length of the member (the high 16 bits). An
/// array of bytes, so that a span can store it behind the text, in the same allocation.
type Entry = [u8; 4];

/// The length in an entry if the member has 65,535 bytes or more. The lexer finds its real length.
const LONG: u16 = u16::MAX;

impl<'a> KeyedMembers<'a> {
    /// Members without entries.
    pub(crate) fn from_text(text: &'a [u8]) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }

    /// Members with the first `count` entries of a table that [`push_table`] wrote.
    #[inline]
    pub(crate) fn from_table(text: &'a [u8], table: &'a [u8], count: usize) -> Self {
        Self {
            text,
            entries: &table.as_chunks().0[..count],
        }
    }

    /// Returns how many members have an entry: all, or none.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Returns the first `count` members, which are `len` bytes together. Without entries, `count`
    /// must be 0.
    #[inline]
    pub(crate) fn first(self, count: usize, len: usize) -> Self {
        Self {
            text: &self.text[..len],
            entries: &self.entries[..count],
        }
    }

    /// Returns whether a member has the key with this id. All members must have key ids, because
    /// other keys are not found.
    #[inline]
    pub(crate) fn contains(&self, key_id: KeyId) -> bool {
        let (blocks, rest) = self.entries.as_chunks::<8>();
        work::step(blocks.len() as u64 + 1);
        blocks.iter().any(|block| has_key_id(block, key_id)) || has_key_id(rest, key_id)
    }

    /// Returns whether a member has the key of a member of `others`. All members of both must have
    /// key ids.
    #[inline]
    pub(crate) fn has_key_of(&self, others: Self) -> bool {
        let mut others = others.entries.iter();
        others.any(|entry| self.contains(id_in(*entry)))
    }

    /// Returns each member with the id of its key.
    pub(crate) fn iter(self) -> impl Iterator<Item = (KeyId, &'a [u8])> {
        let mut entries = self.entries.iter();
        let mut rest = self.text;
        std::iter::from_fn(move || {
            work::step(1);
            let (key_id, len) = match entries.next() {
                Some(entry) => (id_in(*entry), len_in(*entry)),
                None => (NO_KEY_ID, LONG),
            };
            let len = match len {
                LONG => members(rest).next()?.bytes.len(),
                len => usize::from(len),
            };
            let (member, behind) = rest.split_at_checked(len)?;
            rest = behind;
            Some((key_id, member))
        })
    }

    /// Returns each member with its key and its value. With entries, the lexer searches only for
    /// the end of each key.
    pub(crate) fn members(self) -> impl Iterator<Item = Member<'a>> {
        let mut entries = self.entries.iter();
        let mut rest = self.text;
        let mut lexed = members(match self.entries {
            [] => self.text,
            _ => b"",
        });
        std::iter::from_fn(move || {
            let Some(entry) = entries.next() else {
                return lexed.next();
            };
            let member = match len_in(*entry) {
                LONG => members(rest).next(),
                len => Member::with_len(rest, len.into()),
            }?;
            rest = &rest[member.bytes.len()..];
            Some(member)
        })
    }

    /// Returns the members for which `keep` returns true.
    pub(crate) fn filter(self, keep: impl Fn(KeyId, &[u8]) -> bool) -> MemberList {
        let mut list = MemberList::default();
        let kept = self.iter().filter(|(key_id, member)| keep(*key_id, member));
        kept.for_each(|(key_id, member)| list.push(key_id, member));
        list
    }
}

#[inline]
fn has_key_id(entries: &[Entry], key_id: KeyId) -> bool {
    // The loop does not stop early, so that the compiler compares several ids in one instruction.
    let mut found = false;
    for entry in entries {
        found |= id_in(*entry) == key_id;
    }
    found
}

#[inline]
fn entry(key_id: KeyId, len: usize) -> Entry {
    let len = len.min(usize::from(LONG)) as u32;
    (u32::from(key_id) | len << 16).to_le_bytes()
}

#[inline]
fn id_in(entry: Entry) -> KeyId {
    u32::from_le_bytes(entry) as KeyId
}

#[inline]
fn len_in(entry: Entry) -> u16 {
    (u32::from_le_bytes(entry) >> 16) as u16
}

/// Returns the length in bytes of a table with `count` entries.
pub(crate) fn table_len(count: usize) -> usize {
    count * size_of::<Entry>()
}

/// Appends the entries of all `parts`.
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

    /// Lists the members that the encoder wrote for a span. They end at the offset `end` of the
    /// line, and `starts` has the offset of each field's last member. Returns false, and lists
    /// nothing, if a field has two members, or if the members are not in the order of the fields.
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
        if range.len() != encoded.member_count as usize {
            return false;
        }
        let Some(keys) = keys.get(range.clone()) else {
            return false;
        };
        // `%` changes no index, since there are at most `MAX_SPAN_FIELDS` fields. Here and below,
        // it only removes bounds checks.
        starts[range.end % starts.len()] = end;
        self.list_members(
            range.len(),
            keys.iter(),
            &starts[range.start % starts.len()..],
        )
    }

    /// Like [`list`](Self::list), for fields whose indices are not consecutive.
    #[inline(never)] // Kept out of line: a gap between the fields is uncommon.
    fn list_scattered(
        &mut self,
        encoded: &Encoded,
        starts: &mut MemberStarts,
        end: usize,
        keys: &[Key],
    ) -> bool {
        let fields = encoded.fields;
        if fields.len() != encoded.member_count as usize {
            return false;
        }
        for (to, index) in fields.iter().enumerate() {
            starts[to] = starts[index];
        }
        starts[fields.len()] = end;
        let keys = fields.iter().filter_map(|index| keys.get(index));
        self.list_members(fields.len(), keys, starts)
    }

    /// Lists `count` members with these keys. Member `i` is between the offsets `starts[i]` and
    /// `starts[i + 1]`; later elements are ignored. Returns false, and lists nothing, if the
    /// offsets do not ascend.
    #[inline]
    fn list_members<'a>(
        &mut self,
        count: usize,
        keys: impl Iterator<Item = &'a Key>,
        starts: &[usize],
    ) -> bool {
        let mut is_ordered = true;
        let members = self.entries.iter_mut().zip(keys).zip(starts.windows(2));
        for ((slot, key), bounds) in members {
            is_ordered &= bounds[0] <= bounds[1];
            *slot = entry(key.key_id, bounds[1].wrapping_sub(bounds[0]));
        }
        self.count = if is_ordered {
            count % (MAX_SPAN_FIELDS + 1)
        } else {
            0
        };
        is_ordered
    }

    /// Returns the listed members, which are encoded in `text`.
    #[inline]
    pub(crate) fn with_text<'a>(&'a self, text: &'a [u8]) -> KeyedMembers<'a> {
        KeyedMembers {
            text,
            entries: &self.entries[..self.count],
        }
    }
}

impl MemberList {
    pub(crate) fn push(&mut self, key_id: KeyId, member: &[u8]) {
        self.text.extend_from_slice(member);
        self.entries.push(entry(key_id, member.len()));
    }

    pub(crate) fn extend(&mut self, members: KeyedMembers<'_>) {
        if members.count() == 0 {
            let all = members.iter();
            return all.for_each(|(key_id, member)| self.push(key_id, member));
        }
        self.text.extend_from_slice(members.text);
        self.entries.extend_from_slice(members.entries);
    }

    /// Returns the members. They have entries only if `has_key_ids`: if all keys have ids.
    pub(crate) fn as_members_if(&self, has_key_ids: bool) -> KeyedMembers<'_> {
        match has_key_ids {
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
