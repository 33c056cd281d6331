//! The encoded attributes of a span, log record, event or link.
//!
//! Values are encoded when they are set, so that a batch only copies bytes.

use crate::{
    limits::{AttributeLimits, MAX_ITEM_LEN},
    wire::{WireValue, WireWriter as _, fields, take_varint, varint_len},
};

mod any_value;

pub(crate) use any_value::AnyValue;

/// The name of an attribute, encoded as the first field of a `KeyValue`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(Box<[u8]>);

/// A set of keys, with one bit per key. Several keys may share a bit. Disjoint sets have no key in
/// common, and overlapping sets may have one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct KeyBits(u64);

/// A key that a caller passes, to find an attribute or to add one.
#[derive(Debug, Clone, Copy)]
enum LookupKey<'a> {
    /// The bytes of a [`Key`].
    Encoded(&'a [u8]),
    /// The name, which is not encoded.
    Name(&'a str),
}

/// The attributes of an *owner*, which is a span, log record, event or link. They are consecutive
/// `KeyValue` fields of the owner's message.
///
/// No key occurs twice: a later value replaces the earlier one, at the same position. Attributes
/// that exceed the limits are dropped and counted.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    /// The field number of an attribute in the owner's message.
    field_number: u32,
    limits: AttributeLimits,
    bytes: Vec<u8>,
    /// The positions of the attributes, except those from [`append_last`](Self::append_last).
    entries: Vec<Entry>,
    /// The number of values that were dropped.
    dropped: u32,
}

/// The maximum length of [`Attributes::bytes`] after [`Attributes::append_last`], in bytes.
///
/// [`Attributes::truncate`] cannot remove the appended attributes, because they have no entries. It
/// need not, because this limit leaves enough room for the other parts of a record.
const MAX_LAST_LEN: usize = MAX_ITEM_LEN / 2;

/// The prefix that the key of a field gets if another attribute needs the key. For example, a
/// *pinned* context key, which `spanwise-http` or `context::set` has set, takes precedence over a
/// field. JSON lines use the same prefix.
const DISPLACED_PREFIX: &str = "fields.";

/// One attribute in a sequence of encoded attributes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EncodedAttribute<'a> {
    /// The field of the owner's message: its tag, its length and the `KeyValue`.
    field: &'a [u8],
    /// The byte range of the encoded key in `field`.
    key_start: usize,
    key_end: usize,
}

impl<'a> EncodedAttribute<'a> {
    /// Returns the field of the owner's message.
    pub(crate) fn field(self) -> &'a [u8] {
        self.field
    }

    /// Returns the encoded key, to compare it.
    pub(crate) fn key(self) -> &'a [u8] {
        &self.field[self.key_start..self.key_end]
    }
}

/// Splits `bytes` into attributes. `bytes` are consecutive fields, as [`Attributes::as_bytes`]
/// returns them.
pub(crate) fn encoded_attributes(
    mut bytes: &[u8],
) -> impl Iterator<Item = EncodedAttribute<'_>> + Clone {
    std::iter::from_fn(move || {
        let mut rest = bytes;
        let _tag = take_varint(&mut rest)?;
        let len = take_varint(&mut rest)? as usize;
        let key_start = bytes.len() - rest.len();
        let (field, after) = bytes.split_at_checked(key_start + len)?;
        let mut rest = &field[key_start..];
        let _tag = take_varint(&mut rest)?;
        let key_len = take_varint(&mut rest)? as usize;
        let key_end = field.len() - rest.len() + key_len;
        bytes = after;
        Some(EncodedAttribute {
            field,
            key_start,
            key_end,
        })
    })
}

/// The byte offsets of an attribute in [`Attributes::bytes`].
#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u32,
    end: u32,
    /// The start and the end of the encoded key.
    key_start: u32,
    key_end: u32,
}

