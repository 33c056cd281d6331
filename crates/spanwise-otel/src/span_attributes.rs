//! The attributes that a span adds to all log records inside it, encoded once per span.

use spanwise_core::internal::Inherit;

use crate::{
    attributes::{Attributes, EncodedAttribute, KeyBits, encoded_attributes},
    limits::MAX_ITEM_LEN,
    log_encoding::RecordIds,
};

/// The attributes that a span adds to its log records: its own, and those of its ancestors.
///
/// An attribute is *pinned* if fields of spans and events with the same key do not replace it. It
/// is a context key, such as `request_id`, that `spanwise-http` or `context::set` has set.
#[derive(Debug)]
pub(crate) struct SpanAttributes {
    /// The encoded attributes, in four ranges: own pinned attributes, inherited pinned ones, own
    /// attributes that are not pinned, and inherited ones that are not pinned.
    bytes: Box<[u8]>,
    /// The ends of the first three ranges of `bytes`.
    own_pinned_end: u32,
    pinned_end: u32,
    own_end: u32,
    /// The keys and the number of attributes. `None` if a key occurs twice, because then `bytes`
    /// cannot be appended at once.
    keys: Option<(KeyBits, u32)>,
    /// The ids that the application recorded on this span.
    own_ids: RecordIds,
    /// The ids that the application recorded on this span, or else on an outer span.
    ids: RecordIds,
    /// The number of own attributes that exceeded the limits.
    own_dropped: u32,
    /// The number of own and inherited attributes that exceeded the limits.
    dropped: u32,
}

/// The encoded attributes that were recorded on a span itself, or by one `record` on it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OwnAttributes<'a> {
    pub(crate) pinned: &'a [u8],
    /// The attributes that are not pinned.
    pub(crate) others: &'a [u8],
    pub(crate) ids: RecordIds,
    pub(crate) dropped: u32,
}

impl OwnAttributes<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.pinned.is_empty() && self.others.is_empty() && self.ids == RecordIds::default()
    }
}

impl SpanAttributes {
    pub(crate) fn new(own: OwnAttributes<'_>, parent: Option<&Self>) -> Self {
        let inherited_len = parent.map_or(0, |parent| parent.bytes.len());
        let own_len = own.pinned.len() + own.others.len();
        let mut bytes = Vec::with_capacity(own_len + inherited_len);
        let inherited_dropped = parent.map_or(0, |parent| parent.dropped);
        let mut dropped = own.dropped.saturating_add(inherited_dropped);
        let mut inherit = |bytes: &mut Vec<u8>, own: &[u8], inherited: &[u8]| {
            for attribute in encoded_attributes(inherited).filter(|it| !has_key(own, *it)) {
                if bytes.len() + attribute.field().len() > MAX_ITEM_LEN {
                    dropped = dropped.saturating_add(1);
                } else {
                    bytes.extend_from_slice(attribute.field());
                }
            }
        };
        bytes.extend_from_slice(own.pinned);
        inherit(&mut bytes, own.pinned, parent.map_or(&[], Self::pinned));
        let pinned_end = bytes.len();
        bytes.extend_from_slice(own.others);
        let own_end = bytes.len();
        inherit(&mut bytes, own.others, parent.map_or(&[], Self::others));
        let (pinned, others) = bytes.split_at(pinned_end);
        let has_repeated_key = !pinned.is_empty()
            && encoded_attributes(others).any(|attribute| has_key(pinned, attribute));
        Self {
            keys: (!has_repeated_key).then(|| KeyBits::from_attributes(&bytes)),
            bytes: bytes.into_boxed_slice(),
            own_pinned_end: own.pinned.len() as u32,
            pinned_end: pinned_end as u32,
            own_end: own_end as u32,
            own_ids: own.ids,
            ids: own
                .ids
                .inherit(parent.map(|parent| parent.ids).unwrap_or_default()),
            own_dropped: own.dropped,
            dropped,
        }
    }

    /// Returns the attributes after a `record` on the span. A recorded value replaces the span's
    /// own value of the same key.
    pub(crate) fn record(&self, recorded: OwnAttributes<'_>, parent: Option<&Self>) -> Self {
        let own = self.own();
        let mut dropped = own.dropped.saturating_add(recorded.dropped);
        let pinned = merged(own.pinned, recorded.pinned, &mut dropped);
        let others = merged(own.others, recorded.others, &mut dropped);
        let own = OwnAttributes {
            pinned: &pinned,
            others: &others,
            ids: recorded.ids.or(own.ids),
            dropped,
        };
        Self::new(own, parent)
    }

    fn own(&self) -> OwnAttributes<'_> {
        OwnAttributes {
            pinned: &self.bytes[..self.own_pinned_end as usize],
            others: &self.bytes[self.pinned_end as usize..self.own_end as usize],
            ids: self.own_ids,
            dropped: self.own_dropped,
        }
    }

    /// Returns the encoded attributes that are pinned.
    fn pinned(&self) -> &[u8] {
        &self.bytes[..self.pinned_end as usize]
    }

    /// Returns the encoded attributes that are not pinned.
    fn others(&self) -> &[u8] {
        &self.bytes[self.pinned_end as usize..]
    }

    /// Returns the ids that the application recorded on this span, or else on an outer span.
    #[inline]
    pub(crate) fn ids(&self) -> RecordIds {
        self.ids
    }

    /// Adds the attributes to those of an event. A field of the event with the same key takes
    /// precedence. A pinned attribute instead [displaces](Attributes::displace) the field.
    #[inline]
    pub(crate) fn push(&self, to: &mut Attributes) {
        to.add_dropped(self.dropped);
        let is_added = self
            .keys
            .is_some_and(|(keys, count)| to.append_last(&self.bytes, keys, count as usize));
        if !is_added {
            self.push_each(to);
        }
    }

    /// Adds the attributes one by one, if [`push`](Self::push) cannot add all at once.
    #[cold]
    fn push_each(&self, to: &mut Attributes) {
        for attribute in encoded_attributes(self.pinned()) {
            to.displace_key(attribute.key());
            to.push_encoded(attribute);
        }
        for attribute in encoded_attributes(self.others()) {
            if !to.contains_key(attribute.key()) {
                to.push_encoded(attribute);
            }
        }
    }
}

impl Inherit for SpanAttributes {
    fn rebuild(&self, parent: Option<&Self>) -> Self {
        Self::new(self.own(), parent)
    }
}

fn has_key(attributes: &[u8], attribute: EncodedAttribute<'_>) -> bool {
    encoded_attributes(attributes).any(|other| other.key() == attribute.key())
}

/// Returns the attributes of `old`, each with its value from `new` if there is one, and then the
/// attributes of `new` with other keys. Omits attributes that exceed [`MAX_ITEM_LEN`], and adds
/// their number to `dropped`.
fn merged(old: &[u8], new: &[u8], dropped: &mut u32) -> Vec<u8> {
    let find = |key: &[u8]| encoded_attributes(new).find(|new| new.key() == key);
    let kept = encoded_attributes(old).map(|old| find(old.key()).unwrap_or(old));
    let added = encoded_attributes(new).filter(|new| !has_key(old, *new));
    let mut all = Vec::with_capacity(old.len() + new.len());
    for attribute in kept.chain(added) {
        if all.len() + attribute.field().len() > MAX_ITEM_LEN {
            *dropped = dropped.saturating_add(1);
        } else {
            all.extend_from_slice(attribute.field());
        }
    }
    all
}
