//! Doubly linked lists in one vector.

use std::{
    mem,
    ops::{Index, IndexMut},
};

/// Values in slots that are linked into lists by index. A value moves between lists, or to the back
/// of its list, without a search and without an allocation.
///
/// The caller owns the lists, as [`SlotList`]s. Each slot with a value is in exactly one list. A
/// caller that passes a [`SlotId`] must also pass the list that the slot is in.
#[derive(Debug)]
pub struct LinkedSlots<T> {
    slots: Vec<Slot<T>>,
    /// The first vacant slot. The other vacant slots are linked by `next`.
    vacant: SlotId,
}

/// The position of a value, until the value is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotId(u32);

/// The ends of one list. The front is the slot that was linked first.
#[derive(Debug, Clone, Copy)]
pub struct SlotList {
    front: SlotId,
    back: SlotId,
    len: u32,
}

#[derive(Debug)]
struct Slot<T> {
    value: T,
    previous: SlotId,
    next: SlotId,
}

/// The id of no slot, at the ends of a list.
const NONE: SlotId = SlotId(u32::MAX);

impl SlotId {
    /// Returns `None` for [`NONE`].
    #[inline]
    fn to_option(self) -> Option<Self> {
        (self != NONE).then_some(self)
    }
}

impl SlotList {
    /// Returns the slot that was linked first.
    #[inline]
    #[must_use]
    pub fn front(&self) -> Option<SlotId> {
        self.front.to_option()
    }

    /// Returns the slot that was linked last.
    #[inline]
    #[must_use]
    pub fn back(&self) -> Option<SlotId> {
        self.back.to_option()
    }

    /// Returns the number of slots in the list.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Returns whether the list has no slot.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Default for SlotList {
    fn default() -> Self {
        Self {
            front: NONE,
            back: NONE,
            len: 0,
        }
    }
}

impl<T> LinkedSlots<T> {
    /// Reserves memory for exactly this many more values.
    pub fn reserve_exact(&mut self, additional: usize) {
        self.slots.reserve_exact(additional);
    }

    /// Returns the number of slots, including vacant ones.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Returns the number of slots that fit into the reserved memory.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// Adds a value at the back of a list.
    pub fn push_back(&mut self, list: &mut SlotList, value: T) -> SlotId {
        let slot = Slot {
            value,
            previous: NONE,
            next: NONE,
        };
        let id = match self.vacant.to_option() {
            Some(id) => {
                self.vacant = self.slot(id).next;
                *self.slot(id) = slot;
                id
            }
            None => {
                self.slots.push(slot);
                SlotId((self.slots.len() - 1) as u32)
            }
        };
        self.link_back(list, id);
        id
    }

    /// Removes a value from its list and from the slots.
    pub fn remove(&mut self, list: &mut SlotList, id: SlotId) -> T
    where
        T: Default,
    {
        self.unlink(list, id);
        let vacant = mem::replace(&mut self.vacant, id);
        let slot = self.slot(id);
        slot.next = vacant;
        mem::take(&mut slot.value)
    }

    /// Moves a value to the back of its list.
    #[inline]
    pub fn move_to_back(&mut self, list: &mut SlotList, id: SlotId) {
        if list.back != id {
            self.unlink(list, id);
            self.link_back(list, id);
        }
    }

    /// Moves a value to the back of another list.
    pub fn move_to(&mut self, from: &mut SlotList, to: &mut SlotList, id: SlotId) {
        self.unlink(from, id);
        self.link_back(to, id);
    }

    #[inline]
    fn unlink(&mut self, list: &mut SlotList, id: SlotId) {
        let Slot { previous, next, .. } = *self.slot(id);
        match previous.to_option() {
            Some(previous) => self.slot(previous).next = next,
            None => list.front = next,
        }
        match next.to_option() {
            Some(next) => self.slot(next).previous = previous,
            None => list.back = previous,
        }
        list.len -= 1;
    }

    #[inline]
    fn link_back(&mut self, list: &mut SlotList, id: SlotId) {
        let previous = mem::replace(&mut list.back, id);
        list.len += 1;
        match previous.to_option() {
            Some(previous) => self.slot(previous).next = id,
            None => list.front = id,
        }
        let slot = self.slot(id);
        (slot.previous, slot.next) = (previous, NONE);
    }

    #[inline]
    fn slot(&mut self, id: SlotId) -> &mut Slot<T> {
        &mut self.slots[id.0 as usize]
    }
}

impl<T> Default for LinkedSlots<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            vacant: NONE,
        }
    }
}

impl<T> Index<SlotId> for LinkedSlots<T> {
    type Output = T;

    #[inline]
    fn index(&self, id: SlotId) -> &T {
        &self.slots[id.0 as usize].value
    }
}

impl<T> IndexMut<SlotId> for LinkedSlots<T> {
    #[inline]
    fn index_mut(&mut self, id: SlotId) -> &mut T {
        &mut self.slot(id).value
    }
}