impl Key {
    pub(crate) fn new(name: &str) -> Self {
        let mut encoded = Vec::with_capacity(name.len() + 3);
        LookupKey::Name(name).encode(&mut encoded);
        Self(encoded.into_boxed_slice())
    }

    /// Returns whether an encoded key is this one.
    pub(crate) fn is(&self, key: &[u8]) -> bool {
        *self.0 == *key
    }
}

impl KeyBits {
    /// Returns the bit of an encoded key. It depends on the last bytes of the key.
    #[inline]
    fn from_encoded(key: &[u8]) -> Self {
        // Eight bytes, because the last three are equal in many keys: `tenant_id`, `request_id`.
        let tail = match key.last_chunk::<8>() {
            Some(tail) => u64::from_le_bytes(*tail),
            None => key
                .last_chunk::<4>()
                .map_or(0, |tail| u32::from_le_bytes(*tail).into()),
        };
        // The upper six bits of the product select one of the 64 bits.
        Self(1 << (tail.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58))
    }

    /// Returns the set of the keys of encoded attributes, and the number of attributes.
    pub(crate) fn from_attributes(bytes: &[u8]) -> (Self, u32) {
        let keys = encoded_attributes(bytes).map(|attribute| Self::from_encoded(attribute.key()));
        keys.fold((Self::default(), 0), |(keys, count), key| {
            (keys.or(key), count + 1)
        })
    }

    #[inline]
    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    pub(crate) fn is_disjoint(self, other: Self) -> bool {
        self.0 & other.0 == 0
    }
}

impl LookupKey<'_> {
    const KEY: u32 = 1;

    #[inline(always)] // See `Attributes::add`.
    fn encoded_len(self) -> usize {
        match self {
            Self::Encoded(key) => key.len(),
            Self::Name(name) => 1 + varint_len(name.len() as u64) + name.len(),
        }
    }

    #[inline(always)] // See `Attributes::add`.
    fn encode(self, to: &mut Vec<u8>) {
        match self {
            Self::Encoded(key) => to.extend_from_slice(key),
            Self::Name(name) => to.bytes(Self::KEY, name.as_bytes()),
        }
    }
}

impl Attributes {
    /// Creates an empty list of attributes, for an owner whose message has attributes as the field
    /// with this number.
    pub(crate) const fn new(field_number: u32, limits: AttributeLimits) -> Self {
        Self {
            field_number,
            limits,
            bytes: Vec::new(),
            entries: Vec::new(),
            dropped: 0,
        }
    }

    /// Removes all attributes, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.dropped = 0;
    }

    /// Removes all attributes, keeps the memory, and changes the limits.
    pub(crate) fn reset(&mut self, limits: AttributeLimits) {
        self.clear();
        self.limits = limits;
    }

    pub(crate) fn limits(&self) -> AttributeLimits {
        self.limits
    }

    /// Returns the encoded fields.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns how many values were dropped.
    pub(crate) fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Adds `count` values, which the caller has dropped, to the number of dropped values.
    pub(crate) fn add_dropped(&mut self, count: u32) {
        self.dropped = self.dropped.saturating_add(count);
    }

    /// Returns whether [`set`](Self::set) would drop every value of `key`, even a short one.
    #[inline]
    pub(crate) fn is_full_for(&self, key: &Key) -> bool {
        (self.entries.len() >= self.limits.count || self.bytes.len() >= MAX_ITEM_LEN)
            && self.find(LookupKey::Encoded(&key.0)).is_none()
    }

    /// Sets the value of `key`. A key that is already present keeps its position.
    pub(crate) fn set(&mut self, key: &Key, value: AnyValue<'_>) {
        let key = LookupKey::Encoded(&key.0);
        match self.find(key) {
            None => self.add(key, value),
            Some(index) => self.replace(index, key, value),
        }
    }

    /// [`set`](Self::set) for a short attribute that the exporter adds. A new attribute is added
    /// even if the attributes of the application have reached the limits.
    pub(crate) fn set_unlimited(&mut self, key: &Key, value: AnyValue<'_>) {
        let key = LookupKey::Encoded(&key.0);
        match self.find(key) {
            None => {
                let entry = self.encode(key, value);
                self.entries.push(entry);
            }
            Some(index) => self.replace(index, key, value),
        }
    }

    /// [`set`](Self::set) for a key that was not encoded in advance.
    pub(crate) fn set_named(&mut self, name: &str, value: AnyValue<'_>) {
        let key = LookupKey::Name(name);
        match self.find(key) {
            None => self.add(key, value),
            Some(index) => self.replace(index, key, value),
        }
    }

    /// Adds an attribute. The caller must make sure that the key is not present yet.
    #[inline(always)] // See `add`.
    pub(crate) fn push(&mut self, key: &Key, value: AnyValue<'_>) {
        self.add(LookupKey::Encoded(&key.0), value);
    }

    /// [`push`](Self::push) for a key that was not encoded in advance.
    #[inline]
    pub(crate) fn push_named(&mut self, name: &str, value: AnyValue<'_>) {
        self.add(LookupKey::Name(name), value);
    }

    /// [`push_named`](Self::push_named) for a short attribute that the exporter adds. It is added
    /// even if the attributes of the application have reached the limits.
    #[inline]
    pub(crate) fn push_unlimited(&mut self, name: &str, value: AnyValue<'_>) {
        let entry = self.encode(LookupKey::Name(name), value);
        self.entries.push(entry);
    }

    /// Renames the attribute `name`, if it is present, so that another attribute can have its key.
    /// The new name starts with [`DISPLACED_PREFIX`]. The attribute becomes the last one.
    pub(crate) fn displace(&mut self, name: &str) {
        if let Some(index) = self.find(LookupKey::Name(name)) {
            self.rename(index, &format!("{DISPLACED_PREFIX}{name}"));
        }
    }

    /// [`displace`](Self::displace) for an encoded key.
    pub(crate) fn displace_key(&mut self, key: &[u8]) {
        if let Some(index) = self.find(LookupKey::Encoded(key)) {
            let name = match fields(key).next() {
                Some((LookupKey::KEY, WireValue::Bytes(name))) => String::from_utf8_lossy(name),
                _ => return,
            };
            self.rename(index, &format!("{DISPLACED_PREFIX}{name}"));
        }
    }

    #[cold]
    fn rename(&mut self, index: usize, name: &str) {
        let Entry { key_end, end, .. } = self.entries[index];
        let value = self.bytes[key_end as usize..end as usize].to_vec();
        self.remove(index);
        // The new name may be in use, for example by an attribute that was displaced before.
        if let Some(index) = self.find(LookupKey::Name(name)) {
            self.remove(index);
        }
        if let Some(value) = AnyValue::decode(&value) {
            self.push_named(name, value);
        }
    }

    /// Drops and counts the last attributes, until the others have at most `max_len` bytes.
    pub(crate) fn truncate(&mut self, max_len: usize) {
        while self.bytes.len() > max_len
            && let Some(last) = self.entries.pop()
        {
            self.bytes.truncate(last.start as usize);
            self.add_dropped(1);
        }
    }

    // Inlined, so that the compiler knows the variants of `key` and `value`. That saves 25% of the
    // time to add an attribute.
    #[inline(always)]
    fn add(&mut self, key: LookupKey<'_>, value: AnyValue<'_>) {
        if self.entries.len() >= self.limits.count {
            return self.add_dropped(1);
        }
        let entry = self.encode(key, value);
        if entry.end as usize > MAX_ITEM_LEN {
            self.bytes.truncate(entry.start as usize);
            return self.add_dropped(1);
        }
        self.entries.push(entry);
    }

    /// [`push`](Self::push) for an attribute that is already encoded.
    pub(crate) fn push_encoded(&mut self, attribute: EncodedAttribute<'_>) {
        let EncodedAttribute {
            field,
            key_start,
            key_end,
        } = attribute;
        let start = self.bytes.len();
        if self.entries.len() >= self.limits.count || start + field.len() > MAX_ITEM_LEN {
            return self.add_dropped(1);
        }
        self.bytes.extend_from_slice(field);
        self.entries.push(Entry {
            start: start as u32,
            end: self.bytes.len() as u32,
            key_start: (start + key_start) as u32,
            key_end: (start + key_end) as u32,
        });
    }

    /// Appends the encoded attributes in `bytes` with one copy. `keys` are their keys, and `count`
    /// is their number. They must be the last attributes of a record: they have no entries, so
    /// other methods do not find or replace them.
    ///
    /// Returns whether they were appended. None is appended if one of the keys may already be
    /// present, or if there would be too many attributes or more than [`MAX_LAST_LEN`] bytes.
    #[inline]
    pub(crate) fn append_last(&mut self, bytes: &[u8], keys: KeyBits, count: usize) -> bool {
        let len = self.bytes.len() + bytes.len();
        let fits = self.entries.len() + count <= self.limits.count && len <= MAX_LAST_LEN;
        let key = |entry: &Entry| &self.bytes[entry.key_start as usize..entry.key_end as usize];
        let present_keys = || {
            let keys = self.entries.iter().map(key).map(KeyBits::from_encoded);
            keys.fold(KeyBits::default(), KeyBits::or)
        };
        if !fits || !present_keys().is_disjoint(keys) {
            return false;
        }
        self.bytes.extend_from_slice(bytes);
        true
    }

    /// Returns whether there is an attribute with this encoded key.
    #[inline]
    pub(crate) fn contains_key(&self, key: &[u8]) -> bool {
        self.find(LookupKey::Encoded(key)).is_some()
    }

    /// Adds those attributes of `other` whose keys are not present yet.
    pub(crate) fn append(&mut self, other: &Self) {
        debug_assert_eq!(
            self.field_number, other.field_number,
            "fields of the same message"
        );
        self.add_dropped(other.dropped);
        for entry in &other.entries {
            let key = &other.bytes[entry.key_start as usize..entry.key_end as usize];
            if self.find(LookupKey::Encoded(key)).is_some() {
                continue;
            }
            let start = self.bytes.len();
            let encoded = &other.bytes[entry.start as usize..entry.end as usize];
            let end = start + encoded.len();
            if self.entries.len() >= self.limits.count || end > MAX_ITEM_LEN {
                self.add_dropped(1);
                continue;
            }
            self.bytes.extend_from_slice(encoded);
            self.entries.push(entry.moved_to(start as u32));
        }
    }

    /// [Sets](Self::set) all attributes of `other`. Drops and counts attributes that do not fit
    /// into `max_len` bytes.
    pub(crate) fn merge(&mut self, other: &Self, max_len: usize) {
        debug_assert_eq!(
            self.field_number, other.field_number,
            "fields of the same message"
        );
        self.add_dropped(other.dropped);
        for entry in &other.entries {
            let key = &other.bytes[entry.key_start as usize..entry.key_end as usize];
            let encoded = &other.bytes[entry.start as usize..entry.end as usize];
            let Some(index) = self.find(LookupKey::Encoded(key)) else {
                let start = self.bytes.len();
                if self.entries.len() >= self.limits.count || start + encoded.len() > max_len {
                    self.add_dropped(1);
                    continue;
                }
                self.bytes.extend_from_slice(encoded);
                self.entries.push(entry.moved_to(start as u32));
                continue;
            };
            let old = self.entries[index];
            let replaced = old.start as usize..old.end as usize;
            self.bytes.splice(replaced, encoded.iter().copied());
            self.entries[index] = entry.moved_to(old.start);
            let (new_end, old_end) = (self.entries[index].end, old.end);
            for entry in &mut self.entries[index + 1..] {
                *entry = entry.moved_to(entry.start + new_end - old_end);
            }
            if self.bytes.len() > max_len {
                self.remove(index);
                self.add_dropped(1);
            }
        }
    }

    /// Returns the value of an attribute.
    pub(crate) fn get(&self, name: &str) -> Option<AnyValue<'_>> {
        self.value_at(self.find(LookupKey::Name(name))?)
    }

    fn value_at(&self, index: usize) -> Option<AnyValue<'_>> {
        let entry = self.entries[index];
        AnyValue::decode(&self.bytes[entry.key_end as usize..entry.end as usize])
    }

    /// Returns the index in `entries` of the attribute with this key.
    #[inline]
    fn find(&self, key: LookupKey<'_>) -> Option<usize> {
        let len = key.encoded_len();
        let is_key = |entry: &Entry| {
            // A cheap test, which most other keys fail.
            if (entry.key_end - entry.key_start) as usize != len {
                return false;
            }
            let entry_key = &self.bytes[entry.key_start as usize..entry.key_end as usize];
            match key {
                LookupKey::Encoded(key) => entry_key == key,
                // A tag and the length of the name precede the name. Both are the same in keys of
                // equal length.
                LookupKey::Name(name) => entry_key.ends_with(name.as_bytes()),
            }
        };
        self.entries.iter().position(is_key)
    }

    /// Appends a `KeyValue` to `bytes`. The caller adds the returned entry to `entries`.
    #[inline(always)] // See `add`.
    fn encode(&mut self, key: LookupKey<'_>, value: AnyValue<'_>) -> Entry {
        const VALUE: u32 = 2;
        let value = value.cut(self.limits);
        let value_len = value.encoded_len();
        let bytes = &mut self.bytes;
        let start = bytes.len() as u32;
        let len = key.encoded_len() + 1 + varint_len(value_len as u64) + value_len;
        bytes.header(self.field_number, len);
        let key_start = bytes.len() as u32;
        key.encode(bytes);
        let key_end = bytes.len() as u32;
        value.encode_field(VALUE, value_len, bytes);
        Entry {
            start,
            end: bytes.len() as u32,
            key_start,
            key_end,
        }
    }

    /// Replaces the attribute at `index`. Drops it if the new value does not fit.
    #[cold]
    fn replace(&mut self, index: usize, key: LookupKey<'_>, value: AnyValue<'_>) {
        let old = self.entries[index];
        let new = self.encode(key, value);
        let (new_len, old_len) = (new.end - new.start, old.end - old.start);
        // `encode` has appended the new attribute. Move it in front of the old one, and remove the
        // old one.
        let end = new.end as usize;
        self.bytes[old.start as usize..end].rotate_right(new_len as usize);
        let removed = (old.start + new_len) as usize;
        self.bytes.drain(removed..removed + old_len as usize);
        self.entries[index] = new.moved_to(old.start);
        for entry in &mut self.entries[index + 1..] {
            *entry = entry.moved_to(entry.start + new_len - old_len);
        }
        if self.bytes.len() > MAX_ITEM_LEN {
            self.remove(index);
            self.add_dropped(1);
        }
    }

    fn remove(&mut self, index: usize) {
        let removed = self.entries.remove(index);
        self.bytes
            .drain(removed.start as usize..removed.end as usize);
        let len = removed.end - removed.start;
        for entry in &mut self.entries[index..] {
            *entry = entry.moved_to(entry.start - len);
        }
    }
}

impl Entry {
    /// Returns the entry of the same attribute at another offset.
    fn moved_to(self, start: u32) -> Self {
        let moved = |offset: u32| offset - self.start + start;
        Self {
            start,
            end: moved(self.end),
            key_start: moved(self.key_start),
            key_end: moved(self.key_end),
        }
    }
}

#[cfg(test)]
mod tests;
